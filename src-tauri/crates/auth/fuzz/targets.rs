//! What is fuzzed, and what must hold whatever comes in. The fuzzer and `tests/corpus.rs` call the
//! same functions.

use http::{HeaderMap, HeaderValue, header};
use keyfob_auth::authorize::AuthorizationResponse;
use keyfob_auth::metadata::{AuthorizationServer, IssuerSource, ProtectedResource};
use keyfob_auth::server_url::{ServerUrl, is_usable_endpoint};
use keyfob_auth::well_known::ResourceRoute;
use keyfob_auth::wire::Response;
use keyfob_auth::{Timestamp, challenge, token};

const SERVER: &str = "https://mcp.test/public/mcp";
const ISSUER: &str = "https://as.test";
const REDIRECT: &str = "http://127.0.0.1:15393/callback";

fn answer(status: u16, content_type: &'static str, body: &[u8]) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Response { status, headers, body: body.to_vec() }
}

/// `WWW-Authenticate`, a line a header.
pub fn challenge(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines = || text.lines();
    let chosen = challenge::select(lines());
    // The same in, the same out; and what is chosen was said.
    assert_eq!(chosen, challenge::select(lines()));
    if let Some(chosen) = chosen
        && let Some(error) = &chosen.error
    {
        assert!(error.raw().chars().all(|c| text.contains(c)), "{error:?} was not said");
    }
}

/// Both kinds of metadata.
pub fn metadata(data: &[u8]) {
    let response = answer(200, "application/json", data);
    if let Ok(server) = ServerUrl::parse(SERVER) {
        for route in [ResourceRoute::Challenge, ResourceRoute::Path, ResourceRoute::Root] {
            if let Ok(found) = ProtectedResource::parse(&response, route, &server) {
                assert!(
                    found.resource == server.as_str()
                        || found.resource == server.origin()
                        || server.is_covered_by(&found.resource),
                    "{} was taken for {SERVER}",
                    found.resource
                );
            }
        }
    }
    for source in [IssuerSource::Resource, IssuerSource::Origin] {
        let Ok(mut found) = AuthorizationServer::parse(&response, ISSUER, source) else { continue };
        assert!(found.issuer == ISSUER || source == IssuerSource::Origin, "{}", found.issuer);
        assert_eq!(found.issuer.trim_end_matches('/'), ISSUER);
        let other = found.clone();
        found.fill_from(other.clone());
        assert_eq!(found, other, "filling in from itself changed something");
        let required = [&found.authorization_endpoint, &found.token_endpoint];
        let optional = [
            &found.registration_endpoint,
            &found.revocation_endpoint,
            &found.pushed_authorization_request_endpoint,
        ];
        for url in required.into_iter().chain(optional.into_iter().flatten()) {
            assert!(is_usable_endpoint(url), "{url} would be asked");
        }
    }
}

/// The query of a request to the redirect URI.
pub fn callback(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else { return };
    let parsed = AuthorizationResponse::parse(query);
    if let Ok(response) = &parsed {
        assert!(!response.state.expose().is_empty());
        let printed = format!("{response:?}");
        let iss = response.iss.as_deref().unwrap_or_default();
        if let Ok(code) = &response.outcome {
            let code = code.expose();
            assert!(!code.is_empty());
            // What stands in `iss` as well is no secret any more.
            let is_told = code.len() < 12 || iss.contains(code);
            assert!(is_told || !printed.contains(code), "a code can be printed");
        }
    }
    // The same through a redirect that we follow ourselves; never for another place.
    let Ok(value) = HeaderValue::from_str(&format!("{REDIRECT}?{query}")) else { return };
    let mut redirect = answer(302, "text/html", b"");
    redirect.headers.insert(header::LOCATION, value);
    let is_same = AuthorizationResponse::from_location(&redirect, REDIRECT).is_some();
    assert!(!is_same || parsed.is_ok() || query.contains('#'));
    assert!(
        AuthorizationResponse::from_location(&redirect, "http://127.0.0.1:1/callback").is_none()
    );
}

/// The token endpoint's answer: the first byte is its status, the rest its body.
pub fn token(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let status = [200, 201, 400, 401, 403, 429, 500, 503][usize::from(*first) % 8];
    for content_type in ["application/json", "application/x-www-form-urlencoded", "text/html"] {
        let response = answer(status, content_type, body);
        match token::parse(&response, Timestamp(1_800_000_000_000)) {
            Ok(tokens) => {
                let access = tokens.access.expose();
                assert!(HeaderValue::from_str(access).is_ok() && !access.is_empty());
                assert!(tokens.expires_at.is_none_or(|end| end >= tokens.issued_at));
                let printed = format!("{tokens:?}");
                assert!(access.len() < 12 || !printed.contains(access), "a token can be printed");
            }
            Err(error) => {
                assert!(error.to_string().len() < 2000, "an endless message");
            }
        }
    }
}
