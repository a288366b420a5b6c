//! Metadata documents: what they say, parsed and checked once.

mod document;

use self::document::Document;
use crate::scope;
use crate::server_url::{ServerUrl, is_usable_endpoint};
use crate::text::{self, Shown, Untrusted};
use crate::well_known::ResourceRoute;
use crate::wire::Response;

/// How many entries of a list are looked at. What Keyfob looks for by name is found behind them too.
pub const MOST_ENTRIES: usize = 20;

/// The parts of a document that were not read or not used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Lists with more than [`MOST_ENTRIES`] entries, and how many they have.
    pub lists: Vec<(&'static str, usize)>,
    /// How many entries of `scopes_supported` are no scopes (RFC 6749 appendix A.4).
    pub odd_scopes: usize,
}

impl LeftOut {
    /// Of a document, with its scopes, from which the odd ones are taken out.
    fn of(document: &Document) -> (Self, Option<Vec<String>>) {
        let mut scopes = document.list("scopes_supported");
        let mut odd_scopes = 0;
        if let Some(scopes) = &mut scopes {
            let before = scopes.len();
            scopes.retain(|scope| scope::is_scope(scope));
            odd_scopes = before - scopes.len();
        }
        (Self { lists: document.cut(), odd_scopes }, scopes)
    }
}

/// Protected resource metadata (RFC 9728 section 2), checked against the server it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedResource {
    /// The resource identifier, byte for byte: it goes into every request as `resource`.
    pub resource: String,
    /// Whether `resource` is exactly what the route demands (RFC 9728 section 3.3) or merely
    /// covers the server.
    pub is_exact: bool,
    /// Issuers of the authorization servers, in the server's order.
    pub authorization_servers: Vec<Untrusted>,
    /// All scopes of the resource, where it lists them.
    pub scopes_supported: Option<Vec<String>>,
    /// Whether it takes only tokens that are bound to a key (RFC 9728 section 2, RFC 9449).
    pub dpop_bound_access_tokens_required: bool,
    /// The parts of the document that were not read or not used.
    pub left_out: LeftOut,
}

/// Why a document is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMetadata {
    /// It is not a JSON object of the right kind.
    #[error("it is not a metadata document")]
    NotMetadata,
    /// A required member is missing or cannot be used.
    #[error("its {0} is missing or unusable")]
    Member(&'static str),
    /// The `resource` is another one (RFC 9728 section 3.3).
    #[error("it is about {found}")]
    OtherResource {
        /// The `resource` it names.
        found: Shown,
    },
    /// The `issuer` is another one (RFC 8414 section 3.3).
    #[error("it calls its issuer {found}")]
    OtherIssuer {
        /// The `issuer` it names.
        found: Shown,
        /// Whether only a slash at the end differs. That is another issuer all the same; but many
        /// servers write the name of their service so, and the user may name it rightly.
        by_slash: bool,
    },
}

impl ProtectedResource {
    /// Parses an answer from one of the locations.
    ///
    /// # Errors
    /// When it is no such document, or one about another resource.
    pub fn parse(
        response: &Response,
        route: ResourceRoute,
        server: &ServerUrl,
    ) -> Result<Self, BadMetadata> {
        let document = Document::parse(response)?;
        let resource = document.text("resource").ok_or(BadMetadata::Member("resource"))?;
        let expected = match route {
            ResourceRoute::Challenge | ResourceRoute::Path => server.as_str(),
            ResourceRoute::Root => server.origin(),
        };
        let is_exact = resource == expected;
        let covers = || server.is_covered_by(&resource) && !text::has_hidden(&resource);
        if !is_exact && !covers() {
            return Err(BadMetadata::OtherResource { found: text::without_query(&resource) });
        }
        let (left_out, scopes) = LeftOut::of(&document);
        let named = document.list("authorization_servers").unwrap_or_default();
        Ok(Self {
            resource,
            is_exact,
            authorization_servers: named.into_iter().map(Untrusted::new).collect(),
            scopes_supported: scopes.filter(|scopes| !scopes.is_empty()),
            dpop_bound_access_tokens_required: document.flag("dpop_bound_access_tokens_required"),
            left_out,
        })
    }
}

/// Authorization server metadata (RFC 8414 section 2), from one document or two of the same issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationServer {
    /// The issuer identifier, byte for byte.
    pub issuer: String,
    /// Where the browser goes; empty where it goes nowhere.
    pub authorization_endpoint: String,
    /// Where codes and refresh tokens are redeemed.
    pub token_endpoint: String,
    /// Where clients are registered (RFC 7591).
    pub registration_endpoint: Option<String>,
    /// Where tokens are revoked (RFC 7009).
    pub revocation_endpoint: Option<String>,
    /// Where authorization requests are pushed (RFC 9126).
    pub pushed_authorization_request_endpoint: Option<String>,
    /// Whether they must be pushed (RFC 9126 section 5).
    pub require_pushed_authorization_requests: bool,
    /// All scopes of the authorization server, where it lists them.
    pub scopes_supported: Option<Vec<String>>,
    /// PKCE methods (RFC 8414 section 2).
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// Client authentication at the token endpoint.
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Algorithms for proofs of possession (RFC 9449 section 5.1).
    pub dpop_signing_alg_values_supported: Option<Vec<String>>,
    /// Whether client id metadata documents are accepted: boolean true in either document.
    pub client_id_metadata_document_supported: bool,
    /// Whether `iss` will be in every authorization response (RFC 9207 section 3).
    pub authorization_response_iss_parameter_supported: bool,
    /// Whether there was a document at all; without one PKCE support cannot be verified.
    pub is_guessed: bool,
    /// The parts of the document that were not read or not used.
    pub left_out: LeftOut,
}

/// How an issuer was come by, which decides how its name is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerSource {
    /// Written by the user.
    Configured,
    /// Named by the protected resource metadata.
    Resource,
    /// The challenge's realm.
    Realm,
    /// The server's own origin (MCP 2025-03-26, "old-style sign-in").
    Origin,
}

impl AuthorizationServer {
    /// Parses an answer from one of the issuer's locations.
    ///
    /// # Errors
    /// When it is no such document, lacks what no sign-in can do without, or names another issuer.
    /// Where we derived the issuer ourselves one trailing slash is tolerated, and the document's
    /// own string is kept from then on.
    pub fn parse(
        response: &Response,
        issuer: &str,
        source: IssuerSource,
    ) -> Result<Self, BadMetadata> {
        let document = Document::parse(response)?;
        let found = document.text("issuer").ok_or(BadMetadata::Member("issuer"))?;
        let bare = |issuer: &str| issuer.strip_suffix('/').unwrap_or(issuer).to_owned();
        let by_slash = found != issuer && bare(&found) == bare(issuer);
        if found != issuer && !(by_slash && source == IssuerSource::Origin) {
            return Err(BadMetadata::OtherIssuer { found: text::without_query(&found), by_slash });
        }
        let endpoint = |name| document.text(name).filter(|url| is_usable_endpoint(url));
        let required = |name| endpoint(name).ok_or(BadMetadata::Member(name));
        let (left_out, scopes) = LeftOut::of(&document);
        Ok(Self {
            issuer: found,
            // RFC 8414 section 2: it may be absent where no grant type uses it.
            authorization_endpoint: match endpoint("authorization_endpoint") {
                None if is_without_browser(&document) => String::new(),
                found => found.ok_or(BadMetadata::Member("authorization_endpoint"))?,
            },
            token_endpoint: required("token_endpoint")?,
            registration_endpoint: endpoint("registration_endpoint"),
            revocation_endpoint: endpoint("revocation_endpoint"),
            pushed_authorization_request_endpoint: endpoint(
                "pushed_authorization_request_endpoint",
            ),
            require_pushed_authorization_requests: document
                .flag("require_pushed_authorization_requests"),
            scopes_supported: scopes,
            code_challenge_methods_supported: document.list("code_challenge_methods_supported"),
            token_endpoint_auth_methods_supported: document
                .list("token_endpoint_auth_methods_supported"),
            dpop_signing_alg_values_supported: document.list("dpop_signing_alg_values_supported"),
            client_id_metadata_document_supported: document
                .flag("client_id_metadata_document_supported"),
            authorization_response_iss_parameter_supported: document
                .flag("authorization_response_iss_parameter_supported"),
            is_guessed: false,
            left_out,
        })
    }

    /// The endpoints that MCP 2025-03-26 gives to a server without any metadata.
    pub fn guessed(origin: &str) -> Self {
        Self {
            issuer: origin.to_owned(),
            authorization_endpoint: format!("{origin}/authorize"),
            token_endpoint: format!("{origin}/token"),
            registration_endpoint: Some(format!("{origin}/register")),
            revocation_endpoint: None,
            pushed_authorization_request_endpoint: None,
            require_pushed_authorization_requests: false,
            scopes_supported: None,
            code_challenge_methods_supported: None,
            token_endpoint_auth_methods_supported: None,
            dpop_signing_alg_values_supported: None,
            client_id_metadata_document_supported: false,
            authorization_response_iss_parameter_supported: false,
            is_guessed: true,
            left_out: LeftOut::default(),
        }
    }

    /// Whether something that we would use is missing, so that the other form is worth a look.
    pub fn lacks_something(&self) -> bool {
        !self.client_id_metadata_document_supported
            || self.registration_endpoint.is_none()
            || self.revocation_endpoint.is_none()
            || !self.supports_s256()
            || !self.authorization_response_iss_parameter_supported
            || self.allows_public_clients() != Some(true)
    }

    /// Fills members that this document leaves open from the other form's document of the same
    /// issuer. The CIMD flag counts when it is true in either.
    pub fn fill_from(&mut self, other: Self) {
        let fill = |slot: &mut Option<String>, from: Option<String>| {
            if slot.is_none() {
                *slot = from;
            }
        };
        fill(&mut self.registration_endpoint, other.registration_endpoint);
        fill(&mut self.revocation_endpoint, other.revocation_endpoint);
        fill(
            &mut self.pushed_authorization_request_endpoint,
            other.pushed_authorization_request_endpoint,
        );
        let fill = |slot: &mut Option<Vec<String>>, from: Option<Vec<String>>| {
            if slot.is_none() {
                *slot = from;
            }
        };
        fill(&mut self.scopes_supported, other.scopes_supported);
        fill(&mut self.code_challenge_methods_supported, other.code_challenge_methods_supported);
        fill(
            &mut self.token_endpoint_auth_methods_supported,
            other.token_endpoint_auth_methods_supported,
        );
        fill(&mut self.dpop_signing_alg_values_supported, other.dpop_signing_alg_values_supported);
        self.client_id_metadata_document_supported |= other.client_id_metadata_document_supported;
        self.authorization_response_iss_parameter_supported |=
            other.authorization_response_iss_parameter_supported;
        self.require_pushed_authorization_requests |= other.require_pushed_authorization_requests;
    }

    /// Whether PKCE with S256 is advertised (MCP: a client must refuse to go on without).
    pub fn supports_s256(&self) -> bool {
        contains(self.code_challenge_methods_supported.as_deref(), "S256") == Some(true)
    }

    /// Whether a client without a secret is let in: `None` when the list is absent.
    pub fn allows_public_clients(&self) -> Option<bool> {
        contains(self.token_endpoint_auth_methods_supported.as_deref(), "none")
    }

    /// Whether `scope` is listed.
    pub fn lists_scope(&self, scope: &str) -> bool {
        contains(self.scopes_supported.as_deref(), scope) == Some(true)
    }
}

/// Whether none of the grant types listed has anything to do with a browser.
fn is_without_browser(document: &Document) -> bool {
    document.list("grant_types_supported").is_some_and(|listed| {
        !listed.iter().any(|grant| matches!(grant.as_str(), "authorization_code" | "implicit"))
    })
}

/// Whether a document came as plain text: not as the RFCs have it, and still what it is.
pub fn is_plain_text(response: &Response) -> bool {
    response.media_type().as_deref() == Some("text/plain")
}

fn contains(list: Option<&[String]>, item: &str) -> Option<bool> {
    list.map(|list| list.iter().any(|entry| entry == item))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
    use serde_json::{Value, json};

    use super::{AuthorizationServer, BadMetadata, IssuerSource, ProtectedResource};
    use crate::server_url::ServerUrl;
    use crate::well_known::ResourceRoute;
    use crate::wire::Response;

    fn answer(body: &Value) -> Response {
        typed(body.to_string().into_bytes(), "application/json; charset=utf-8")
    }

    fn typed(body: Vec<u8>, media_type: &'static str) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        Response { status: 200, headers, body }
    }

    fn server() -> ServerUrl {
        ServerUrl::parse("https://h/mcp").expect("a server URL")
    }

    fn resource(found: &str, route: ResourceRoute) -> Result<bool, BadMetadata> {
        let body = json!({"resource": found, "authorization_servers": ["https://a"]});
        ProtectedResource::parse(&answer(&body), route, &server()).map(|r| r.is_exact)
    }

    #[test]
    fn each_route_has_its_own_exact_resource() {
        assert_eq!(resource("https://h/mcp", ResourceRoute::Challenge), Ok(true));
        assert_eq!(resource("https://h/mcp", ResourceRoute::Path), Ok(true));
        assert_eq!(resource("https://h", ResourceRoute::Root), Ok(true));
        assert_eq!(resource("https://h", ResourceRoute::Path), Ok(false));
        assert_eq!(resource("https://h/mcp/", ResourceRoute::Path), Ok(false));
    }

    #[test]
    fn another_resource_is_refused() {
        for found in
            ["https://evil.example.com/mcp", "https://h/mc", "https://h/mcp2", "http://h/mcp"]
        {
            let refused = resource(found, ResourceRoute::Challenge);
            assert!(matches!(refused, Err(BadMetadata::OtherResource { .. })), "{found}");
        }
    }

    /// 6.2-44, T2f: oddities that mean no harm.
    #[test]
    fn plain_text_a_mark_of_the_encoding_and_a_name_that_stands_twice_are_no_hindrance() {
        let text = r#"{"resource":"https://evil","resource":"https://h/mcp"}"#;
        let read = |body: Vec<u8>, media_type| {
            ProtectedResource::parse(&typed(body, media_type), ResourceRoute::Path, &server())
        };
        let found = read(text.as_bytes().to_vec(), "text/plain").expect("metadata");
        assert_eq!(found.resource, "https://h/mcp", "the last one counts");
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        assert!(read(marked, "application/json").is_ok());
        assert!(read(b"It works!".to_vec(), "text/plain").is_err());
        assert!(read(text.as_bytes().to_vec(), "text/html").is_err());
    }

    /// T3d: a query is part of the identifier.
    #[test]
    fn a_resource_with_a_query_must_be_exact() {
        assert!(resource("https://h/mcp?x=1", ResourceRoute::Path).is_err());
        let server = ServerUrl::parse("https://h/mcp?x=1").expect("a server URL");
        let body = answer(&json!({"resource": "https://h/mcp?x=1"}));
        let parsed = ProtectedResource::parse(&body, ResourceRoute::Path, &server);
        assert_eq!(parsed.map(|r| r.is_exact), Ok(true));
    }

    #[test]
    fn html_is_no_metadata() {
        let page = typed(b"<html></html>".to_vec(), "text/html");
        let parsed = ProtectedResource::parse(&page, ResourceRoute::Root, &server());
        assert_eq!(parsed, Err(BadMetadata::NotMetadata));
    }

    fn metadata() -> Value {
        json!({
            "issuer": "https://a",
            "authorization_endpoint": "https://a/authorize",
            "token_endpoint": "https://a/token",
        })
    }

    fn parse(body: &Value) -> Result<AuthorizationServer, BadMetadata> {
        AuthorizationServer::parse(&answer(body), "https://a", IssuerSource::Resource)
    }

    #[test]
    fn only_boolean_true_offers_cimd() {
        for (value, offered) in
            [(json!(true), true), (json!("true"), false), (json!(1), false), (Value::Null, false)]
        {
            let mut body = metadata();
            body["client_id_metadata_document_supported"] = value.clone();
            let parsed = parse(&body).expect("metadata");
            assert_eq!(parsed.client_id_metadata_document_supported, offered, "{value}");
        }
    }

    #[test]
    fn the_issuer_is_compared_byte_for_byte_except_where_we_derived_it() {
        let mut body = metadata();
        body["issuer"] = json!("https://a/");
        assert!(matches!(parse(&body), Err(BadMetadata::OtherIssuer { .. })));
        let derived = AuthorizationServer::parse(&answer(&body), "https://a", IssuerSource::Origin);
        assert_eq!(derived.map(|a| a.issuer).as_deref(), Ok("https://a/"));
    }

    #[test]
    fn unusable_endpoints_are_not_used() {
        let mut body = metadata();
        body["token_endpoint"] = json!("http://a/token");
        assert_eq!(parse(&body), Err(BadMetadata::Member("token_endpoint")));
        let mut body = metadata();
        body["registration_endpoint"] = json!("ftp://a/register");
        assert_eq!(parse(&body).map(|a| a.registration_endpoint), Ok(None));
    }

    #[test]
    fn the_second_document_fills_only_what_is_absent() {
        let mut first = metadata();
        first["registration_endpoint"] = json!("https://a/first");
        let mut second = metadata();
        second["registration_endpoint"] = json!("https://a/second");
        second["revocation_endpoint"] = json!("https://a/revoke");
        second["client_id_metadata_document_supported"] = json!(true);
        let mut merged = parse(&first).expect("metadata");
        assert!(merged.lacks_something());
        merged.fill_from(parse(&second).expect("metadata"));
        assert_eq!(merged.registration_endpoint.as_deref(), Some("https://a/first"));
        assert_eq!(merged.revocation_endpoint.as_deref(), Some("https://a/revoke"));
        assert!(merged.client_id_metadata_document_supported);
    }
}
