//! The ways to sign in that MCP has as extensions, as the user sets them for a server.

use keyfob_auth::Secret;
use keyfob_auth::flow::{self, IdentityProvider, SignInWay};
use keyfob_auth::jwt::SigningKey;
use keyfob_auth::server_url::is_usable_endpoint;
use serde::{Deserialize, Serialize};

/// The keys in a server's table of the settings file.
pub const KEYS: [&str; 5] =
    ["sign_in", "dpop", "idp_issuer", "idp_client_id", "idp_token_endpoint"];

/// What the settings file has of it. By default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extensions {
    /// `browser`, `client-credentials` or `enterprise`.
    #[serde(skip_serializing_if = "is_browser")]
    pub sign_in: SignInWay,
    /// Whether tokens must be bound to a key that stays in the vault.
    #[serde(skip_serializing_if = "is_no")]
    pub dpop: bool,
    /// The issuer of the company's identity provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idp_issuer: Option<String>,
    /// The user's own client there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idp_client_id: Option<String>,
    /// Its token endpoint, where it does not describe itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idp_token_endpoint: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_browser(way: &SignInWay) -> bool {
    *way == SignInWay::Browser
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_no(flag: &bool) -> bool {
    !*flag
}

/// The secrets to it. All but the ID token lie in the vault.
#[derive(Clone, Debug, Default)]
pub struct ExtensionSecrets {
    /// The private key of the user's own client, as PEM.
    pub client_key: Option<Secret>,
    /// The secret of the user's own client at the identity provider.
    pub idp_client_secret: Option<Secret>,
    /// An ID token that somebody else has got, for this run.
    pub idp_id_token: Option<Secret>,
}

impl ExtensionSecrets {
    /// What of these or, where there is none, of the others is to be used.
    #[must_use]
    pub fn or(self, others: &Self) -> Self {
        Self {
            client_key: self.client_key.or_else(|| others.client_key.clone()),
            idp_client_secret: self.idp_client_secret.or_else(|| others.idp_client_secret.clone()),
            idp_id_token: self.idp_id_token.or_else(|| others.idp_id_token.clone()),
        }
    }
}

/// Whether a sign-in needs nobody, so that it may begin by itself.
pub fn is_unattended(set: &Extensions, secrets: &ExtensionSecrets) -> bool {
    match set.sign_in {
        SignInWay::Browser => false,
        SignInWay::ClientCredentials => true,
        SignInWay::Enterprise => secrets.idp_id_token.is_some(),
    }
}

/// What a sign-in is given.
pub fn plan(set: &Extensions, secrets: ExtensionSecrets) -> flow::Extensions {
    let identity_provider = set.idp_issuer.clone().zip(set.idp_client_id.clone());
    flow::Extensions {
        way: set.sign_in,
        client_key: secrets.client_key,
        dpop: set.dpop,
        identity_provider: identity_provider.map(|(issuer, client_id)| IdentityProvider {
            issuer,
            client_id,
            client_secret: secrets.idp_client_secret,
            token_endpoint: set.idp_token_endpoint.clone(),
            id_token: secrets.idp_id_token,
            grant: None,
        }),
    }
}

/// Checks what a new server is given, before anything changes.
///
/// # Errors
/// A sentence for the one who gave it.
pub fn check(
    set: &Extensions,
    secrets: &ExtensionSecrets,
    client_id: Option<&str>,
    has_client_secret: bool,
) -> Result<(), &'static str> {
    if let Some(key) = &secrets.client_key {
        if client_id.is_none() {
            return Err("a client key needs its client id: --client-id");
        }
        if SigningKey::from_pem(key).is_err() {
            return Err("Keyfob cannot sign with this client key. It takes keys for ES256: curve \
                        P-256, as PEM, without a password");
        }
    }
    let has_credentials = has_client_secret || secrets.client_key.is_some();
    match set.sign_in {
        SignInWay::Browser => Ok(()),
        SignInWay::ClientCredentials | SignInWay::Enterprise if client_id.is_none() => {
            Err("this way to sign in needs a client of your own: --client-id")
        }
        SignInWay::ClientCredentials if !has_credentials => {
            Err("client credentials need the client's secret or its private key")
        }
        SignInWay::ClientCredentials => Ok(()),
        SignInWay::Enterprise => {
            let places = [&set.idp_issuer, &set.idp_token_endpoint];
            if places.into_iter().flatten().any(|url| !is_usable_endpoint(url)) {
                return Err("the addresses of the identity provider are https URLs");
            }
            match (&set.idp_issuer, &set.idp_client_id) {
                (Some(_), Some(_)) => Ok(()),
                _ => Err("an identity provider has an issuer and knows your client: \
                          --idp-issuer, --idp-client-id"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(way: SignInWay) -> Extensions {
        Extensions { sign_in: way, ..Extensions::default() }
    }

    #[test]
    fn each_way_names_what_it_lacks() {
        let none = ExtensionSecrets::default();
        let check = |set: &Extensions, id, secret| check(set, &none, id, secret).is_ok();
        assert!(check(&ways(SignInWay::Browser), None, false));
        assert!(!check(&ways(SignInWay::ClientCredentials), None, false));
        assert!(!check(&ways(SignInWay::ClientCredentials), Some("c"), false));
        assert!(check(&ways(SignInWay::ClientCredentials), Some("c"), true));
        let mut company = ways(SignInWay::Enterprise);
        assert!(!check(&company, Some("c"), true));
        company.idp_issuer = Some("https://idp.example.com".into());
        company.idp_client_id = Some("i".into());
        assert!(check(&company, Some("c"), true));
        assert!(!check(&company, None, false));
        company.idp_token_endpoint = Some("http://idp.example.com/token".into());
        assert!(!check(&company, Some("c"), true));
    }

    #[test]
    fn a_key_that_cannot_sign_is_refused_when_it_is_given() {
        let key = ExtensionSecrets {
            client_key: Some(Secret::new("-----BEGIN RSA PRIVATE KEY-----")),
            ..ExtensionSecrets::default()
        };
        let refused = check(&ways(SignInWay::ClientCredentials), &key, Some("c"), false);
        assert!(refused.is_err_and(|said| said.contains("ES256")));
    }

    #[test]
    fn an_unset_extension_leaves_nothing_in_the_file() {
        let text = toml_edit::ser::to_string(&Extensions::default()).expect("TOML");
        assert_eq!(text, "");
        let set = Extensions { sign_in: SignInWay::Enterprise, dpop: true, ..Default::default() };
        let text = toml_edit::ser::to_string(&set).expect("TOML");
        assert_eq!(text, "sign_in = \"enterprise\"\ndpop = true\n");
        assert_eq!(toml_edit::de::from_str::<Extensions>(&text).expect("read"), set);
    }
}
