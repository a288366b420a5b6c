//! What the authorization server does other than plainly right.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::oddity::Oddity;

/// Which metadata documents exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Documents {
    /// RFC 8414 and OpenID Connect Discovery.
    Both,
    /// Only RFC 8414.
    Rfc8414Only,
    /// Only OpenID Connect Discovery.
    OidcOnly,
    /// Only OpenID Connect Discovery, before the path of the issuer and not behind it.
    OidcBeforePath,
    /// None: only the default paths of the 2025-03-26 revision.
    Absent,
}

/// What becomes of a client id that is a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cimd {
    /// Not advertised, unknown client.
    Off,
    /// Advertised; the document is fetched and checked.
    On,
    /// Advertised, and refused with an error page (RFC 6749 section 4.1.2.1).
    RefusedByPage,
    /// Advertised, and refused with this `error` in the redirect.
    RefusedInCallback(String),
    /// Advertised and good for a code, refused with `invalid_client` at the token endpoint.
    RefusedAtToken,
    /// Advertised and good for sign-in, refused with `invalid_client` when refreshing.
    RefusedAtRefresh,
}

/// Where and how `client_id_metadata_document_supported` stands.
#[derive(Debug, Clone, PartialEq)]
pub enum CimdFlag {
    /// `true` in every document.
    Everywhere,
    /// `true` in the OpenID Connect document only.
    OidcOnly,
    /// `true` in the RFC 8414 document only.
    Rfc8414Only,
    /// This value in every document, for example the string `"true"`.
    Value(Value),
}

/// What the registration endpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dcr {
    /// Registers, 201 (RFC 7591 section 3.2.1).
    On,
    /// Not advertised, 404.
    Off,
    /// 403 in plain text.
    Forbidden,
    /// 429 with `Retry-After`.
    TooMany,
    /// Registers, but says 200.
    Answers200,
    /// Registers and gives out a secret, whatever was asked for.
    WithSecret,
    /// 200 with an HTML page.
    Page,
    /// Registers who asks for no scope; the others get a 403 in plain text.
    RefusesScopes,
}

/// The `iss` parameter of authorization responses (RFC 9207).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Iss {
    /// Advertised and sent.
    On,
    /// Neither.
    Off,
    /// Advertised; a foreign one is sent.
    Wrong,
    /// Advertised, not sent.
    Missing,
    /// Sent, not advertised.
    Unadvertised,
}

/// How consent is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// At once.
    Auto,
    /// Through a login step that needs a cookie, without a form.
    Login,
    /// By a form with *Allow* and *Deny*.
    Page,
    /// Never: `access_denied`.
    Deny,
}

/// What becomes of refresh tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// A new one each time; use of an old one kills the grant (RFC 9700 section 4.14.2).
    Rotate,
    /// A new one each time; use of an old one is refused, and the grant lives on.
    RotateMildly,
    /// The same one serves again.
    Keep,
    /// None is issued.
    Never,
}

/// Which ports a registered loopback redirect URI covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopbackPorts {
    /// Any, for IP literals (RFC 8252 section 7.3).
    Any,
    /// The registered one only.
    Exact,
}

/// Which names of this machine a redirect URI may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopbackNames {
    /// `127.0.0.1` and `localhost`.
    Both,
    /// `127.0.0.1` only.
    AddressOnly,
    /// `localhost` only.
    NameOnly,
}

/// The `resource` parameter (RFC 8707).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceRule {
    /// Must be there and name a protected resource.
    Required,
    /// May be left out.
    Optional,
    /// As required, but never with the slash that it ends with.
    WithoutSlash,
    /// Is answered with `invalid_target`.
    Refused,
}

/// Pushed authorization requests (RFC 9126).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Par {
    /// Unknown.
    Off,
    /// Offered.
    Offered,
    /// The only way.
    Required,
}

/// A client that was registered by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticClient {
    /// Its id.
    pub id: String,
    /// Its secret, if it is a confidential client.
    pub secret: Option<String>,
    /// Its redirect URIs.
    pub redirect_uris: Vec<String>,
}

/// All switches. The default is a server that does everything right and offers everything.
#[derive(Debug, Clone)]
pub struct Switches {
    /// Which metadata documents exist.
    pub documents: Documents,
    /// What the documents call themselves; none is the truth.
    pub claimed_issuer: Option<String>,
    /// Fields that replace those of the OpenID Connect document; null removes.
    pub oidc_fields: Map<String, Value>,
    /// Fields that replace those of the RFC 8414 document; null removes.
    pub rfc8414_fields: Map<String, Value>,
    /// What stands in place of the OpenID Connect document.
    pub oidc_oddity: Option<Oddity>,
    /// What stands in place of the RFC 8414 document.
    pub rfc8414_oddity: Option<Oddity>,
    /// What becomes of a client id that is a URL.
    pub cimd: Cimd,
    /// The status of pages that refuse a request, where it is not 400.
    pub page_status: Option<u16>,
    /// Where the CIMD flag stands.
    pub cimd_flag: CimdFlag,
    /// What the registration endpoint does.
    pub dcr: Dcr,
    /// Fields that replace those of the answer to a registration; null removes.
    pub registration_fields: Map<String, Value>,
    /// Clients that are let through to a code and are unknown at the token endpoint: their ids
    /// begin so.
    pub gone_at_token: Option<String>,
    /// Are registrations given a management token (RFC 7592)?
    pub registration_management: bool,
    /// A status with which every update of a registration is answered.
    pub registration_update_status: Option<u16>,
    /// Life of a client secret in seconds; none is for ever.
    pub client_secret_seconds: Option<u64>,
    /// The `iss` parameter.
    pub iss: Iss,
    /// How consent is had.
    pub consent: Consent,
    /// An `error` that every good authorization request is sent back with.
    pub front_error: Option<String>,
    /// What its `error_description` says in place of the truth; empty leaves it out.
    pub front_description: Option<String>,
    /// Fields that replace those of the answer with tokens; null removes.
    pub token_fields: Map<String, Value>,
    /// How long the token endpoint thinks.
    pub token_pause: Duration,
    /// Life of an access token in seconds.
    pub access_token_seconds: u64,
    /// Is `expires_in` told?
    pub tells_expiry: bool,
    /// What becomes of refresh tokens.
    pub refresh: Refresh,
    /// Which ports a loopback redirect URI covers.
    pub loopback_ports: LoopbackPorts,
    /// Which names of this machine a redirect URI may have.
    pub loopback_names: LoopbackNames,
    /// Is a `resource` answered with `invalid_request` when refreshing?
    pub no_resource_at_refresh: bool,
    /// A status with which refreshes are refused, without any error code.
    pub refresh_status: Option<u16>,
    /// The `resource` parameter.
    pub resource: ResourceRule,
    /// Is PKCE with S256 advertised? It is demanded in any case.
    pub advertises_s256: bool,
    /// Pushed authorization requests.
    pub par: Par,
    /// Advertised `token_endpoint_auth_methods_supported`; none leaves it out.
    pub auth_methods: Option<Vec<String>>,
    /// Advertised `scopes_supported`; empty leaves it out.
    pub scopes_supported: Vec<String>,
    /// Scopes that are known at all; empty knows every one.
    pub known_scopes: Vec<String>,
    /// May a client ask only for the scopes that it registered with?
    pub scopes_as_registered: bool,
    /// Clients that were registered by hand.
    pub static_clients: Vec<StaticClient>,
}

impl Default for Switches {
    fn default() -> Self {
        let methods = ["none", "client_secret_basic", "client_secret_post"];
        Self {
            documents: Documents::Both,
            claimed_issuer: None,
            oidc_fields: Map::new(),
            rfc8414_fields: Map::new(),
            oidc_oddity: None,
            rfc8414_oddity: None,
            cimd: Cimd::On,
            page_status: None,
            cimd_flag: CimdFlag::Everywhere,
            dcr: Dcr::On,
            registration_fields: Map::new(),
            gone_at_token: None,
            registration_management: false,
            registration_update_status: None,
            client_secret_seconds: None,
            iss: Iss::On,
            consent: Consent::Auto,
            front_error: None,
            front_description: None,
            token_fields: Map::new(),
            token_pause: Duration::ZERO,
            access_token_seconds: 3600,
            tells_expiry: true,
            refresh: Refresh::Rotate,
            loopback_ports: LoopbackPorts::Any,
            loopback_names: LoopbackNames::Both,
            no_resource_at_refresh: false,
            refresh_status: None,
            resource: ResourceRule::Required,
            advertises_s256: true,
            par: Par::Off,
            auth_methods: Some(methods.map(str::to_owned).to_vec()),
            scopes_supported: Vec::new(),
            known_scopes: Vec::new(),
            scopes_as_registered: false,
            static_clients: Vec::new(),
        }
    }
}
