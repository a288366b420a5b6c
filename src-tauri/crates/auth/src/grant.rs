//! Grants, and the one place where their secrets become text for the vault.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::flow::SignInWay;
use crate::jwt::SigningKey;
use crate::reach::Reach;
use crate::registration::{AuthMethod, Management, Reason, Registration, RegistrationKind};
use crate::secret::Secret;
use crate::text::Shown;
use crate::time::Timestamp;
use crate::token::Tokens;

/// Tokens obtained with one registration for one server. Refresh follows that registration and
/// nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The registration it was obtained with.
    pub registration: Registration,
    /// The server it is for; it is never sent anywhere else.
    pub server: String,
    /// The resource indicator of all its requests; `None` where the server refuses one.
    pub resource: Option<String>,
    /// Where it is refreshed.
    pub token_endpoint: String,
    /// Where it is revoked.
    pub revocation_endpoint: Option<String>,
    /// The scopes that were asked for.
    pub requested_scopes: Vec<String>,
    /// The scopes that were granted.
    pub scopes: Vec<String>,
    /// Who signed in, where that is known.
    pub account: Option<Shown>,
    /// The access token.
    pub access: Secret,
    /// The refresh token, where there is one.
    pub refresh: Option<Secret>,
    /// When the access token was issued.
    pub issued_at: Timestamp,
    /// When it ends; `None` when the server did not say.
    pub expires_at: Option<Timestamp>,
    /// The key that its tokens are bound to (RFC 9449); without one they are bearer tokens.
    pub dpop_key: Option<SigningKey>,
    /// How it was come by, which is how it is renewed.
    pub way: SignInWay,
    /// How private an address may be that the server or the sign-in service has named; `None` in
    /// what versions before this rule have kept.
    pub reach: Option<Reach>,
}

impl Grant {
    /// Whether the access token should be renewed before it is used again: within a tenth of its
    /// life of the end, at least 30 s and at most 5 min, never more than half its life.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.renew_at().is_some_and(|at| now >= at)
    }

    /// From when on [`Grant::is_stale`] holds.
    pub fn renew_at(&self) -> Option<Timestamp> {
        let end = self.expires_at?;
        let life = end.since(self.issued_at);
        let margin = (life / 10).clamp(Duration::from_secs(30), Duration::from_secs(300));
        // Grants that were made together are not renewed together: up to a tenth of the margin
        // later, by the token's own bytes.
        let spread = self
            .access
            .expose()
            .bytes()
            .fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)))
            % 100;
        let margin = margin - margin * spread / 1000;
        Some(end.minus(margin.min(life / 2)))
    }

    /// Whether the access token has ended by our clock.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }

    /// Takes in a refresh answer. A refresh token that the answer omits stays in force
    /// (RFC 6749 section 6), as do scopes and account.
    pub fn renew(&mut self, tokens: Tokens) {
        self.access = tokens.access;
        self.issued_at = tokens.issued_at;
        self.expires_at = tokens.expires_at;
        if tokens.refresh.is_some() {
            self.refresh = tokens.refresh;
        }
        if let Some(scopes) = tokens.scopes {
            self.scopes = scopes;
        }
        if tokens.account.is_some() {
            self.account = tokens.account;
        }
    }

    /// The text for the vault. ASCII JSON, since some keychains keep nothing else.
    pub fn encode(&self) -> Secret {
        let kept = KeptGrant {
            v: VERSION,
            registration: KeptRegistration::from(&self.registration),
            server: self.server.clone(),
            resource: self.resource.clone(),
            token_endpoint: self.token_endpoint.clone(),
            revocation_endpoint: self.revocation_endpoint.clone(),
            requested_scopes: self.requested_scopes.clone(),
            scopes: self.scopes.clone(),
            account: self.account.clone(),
            access: self.access.expose().to_owned(),
            refresh: self.refresh.as_ref().map(|t| t.expose().to_owned()),
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            dpop_key: self.dpop_key.as_ref().map(|key| key.encode().expose().to_owned()),
            way: self.way,
            reach: self.reach,
        };
        to_ascii_json(&kept)
    }

    /// Reads the text back.
    ///
    /// # Errors
    /// When it is not ours or of a version we do not know.
    pub fn decode(text: &Secret) -> Result<Self, UnreadableEntry> {
        let kept: KeptGrant = serde_json::from_str(text.expose()).map_err(|_| UnreadableEntry)?;
        if kept.v != VERSION {
            return Err(UnreadableEntry);
        }
        Ok(Self {
            registration: kept.registration.into(),
            server: kept.server,
            resource: kept.resource,
            token_endpoint: kept.token_endpoint,
            revocation_endpoint: kept.revocation_endpoint,
            requested_scopes: kept.requested_scopes,
            scopes: kept.scopes,
            account: kept.account,
            access: Secret::new(kept.access),
            refresh: kept.refresh.map(Secret::new),
            issued_at: kept.issued_at,
            expires_at: kept.expires_at,
            dpop_key: kept
                .dpop_key
                .map(|key| SigningKey::decode(&Secret::new(key)))
                .transpose()
                .map_err(|_| UnreadableEntry)?,
            way: kept.way,
            reach: kept.reach,
        })
    }
}

/// The text of a registration for the vault.
pub fn encode_registration(registration: &Registration) -> Secret {
    to_ascii_json(&KeptRegistration::from(registration))
}

/// Reads it back.
///
/// # Errors
/// When it is not ours.
pub fn decode_registration(text: &Secret) -> Result<Registration, UnreadableEntry> {
    let kept: KeptRegistration =
        serde_json::from_str(text.expose()).map_err(|_| UnreadableEntry)?;
    Ok(kept.into())
}

/// A vault entry that cannot be understood; its text is never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the keychain entry cannot be read by this version of Keyfob")]
pub struct UnreadableEntry;

const VERSION: u32 = 1;

/// The kept form. Its secrets are plain strings, so it never leaves this file.
#[derive(Serialize, Deserialize)]
struct KeptGrant {
    v: u32,
    registration: KeptRegistration,
    server: String,
    resource: Option<String>,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
    requested_scopes: Vec<String>,
    scopes: Vec<String>,
    account: Option<Shown>,
    access: String,
    refresh: Option<String>,
    issued_at: Timestamp,
    expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dpop_key: Option<String>,
    #[serde(default)]
    way: SignInWay,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reach: Option<Reach>,
}

#[derive(Serialize, Deserialize)]
struct KeptRegistration {
    kind: RegistrationKind,
    client_id: String,
    secret: Option<String>,
    auth_method: AuthMethod,
    issuer: String,
    redirect_uri: String,
    registered_at: Timestamp,
    secret_expires_at: Option<Timestamp>,
    reason: Reason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
    management: Option<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registered: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    renewed_at: Option<Timestamp>,
}

impl From<&Registration> for KeptRegistration {
    fn from(from: &Registration) -> Self {
        Self {
            kind: from.kind,
            client_id: from.client_id.clone(),
            secret: from.secret.as_ref().map(|s| s.expose().to_owned()),
            auth_method: from.auth_method,
            issuer: from.issuer.clone(),
            redirect_uri: from.redirect_uri.clone(),
            registered_at: from.registered_at,
            secret_expires_at: from.secret_expires_at,
            reason: from.reason.clone(),
            scopes: from.scopes.clone(),
            management: from
                .management
                .as_ref()
                .map(|m| (m.uri.clone(), m.token.expose().to_owned())),
            registered: from
                .management
                .as_ref()
                .and_then(|m| m.registered.as_ref())
                .map(|registered| registered.expose().to_owned()),
            renewed_at: from.management.as_ref().and_then(|m| m.renewed_at),
        }
    }
}

impl From<KeptRegistration> for Registration {
    fn from(kept: KeptRegistration) -> Self {
        Self {
            kind: kept.kind,
            client_id: kept.client_id,
            secret: kept.secret.map(Secret::new),
            auth_method: kept.auth_method,
            issuer: kept.issuer,
            redirect_uri: kept.redirect_uri,
            registered_at: kept.registered_at,
            secret_expires_at: kept.secret_expires_at,
            reason: kept.reason,
            scopes: kept.scopes,
            management: kept.management.map(|(uri, token)| Management {
                uri,
                token: Secret::new(token),
                registered: kept.registered.map(Secret::new),
                renewed_at: kept.renewed_at,
            }),
        }
    }
}

fn to_ascii_json(kept: &impl Serialize) -> Secret {
    // Plain structs of strings and numbers always serialise.
    let json = serde_json::to_string(kept).unwrap_or_default();
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    Secret::new(ascii)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Grant;
    use crate::authorize::Entropy;
    use crate::flow::SignInWay;
    use crate::jwt::SigningKey;
    use crate::reach::Reach;
    use crate::registration::{
        AuthMethod, Management, Reason, ReasonCode, Registration, RegistrationKind,
    };
    use crate::secret::Secret;
    use crate::time::Timestamp;
    use crate::token::Tokens;

    fn grant() -> Grant {
        Grant {
            registration: Registration {
                kind: RegistrationKind::Dcr,
                client_id: "c".into(),
                secret: Some(Secret::new("s")),
                auth_method: AuthMethod::ClientSecretBasic,
                issuer: "https://a".into(),
                redirect_uri: "http://127.0.0.1:1/callback".into(),
                scopes: None,
                registered_at: Timestamp(1),
                secret_expires_at: Some(Timestamp(2)),
                reason: Reason::refused(&"invalid_client".into()),
                management: Some(Management {
                    uri: "https://a/register/c".into(),
                    token: Secret::new("m"),
                    registered: Some(Secret::new(r#"{"client_name":"Keyfob ü"}"#)),
                    renewed_at: Some(Timestamp(1)),
                }),
            },
            server: "https://h/mcp".into(),
            resource: Some("https://h".into()),
            token_endpoint: "https://a/token".into(),
            revocation_endpoint: None,
            requested_scopes: vec!["x".into()],
            scopes: vec!["x".into()],
            account: Some("Zoë 🦊".into()),
            access: Secret::new("access"),
            refresh: Some(Secret::new("refresh")),
            issued_at: Timestamp(0),
            expires_at: Some(Timestamp(3_600_000)),
            dpop_key: SigningKey::generate(&Entropy([3; 64])),
            way: SignInWay::ClientCredentials,
            reach: Some(Reach::Private),
        }
    }

    #[test]
    fn the_vaults_text_is_ascii_and_comes_back_whole() {
        let text = grant().encode();
        assert!(text.expose().is_ascii());
        assert_eq!(Grant::decode(&text), Ok(grant()));
        assert!(Grant::decode(&Secret::new("{}")).is_err());
    }

    #[test]
    fn an_entry_of_an_older_version_is_read() {
        let mut kept: serde_json::Value =
            serde_json::from_str(grant().encode().expose()).expect("JSON");
        let members = kept.as_object_mut().expect("an object");
        assert_eq!(members.remove("reach"), Some("private".into()));
        let old = Grant::decode(&Secret::new(kept.to_string())).expect("a grant");
        assert_eq!(old, Grant { reach: None, ..grant() });
        let members = kept.as_object_mut().expect("an object");
        assert!(members.remove("way").is_some() && members.remove("dpop_key").is_some());
        let old = Grant::decode(&Secret::new(kept.to_string())).expect("a grant");
        let browsers = Grant { way: SignInWay::Browser, dpop_key: None, reach: None, ..grant() };
        assert_eq!(old, browsers);
        kept["dpop_key"] = "AAAA".into();
        assert!(Grant::decode(&Secret::new(kept.to_string())).is_err(), "no key, no use");
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", grant());
        let key = grant().dpop_key.map(|key| key.encode().expose().to_owned());
        for secret in ["access\"", "\"refresh\"", "\"s\"", "\"m\"", &key.expect("a key")] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }

    #[test]
    fn renewal_margin() {
        let renew_at = |life_s: u64, token: &str| {
            let grant = Grant {
                access: Secret::new(token),
                expires_at: Some(Timestamp(life_s * 1000)),
                ..grant()
            };
            grant.renew_at().map(|t| t.0)
        };
        for token in ["a", "b", "one", "another", ""] {
            let within = |life_s, from, to, why: &str| {
                let at = renew_at(life_s, token).expect("an end");
                assert!((from..=to).contains(&at), "{why}: {at}");
            };
            within(3600, 3_300_000, 3_330_000, "five minutes at most");
            within(600, 540_000, 546_000, "a tenth");
            within(100, 70_000, 73_000, "thirty seconds at least");
            within(8, 4000, 4000, "never more than half");
        }
        assert_ne!(renew_at(3600, "one"), renew_at(3600, "another"), "not all at once");
        assert_eq!(Grant { expires_at: None, ..grant() }.renew_at(), None);
    }

    #[test]
    fn a_refresh_answer_without_refresh_token_keeps_the_old_one() {
        let mut renewed = grant();
        renewed.renew(Tokens {
            access: Secret::new("new"),
            refresh: None,
            issued_at: Timestamp(9),
            expires_at: None,
            scopes: None,
            odd_scopes: 0,
            account: None,
            id_token: None,
        });
        assert_eq!(renewed.refresh, grant().refresh);
        assert_eq!(renewed.access, Secret::new("new"));
        assert_eq!((renewed.scopes, renewed.expires_at), (grant().scopes, None));
    }

    proptest! {
        #[test]
        fn any_text_survives_the_vault(account in any::<String>(), token in any::<String>()) {
            let before = Grant { account: Some(account.into()), access: Secret::new(token), ..grant() };
            prop_assert_eq!(Grant::decode(&before.encode()), Ok(before));
        }
    }

    #[test]
    fn reasons_have_sentences() {
        let reason = Reason::new(ReasonCode::OfferedAndAccepted);
        assert_eq!(reason.text, "The server offers CIMD and accepted Keyfob's document");
    }
}
