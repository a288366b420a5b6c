use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};
use serde_json::json;
use url::form_urlencoded;

use super::{LONGEST_TOKEN, TokenError, TokenKind, Tokens, exchange, parse, refresh, revoke};
use crate::error_code::ErrorCode;
use crate::registration::{AuthMethod, Reason, ReasonCode, Registration, RegistrationKind};
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::wire::{Request, Response};

fn registration(secret: Option<&str>, auth_method: AuthMethod) -> Registration {
    Registration {
        kind: RegistrationKind::Dcr,
        client_id: "id:1".into(),
        secret: secret.map(Secret::new),
        auth_method,
        issuer: "https://a".into(),
        redirect_uri: "http://127.0.0.1:1/callback".into(),
        scopes: None,
        registered_at: Timestamp(0),
        secret_expires_at: None,
        reason: Reason::new(ReasonCode::NotOffered),
        management: None,
    }
}

fn form(request: &Request) -> Vec<(String, String)> {
    form_urlencoded::parse(&request.body).into_owned().collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn a_public_client_sends_its_id_in_the_body_and_no_authorization() {
    let registration = registration(None, AuthMethod::None);
    let (code, verifier) = (Secret::new("the-code"), Secret::new("v".repeat(43)));
    let sent = exchange(&registration, "https://a/token", &code, &verifier, Some("https://h"))
        .expect("a request");
    assert!(sent.headers.get(header::AUTHORIZATION).is_none());
    let form = form(&sent);
    for expected in [
        pair("grant_type", "authorization_code"),
        pair("code", "the-code"),
        pair("client_id", "id:1"),
        pair("redirect_uri", "http://127.0.0.1:1/callback"),
        pair("resource", "https://h"),
        pair("code_verifier", &"v".repeat(43)),
    ] {
        assert!(form.contains(&expected), "{expected:?} is missing in {form:?}");
    }
    assert!(!format!("{sent:?}").contains("the-code"));
}

#[test]
fn basic_form_encodes_and_post_sends_the_secret_in_the_body() {
    let token = Secret::new("r");
    let basic = registration(Some("s/1"), AuthMethod::ClientSecretBasic);
    let sent = refresh(&basic, "https://a/token", &token, None).expect("a request");
    let value = sent.headers.get(header::AUTHORIZATION).expect("Basic");
    assert_eq!(value, "Basic aWQlM0ExOnMlMkYx");
    assert!(value.is_sensitive());
    let post = registration(Some("s/1"), AuthMethod::ClientSecretPost);
    let sent = refresh(&post, "https://a/token", &token, None).expect("a request");
    assert!(form(&sent).contains(&pair("client_secret", "s/1")));
    assert!(sent.headers.get(header::AUTHORIZATION).is_none());
    assert!(!form(&sent).iter().any(|(name, _)| name == "scope"));
}

#[test]
fn a_revocation_goes_to_the_real_endpoint_even_on_loopback() {
    let registration = registration(None, AuthMethod::None);
    let sent =
        revoke(&registration, "http://127.0.0.1:9/revoke", &Secret::new("t"), TokenKind::Refresh)
            .expect("a request");
    assert_eq!(sent.url, "http://127.0.0.1:9/revoke");
    let form = form(&sent);
    assert!(form.contains(&pair("token_type_hint", "refresh_token")));
    assert!(form.contains(&pair("client_id", "id:1")));
}

fn read(status: u16, media_type: &'static str, body: &str) -> Result<Tokens, TokenError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    parse(&Response { status, headers, body: body.into() }, Timestamp(1000))
}

#[test]
fn answers_of_the_field_are_understood() {
    let ends = |body: serde_json::Value| {
        read(200, "application/json", &body.to_string()).map(|t| t.expires_at.map(|e| e.0))
    };
    assert_eq!(
        ends(json!({"access_token": "a", "token_type": "bearer", "expires_in": 60})),
        Ok(Some(61_000))
    );
    assert_eq!(ends(json!({"access_token": "a", "expires_in": "60"})), Ok(Some(61_000)));
    for odd in [json!("3600abc"), json!(0), json!(-5), json!(null)] {
        assert_eq!(ends(json!({"access_token": "a", "expires_in": odd})), Ok(None));
    }
    let form = "access_token=a&token_type=bearer&scope=x%20y";
    let tokens = read(200, "application/x-www-form-urlencoded", form).expect("tokens");
    assert_eq!(tokens.scopes, Some(vec!["x".to_owned(), "y".to_owned()]));
    assert!(read(201, "application/json", r#"{"access_token":"a"}"#).is_ok());
}

#[test]
fn refusals_go_by_the_error_whatever_the_status() {
    for status in [200, 400, 401, 403] {
        let refused = read(status, "application/json", r#"{"error":"invalid_grant"}"#);
        assert_eq!(
            refused,
            Err(TokenError::Refused { error: ErrorCode::InvalidGrant, said: None })
        );
    }
}

#[test]
fn pages_and_server_trouble_are_for_later() {
    for (status, body) in [(403, "<html>"), (500, ""), (503, "{}"), (429, "slow down")] {
        let answer = read(status, "text/html", body);
        assert!(matches!(answer, Err(TokenError::NotNow { .. })), "{status} {answer:?}");
    }
    let answer = read(200, "text/html", "<html>portal</html>");
    assert!(matches!(answer, Err(TokenError::Unusable(_))), "{answer:?}");
}

#[test]
fn only_bearer_tokens_are_used() {
    let answer = read(200, "application/json", r#"{"access_token":"a","token_type":"mac"}"#);
    assert!(matches!(answer, Err(TokenError::Unusable(_))), "{answer:?}");
}

#[test]
fn the_account_comes_from_the_id_token() {
    let claims = URL_SAFE_NO_PAD.encode(json!({"email": "a@example.com"}).to_string());
    let body = json!({"access_token": "a", "id_token": format!("x.{claims}.y")}).to_string();
    let tokens = read(200, "application/json", &body).expect("tokens");
    assert_eq!(tokens.account.as_deref(), Some("a@example.com"));
}

/// RFC 6749 appendices A.12 and A.17, as far as a header can hold it.
#[test]
fn a_token_has_at_most_16_kb_of_visible_ascii() {
    let with = |name: &str, token: &str| {
        let mut body = json!({"access_token": "a", "refresh_token": "r", "id_token": "i"});
        body[name] = json!(token);
        read(200, "application/json", &body.to_string())
    };
    for name in ["access_token", "refresh_token", "id_token"] {
        for good in ["gho_aB9", "a!b*c|d~e", "x.y-z_=/+:", &"t".repeat(LONGEST_TOKEN)] {
            assert!(with(name, good).is_ok(), "{name} {}", &good[..7.min(good.len())]);
        }
        let too_long = "t".repeat(LONGEST_TOKEN + 1);
        for bad in ["a b", "a\tb", "a\r\nX: y", "ü", "a\u{1b}[2J", "a\u{7f}", &too_long] {
            let answer = with(name, bad);
            let Err(TokenError::Unusable(why)) = answer else {
                panic!("{name}: {:?}", &bad[..7.min(bad.len())]);
            };
            let kind = name.split('_').next().expect("a word");
            assert!(why.to_ascii_lowercase().contains(kind), "{name}: {why}");
        }
    }
    assert_eq!(with("refresh_token", "").expect("tokens").refresh, None);
    assert!(matches!(with("access_token", ""), Err(TokenError::Unusable(_))));
}

#[test]
fn scopes_have_at_most_4_kb_and_the_odd_ones_are_left_out() {
    let with = |scope: &str| {
        let body = json!({"access_token": "a", "scope": scope}).to_string();
        read(200, "application/json", &body)
    };
    let tokens = with("read \u{1b}]52;c;x\u{7} wri\u{202e}te admin").expect("tokens");
    assert_eq!(tokens.scopes, Some(vec!["read".to_owned(), "admin".to_owned()]));
    assert_eq!(tokens.odd_scopes, 2);
    let odd = with("\u{1b}[2J").expect("one odd scope ends no sign-in");
    assert_eq!((odd.scopes, odd.odd_scopes), (None, 1));
    assert!(with(&"read ".repeat(800)).is_ok());
    assert!(matches!(with(&"read ".repeat(900)), Err(TokenError::Unusable(_))));
}
