//! How we are known to an authorization server, and why in this way.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::metadata::AuthorizationServer;
use crate::scope;
use crate::secret::Secret;
use crate::text::Shown;
use crate::time::Timestamp;

/// The rung of the ladder that a registration stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegistrationKind {
    /// The user's own client.
    PreRegistered,
    /// Our client document (CIMD).
    Cimd,
    /// Registered dynamically (RFC 7591).
    Dcr,
}

impl RegistrationKind {
    /// The name used in JSON and text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreRegistered => "pre-registered",
            Self::Cimd => "cimd",
            Self::Dcr => "dcr",
        }
    }
}

/// How the client authenticates at the token endpoint (RFC 6749 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthMethod {
    /// A public client: `client_id` in the body.
    #[serde(rename = "none")]
    None,
    /// HTTP Basic.
    #[serde(rename = "client_secret_basic")]
    ClientSecretBasic,
    /// Id and secret in the body.
    #[serde(rename = "client_secret_post")]
    ClientSecretPost,
    /// A token signed with the client's private key (RFC 7523 section 2.2).
    #[serde(rename = "private_key_jwt")]
    PrivateKeyJwt,
}

impl AuthMethod {
    /// The registered name (RFC 7591 section 2).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// Parses a registered name that a server may give us; `None` for those we do not speak. A key
    /// is never given.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::ClientSecretBasic, Self::ClientSecretPost]
            .into_iter()
            .find(|method| method.as_str() == text)
    }

    /// The method for a client that has a secret: Basic unless the server lists only the other
    /// (RFC 8414 section 2: an absent list means Basic).
    pub fn with_secret(server: &AuthorizationServer) -> Self {
        let Some(listed) = &server.token_endpoint_auth_methods_supported else {
            return Self::ClientSecretBasic;
        };
        listed
            .iter()
            .filter_map(|name| Self::parse(name))
            .find(|method| *method != Self::None)
            .unwrap_or(Self::ClientSecretBasic)
    }
}

/// Why a registration is of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonCode {
    /// The user gave a client id.
    OwnClient,
    /// The server offers CIMD and accepted our document.
    OfferedAndAccepted,
    /// The server does not offer CIMD.
    NotOffered,
    /// The server offers CIMD and refused our document.
    Refused,
    /// This build and its settings know of no client document.
    NoDocument,
    /// The server offers CIMD but lets no client in without a secret.
    NoPublicClients,
}

/// A reason with its sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What it is, for programs.
    pub code: ReasonCode,
    /// What it is, for people.
    pub text: Shown,
}

impl Reason {
    /// A reason in the usual words.
    pub fn new(code: ReasonCode) -> Self {
        let text = match code {
            ReasonCode::OwnClient => "You gave a client id of your own",
            ReasonCode::OfferedAndAccepted => {
                "The server offers CIMD and accepted Keyfob's document"
            }
            ReasonCode::NotOffered => "The server does not offer CIMD, registered with DCR instead",
            ReasonCode::Refused => "CIMD was refused, registered with DCR instead",
            ReasonCode::NoDocument => {
                "The server offers CIMD but this Keyfob has no client document, registered with DCR instead"
            }
            ReasonCode::NoPublicClients => {
                "The server offers CIMD but admits no clients without a secret, registered with DCR instead"
            }
        };
        Self { code, text: text.into() }
    }

    /// A refusal, with what the server said.
    pub fn refused(said: &Shown) -> Self {
        let text = format!("CIMD was refused ({said}), registered with DCR instead");
        Self { code: ReasonCode::Refused, text: text.into() }
    }
}

/// A management handle of a dynamic registration (RFC 7592 section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Management {
    /// `registration_client_uri`.
    pub uri: String,
    /// `registration_access_token`.
    pub token: Secret,
    /// The client metadata as the server returned it last, as JSON: an update has to send all of it
    /// back (RFC 7592 section 2.2). Kept like a secret, since a server may put anything into it.
    pub registered: Option<Secret>,
    /// When the client secret was renewed last; `None` while it is the first one.
    pub renewed_at: Option<Timestamp>,
}

/// One way in which we are known to one authorization server. Every grant carries its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The rung.
    pub kind: RegistrationKind,
    /// The client id, byte for byte as it goes into every request.
    pub client_id: String,
    /// The client secret, where there is one; with [`AuthMethod::PrivateKeyJwt`] the private key as
    /// PEM.
    pub secret: Option<Secret>,
    /// How to authenticate at the token endpoint.
    pub auth_method: AuthMethod,
    /// The issuer that it is good for, and no other.
    pub issuer: String,
    /// The redirect URI that it was made with.
    pub redirect_uri: String,
    /// What it may ask for, as far as that is known: the scopes that were asked for when it was made
    /// and those that the server named then. `None` where nothing is known of it.
    pub scopes: Option<Vec<String>>,
    /// When it was made.
    pub registered_at: Timestamp,
    /// When the secret ends (RFC 7591 section 3.2.1); `None` for never.
    pub secret_expires_at: Option<Timestamp>,
    /// Why it is of this kind.
    pub reason: Reason,
    /// How to change or delete it, where the server said.
    pub management: Option<Management>,
}

/// How long before the end of a secret that cannot be renewed its person is told, at the most.
const NOTICE: Duration = Duration::from_secs(24 * 60 * 60);

impl Registration {
    /// Whether it may be used for a sign-in at `issuer` with `redirect_uri` now. Where its secret
    /// ends soon and cannot be renewed, that sign-in is the time for a new one.
    pub fn is_good_for(&self, issuer: &str, redirect_uri: &str, now: Timestamp) -> bool {
        self.issuer == issuer
            && self.redirect_uri == redirect_uri
            && self.secret_expires_at.is_none_or(|end| now < end)
            && !self.ends_soon(now)
    }

    /// Whether these scopes may be asked for with it. A client may use only those that it is
    /// registered with (RFC 7591 section 2), so a step-up can need a new one.
    pub fn covers(&self, scopes: &[String]) -> bool {
        self.scopes.as_ref().is_none_or(|known| scope::covers(known, scopes))
    }

    /// From when on its secret is to be renewed, where the server gave the means (RFC 7592
    /// section 2.2): when nine tenths of its life are over.
    pub fn renew_secret_at(&self) -> Option<Timestamp> {
        let (end, life) = self.secret_life()?;
        self.can_renew_secret().then(|| end.minus(life / 10))
    }

    /// Whether the server gave the means to renew the secret.
    pub fn can_renew_secret(&self) -> bool {
        let management = self.management.as_ref();
        self.secret.is_some() && management.is_some_and(|m| m.registered.is_some())
    }

    /// From when on it is known that a person will be needed: a day before the end of a secret that
    /// cannot be renewed, and not earlier than at half its life.
    pub fn person_needed_from(&self) -> Option<Timestamp> {
        let (end, life) = self.secret_life()?;
        (!self.can_renew_secret()).then(|| end.minus(NOTICE.min(life / 2)))
    }

    /// Whether its secret ends soon and cannot be renewed.
    pub fn ends_soon(&self, now: Timestamp) -> bool {
        self.person_needed_from().is_some_and(|from| now >= from)
    }

    /// Whether it is the same client as `other`, with a secret of a later renewal.
    pub fn is_later_than(&self, other: &Self) -> bool {
        let renewed_at = |r: &Self| r.management.as_ref().and_then(|m| m.renewed_at);
        self.is_same_client(other) && renewed_at(self) > renewed_at(other)
    }

    /// Whether both are the same client of the same server.
    pub fn is_same_client(&self, other: &Self) -> bool {
        self.kind == other.kind && self.issuer == other.issuer && self.client_id == other.client_id
    }

    /// The end of the secret, and how long it lives in all.
    fn secret_life(&self) -> Option<(Timestamp, Duration)> {
        self.secret.as_ref()?;
        let renewed_at = self.management.as_ref().and_then(|management| management.renewed_at);
        let end = self.secret_expires_at?;
        Some((end, end.since(renewed_at.unwrap_or(self.registered_at))))
    }
}

/// That an issuer refused our document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The issuer.
    pub issuer: String,
    /// The document's URL.
    pub document: String,
    /// When.
    pub at: Timestamp,
    /// What the server said, in few words.
    pub said: Shown,
}

/// How long a refusal is remembered.
pub const REFUSAL_LASTS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Refusal {
    /// Whether it still counts for this issuer and document.
    pub fn holds(&self, issuer: &str, document: &str, now: Timestamp) -> bool {
        self.issuer == issuer && self.document == document && now.since(self.at) < REFUSAL_LASTS
    }
}
