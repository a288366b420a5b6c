//! The ways to sign in that MCP has as extensions, as the user sets them for a server.

use keyfob_auth::Secret;
use keyfob_auth::flow::{self, SignInWay};
use keyfob_auth::jwt::SigningKey;
use serde::{Deserialize, Serialize};

/// The keys in a server's table of the settings file.
pub const KEYS: [&str; 2] = ["sign_in", "dpop"];

/// What the settings file has of it. By default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extensions {
    /// `browser`, or `client-credentials`.
    #[serde(skip_serializing_if = "is_browser")]
    pub sign_in: SignInWay,
    /// Whether tokens must be bound to a key that stays in the vault.
    #[serde(skip_serializing_if = "is_no")]
    pub dpop: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_no(flag: &bool) -> bool {
    !*flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_browser(way: &SignInWay) -> bool {
    *way == SignInWay::Browser
}

/// What goes into the vault of it.
#[derive(Clone, Debug, Default)]
pub struct ExtensionSecrets {
    /// The private key of the user's own client, as PEM.
    pub client_key: Option<Secret>,
}

impl ExtensionSecrets {
    /// What of these or, where there is none, of the others is to be used.
    #[must_use]
    pub fn or(self, others: &Self) -> Self {
        Self { client_key: self.client_key.or_else(|| others.client_key.clone()) }
    }
}

/// What a sign-in is given.
pub fn plan(set: Extensions, secrets: &ExtensionSecrets) -> flow::Extensions {
    flow::Extensions { way: set.sign_in, client_key: secrets.client_key.clone(), dpop: set.dpop }
}

/// Checks what a new server is given, before anything changes.
///
/// # Errors
/// A sentence for the one who gave it.
pub fn check(
    set: Extensions,
    secrets: &ExtensionSecrets,
    client_id: Option<&str>,
    has_client_secret: bool,
) -> Result<(), &'static str> {
    if let Some(key) = &secrets.client_key {
        if client_id.is_none() {
            return Err("a client key needs its client id: --client-id");
        }
        if SigningKey::from_pem(key).is_err() {
            return Err(
                "the client key is no private key that Keyfob can sign with: it takes ES256, which is a key of the curve P-256, as PEM",
            );
        }
    }
    match set.sign_in {
        SignInWay::Browser => Ok(()),
        SignInWay::ClientCredentials if client_id.is_none() => {
            Err("client credentials need a client of your own: --client-id")
        }
        SignInWay::ClientCredentials if !has_client_secret && secrets.client_key.is_none() => {
            Err("client credentials need the client's secret or its private key")
        }
        SignInWay::ClientCredentials => Ok(()),
    }
}
