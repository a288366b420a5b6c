//! From a server's address to its authorization server: every route, both metadata formats.

use keyfob_tests::authserver::{Cimd, CimdFlag, Consent, Dcr, Documents, Iss, Par, ResourceRule};
use keyfob_tests::mcp::{Challenge, Era, Guard, Prm};
use keyfob_tests::{Kind, Scene, Setup, Visit};
use serde_json::json;

/// How the authorization server is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Header,
    PathForm,
    RootForm,
    HeaderOnly,
    Realm,
    Configured,
}

fn take(route: Route, setup: &mut Setup) {
    (setup.mcp.challenge, setup.mcp.prm) = match route {
        Route::Header => (Challenge::ResourceMetadata, Prm::PathForm),
        Route::PathForm => (Challenge::Bare, Prm::PathForm),
        Route::RootForm => (Challenge::Bare, Prm::RootForm),
        Route::HeaderOnly => (Challenge::Several, Prm::HeaderOnly),
        Route::Realm => (Challenge::Realm, Prm::Absent),
        Route::Configured => (Challenge::Absent, Prm::Absent),
    };
}

async fn sign_in(scene: &Scene, route: Route) {
    let issuer = scene.authority.issuer().to_owned();
    let more: &[&str] = if route == Route::Configured { &["--issuer", &issuer] } else { &[] };
    scene.add("s", more).await.ok();
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "found").await;
}

/// The flag stands in one document only: it counts, whichever that is.
async fn half_a_flag(route: Route) {
    for flag in [CimdFlag::OidcOnly, CimdFlag::Rfc8414Only] {
        for path in ["", "/tenant1"] {
            let scene = Scene::with(|s| {
                take(route, s);
                s.issuer_path = path.to_owned();
                s.authority.cimd_flag = flag.clone();
            })
            .await;
            sign_in(&scene, route).await;
            let card = scene.status("s").await["registration"].clone();
            assert_eq!(card["kind"], "cimd", "{route:?} {flag:?} {path:?}");
            assert_eq!(card["issuer"], scene.authority.issuer());
            assert_eq!(scene.authority.journal().registrations().len(), 0);
        }
    }
}

/// 6.2-3: split documents, and no registration endpoint at all.
#[tokio::test]
async fn cimd_that_one_document_offers_is_used_where_nothing_else_is() {
    for flag in [CimdFlag::OidcOnly, CimdFlag::Rfc8414Only] {
        let scene = Scene::with(|s| {
            s.authority.cimd_flag = flag.clone();
            s.authority.dcr = Dcr::Off;
        })
        .await
        .signed_in()
        .await;
        assert_eq!(scene.status("s").await["registration"]["kind"], "cimd", "{flag:?}");
    }
}

/// T1a: a 401 without any challenge leads to the path form.
#[tokio::test]
async fn no_challenge_at_all_leads_to_the_path_form() {
    let scene = Scene::with(|s| s.mcp.challenge = Challenge::Absent).await.signed_in().await;
    scene.echo("s", "found").await;
}

/// 6.2-61: the challenge's scopes, else those of the metadata.
#[tokio::test]
async fn scopes_come_from_the_challenge_else_from_the_metadata() {
    for challenged in [None, Some("one")] {
        let scene = Scene::with(|s| {
            s.mcp.challenge_scope = challenged.map(str::to_owned);
            s.mcp.prm_scopes = vec!["one".to_owned(), "two".to_owned()];
            s.authority.scopes_supported = vec!["three".to_owned()];
        })
        .await
        .signed_in()
        .await;
        let asked = scene.authority.journal().authorizations().pop().expect("a request");
        assert_eq!(asked.param("scope"), Some(challenged.unwrap_or("one two")));
    }
}

/// 6.2-63, A4a: no resource indicator where it is refused, remembered for this service.
#[tokio::test]
async fn a_refused_resource_indicator_is_left_out_and_that_is_remembered() {
    let scene =
        Scene::with(|s| s.authority.resource = ResourceRule::Refused).await.signed_in().await;
    let journal = scene.authority.journal();
    assert!(journal.exchanges().iter().all(|e| e.param("resource").is_none()));
    journal.clear();
    scene.connect("s", Visit::Allow).await.ok();
    assert!(journal.authorizations().iter().all(|a| a.param("resource").is_none()));
}

/// R8: pushed requests with a client document.
#[tokio::test]
async fn where_requests_must_be_pushed_they_are() {
    for cimd in [Cimd::On, Cimd::RefusedByPage] {
        let scene = Scene::with(|s| {
            s.authority.par = Par::Required;
            s.authority.cimd = cimd.clone();
        })
        .await
        .signed_in()
        .await;
        let journal = scene.authority.journal();
        assert!(journal.of(Kind::Par).iter().any(keyfob_tests::Entry::accepted));
        let authorizations = journal.authorizations();
        assert!(authorizations.iter().all(|a| a.param("request_uri").is_some()), "{cimd:?}");
        let kind = if cimd == Cimd::On { "cimd" } else { "dcr" };
        assert_eq!(scene.status("s").await["registration"]["kind"], kind);
    }
}

/// Slack: the scopes in a parameter of another name, and parameters of the user's own.
#[tokio::test]
async fn the_users_parameters_go_with_the_sign_in_link_alone() {
    let scene = Scene::start().await;
    let more =
        ["--scope", "chat:write", "--scope-parameter", "user_scope", "--parameter", "team=T 1"];
    scene.add("s", &more).await.ok();
    scene.connect("s", Visit::Allow).await.ok();
    let journal = scene.authority.journal();
    for asked in journal.authorizations() {
        assert_eq!(asked.param("user_scope"), Some("chat:write"));
        assert_eq!((asked.param("team"), asked.param("scope")), (Some("T 1"), None));
    }
    scene.authority.expire_access_tokens();
    scene.echo("s", "renewed").await;
    for asked in journal.token_requests() {
        assert!(asked.param("team").is_none() && asked.param("user_scope").is_none());
    }
    for unfit in ["state=x", "redirect_uri=https://evil", "nonsense", "=x"] {
        let output = scene.add("t", &["--parameter", unfit]).await.expect_code(2);
        output.one_sentence();
    }
}

#[tokio::test]
async fn half_a_flag_by_resource_metadata() {
    half_a_flag(Route::Header).await;
}

#[tokio::test]
async fn half_a_flag_by_configured_issuer() {
    half_a_flag(Route::Configured).await;
}

#[tokio::test]
async fn half_a_flag_by_realm_alone() {
    half_a_flag(Route::Realm).await;
}

#[tokio::test]
async fn a_bare_challenge_leads_to_the_path_form() {
    let scene = Scene::with(|s| take(Route::PathForm, s)).await;
    sign_in(&scene, Route::PathForm).await;
}

#[tokio::test]
async fn a_bare_challenge_leads_to_the_root_form_in_the_end() {
    let scene = Scene::with(|s| take(Route::RootForm, s)).await;
    sign_in(&scene, Route::RootForm).await;
    let exchange = scene.authority.journal().exchanges().pop().expect("an exchange");
    assert_eq!(exchange.param("resource"), Some(scene.mcp.origin()), "as the metadata spells it");
}

#[tokio::test]
async fn the_header_among_several_challenges_wins() {
    let scene = Scene::with(|s| take(Route::HeaderOnly, s)).await;
    sign_in(&scene, Route::HeaderOnly).await;
}

#[tokio::test]
async fn nothing_is_asked_that_the_order_does_not_reach() {
    let scene = Scene::start().await.signed_in().await;
    let metadata = scene.mcp.journal().of(Kind::ResourceMetadata);
    let wanted = "/.well-known/oauth-protected-resource/mcp";
    assert!(metadata.iter().all(|m| m.path == wanted), "{metadata:?}");
    let paths: Vec<_> =
        scene.authority.journal().of(Kind::Metadata).into_iter().map(|m| m.path).collect();
    assert!(paths.iter().all(|p| p == "/.well-known/oauth-authorization-server"), "{paths:?}");
    assert_eq!(scene.authority.journal().of(Kind::Other).len(), 0);
}

#[tokio::test]
async fn either_format_alone_is_enough() {
    for documents in [Documents::OidcOnly, Documents::Rfc8414Only] {
        let scene = Scene::with(|s| s.authority.documents = documents).await.signed_in().await;
        assert_eq!(scene.status("s").await["registration"]["kind"], "cimd", "{documents:?}");
    }
}

#[tokio::test]
async fn a_second_document_fills_what_the_first_lacks() {
    let scene = Scene::with(|s| {
        s.authority.cimd_flag = CimdFlag::Value(json!(null));
        s.authority.rfc8414_fields.insert("registration_endpoint".into(), json!(null));
        s.authority.rfc8414_fields.insert("code_challenge_methods_supported".into(), json!(null));
    })
    .await
    .signed_in()
    .await;
    assert_eq!(scene.status("s").await["registration"]["kind"], "dcr");
}

#[tokio::test]
async fn a_foreign_second_document_neither_counts_nor_breaks() {
    let scene = Scene::with(|s| {
        s.authority.cimd_flag = CimdFlag::OidcOnly;
        s.authority.oidc_fields.insert("issuer".into(), json!("https://other.example"));
    })
    .await
    .signed_in()
    .await;
    assert_eq!(scene.status("s").await["registration"]["kind"], "dcr");
}

#[tokio::test]
async fn a_server_may_challenge_only_where_it_matters() {
    let scene = Scene::with(|s| s.mcp.guard = Guard::ToolCalls).await;
    scene.add("s", &[]).await.ok();
    scene.connect("s", Visit::Allow).await.ok();
    let url = scene.mcp.url();
    let output = scene
        .exec_at(
            &url,
            &[],
            &[
                &keyfob_tests::world::client_binary().display().to_string(),
                "{url}",
                "echo",
                r#"{"text":"late"}"#,
            ],
        )
        .await
        .ok();
    assert_eq!(output.stdout, "late\n");
}

/// T8: `connect` alone cannot see it; what a client met is kept, also over a restart and a denied
/// first try.
#[tokio::test]
async fn what_a_client_met_starts_the_sign_in_of_a_server_that_answers_freely() {
    let mut scene = Scene::with(|s| {
        s.mcp.guard = Guard::ToolCalls;
        s.authority.consent = Consent::Page;
    })
    .await;
    scene.add("s", &[]).await.ok();
    assert_eq!(scene.status("s").await["state"], "open");
    scene.call("s", "echo", &json!({"text": "early"})).await.expect_code(5);
    assert_eq!(scene.status("s").await["state"], "signed-out");
    scene.connect("s", Visit::Deny).await.expect_code(5);

    scene.keyfob.stop().await;
    scene.keyfob.serve().await;
    assert_eq!(scene.status("s").await["state"], "signed-out", "it is not taken for open again");
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(scene.status("s").await["state"], "ready");
    scene.echo("s", "late").await;
}

/// 6.2-41: a server of the stateless revision tells an `initialize` so before it asks for a token.
#[tokio::test]
async fn a_server_that_refuses_the_revision_first_is_signed_in_to() {
    let scene = Scene::with(|s| {
        s.mcp.era = Era::Modern;
        s.mcp.revision_first = true;
    })
    .await;
    let scene = scene.signed_in().await;
    assert_eq!(scene.status("s").await["state"], "ready");
    scene.echo("s", "stateless").await;
}

/// A refusal for security: exit 4, and no code goes anywhere.
async fn refused(change: impl FnOnce(&mut Setup)) {
    refuses(&Scene::with(change).await).await;
}

async fn refuses(scene: &Scene) {
    scene.add("s", &[]).await.ok();
    let output = scene.connect("s", Visit::Allow).await.expect_code(4);
    output.one_sentence();
    assert_eq!(scene.authority.journal().token_requests().len(), 0);
    let status = scene.status("s").await;
    assert_ne!(status["state"], "ready");
}

#[tokio::test]
async fn metadata_that_calls_itself_otherwise_is_refused() {
    refused(|s| s.authority.claimed_issuer = Some("https://attacker.example".into())).await;
}

#[tokio::test]
async fn an_issuer_that_differs_by_a_slash_is_another_one() {
    let scene = Scene::start().await;
    let slashed = format!("{}/", scene.authority.issuer());
    scene.authority.set(|s| s.claimed_issuer = Some(slashed.clone()));
    refuses(&scene).await;

    // Who knows it may name it as it calls itself.
    let told = scene.connect("s", Visit::Allow).await.expect_code(4);
    assert!(told.stderr.contains(&format!("keyfob set --issuer {slashed} s")), "{told}");
    scene.keyfob.run(&["set", "--issuer", &slashed, "s"]).await.ok();
    scene.authority.set(|s| s.iss = Iss::Off);
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "named by hand").await;
}

#[tokio::test]
async fn metadata_for_another_resource_is_refused() {
    refused(|s| s.mcp.claimed_resource = Some("https://other.example/mcp".into())).await;
}

#[tokio::test]
async fn an_authority_without_s256_is_refused() {
    refused(|s| s.authority.advertises_s256 = false).await;
}

#[tokio::test]
async fn a_wrong_iss_is_refused_before_the_code_goes_out() {
    refused(|s| s.authority.iss = Iss::Wrong).await;
}

#[tokio::test]
async fn an_iss_that_was_promised_and_is_missing_is_refused() {
    refused(|s| s.authority.iss = Iss::Missing).await;
}

#[tokio::test]
async fn an_iss_that_is_right_or_not_in_use_is_fine() {
    for iss in [Iss::Off, Iss::Unadvertised] {
        Scene::with(|s| s.authority.iss = iss).await.signed_in().await;
    }
}

#[tokio::test]
async fn old_style_sign_in_is_had_when_asked_for() {
    for documents in [Documents::Rfc8414Only, Documents::Absent] {
        let scene = Scene::with(|s| {
            s.beside = true;
            s.serve = false;
            s.mcp.prm = Prm::Absent;
            s.mcp.challenge = Challenge::Bare;
            s.authority.documents = documents;
            s.authority.resource = keyfob_tests::authserver::ResourceRule::Optional;
        })
        .await;
        let client = keyfob_tests::world::client_binary().display().to_string();
        let command = [client.as_str(), "{url}", "echo", r#"{"text":"old"}"#];
        let output = scene.exec(&["--allow-legacy"], &command).await.ok();
        assert_eq!(output.stdout, "old\n", "{documents:?}");
    }
}
