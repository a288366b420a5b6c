//! Identity assertion authorization grants (ID-JAG, draft-ietf-oauth-identity-assertion-authz-grant;
//! MCP extension `enterprise-managed-authorization`): the company's identity provider vouches for
//! its employee at the server's sign-in service, which the person never visits.

use http::{HeaderValue, Method, header};
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::error_code::ErrorCode;
use crate::registration::Registration;
use crate::scope;
use crate::secret::Secret;
use crate::text::Shown;
use crate::token::{self, TokenError, TokenFaults};
use crate::wire::{Request, Response};

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

/// What an assertion is wanted for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The issuer of the sign-in service that will take it.
    pub audience: &'a str,
    /// The server (RFC 8707).
    pub resource: Option<&'a str>,
    /// The access.
    pub scopes: &'a [String],
}

/// The request at the identity provider: its ID token for an assertion (RFC 8693 section 2.1).
pub fn exchange(
    at_provider: &Registration,
    token_endpoint: &str,
    id_token: &Secret,
    wanted: Wanted<'_>,
) -> Option<Request> {
    let form = [
        ("grant_type", TOKEN_EXCHANGE),
        ("requested_token_type", ID_JAG),
        ("subject_token", id_token.expose()),
        ("subject_token_type", ID_TOKEN),
        ("audience", wanted.audience),
    ];
    request(at_provider, token_endpoint, &form, wanted)
}

/// The request at the server's sign-in service: the assertion for an access token (RFC 7523
/// section 2.1).
pub fn redeem(
    registration: &Registration,
    token_endpoint: &str,
    assertion: &Secret,
    wanted: Wanted<'_>,
) -> Option<Request> {
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.expose())];
    request(registration, token_endpoint, &form, wanted)
}

fn request(
    registration: &Registration,
    endpoint: &str,
    form: &[(&str, &str)],
    wanted: Wanted<'_>,
) -> Option<Request> {
    let mut body = Serializer::new(String::new());
    body.extend_pairs(form);
    if let Some(resource) = wanted.resource {
        body.append_pair("resource", resource);
    }
    if !wanted.scopes.is_empty() {
        body.append_pair("scope", &scope::join(wanted.scopes));
    }
    let mut request = Request::get_json(endpoint);
    request.method = Method::POST;
    token::authenticate(registration, &mut request.headers, &mut body)?;
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers.insert(header::CONTENT_TYPE, kind);
    request.body = body.finish().into_bytes();
    Some(request)
}

/// Reads the identity provider's answer. The assertion stands in `access_token`, whatever it is
/// (RFC 8693 section 2.2.1); it is for the sign-in service and not for us to look into.
///
/// # Errors
/// When there is none in it.
pub fn parse(response: &Response) -> Result<Secret, TokenError> {
    let not_now =
        || TokenError::NotNow { status: response.status, retry_after: response.retry_after() };
    let body = response.json_object().ok_or_else(not_now)?;
    let member = |name: &str| body.get(name).and_then(Value::as_str);
    if let Some(error) = member("error").map(ErrorCode::parse) {
        let said = member("error_description").map(Shown::quotation);
        return Err(TokenError::Refused { error, said });
    }
    if !matches!(response.status, 200 | 201) {
        return Err(not_now());
    }
    if member("issued_token_type") != Some(ID_JAG) {
        return Err(TokenError::Unusable("it is no assertion for another sign-in service"));
    }
    match member("access_token") {
        Some(assertion) if !assertion.is_empty() => {
            token::check_token(assertion, FAULTS).map_err(TokenError::Unusable)?;
            Ok(Secret::new(assertion))
        }
        Some(_) | None => Err(TokenError::Unusable("it has no assertion")),
    }
}

const FAULTS: TokenFaults = TokenFaults {
    too_long: "its assertion has more than 16 kB",
    not_visible: "its assertion has characters other than visible ASCII",
};

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use serde_json::json;

    use super::{ID_JAG, parse};
    use crate::token::{LONGEST_TOKEN, TokenError};
    use crate::wire::Response;

    #[test]
    fn an_assertion_has_at_most_16_kb_of_visible_ascii() {
        let with = |assertion: &str| {
            let body = json!({"access_token": assertion, "issued_token_type": ID_JAG}).to_string();
            parse(&Response { status: 200, headers: HeaderMap::new(), body: body.into_bytes() })
        };
        assert!(with(&"a".repeat(LONGEST_TOKEN)).is_ok());
        for bad in ["a b", "a\u{1b}[2J", &"a".repeat(LONGEST_TOKEN + 1)] {
            assert!(matches!(with(bad), Err(TokenError::Unusable(_))));
        }
    }
}
