//! What a sign-in is given.

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::challenge::Challenge;
use crate::client_document::ClientDocumentUrl;
use crate::registration::{Refusal, Registration};
use crate::secret::Secret;
use crate::server_url::ServerUrl;

/// Everything that a sign-in is given; it asks for nothing else.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server to sign in to.
    pub server: ServerUrl,
    /// The challenge that a client's own request met; without one the server is probed.
    pub challenge: Option<Challenge>,
    /// What a later request met before, at a server that answers the first one freely: MCP lets
    /// it challenge `tools/call` alone.
    pub refused_later: Option<Challenge>,
    /// The user's own headers for the server, sent with the probe.
    pub headers: HeaderMap,
    /// The issuer that the user wrote for this server.
    pub issuer: Option<String>,
    /// The issuer that this server's last sign-in ended at.
    pub chosen_issuer: Option<String>,
    /// The user's own client.
    pub own_client: Option<OwnClient>,
    /// The scopes that the user wrote for this server.
    pub scopes: Vec<String>,
    /// Parameters that the user adds to the authorization request of this server.
    pub parameters: Vec<(String, String)>,
    /// The parameter that carries the scopes, where it is not `scope`.
    pub scope_parameter: Option<String>,
    /// The scopes had so far, when more are wanted.
    pub had_scopes: Vec<String>,
    /// The issuer that those were had from: it alone may be told of them.
    pub had_at: Option<String>,
    /// The URL of our client document, where this build or the settings know one.
    pub document: Option<ClientDocumentUrl>,
    /// The redirect URI of our listener.
    pub redirect_uri: String,
    /// The same with its host by name, for issuers that refuse the address.
    pub redirect_uri_by_name: String,
    /// Issuers at which only the name has worked for this server.
    pub by_name_at: Vec<String>,
    /// Remembered refusals of our document.
    pub refusals: Vec<Refusal>,
    /// Issuers that have accepted our document before; no preflight there.
    pub accepted_by: Vec<String>,
    /// Live dynamic registrations.
    pub registrations: Vec<Registration>,
    /// In which form issuers want the resource indicator of this server, where it is not as named.
    pub resource_forms: Vec<(String, ResourceForm)>,
    /// Whether endpoints may be guessed where there is no metadata (MCP 2025-03-26).
    pub allow_guessed_endpoints: bool,
    /// Whether to go on where S256 is not advertised; it is sent all the same.
    pub allow_unadvertised_pkce: bool,
    /// Our version, for registrations.
    pub version: String,
}

/// The forms of a resource indicator (RFC 8707) that servers differ about, in the order in which
/// they are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceForm {
    /// Byte for byte as the metadata names it.
    #[default]
    AsNamed,
    /// The same without the slash at its end.
    WithoutSlash,
    /// None at all.
    Absent,
}

/// A client that the user registered at the provider.
#[derive(Clone, Debug)]
pub struct OwnClient {
    /// The client id.
    pub client_id: String,
    /// The client secret, if any.
    pub secret: Option<Secret>,
    /// The issuer it was registered at, where that is known. It is shown to no other (MCP
    /// 2026-07-28 authorization, "Authorization Server Binding").
    pub issuer: Option<String>,
}
