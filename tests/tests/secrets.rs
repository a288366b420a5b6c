//! Secrets stay where they belong: not in files, logs, arguments, links or answers, and not with other
//! programs.
#![expect(clippy::expect_used, reason = "test code")]

use keyfob_tests::authserver::{Cimd, Dcr, StaticClient};
use keyfob_tests::random::secret;
use keyfob_tests::scan::{Arguments, Planted, holder};
use keyfob_tests::world::{PATIENCE, Stdin, client_binary, files_below};
use keyfob_tests::{Scene, Visit};
use serde_json::json;

#[tokio::test]
async fn tokens_turn_up_nowhere() {
    let scene = Scene::with(|s| {
        s.authority.cimd = Cimd::Off;
        s.authority.dcr = Dcr::WithSecret;
        s.authority.registration_management = true;
    })
    .await;
    let arguments = Arguments::watch();
    let scene = scene.signed_in().await;
    let key = scene.client_key("cursor", "s").await;
    scene.echo("s", "x").await;
    scene.authority.expire_access_tokens();
    scene.echo("s", "y").await;
    for command in [
        vec!["list"],
        vec!["list", "--json"],
        vec!["status", "s"],
        vec!["trace", "s"],
        vec!["trace", "--json", "s"],
        vec!["doctor"],
        vec!["clients", "list"],
    ] {
        scene.keyfob.run(&command).await;
    }
    scene.authority.revoke_all();
    scene.call("s", "echo", &json!({"text": "z"})).await;
    scene.connect("s", Visit::Deny).await;

    // The scan has to find what is there before it may say that something is not.
    let marker = secret("marker-");
    std::fs::write(scene.keyfob.home().join("planted"), &marker).unwrap();
    let _planted = Planted::start(&marker);
    let files = files_below(scene.keyfob.scratch());
    assert!(holder(&files, &marker).is_some(), "the scan of files is blind");
    assert!(arguments.contain(&marker), "the scan of arguments is blind");
    let printed = scene.keyfob.printed();
    assert!(printed.contains("signed-out") || printed.contains("ready"), "nothing was printed");

    let issued = scene.authority.issued();
    assert!(issued.access.len() >= 2 && issued.refresh.len() >= 2, "{issued:?}");
    assert!(issued.registration.len() >= 2);
    let links = scene.keyfob.links().join("\n");
    for token in issued.all() {
        assert_eq!(holder(&files, &token), None, "a token stands in a file");
        assert!(!printed.contains(&token), "a token was printed or logged");
        assert!(!arguments.contain(&token), "a token was an argument");
        assert!(!links.contains(&token), "a token was in a link");
    }
    assert_eq!(holder(&files, &key), None, "a client key stands in a file");
    assert!(!arguments.contain(&key));
    let log = scene.keyfob.broker().printed();
    assert!(!log.contains(&key), "a client key was logged");
    for request in scene.authority.journal().authorizations() {
        let state = request.param("state").unwrap().to_owned();
        assert!(!arguments.contain(&state), "the true link was an argument");
    }
}

/// D-14: the secret of a client of one's own, and the values of one's own headers.
#[tokio::test]
async fn what_the_user_typed_turns_up_nowhere() {
    let (client, header) = (secret("own-secret-"), secret("own-header-"));
    let scene = Scene::start().await;
    let arguments = Arguments::watch();
    scene.authority.set(|s| {
        s.static_clients.push(StaticClient {
            id: "own-id".to_owned(),
            secret: Some(client.clone()),
            redirect_uris: vec![format!("http://127.0.0.1:{}/callback", scene.keyfob.port())],
        });
    });
    let url = scene.mcp.url();
    let add = ["add", "--name", "s", "--client-id", "own-id", "--client-secret-stdin"];
    let add = [&add[..], &["--header", "X-Own", &url]].concat();
    let stdin = format!("{client}\n{header}\n");
    scene.keyfob.run_with(&add, Stdin::Text(&stdin), PATIENCE).await.ok();
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "x").await;
    for command in [vec!["list", "--json"], vec!["trace", "--json", "s"], vec!["doctor"]] {
        scene.keyfob.run(&command).await;
    }
    let exchange = scene.authority.journal().exchanges().pop().unwrap();
    let basic = exchange.header("authorization").expect("the secret goes where it belongs");
    let basic = basic.trim_start_matches("Basic ").to_owned();
    assert!(scene.mcp.journal().mentions(&header), "and so does the header");
    let files = files_below(scene.keyfob.scratch());
    let printed = scene.keyfob.printed();
    for typed in [&client, &header, &basic] {
        assert_eq!(holder(&files, typed), None, "it stands in a file");
        assert!(!printed.contains(typed.as_str()), "it was printed or logged");
        assert!(!arguments.contain(typed), "it was an argument");
        assert!(!scene.keyfob.links().join("\n").contains(typed.as_str()));
    }
    assert!(!scene.authority.journal().mentions(&header), "the header is the server's alone");
}

/// D-14: the same for a secret that a command finds in its environment.
#[tokio::test]
async fn a_secret_out_of_the_environment_stays_there() {
    let client = secret("own-secret-");
    let mut scene = Scene::with(|s| s.serve = false).await;
    let arguments = Arguments::watch();
    scene.authority.set(|s| {
        s.static_clients.push(StaticClient {
            id: "own-id".to_owned(),
            secret: Some(client.clone()),
            redirect_uris: vec!["http://127.0.0.1/callback".to_owned()],
        });
    });
    scene.keyfob.set_env("OWN_SECRET", &client);
    let options = ["--client-id", "own-id", "--client-secret-env", "OWN_SECRET", "--log", "debug"];
    let command = client_binary().display().to_string();
    let output = scene.exec(&options, &[&command, "{url}", "whoami", "{}"]).await.ok();
    assert_eq!(output.stdout, "alice, static client\n");
    assert!(!output.to_string().contains(&client), "it was printed or logged");
    let exchange = scene.authority.journal().exchanges().pop().unwrap();
    assert!(exchange.header("authorization").is_some(), "it goes where it belongs");
    assert_eq!(holder(&files_below(scene.keyfob.scratch()), &client), None, "it stands in a file");
    assert!(!arguments.contain(&client), "it was an argument");
    assert!(!scene.mcp.journal().mentions(&client), "the server was told");
}

/// A program that notes its environment, then does what another one does.
fn noting(scene: &Scene, name: &str, program: &str) -> (String, std::path::PathBuf) {
    let noted = scene.keyfob.scratch().join(format!("{name}-environment"));
    let path = scene.keyfob.scratch().join("bin").join(name);
    let script = format!("#!/bin/sh\nenv >'{}'\nexec '{program}' \"$@\"\n", noted.display());
    std::fs::write(&path, script).expect("a script");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).expect("a script");
    (path.display().to_string(), noted)
}

/// attack-B7: the command and the browser get what was in the environment, but for what was named.
#[tokio::test]
async fn a_named_secret_is_inherited_by_nobody() {
    let (client, idp, token) = (secret("own-secret-"), secret("idp-secret-"), secret("id-token-"));
    let mut scene = Scene::with(|s| s.serve = false).await;
    scene.authority.set(|s| {
        s.static_clients.push(StaticClient {
            id: "own-id".to_owned(),
            secret: Some(client.clone()),
            redirect_uris: vec!["http://127.0.0.1/callback".to_owned()],
        });
    });
    let variables = [("OWN_SECRET", &client), ("IDP_SECRET", &idp), ("IDP_TOKEN", &token)];
    for (name, value) in variables {
        scene.keyfob.set_env(name, value);
    }
    scene.keyfob.set_env("KEPT", "this one is kept");
    scene.keyfob.set_env("KEYFOB_KEY", "kf_of_another_exec");
    let browser = scene.keyfob.browser(Visit::Allow).display().to_string();
    let (browser, of_browser) = noting(&scene, "browser", &browser);
    let (command, of_command) = noting(&scene, "command", &client_binary().display().to_string());
    let url = scene.mcp.url();
    let ca_file = scene.documents.ca_file().display().to_string();
    let mut arguments = vec!["exec", "--ephemeral", "--browser", &browser, "--ca-file", &ca_file];
    arguments.extend(["--client-id", "own-id", "--client-secret-env", "OWN_SECRET"]);
    arguments.extend(["--idp-client-secret-env", "IDP_SECRET", "--idp-id-token-env", "IDP_TOKEN"]);
    arguments.extend([&url, "--", &command, "{url}", "whoami", "{}"]);
    scene.keyfob.run_with(&arguments, Stdin::Empty, PATIENCE).await.ok();
    for noted in [of_browser, of_command] {
        let inherited = std::fs::read_to_string(&noted).expect("it was started");
        assert!(inherited.contains("KEPT=this one is kept"), "the scan is blind: {inherited}");
        for (name, value) in variables {
            assert!(!inherited.contains(name), "{}: {name}", noted.display());
            assert!(!inherited.contains(value), "{}: {name}", noted.display());
        }
        assert!(!inherited.contains("kf_of_another_exec"), "{}", noted.display());
    }
}

/// attack-B7: a broker that outlives the command which started it.
#[tokio::test]
async fn a_broker_in_the_background_inherits_no_client_key() {
    let mut scene = Scene::with(|s| s.serve = false).await;
    scene.keyfob.set_env("KEPT", "this one is kept");
    scene.keyfob.set_env("KEYFOB_DEBUGGABLE", "1");
    scene.keyfob.set_env("KEYFOB_KEY", "kf_of_an_exec");
    scene.keyfob.set_env("KEYFOB_URL", "http://127.0.0.1:1/k/kf_of_an_exec/x");
    scene.keyfob.run(&["tools", "nothing"]).await.expect_code(2);
    let home = format!("KEYFOB_HOME={}\0", scene.keyfob.home().display());
    let environments: Vec<String> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|process| std::fs::read(process.path().join("environ")).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .filter(|environment| environment.contains(&home))
        .collect();
    assert_eq!(environments.len(), 1, "the broker in the background: {environments:?}");
    assert!(environments[0].contains("KEPT=this one is kept"), "{environments:?}");
    assert!(!environments[0].contains("kf_of_an_exec"), "{environments:?}");
}

#[tokio::test]
async fn nothing_is_written_outside_its_home() {
    let scene = Scene::start().await.signed_in().await;
    scene.echo("s", "x").await;
    let strays = files_below(&scene.keyfob.user_home());
    let strays: Vec<_> = strays.into_iter().map(|(name, _)| name).collect();
    assert!(strays.is_empty(), "{strays:?}");
}

#[tokio::test]
async fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::start().await.signed_in().await;
    scene.client_key("c", "s").await;
    let config = scene.keyfob.home().join("config/config.toml");
    for (name, _) in files_below(&scene.keyfob.home()) {
        // The settings were written by the test, with the permissions of the test.
        if std::path::Path::new(&name) == config {
            continue;
        }
        let mode = std::fs::metadata(&name).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
    }
}
