//! What the MCP server does other than plainly right.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::oddity::Oddity;

/// Where the protected resource metadata (RFC 9728) stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prm {
    /// At the well-known location with the path of the server.
    PathForm,
    /// At the well-known location of the origin; `resource` is the origin then.
    RootForm,
    /// Somewhere else, named only in the challenge.
    HeaderOnly,
    /// Nowhere.
    Absent,
}

/// What the `WWW-Authenticate` header of a 401 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// `Bearer` with `resource_metadata`.
    ResourceMetadata,
    /// `Bearer` and nothing else.
    Bare,
    /// `Bearer` with the issuer as `realm`.
    Realm,
    /// `Bearer` with somebody else's issuer as `realm`, then `resource_metadata`.
    ForeignRealm,
    /// Another scheme first, then `Bearer` with `resource_metadata`, in one header.
    Several,
    /// The address of the metadata and nothing else, not even a scheme.
    BareUrl,
    /// No header.
    Absent,
}

/// Which protocol revisions are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// All.
    Both,
    /// With sessions, up to 2025-11-25.
    Legacy,
    /// Stateless, 2026-07-28.
    Modern,
}

/// What needs a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Every request.
    Everything,
    /// Only `tools/call`.
    ToolCalls,
    /// Nothing.
    Nothing,
}

/// All switches.
#[derive(Debug, Clone)]
pub struct Switches {
    /// What needs a token.
    pub guard: Guard,
    /// Where the metadata stands.
    pub prm: Prm,
    /// What the challenge says.
    pub challenge: Challenge,
    /// `scope` of the challenge.
    pub challenge_scope: Option<String>,
    /// `scopes_supported` of the metadata; empty leaves it out.
    pub prm_scopes: Vec<String>,
    /// Fields that the metadata has besides or instead, as they stand here.
    pub prm_fields: Map<String, Value>,
    /// What stands in place of the metadata.
    pub prm_oddity: Option<Oddity>,
    /// What stands where the metadata might be and is not; none is 404.
    pub elsewhere: Option<Oddity>,
    /// The address of the metadata in the challenge, where it is not the true one.
    pub claimed_metadata: Option<String>,
    /// What the metadata says in place of the true `resource`.
    pub claimed_resource: Option<String>,
    /// What the metadata says in place of the true `authorization_servers`.
    pub authorization_servers: Option<Vec<String>>,
    /// The scope that a tool needs.
    pub tool_scopes: BTreeMap<String, String>,
    /// Is a tool's scope demanded even of who has it?
    pub never_enough: bool,
    /// Does a refusal for want of a scope name it?
    pub names_scope: bool,
    /// A header without which every request is refused; with it no token is needed.
    pub own_header: Option<(String, String)>,
    /// Which revisions are spoken.
    pub era: Era,
    /// Is a request of the wrong revision told so before a token is asked for?
    pub revision_first: bool,
    /// Pause between two events of `slow_count`.
    pub pause: Duration,
    /// How long every answer takes.
    pub answer_pause: Duration,
    /// Is every token refused, good ones too?
    pub refuses_all: bool,
    /// Does every answer carry `Set-Cookie` and `WWW-Authenticate`, as no client of a gateway
    /// may ever see?
    pub leaky_headers: bool,
    /// How long a GET stream lives; none for ever.
    pub stream_life: Option<Duration>,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            guard: Guard::Everything,
            prm: Prm::PathForm,
            challenge: Challenge::ResourceMetadata,
            challenge_scope: None,
            prm_scopes: Vec::new(),
            prm_fields: Map::new(),
            prm_oddity: None,
            elsewhere: None,
            claimed_metadata: None,
            claimed_resource: None,
            authorization_servers: None,
            tool_scopes: BTreeMap::from([("secret_write".into(), "secrets:write".into())]),
            never_enough: false,
            names_scope: true,
            own_header: None,
            era: Era::Both,
            revision_first: false,
            pause: Duration::from_millis(300),
            answer_pause: Duration::ZERO,
            refuses_all: false,
            leaky_headers: false,
            stream_life: None,
        }
    }
}
