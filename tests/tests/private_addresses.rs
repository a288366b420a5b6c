//! A server with a public name may not send Keyfob into the person's own network. (That it may
//! where the person typed an address of this machine is what all the other suites live by.)
#![expect(clippy::expect_used, reason = "test code")]

use keyfob_tests::proxy::Proxy;
use keyfob_tests::{Document, Scene, Visit};
use serde_json::{Value, json};

const MCP: &str = "https://mcp.example/mcp";
const PRM: &str = "/.well-known/oauth-protected-resource/mcp";
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// A product that reaches `mcp.example` and `as.example`, both on the document host, through a
/// proxy; the server challenges and names `as.example`, which describes itself with these fields
/// more.
async fn scene(fields: &[(&str, Value)]) -> (Scene, Proxy) {
    let mut scene = Scene::with(|s| s.serve = false).await;
    let proxy = Proxy::start(scene.documents.port()).await;
    scene.keyfob.set_env("HTTPS_PROXY", &proxy.address());
    let put = |path: &str, document: &Value| {
        let bytes = Document::Bytes(document.to_string().into_bytes());
        scene.documents.put(path, bytes);
    };
    scene.documents.put("/mcp", Document::Challenge("Bearer".to_owned()));
    put(PRM, &json!({"resource": MCP, "authorization_servers": ["https://as.example"]}));
    let mut metadata = json!({
        "issuer": "https://as.example",
        "authorization_endpoint": "https://as.example/authorize",
        "token_endpoint": "https://as.example/token",
        "registration_endpoint": "https://as.example/register",
        "code_challenge_methods_supported": ["S256"],
    });
    for (name, value) in fields {
        metadata[name] = value.clone();
    }
    put(METADATA, &metadata);
    put("/register", &json!({"client_id": "made"}));
    scene.keyfob.serve().await;
    scene.keyfob.run(&["add", "--name", "s", MCP]).await.ok();
    (scene, proxy)
}

/// Told for what it is, and nothing went there: neither past the proxy nor through it.
async fn refused(scene: &Scene, proxy: &Proxy, address: &str) {
    let output = scene.connect("s", Visit::Allow).await.expect_code(4);
    let said = output.one_sentence();
    assert!(said.contains("inside your network") && said.contains(address), "{said}");
    assert!(scene.keyfob.links().is_empty(), "a browser was sent somewhere");
    assert!(scene.authority.journal().entries().is_empty(), "it was asked: {address}");
    let asked = proxy.asked();
    assert!(asked.iter().all(|name| name.ends_with(".example:443")), "{asked:?}");
    assert!(!asked.is_empty(), "the server's own name is asked through the proxy");
}

/// Addresses of the fixture itself, of private networks, and of the service that clouds give
/// their machines.
fn inside(scene: &Scene) -> Vec<String> {
    let own = scene.authority.origin().to_owned();
    let port = own.rsplit(':').next().expect("a port").to_owned();
    let mut addresses =
        vec![own, format!("http://localhost:{port}"), format!("https://[::1]:{port}")];
    addresses.extend(
        [
            "10.0.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "[::ffff:127.0.0.1]",
            "2130706433",
        ]
        .map(|host| format!("https://{host}")),
    );
    addresses
}

/// T6, 6.2-42: the address of the resource's metadata.
#[tokio::test]
async fn metadata_inside_the_network_is_not_asked_for() {
    let (scene, proxy) = scene(&[]).await;
    for address in inside(&scene) {
        let challenge = format!("Bearer resource_metadata=\"{address}/prm\"");
        scene.documents.put("/mcp", Document::Challenge(challenge));
        refused(&scene, &proxy, "/prm").await;
    }
}

/// T6: the address of the sign-in service.
#[tokio::test]
async fn a_service_inside_the_network_is_not_asked() {
    let (scene, proxy) = scene(&[]).await;
    for address in inside(&scene) {
        let named = json!({"resource": MCP, "authorization_servers": [address]});
        scene.documents.put(PRM, Document::Bytes(named.to_string().into_bytes()));
        refused(&scene, &proxy, METADATA).await;
    }
}

/// T6: an endpoint of a service with a public name.
#[tokio::test]
async fn an_endpoint_inside_the_network_is_not_used() {
    let own = Scene::with(|s| s.serve = false).await;
    let register = own.authority.endpoint("register");
    let (scene, proxy) = scene(&[("registration_endpoint", json!(register))]).await;
    refused(&scene, &proxy, "/oauth/register").await;
    assert!(own.authority.journal().entries().is_empty());

    let authorize = json!(own.authority.endpoint("authorize"));
    let (scene, _proxy) = self::scene(&[("authorization_endpoint", authorize)]).await;
    let output = scene.connect("s", Visit::Allow).await.expect_code(4);
    assert!(output.one_sentence().contains("cannot be opened safely"), "{output}");
    assert!(scene.keyfob.links().is_empty());
    assert!(own.authority.journal().entries().is_empty());
}

/// attack-B2: how far a sign-in reaches says nothing about where the system's proxy stands, and
/// where that stands says nothing about how far the sign-in reaches.
#[tokio::test]
async fn a_proxy_may_have_a_name_of_this_machine() {
    let (mut scene, proxy) = scene(&[]).await;
    scene.keyfob.stop().await;
    let by_name = proxy.address().replace("127.0.0.1", "localhost");
    scene.keyfob.set_env("HTTPS_PROXY", &by_name);
    scene.keyfob.serve().await;
    let own = scene.authority.origin();
    let challenge = format!("Bearer resource_metadata=\"{own}/prm\"");
    scene.documents.put("/mcp", Document::Challenge(challenge));
    refused(&scene, &proxy, "/prm").await;
    scene.documents.put("/mcp", Document::Challenge("Bearer".to_owned()));
    let browser = scene.keyfob.browser(Visit::Ignore).display().to_string();
    let command = ["connect", "--browser", &browser, "--deadline", "2", "s"];
    let output = scene.keyfob.run(&command).await.expect_code(6);
    assert!(proxy.asked().iter().any(|name| name == "as.example:443"), "{output}");
    assert_eq!(scene.keyfob.links().len(), 1, "as far as the browser: {output}");
}
