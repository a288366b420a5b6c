//! OAuth error codes, typed: decisions are taken on these, never on text.

use std::fmt;

/// `error` of an authorization, token, registration or revocation answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// RFC 6749 section 4.1.2.1: the person, or the server for them, said no.
    AccessDenied,
    /// RFC 6749 section 5.2: the client is unknown or not let in.
    InvalidClient,
    /// RFC 7591 section 3.2.2.
    InvalidClientMetadata,
    /// RFC 6749 section 5.2: the code or refresh token is spent, revoked or foreign.
    InvalidGrant,
    /// RFC 7591 section 3.2.2.
    InvalidRedirectUri,
    /// Not registered, but used by some servers where they mean [`ErrorCode::InvalidGrant`].
    InvalidRefreshToken,
    /// RFC 6749 sections 4.1.2.1 and 5.2.
    InvalidRequest,
    /// RFC 6749 sections 4.1.2.1 and 5.2.
    InvalidScope,
    /// RFC 8707 section 2: the `resource` is not wanted.
    InvalidTarget,
    /// RFC 6749 section 4.1.2.1.
    ServerError,
    /// RFC 6749 section 4.1.2.1.
    TemporarilyUnavailable,
    /// RFC 6749 sections 4.1.2.1 and 5.2: this client may not do this.
    UnauthorizedClient,
    /// RFC 9449 section 8: the proof has to carry the nonce of this answer.
    UseDpopNonce,
    /// Any other, cut and cleaned.
    Other(String),
}

impl ErrorCode {
    /// Parses the value of an `error` member or parameter.
    pub fn parse(text: &str) -> Self {
        match text {
            "access_denied" => Self::AccessDenied,
            "invalid_client" => Self::InvalidClient,
            "invalid_client_metadata" => Self::InvalidClientMetadata,
            "invalid_grant" => Self::InvalidGrant,
            "invalid_redirect_uri" => Self::InvalidRedirectUri,
            "invalid_refresh_token" => Self::InvalidRefreshToken,
            "invalid_request" => Self::InvalidRequest,
            "invalid_scope" => Self::InvalidScope,
            "invalid_target" => Self::InvalidTarget,
            "server_error" => Self::ServerError,
            "temporarily_unavailable" => Self::TemporarilyUnavailable,
            "unauthorized_client" => Self::UnauthorizedClient,
            "use_dpop_nonce" => Self::UseDpopNonce,
            other if is_name(other) => Self::Other(other.to_owned()),
            // A sentence where a name belongs may hold anything.
            _ => Self::Other("an error without a name".to_owned()),
        }
    }

    /// Whether it is the client that is refused, so that another registration may do better.
    pub fn refuses_client(&self) -> bool {
        matches!(self, Self::InvalidClient | Self::UnauthorizedClient)
    }

    /// Whether a refresh token is dead for good.
    pub fn ends_grant(&self) -> bool {
        matches!(self, Self::InvalidGrant | Self::InvalidRefreshToken)
    }

    /// The code as sent.
    pub fn as_str(&self) -> &str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::InvalidClient => "invalid_client",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidRefreshToken => "invalid_refresh_token",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::Other(text) => text,
        }
    }
}

/// Whether it is made like the registered names.
fn is_name(text: &str) -> bool {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    (1..=64).contains(&text.len()) && text.chars().all(is_fit)
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
