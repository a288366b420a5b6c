//! The authorization server refuses what it should. A fixture that lets things pass proves
//! nothing about its clients.

use keyfob_tests::authserver::{
    Consent, Dcr, Iss, LoopbackPorts, Refresh, ResourceRule, StaticClient,
};
use keyfob_tests::browser::{Choice, Ending, visit};
use keyfob_tests::flow::{Flow, REDIRECT, bent, good_registration};
use keyfob_tests::{AuthorizationServer, BearerSeen, McpServer, RpcClient};
use serde_json::{Value, json};

const RESOURCE: &str = "https://mcp.example/mcp";

async fn authority() -> AuthorizationServer {
    let authority = AuthorizationServer::start().await;
    authority.protect(RESOURCE);
    authority
}

#[tokio::test]
async fn a_good_flow_by_registration() {
    let authority = authority().await;
    let flow = Flow::register(&authority, RESOURCE).await;
    let got = flow.authorize(&flow.request()).await;
    assert_eq!(got.status, 302);
    assert_eq!(got.in_redirect("state").as_deref(), Some(flow.state.as_str()));
    assert_eq!(got.in_redirect("iss").as_deref(), Some(authority.issuer()));
    let (access, refresh) = flow.tokens().await;
    assert!(access.starts_with("at-") && refresh.starts_with("rt-"));
    let got = flow.post("token", &flow.refresh(&refresh)).await;
    assert_eq!(got.status, 200, "{got:?}");
    assert_ne!(got.json()["refresh_token"], json!(refresh), "not rotated");
    assert_eq!(authority.journal().registrations().len(), 1);
    assert_eq!(authority.journal().refreshes().len(), 1);
}

#[tokio::test]
async fn what_the_client_or_its_redirect_gets_wrong_ends_in_a_page() {
    let authority = authority().await;
    let flow = Flow::register(&authority, RESOURCE).await;
    let good = flow.request();
    let mut twice = good.clone();
    twice.push(("redirect_uri".into(), REDIRECT.into()));
    for bad in [
        bent(&good, "client_id", "nobody"),
        bent(&good, "client_id", ""),
        bent(&good, "client_id", "https://nobody.example/client.json"),
        bent(&good, "redirect_uri", ""),
        bent(&good, "redirect_uri", "http://127.0.0.1:45678/callback/"),
        bent(&good, "redirect_uri", "http://127.0.0.1:45678/other"),
        bent(&good, "redirect_uri", "http://localhost:45678/callback"),
        bent(&good, "redirect_uri", "https://attacker.example/callback"),
        bent(&good, "redirect_uri", "http://127.0.0.1.attacker.example:45678/callback"),
        twice,
    ] {
        let got = flow.authorize(&bad).await;
        assert!(got.is_page(), "{bad:?} gave {got:?}");
    }
}

#[tokio::test]
async fn what_the_request_gets_wrong_goes_back_as_an_error() {
    let authority = authority().await;
    let flow = Flow::register(&authority, RESOURCE).await;
    let good = flow.request();
    let mut twice = good.clone();
    twice.push(("scope".into(), "a".into()));
    twice.push(("scope".into(), "b".into()));
    let mut resources = good.clone();
    resources.push(("resource".into(), "https://other.example".into()));
    for (bad, error) in [
        (bent(&good, "response_type", "token"), "unsupported_response_type"),
        (bent(&good, "response_type", ""), "invalid_request"),
        (bent(&good, "code_challenge", ""), "invalid_request"),
        (bent(&good, "code_challenge", "short"), "invalid_request"),
        (bent(&good, "code_challenge_method", ""), "invalid_request"),
        (bent(&good, "code_challenge_method", "plain"), "invalid_request"),
        (bent(&good, "resource", ""), "invalid_target"),
        (bent(&good, "resource", "https://mcp.example/mcp/"), "invalid_target"),
        (twice, "invalid_request"),
        (resources, "invalid_target"),
    ] {
        let got = flow.authorize(&bad).await;
        assert_eq!(got.in_redirect("error").as_deref(), Some(error), "{bad:?} gave {got:?}");
        assert_eq!(got.in_redirect("code"), None);
        assert_eq!(got.in_redirect("state").as_deref(), Some(flow.state.as_str()));
        assert_eq!(got.in_redirect("iss").as_deref(), Some(authority.issuer()));
    }
    authority.set(|s| s.known_scopes = vec!["read".into()]);
    let got = flow.authorize(&bent(&good, "scope", "read write")).await;
    assert_eq!(got.in_redirect("error").as_deref(), Some("invalid_scope"));
}

#[tokio::test]
async fn a_code_exchange_has_to_be_right_in_every_part() {
    let authority = authority().await;
    let other = "https://other.example/mcp";
    authority.protect(other);
    let flow = Flow::register(&authority, RESOURCE).await;
    let stranger = Flow::register(&authority, RESOURCE).await;
    let long = "v".repeat(129);
    for (name, value, error) in [
        ("code", "code-of-nobody", "invalid_grant"),
        ("code", "", "invalid_request"),
        ("redirect_uri", "", "invalid_request"),
        ("redirect_uri", "http://127.0.0.1:45679/callback", "invalid_grant"),
        ("code_verifier", "", "invalid_request"),
        ("code_verifier", "tooshort", "invalid_request"),
        ("code_verifier", long.as_str(), "invalid_request"),
        ("code_verifier", stranger.verifier.as_str(), "invalid_grant"),
        ("resource", "", "invalid_target"),
        ("resource", other, "invalid_target"),
        ("client_id", stranger.client_id.as_str(), "invalid_grant"),
        ("client_id", "nobody", "invalid_client"),
        ("grant_type", "password", "unsupported_grant_type"),
        ("client_secret", "made up", "invalid_client"),
    ] {
        let code = flow.code().await;
        let got = flow.post("token", &bent(&flow.exchange(&code), name, value)).await;
        assert_eq!(got.error(), error, "{name}={value} gave {got:?}");
    }
    let code = flow.code().await;
    let mut twice = flow.exchange(&code);
    twice.push(("code".into(), code.clone()));
    assert_eq!(flow.post("token", &twice).await.error(), "invalid_request");
    let header = Some("Basic bm9ib2R5OnNlY3JldA==");
    let got = flow.post_as("token", &bent(&flow.exchange(&code), "client_id", ""), header).await;
    assert_eq!((got.status, got.error().as_str()), (401, "invalid_client"));
    assert_eq!(flow.post("token", &flow.exchange(&code)).await.status, 200, "still good");
}

#[tokio::test]
async fn a_code_works_once_and_takes_its_tokens_with_it() {
    let authority = authority().await;
    let mcp = McpServer::start("m", &authority).await;
    let flow = Flow::register(&authority, &mcp.resource()).await;
    let code = flow.code().await;
    let first = flow.post("token", &flow.exchange(&code)).await;
    let access = first.json()["access_token"].as_str().unwrap().to_owned();
    let client = RpcClient::new(&mcp.url()).bearer(&access);
    assert_eq!(client.modern("tools/list", json!({})).await.status, 200);
    let second = flow.post("token", &flow.exchange(&code)).await;
    assert_eq!(second.error(), "invalid_grant");
    assert_eq!(client.modern("tools/list", json!({})).await.status, 401);
    assert_eq!(mcp.journal().rpc("tools/list")[1].bearer, Some(BearerSeen::Revoked));
}

#[tokio::test]
async fn a_refresh_token_works_once_and_takes_the_grant_with_it() {
    let authority = authority().await;
    let flow = Flow::register(&authority, RESOURCE).await;
    let (_, first) = flow.tokens().await;
    let got = flow.post("token", &bent(&flow.refresh(&first), "scope", "more")).await;
    assert_eq!(got.error(), "invalid_scope");
    let got = flow.post("token", &flow.refresh(&first)).await;
    let second = got.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(flow.post("token", &flow.refresh(&first)).await.error(), "invalid_grant");
    assert_eq!(flow.post("token", &flow.refresh(&second)).await.error(), "invalid_grant");
    let stranger = Flow::register(&authority, RESOURCE).await;
    let (_, third) = flow.tokens().await;
    let got = stranger.post("token", &stranger.refresh(&third)).await;
    assert_eq!(got.error(), "invalid_grant", "another client's token");
    authority.set(|s| s.refresh = Refresh::Never);
    let (_, none) = flow.tokens().await;
    assert_eq!(none, "");
}

#[tokio::test]
async fn registration_wants_a_native_public_client() {
    let authority = authority().await;
    let flow = Flow::new(&authority, "", RESOURCE);
    let good = good_registration();
    for (field, value, error) in [
        ("redirect_uris", json!([]), "invalid_redirect_uri"),
        ("redirect_uris", json!(["https://attacker.example/cb"]), "invalid_redirect_uri"),
        ("redirect_uris", json!(["http://127.0.0.1/cb#f"]), "invalid_redirect_uri"),
        ("application_type", json!("web"), "invalid_client_metadata"),
        ("application_type", Value::Null, "invalid_client_metadata"),
        ("grant_types", json!(["refresh_token"]), "invalid_client_metadata"),
        ("response_types", json!(["token"]), "invalid_client_metadata"),
        ("client_name", json!(""), "invalid_client_metadata"),
        ("client_id", json!("mine"), "invalid_client_metadata"),
        ("token_endpoint_auth_method", json!("magic"), "invalid_client_metadata"),
    ] {
        let mut bad = good.clone();
        bad[field] = value.clone();
        let got = flow.post_json("register", &bad).await;
        assert_eq!((got.status, got.error().as_str()), (400, error), "{field}={value}");
    }
    for (dcr, status) in [
        (Dcr::Off, 404),
        (Dcr::Forbidden, 403),
        (Dcr::TooMany, 429),
        (Dcr::Answers200, 200),
        (Dcr::WithSecret, 201),
    ] {
        authority.set(|s| s.dcr = dcr);
        let got = flow.post_json("register", &good).await;
        assert_eq!(got.status, status, "{dcr:?}");
        let secret = got.json().get("client_secret").is_some();
        assert_eq!(secret, dcr == Dcr::WithSecret, "{dcr:?}");
    }
}

#[tokio::test]
async fn a_secret_comes_the_way_it_was_registered() {
    let authority = authority().await;
    authority.set(|s| {
        s.static_clients = vec![StaticClient {
            id: "own client".into(),
            secret: Some("s:e c/r+e%t".into()),
            redirect_uris: vec![REDIRECT.into()],
        }];
    });
    let flow = Flow::new(&authority, "own client", RESOURCE);
    let code = flow.code().await;
    let basic = |id: &str, secret: &str| {
        use base64::Engine;
        let joined = format!("{id}:{secret}");
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(joined))
    };
    let form = bent(&flow.exchange(&code), "client_id", "");
    let posted = bent(&flow.exchange(&code), "client_secret", "s:e c/r+e%t");
    assert_eq!(flow.post("token", &posted).await.error(), "invalid_client");
    assert_eq!(flow.post("token", &flow.exchange(&code)).await.error(), "invalid_client");
    let wrong = basic("own+client", "wrong");
    assert_eq!(flow.post_as("token", &form, Some(&wrong)).await.error(), "invalid_client");
    let right = basic("own+client", "s%3Ae+c%2Fr%2Be%25t");
    assert_eq!(flow.post_as("token", &posted, Some(&right)).await.error(), "invalid_request");
    assert_eq!(flow.post_as("token", &form, Some(&right)).await.status, 200);
}

#[tokio::test]
async fn loopback_ports_are_free_or_not() {
    let authority = authority().await;
    let flow = Flow::register(&authority, RESOURCE).await;
    let moved = bent(&flow.request(), "redirect_uri", "http://127.0.0.1:50000/callback");
    assert!(flow.authorize(&moved).await.in_redirect("code").is_some());
    let name = bent(&flow.request(), "redirect_uri", "http://localhost:45678/callback");
    assert!(flow.authorize(&name).await.is_page(), "a name is no IP literal");
    authority.set(|s| s.loopback_ports = LoopbackPorts::Exact);
    assert!(flow.authorize(&moved).await.is_page());
    assert!(flow.authorize(&flow.request()).await.in_redirect("code").is_some());
}

#[tokio::test]
async fn consent_is_asked_of_the_browser_that_started() {
    let authority = authority().await;
    let flow = Flow::register(&authority, RESOURCE).await;
    authority.set(|s| s.consent = Consent::Page);
    let got = flow.authorize(&flow.request()).await;
    assert!(got.status == 200 && got.text.contains("Deny"), "{got:?}");
    let id = got.text.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = vec![
        ("transaction".to_owned(), id.to_owned()),
        ("decision".to_owned(), "allow".to_owned()),
    ];
    assert!(flow.post("consent", &form).await.is_page(), "without the cookie");

    let listener = keyfob_tests::host::Host::start(None).await;
    let redirect = format!("http://127.0.0.1:{}/callback", listener.port());
    let pairs = bent(&flow.request(), "redirect_uri", &redirect);
    let query =
        keyfob_tests::call::encode_pairs(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    let link = format!("{}?{query}", authority.endpoint("authorize"));
    for (consent, choice, good) in [
        (Consent::Page, Choice::Allow, true),
        (Consent::Page, Choice::Deny, false),
        (Consent::Login, Choice::Allow, true),
        (Consent::Deny, Choice::Allow, false),
        (Consent::Auto, Choice::Allow, true),
    ] {
        authority.set(|s| s.consent = consent);
        let ending = visit(&link, choice).await.unwrap();
        match ending {
            Ending::Code(..) => assert!(good, "{consent:?} {choice:?}"),
            Ending::Error(error) => assert!(!good && error == "access_denied"),
            Ending::DeadEnd(..) => panic!("{ending:?}"),
        }
    }
}

#[tokio::test]
async fn switches_of_iss_resource_and_outage() {
    let authority = authority().await;
    let flow = Flow::register(&authority, RESOURCE).await;
    for (iss, sent) in [
        (Iss::Off, None),
        (Iss::Missing, None),
        (Iss::Wrong, Some("https://attacker.example")),
        (Iss::Unadvertised, Some(authority.issuer())),
    ] {
        authority.set(|s| s.iss = iss);
        let got = flow.authorize(&flow.request()).await;
        assert_eq!(got.in_redirect("iss").as_deref(), sent, "{iss:?}");
    }
    authority.set(|s| s.resource = ResourceRule::Refused);
    let got = flow.authorize(&flow.request()).await;
    assert_eq!(got.in_redirect("error").as_deref(), Some("invalid_target"));
    assert!(
        flow.authorize(&bent(&flow.request(), "resource", "")).await.in_redirect("code").is_some()
    );
    authority.set(|s| s.resource = ResourceRule::Required);
    let code = flow.code().await;
    authority.token_outage(2, 503, 7);
    for status in [503, 503, 200] {
        assert_eq!(flow.post("token", &flow.exchange(&code)).await.status, status);
    }
}

#[tokio::test]
async fn revocation_and_management_of_a_registration() {
    let authority = authority().await;
    let flow = Flow::register(&authority, RESOURCE).await;
    let (_, refresh) = flow.tokens().await;
    let form = |token: &str| {
        vec![
            ("token".to_owned(), token.to_owned()),
            ("client_id".to_owned(), flow.client_id.clone()),
        ]
    };
    assert_eq!(flow.post("revoke", &form("unknown")).await.status, 200);
    assert_eq!(flow.post("revoke", &form(&refresh)).await.status, 200);
    assert_eq!(flow.post("token", &flow.refresh(&refresh)).await.error(), "invalid_grant");
    authority.set(|s| s.registration_management = true);
    let body = flow.post_json("register", &good_registration()).await.json();
    let uri = body["registration_client_uri"].as_str().unwrap();
    let token = body["registration_access_token"].as_str().unwrap();
    assert_eq!(authority.registered(), 2);
    let wrong = RpcClient::new(uri).bearer("wrong").send("DELETE", &[], None).await.unwrap();
    assert_eq!(wrong.status, 401);
    let right = RpcClient::new(uri).bearer(token).send("DELETE", &[], None).await.unwrap();
    assert_eq!((right.status, authority.registered()), (204, 1));
}

/// RFC 7592 section 2.2.
#[tokio::test]
async fn an_update_of_a_registration_sends_all_of_it_back_and_gets_a_new_secret() {
    let authority = authority().await;
    authority.set(|s| {
        s.registration_management = true;
        s.dcr = Dcr::WithSecret;
        s.client_secret_seconds = Some(3600);
    });
    let flow = Flow::register(&authority, RESOURCE).await;
    let made = flow.post_json("register", &good_registration()).await.json();
    let text = |made: &Value, name: &str| made[name].as_str().unwrap_or_default().to_owned();
    let put = async |made: &Value, change: &dyn Fn(&mut Value)| {
        let mut body = made.clone();
        for own in [
            "client_secret",
            "client_secret_expires_at",
            "client_id_issued_at",
            "registration_client_uri",
            "registration_access_token",
        ] {
            body.as_object_mut().expect("an object").remove(own);
        }
        change(&mut body);
        let client = RpcClient::new(&text(made, "registration_client_uri"))
            .bearer(&text(made, "registration_access_token"));
        let headers = [("content-type", "application/json")];
        let body = body.to_string().into_bytes();
        client.send("PUT", &headers, Some(body)).await.expect("an answer")
    };
    let bent: [&dyn Fn(&mut Value); 5] = [
        &|body| body["client_id"] = json!("another"),
        &|body| body["client_secret"] = json!("another"),
        &|body| body["registration_access_token"] = json!("t"),
        &|body| body["policy_uri"] = json!(null),
        &|body| drop(body.as_object_mut().expect("an object").remove("grant_types")),
    ];
    for change in bent {
        assert_eq!(put(&made, change).await.status, 400);
    }
    let updated = put(&made, &|_| {}).await;
    assert_eq!(updated.status, 200, "{updated:?}");
    let updated: Value = serde_json::from_str(&updated.text).expect("JSON");
    for new in ["client_secret", "registration_access_token"] {
        assert_ne!(updated[new], made[new], "{new}");
    }
    assert_eq!(put(&made, &|_| {}).await.status, 401, "that token is over");
    assert_eq!(put(&updated, &|_| {}).await.status, 200);
    assert_eq!(put(&updated, &|_| {}).await.status, 401, "and so is the next one");
}
