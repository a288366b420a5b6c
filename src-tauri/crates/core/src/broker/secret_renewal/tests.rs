use keyfob_auth::grant::{Grant, decode_registration, encode_registration};
use keyfob_auth::registration::{
    AuthMethod, Management, Reason, ReasonCode, Registration, RegistrationKind,
};
use keyfob_auth::{Secret, Timestamp};
use serde_json::json;

use super::{End, User, renew};
use crate::broker::controller::entry;
use crate::broker::scripted::Scripted;
use crate::broker::turn::Turn;
use crate::clock;
use crate::fetch::Fetch;
use crate::vault::{EntryId, EntryKind, Vault};

const PUT: &str = "PUT /register/c";

/// A registration at `origin` with a secret of one day that was renewed at this time.
fn registration(origin: &str, secret: &str, renewed_at: Option<Timestamp>) -> Registration {
    Registration {
        kind: RegistrationKind::Dcr,
        client_id: "c".into(),
        secret: Some(Secret::new(secret)),
        auth_method: AuthMethod::ClientSecretBasic,
        issuer: origin.into(),
        redirect_uri: "http://127.0.0.1:15393/callback".into(),
        scopes: None,
        registered_at: Timestamp(0),
        secret_expires_at: Some(clock::now().plus(std::time::Duration::from_secs(86_400))),
        reason: Reason::new(ReasonCode::NotOffered),
        management: Some(Management {
            uri: format!("{origin}/register/c"),
            token: Secret::new("manage"),
            registered: Some(Secret::new(r#"{"client_name":"Keyfob"}"#)),
            renewed_at,
        }),
    }
}

fn grant(registration: Registration, access: &str) -> Grant {
    Grant {
        server: format!("{}/mcp", registration.issuer),
        token_endpoint: format!("{}/token", registration.issuer),
        registration,
        resource: None,
        revocation_endpoint: None,
        requested_scopes: Vec::new(),
        scopes: Vec::new(),
        account: None,
        access: Secret::new(access),
        refresh: Some(Secret::new(format!("refresh {access}"))),
        issued_at: Timestamp(0),
        expires_at: None,
        dpop_key: None,
        way: Default::default(),
        reach: None,
    }
}

fn place(kind: EntryKind, id: &str) -> EntryId {
    entry(kind, id).expect("an entry")
}

async fn service() -> Scripted {
    Scripted::start(|request, _| match request.line.as_str() {
        PUT => (
            200,
            json!({
                "client_id": "c",
                "client_secret": "second",
                "client_secret_expires_at": 99_999_999_999_u64,
                "registration_access_token": "manage on",
            }),
        ),
        _ => (404, json!({})),
    })
    .await
}

/// A vault with the registration and the grants of servers `s` and `t` that were made with it.
async fn at_work(known: &Registration) -> (Vault, Vec<User>) {
    let vault = Vault::memory();
    vault.put(&place(EntryKind::Registration, "r"), encode_registration(known)).await.expect("put");
    let mut users = Vec::new();
    for id in ["s", "t"] {
        let grant = grant(known.clone(), id);
        let entry = place(EntryKind::Grant, id);
        vault.put(&entry, grant.encode()).await.expect("put");
        users.push(User { grant, entry, turn: Turn::default(), epoch: 0 });
    }
    (vault, users)
}

async fn run(known: &Registration, users: Vec<User>, vault: &Vault) -> End {
    let fetch = Fetch::new(None).expect("clients");
    let at = place(EntryKind::Registration, "r");
    renew(known.clone(), users, at, vault.clone(), fetch).await
}

async fn stored_grant(vault: &Vault, id: &str) -> Grant {
    let text = vault.get(&place(EntryKind::Grant, id)).await.expect("a vault").expect("a grant");
    Grant::decode(&text).expect("ours")
}

async fn stored_registration(vault: &Vault) -> Registration {
    let text = vault.get(&place(EntryKind::Registration, "r")).await.expect("a vault");
    decode_registration(&text.expect("a registration")).expect("ours")
}

fn secret(registration: &Registration) -> &str {
    registration.secret.as_ref().expect("a secret").expose()
}

/// D-18: the registration and every grant made with it have the new secret before anyone uses it.
#[tokio::test]
async fn a_renewed_secret_is_in_the_registration_and_in_every_grant_made_with_it() {
    let service = service().await;
    let known = registration(&service.origin, "first", None);
    let (vault, users) = at_work(&known).await;
    let End::Renewed { registration, unsaved: None, .. } = run(&known, users, &vault).await else {
        panic!("it was not renewed")
    };
    assert_eq!(secret(&registration), "second");
    assert_eq!(stored_registration(&vault).await, *registration);
    for id in ["s", "t"] {
        let grant = stored_grant(&vault, id).await;
        assert_eq!(grant.registration, *registration, "{id}");
        assert_eq!(grant.access.expose(), id, "and nothing else has changed");
    }
    assert_eq!(service.came(PUT).len(), 1);
    assert_eq!(service.came(PUT)[0].body, r#"{"client_id":"c","client_name":"Keyfob"}"#);
}

/// What a sign-in or a sign-out has written meanwhile stays.
#[tokio::test]
async fn a_grant_that_has_been_replaced_meanwhile_is_not_written_over() {
    let service = service().await;
    let known = registration(&service.origin, "first", None);
    let (vault, users) = at_work(&known).await;
    users[0].turn.advance();
    vault.put(&users[0].entry, grant(known.clone(), "new").encode()).await.expect("put");
    assert!(matches!(run(&known, users, &vault).await, End::Renewed { unsaved: None, .. }));
    assert_eq!(stored_grant(&vault, "s").await.access.expose(), "new");
    assert_eq!(secret(&stored_grant(&vault, "t").await.registration), "second");
}

/// A renewal was cut off after the registration's own entry: its secret is the good one.
#[tokio::test]
async fn a_later_secret_in_the_keychain_is_taken_and_the_server_is_not_asked() {
    let service = service().await;
    let known = registration(&service.origin, "first", None);
    let (vault, users) = at_work(&known).await;
    let later = registration(&service.origin, "later", Some(clock::now()));
    let at = place(EntryKind::Registration, "r");
    vault.put(&at, encode_registration(&later)).await.expect("put");
    let End::Renewed { registration, .. } = run(&known, users, &vault).await else {
        panic!("it was not taken")
    };
    assert_eq!(secret(&registration), "later");
    assert!(service.came(PUT).is_empty());
    assert_eq!(secret(&stored_grant(&vault, "t").await.registration), "later");
}

/// Another client has been registered in its place: that one's entry is not touched.
#[tokio::test]
async fn the_entry_of_another_client_is_left_alone() {
    let service = service().await;
    let known = registration(&service.origin, "first", None);
    let (vault, users) = at_work(&known).await;
    let other = Registration { client_id: "other".into(), ..known.clone() };
    let at = place(EntryKind::Registration, "r");
    vault.put(&at, encode_registration(&other)).await.expect("put");
    assert!(matches!(run(&known, users, &vault).await, End::Renewed { .. }));
    assert_eq!(stored_registration(&vault).await, other);
    assert_eq!(secret(&stored_grant(&vault, "s").await.registration), "second");
}

#[tokio::test]
async fn an_outage_and_a_refusal_are_told_apart_and_change_nothing() {
    for (status, is_hopeless) in [(503, false), (429, false), (401, true), (404, true), (400, true)]
    {
        let service =
            Scripted::start(move |_, _| (status, json!({"error": "invalid_client_metadata"})))
                .await;
        let known = registration(&service.origin, "first", None);
        let (vault, users) = at_work(&known).await;
        match run(&known, users, &vault).await {
            End::Hopeless { .. } if is_hopeless => {}
            End::NotNow { .. } if !is_hopeless => {}
            end => panic!("{status}: {end:?}"),
        }
        assert_eq!(stored_registration(&vault).await, known);
    }
    let known = registration("http://127.0.0.1:1", "first", None);
    let (vault, users) = at_work(&known).await;
    assert!(matches!(run(&known, users, &vault).await, End::NotNow { .. }), "nobody is there");
}
