//! The ways to sign in that MCP has as extensions, each behind a setting of the server.

use serde::{Deserialize, Serialize};

use super::Ground;
use crate::grant::Grant;
use crate::metadata::AuthorizationServer;
use crate::registration::{AuthMethod, Registration};
use crate::secret::Secret;

/// How a server is signed in to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignInWay {
    /// A person says yes in the browser (authorization code).
    #[default]
    Browser,
    /// A client of the user's own, without any person
    /// (`io.modelcontextprotocol/oauth-client-credentials`).
    ClientCredentials,
    /// The company's identity provider vouches for the person
    /// (`io.modelcontextprotocol/enterprise-managed-authorization`).
    Enterprise,
}

/// What a sign-in is given of the extensions; by default nothing.
#[derive(Clone, Debug, Default)]
pub struct Extensions {
    /// How to sign in.
    pub way: SignInWay,
    /// The private key of the user's own client as PEM, for `private_key_jwt`.
    pub client_key: Option<Secret>,
    /// Whether tokens must be bound to a key, whatever the server says (RFC 9449).
    pub dpop: bool,
    /// The company's identity provider, for [`SignInWay::Enterprise`].
    pub identity_provider: Option<IdentityProvider>,
}

/// A company's identity provider, and the client that the user has there.
#[derive(Clone, Debug)]
pub struct IdentityProvider {
    /// Its issuer.
    pub issuer: String,
    /// The client id there.
    pub client_id: String,
    /// The client secret there, if any.
    pub client_secret: Option<Secret>,
    /// Its token endpoint, where that need not be looked for.
    pub token_endpoint: Option<String>,
    /// An ID token of the person.
    pub id_token: Option<Secret>,
    /// The person's grant there, from an earlier visit. Without either they are sent there.
    pub grant: Option<Box<Grant>>,
}

impl Extensions {
    /// Lets the user's own client authenticate with its key: where it has no secret, or the server
    /// lists this method (RFC 8414 section 2).
    pub(super) fn give_key(&self, own: &mut Registration, server: &AuthorizationServer) {
        let Some(key) = &self.client_key else { return };
        let listed = server.token_endpoint_auth_methods_supported.as_deref().unwrap_or_default();
        let method = AuthMethod::PrivateKeyJwt;
        if own.secret.is_none() || listed.iter().any(|name| name == method.as_str()) {
            own.auth_method = method;
            own.secret = Some(key.clone());
        }
    }

    /// Whether tokens are bound to a key: the user, or the server, takes no others.
    pub(super) fn wants_dpop(&self, ground: &Ground) -> bool {
        self.dpop || ground.resource.as_ref().is_some_and(|r| r.dpop_bound_access_tokens_required)
    }
}
