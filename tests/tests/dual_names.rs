//! Names that lead to an address of the Internet and to this machine, or now to the one and now to
//! the other: whoever owns such a name gets no byte to a service on loopback.
#![cfg(target_os = "linux")]

use std::net::Ipv4Addr;

use keyfob_tests::network::{Network, PUBLIC};
use keyfob_tests::{Document, Scene, Setup, Visit};
use serde_json::{Value, json};

const MCP: &str = "https://mcp.example/mcp";
const AUTHORITY: &str = "https://as.example:8443";
const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Both of the server's names lead to this machine as well; the browser, which is not ours to
/// guard, has one that does not.
const BOTH: [(Ipv4Addr, &str); 5] = [
    (HERE, "mcp.example"),
    (PUBLIC, "mcp.example"),
    (HERE, "as.example"),
    (PUBLIC, "as.example"),
    (PUBLIC, "login.example"),
];

/// A server and a strict sign-in service at the public address. `named` replaces fields of what the
/// service says of itself.
async fn scene(network: &mut Network, named: &[(&str, Value)]) -> Scene {
    let mut fields = json!({
        "authorization_endpoint": "https://login.example:8443/oauth/authorize",
    });
    for (name, value) in named {
        fields[name] = value.clone();
    }
    let fields = fields.as_object().cloned().unwrap_or_default();
    let mut scene = Scene::with(|s: &mut Setup| {
        s.serve = false;
        s.document = false;
        s.authority_origin = Some(AUTHORITY.to_owned());
        s.authority.registration_management = true;
        s.authority.rfc8414_fields.clone_from(&fields);
        s.authority.oidc_fields = fields;
    })
    .await;
    scene.authority.protect(MCP);
    let put = |path: &str, document: Document| scene.documents.put(path, document);
    put("/mcp", Document::Challenge("Bearer".to_owned()));
    let resource = json!({"resource": MCP, "authorization_servers": [AUTHORITY]});
    let resource = Document::Bytes(resource.to_string().into_bytes());
    put("/.well-known/oauth-protected-resource/mcp", resource);
    lead(network, PUBLIC, &scene).await;
    let ca_file = scene.documents.ca_file().display().to_string();
    let browser = scene.keyfob.browser(Visit::Allow).display().to_string();
    scene.keyfob.configure(&[("ca_file", &ca_file), ("browser", &browser)]);
    scene.keyfob.set_env("SSL_CERT_FILE", &ca_file);
    scene.keyfob.serve().await;
    scene.keyfob.run(&["add", "--name", "s", MCP]).await.ok();
    scene
}

/// Server and service are at this address. The document host, which is the server, speaks TLS itself.
async fn lead(network: &mut Network, at: Ipv4Addr, scene: &Scene) {
    network.forward((at, 443), scene.documents.port()).await;
    network.publish((at, 8443), scene.documents.tls(), scene.authority.port()).await;
}

/// attack-B2: each endpoint that is asked on a server's word, at a port where only this machine
/// listens.
#[tokio::test]
async fn an_endpoint_at_a_name_that_leads_here_as_well_is_asked_at_its_other_address_alone() {
    let test = "an_endpoint_at_a_name_that_leads_here_as_well_is_asked_at_its_other_address_alone";
    let Some(mut network) = Network::inside(test) else { return };
    network.name(&BOTH);
    let arrivals = network.watch(&[443, 8443, 9200, 9201]).await;
    for (endpoint, url) in [
        ("registration_endpoint", "https://mcp.example:9200/register"),
        ("registration_endpoint", "https://as.example:9201/register"),
        ("token_endpoint", "https://mcp.example:9200/token"),
        ("token_endpoint", "https://as.example:9201/token"),
        ("pushed_authorization_request_endpoint", "https://as.example:9201/par"),
    ] {
        let mut named = vec![(endpoint, json!(url))];
        if endpoint.starts_with("pushed") {
            named.push(("require_pushed_authorization_requests", json!(true)));
        }
        let scene = scene(&mut network, &named).await;
        let output = scene.connect("s", Visit::Allow).await;
        assert!(output.code.is_some_and(|code| code != 0), "{url}: {output}");
        assert!(output.one_sentence().contains("nothing answers there"), "{url}: {output}");
        assert_eq!(arrivals.seen(), [], "{url}");
        assert!(!scene.authority.journal().entries().is_empty(), "its public address was asked");
        drop(scene);
        network.withdraw().await;
    }
}

/// attack-B2: the metadata of the resource and of the service.
#[tokio::test]
async fn metadata_at_a_name_that_leads_here_as_well_is_asked_for_at_its_other_address_alone() {
    let test = "metadata_at_a_name_that_leads_here_as_well_is_asked_for_at_its_other_address_alone";
    let Some(mut network) = Network::inside(test) else { return };
    network.name(&BOTH);
    let arrivals = network.watch(&[443, 8443, 9200]).await;
    let scene = scene(&mut network, &[]).await;
    let challenge = r#"Bearer resource_metadata="https://mcp.example:9200/prm""#;
    scene.documents.put("/mcp", Document::Challenge(challenge.to_owned()));
    let output = scene.connect("s", Visit::Allow).await;
    assert!(output.one_sentence().contains("nothing answers there"), "{output}");
    scene.documents.put("/mcp", Document::Challenge("Bearer".to_owned()));
    let named = json!({"resource": MCP, "authorization_servers": ["https://mcp.example:9200"]});
    let named = Document::Bytes(named.to_string().into_bytes());
    scene.documents.put("/.well-known/oauth-protected-resource/mcp", named);
    let output = scene.connect("s", Visit::Allow).await;
    assert!(output.one_sentence().contains("nothing answers there"), "{output}");
    assert_eq!(arrivals.seen(), []);
}

/// attack-B2: the names lead to the Internet until the sign-in is done, and to this machine ever
/// after: at the refresh, the sign-out, and the deletion of the registration.
#[tokio::test]
async fn a_service_whose_name_leads_here_after_the_sign_in_gets_nothing_here() {
    let test = "a_service_whose_name_leads_here_after_the_sign_in_gets_nothing_here";
    let Some(mut network) = Network::inside(test) else { return };
    network.name(&BOTH);
    let arrivals = network.watch(&[443, 8443]).await;
    let scene = scene(&mut network, &[]).await;
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(arrivals.seen(), [], "at the sign-in");
    assert_eq!(scene.authority.registered(), 1);
    // The look at its tools after the sign-in has renewed once: the server takes no token at all.
    let before = scene.authority.journal().refreshes().len();
    scene.keyfob.run(&["refresh", "s"]).await.ok();
    assert_eq!(scene.authority.journal().refreshes().len(), before + 1, "where it is");
    assert_eq!(arrivals.seen(), [], "at the refresh");

    network.name(&[(PUBLIC, "mcp.example"), (HERE, "as.example"), (HERE, "login.example")]);
    // A connection that is open already leads where it led.
    network.withdraw().await;
    lead(&mut network, PUBLIC, &scene).await;
    let output = scene.keyfob.run(&["refresh", "s"]).await;
    assert_ne!(output.code, Some(0), "{output}");
    let trace = scene.keyfob.run(&["trace", "s"]).await.ok();
    assert!(trace.stdout.contains("a private network or of this machine"), "{trace}");
    assert_eq!(arrivals.seen(), [], "at the refresh");
    let ended = scene.keyfob.run(&["remove", "s"]).await.ok();
    let refused = ended.stdout.matches("a private network or of this machine").count();
    assert!(refused >= 3, "two tokens and a registration: {ended}");
    assert_eq!(arrivals.seen(), [], "at the sign-out");
}

/// Where the typed name leads to this machine alone, everything beside it may be asked: what a
/// developer does with a name in the hosts file.
#[tokio::test]
async fn a_typed_name_of_this_machine_reaches_this_machine() {
    let test = "a_typed_name_of_this_machine_reaches_this_machine";
    let Some(mut network) = Network::inside(test) else { return };
    network.name(&BOTH);
    let scene = scene(&mut network, &[]).await;
    network.name(&[(HERE, "mcp.example"), (HERE, "as.example"), (HERE, "login.example")]);
    network.withdraw().await;
    lead(&mut network, HERE, &scene).await;
    scene.connect("s", Visit::Allow).await.ok();
    let before = scene.authority.journal().refreshes().len();
    scene.keyfob.run(&["refresh", "s"]).await.ok();
    assert_eq!(scene.authority.journal().refreshes().len(), before + 1);
}
