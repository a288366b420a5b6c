//! Why a sign-in comes to nothing.

use crate::authorize::BadIssuer;
use crate::dcr::RegistrationError;
use crate::error_code::ErrorCode;
use crate::metadata::BadMetadata;
use crate::registration::RegistrationKind;
use crate::text::Shown;
use crate::token::TokenError;
use crate::wire::NoAnswer;

/// Why a sign-in came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Something could not be reached; nothing is known to be wrong.
    #[error("{target} cannot be reached: {cause}")]
    Unreachable {
        /// What.
        target: Shown,
        /// Why.
        cause: NoAnswer,
    },
    /// It answered, but is out of order (5xx, 429).
    #[error("{target} is out of order (HTTP {status})")]
    OutOfOrder {
        /// What.
        target: Shown,
        /// The status.
        status: u16,
        /// `Retry-After` in seconds.
        retry_after: Option<u64>,
    },
    /// The URL leads to something that is no MCP server.
    #[error("no MCP server answers there ({found})")]
    NotMcp {
        /// What answered.
        found: Shown,
    },
    /// The server wants a sign-in and does not say where.
    #[error("the server does not say where to sign in")]
    NoAuthorizationServer,
    /// A metadata document is unusable.
    #[error("the description at {url} cannot be used: {cause}")]
    Metadata {
        /// Where it lies.
        url: Shown,
        /// Why.
        cause: BadMetadata,
    },
    /// One answer leads to the next question, without an end.
    #[error("{asked} requests have led to no end, the last of them to {target}")]
    Endless {
        /// What would have been asked next.
        target: Shown,
        /// How many requests were sent.
        asked: u32,
    },
    /// S256 is not advertised.
    #[error("{issuer} does not say that it protects sign-ins with PKCE")]
    PkceUnsupported {
        /// The issuer.
        issuer: String,
    },
    /// Tokens bound to a key are wanted and not to be had.
    #[error("{issuer} cannot bind access to a key (DPoP)")]
    DpopUnsupported {
        /// The issuer.
        issuer: String,
    },
    /// The server names another sign-in service than the one that the user's own client belongs
    /// to.
    #[error("the server signs in at {named}; your client belongs to {had}")]
    OtherService {
        /// The issuer that the client belongs to.
        had: String,
        /// The issuer that the server names now.
        named: String,
    },
    /// There is no way left to be known there.
    #[error("{issuer} wants a client of your own")]
    NoRegistrationRoute {
        /// The issuer.
        issuer: String,
        /// What was said to our document, where it was refused.
        refused: Option<Shown>,
    },
    /// The same, where it would also take a client document, and we have none.
    #[error("{issuer} wants a client document, or a client of your own")]
    NoDocument {
        /// The issuer.
        issuer: String,
    },
    /// Dynamic registration failed.
    #[error("{issuer} did not register Keyfob: {cause}")]
    Registration {
        /// The issuer.
        issuer: String,
        /// Why.
        cause: RegistrationError,
    },
    /// The authorization endpoint refuses whoever asks.
    #[error("{issuer} refuses the sign-in (HTTP {status})")]
    AuthorizationRefused {
        /// The issuer.
        issuer: String,
        /// The status.
        status: u16,
    },
    /// The client is refused and there is no other rung.
    #[error("{issuer} refused the {} client ({error})", kind.as_str())]
    ClientRefused {
        /// The issuer.
        issuer: String,
        /// The rung.
        kind: RegistrationKind,
        /// The code.
        error: ErrorCode,
    },
    /// The person said no at the provider.
    #[error("the sign-in was declined")]
    Denied,
    /// The provider said no in another way.
    #[error("{issuer} ended the sign-in ({error})")]
    Refused {
        /// The issuer.
        issuer: String,
        /// The code.
        error: ErrorCode,
    },
    /// It came back with an error that does not name its sender although that was promised, so
    /// nothing in it is believed or shown (RFC 9207 section 2.4).
    #[error("{issuer} ended the sign-in without saying who it is")]
    Unnamed {
        /// The issuer.
        issuer: String,
    },
    /// The answer does not come from whom we asked.
    #[error("{0}")]
    Issuer(BadIssuer),
    /// The code was not redeemed.
    #[error("{issuer} did not redeem the sign-in: {cause}")]
    Exchange {
        /// The issuer.
        issuer: String,
        /// Why.
        cause: TokenError,
    },
    /// A link from the provider cannot be opened safely.
    #[error("{issuer} gave a link that cannot be opened safely")]
    UnsafeLink {
        /// The issuer.
        issuer: String,
    },
    /// No browser could be opened.
    #[error("the browser could not be opened: {cause}")]
    Browser {
        /// Why.
        cause: Shown,
    },
    /// Nobody came back in time.
    #[error("nobody came back from the browser in time")]
    TimedOut,
    /// The person gave up.
    #[error("the sign-in was cancelled")]
    Cancelled,
}
