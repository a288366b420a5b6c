//! The sign-in: from the first look at a server to a grant. One file per state.
//!
//! [`SignIn::start`] and [`SignIn::step`] each give exactly one thing to do next. Nothing is done
//! in parallel and nothing on speculation: a location that the order does not reach is not asked.

mod attempt;
mod exchanging;
mod filling_in;
mod finding_resource;
mod finding_server;
mod in_browser;
mod ladder;
mod preflighting;
mod probing;
mod pushing;
mod registering;
#[cfg(test)]
mod tests;

use http::HeaderMap;

use self::attempt::Attempt;
use self::exchanging::Exchanging;
use self::filling_in::FillingIn;
use self::finding_resource::FindingResource;
use self::finding_server::FindingServer;
use self::in_browser::InBrowser;
use self::preflighting::Preflighting;
use self::probing::Probing;
use self::pushing::Pushing;
use self::registering::Registering;
use crate::authorize::{AuthorizationResponse, BadIssuer, Entropy};
use crate::challenge::Challenge;
use crate::client_document::ClientDocumentUrl;
use crate::dcr::RegistrationError;
use crate::error_code::ErrorCode;
use crate::grant::Grant;
use crate::metadata::{AuthorizationServer, BadMetadata, ProtectedResource};
use crate::registration::{Refusal, Registration, RegistrationKind};
use crate::secret::Secret;
use crate::server_url::ServerUrl;
use crate::time::Timestamp;
use crate::token::TokenError;
use crate::trace::TraceStep;
use crate::wire::{NoAnswer, Request, Response};

/// Everything that a sign-in is given; it asks for nothing else.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server to sign in to.
    pub server: ServerUrl,
    /// The challenge that a client's own request met; without one the server is probed.
    pub challenge: Option<Challenge>,
    /// The user's own headers for the server, sent with the probe.
    pub headers: HeaderMap,
    /// The issuer that the user wrote for this server.
    pub issuer: Option<String>,
    /// The user's own client.
    pub own_client: Option<OwnClient>,
    /// The scopes that the user wrote for this server.
    pub scopes: Vec<String>,
    /// The scopes had so far, when more are wanted.
    pub had_scopes: Vec<String>,
    /// The URL of our client document, where this build or the settings know one.
    pub document: Option<ClientDocumentUrl>,
    /// The redirect URI of our listener.
    pub redirect_uri: String,
    /// Remembered refusals of our document.
    pub refusals: Vec<Refusal>,
    /// Issuers that have accepted our document before; no preflight there.
    pub accepted_by: Vec<String>,
    /// Live dynamic registrations.
    pub registrations: Vec<Registration>,
    /// Issuers that refused a resource indicator for this server.
    pub without_resource_at: Vec<String>,
    /// Whether endpoints may be guessed where there is no metadata (MCP 2025-03-26).
    pub allow_guessed_endpoints: bool,
    /// Whether to go on where S256 is not advertised; it is sent all the same.
    pub allow_unadvertised_pkce: bool,
    /// Our version, for registrations.
    pub version: String,
}

/// A client that the user registered at the provider.
#[derive(Clone, Debug)]
pub struct OwnClient {
    /// The client id.
    pub client_id: String,
    /// The client secret, if any.
    pub secret: Option<Secret>,
}

/// What happened outside.
#[derive(Clone, Debug)]
pub enum Event {
    /// The request of the last [`Next::Fetch`] was answered, or not.
    Answer(Result<Response, NoAnswer>),
    /// Something came to our redirect URI.
    Callback(AuthorizationResponse),
    /// The browser could not be opened.
    BrowserFailed(String),
    /// The person asks for the next rung of the ladder.
    TryAnotherWay,
    /// The person has had their ten minutes.
    TimedOut,
    /// The person gave up.
    Cancelled,
}

/// The one thing to do next.
#[derive(Debug)]
pub enum Next {
    /// Send this and report the answer.
    Fetch(Request),
    /// Send the browser there; the listener waits for this `state`.
    Browse(Visit),
    /// Nothing new: the last thing asked for is still awaited.
    Wait,
    /// It is over.
    Over(Outcome),
}

/// A visit of the browser.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The real link.
    pub url: Secret,
    /// The `state` that the answer must carry.
    pub state: Secret,
}

/// How a sign-in ended.
#[derive(Debug)]
pub enum Outcome {
    /// The server needs no sign-in.
    Open,
    /// Here is the grant.
    SignedIn(Box<Grant>),
    /// It came to nothing.
    Failed(SignInError),
}

/// Something to be remembered beyond this sign-in; it holds however the sign-in ends.
#[derive(Clone, Debug)]
pub enum Memo {
    /// A dynamic registration was made.
    Registered(Registration),
    /// The server no longer knows this client id.
    RegistrationGone {
        /// The issuer.
        issuer: String,
        /// The client id.
        client_id: String,
    },
    /// Our document was refused.
    DocumentRefused(Refusal),
    /// Our document was accepted by this issuer.
    DocumentAccepted(String),
    /// This issuer wants no resource indicator for this server.
    ResourceRefused(String),
}

/// Why a sign-in came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Something could not be reached; nothing is known to be wrong.
    #[error("{target} cannot be reached: {cause}")]
    Unreachable {
        /// What.
        target: String,
        /// Why.
        cause: NoAnswer,
    },
    /// It answered, but is out of order (5xx, 429).
    #[error("{target} is out of order (HTTP {status})")]
    OutOfOrder {
        /// What.
        target: String,
        /// The status.
        status: u16,
        /// `Retry-After` in seconds.
        retry_after: Option<u64>,
    },
    /// The URL leads to something that is no MCP server.
    #[error("no MCP server answers there ({found})")]
    NotMcp {
        /// What answered.
        found: String,
    },
    /// The server wants a sign-in and does not say where.
    #[error("the server does not say where to sign in")]
    NoAuthorizationServer,
    /// A metadata document is unusable.
    #[error("the description at {url} cannot be used: {cause}")]
    Metadata {
        /// Where it lies.
        url: String,
        /// Why.
        cause: BadMetadata,
    },
    /// S256 is not advertised.
    #[error("{issuer} does not say that it protects sign-ins with PKCE")]
    PkceUnsupported {
        /// The issuer.
        issuer: String,
    },
    /// There is no way left to be known there.
    #[error("{issuer} wants a client of your own")]
    NoRegistrationRoute {
        /// The issuer.
        issuer: String,
        /// What was said to our document, where it was refused.
        refused: Option<String>,
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
        cause: String,
    },
    /// Nobody came back in time.
    #[error("nobody came back from the browser in time")]
    TimedOut,
    /// The person gave up.
    #[error("the sign-in was cancelled")]
    Cancelled,
}

/// One sign-in.
#[derive(Debug)]
pub struct SignIn {
    state: State,
    run: Run,
}

#[derive(Debug)]
enum State {
    Probing(Probing),
    FindingResource(FindingResource),
    FindingServer(FindingServer),
    FillingIn(FillingIn),
    Registering(Registering),
    Preflighting(Preflighting),
    Pushing(Pushing),
    InBrowser(InBrowser),
    Exchanging(Exchanging),
    Over,
}

/// What all states share.
#[derive(Debug)]
struct Run {
    plan: Plan,
    trace: Vec<TraceStep>,
    memos: Vec<Memo>,
}

/// What each step is given besides the event.
struct Input<'a> {
    now: Timestamp,
    entropy: &'a Entropy,
}

/// A state together with the one thing to do in it.
type Turn = (State, Next);

/// What is known once the server has been asked.
#[derive(Debug)]
struct Ground {
    challenge: Option<Challenge>,
    resource: Option<ProtectedResource>,
}

/// Where to sign in.
#[derive(Debug)]
struct Site {
    ground: Ground,
    server: AuthorizationServer,
}

impl SignIn {
    /// Begins. `entropy` must be fresh at each call.
    pub fn start(plan: Plan, now: Timestamp, entropy: &Entropy) -> (Self, Next) {
        let mut run = Run { plan, trace: Vec::new(), memos: Vec::new() };
        let input = Input { now, entropy };
        let (state, next) = match run.plan.challenge.clone() {
            Some(challenge) => FindingResource::enter(Some(challenge), &mut run, &input),
            None => Probing::enter(&mut run, &input),
        };
        (Self { state, run }, next)
    }

    /// Goes on with what happened. `entropy` must be fresh at each call.
    pub fn step(&mut self, event: Event, now: Timestamp, entropy: &Entropy) -> Next {
        let input = Input { now, entropy };
        let run = &mut self.run;
        let state = std::mem::replace(&mut self.state, State::Over);
        let (state, next) = match (state, event) {
            (State::Over, _) => (State::Over, Next::Wait),
            (_, Event::TimedOut) => failed(SignInError::TimedOut),
            (_, Event::Cancelled) => failed(SignInError::Cancelled),
            (State::InBrowser(state), event) => state.on(event, run, &input),
            (State::Probing(state), Event::Answer(answer)) => state.on(answer, run, &input),
            (State::FindingResource(state), Event::Answer(answer)) => state.on(answer, run, &input),
            (State::FindingServer(state), Event::Answer(answer)) => state.on(answer, run, &input),
            (State::FillingIn(state), Event::Answer(answer)) => state.on(answer, run, &input),
            (State::Registering(state), Event::Answer(answer)) => state.on(answer, run, &input),
            (State::Preflighting(state), Event::Answer(answer)) => state.on(answer, run, &input),
            (State::Pushing(state), Event::Answer(answer)) => state.on(answer, run, &input),
            (State::Exchanging(state), Event::Answer(answer)) => state.on(answer, run, &input),
            // A stray callback or click while an answer is awaited changes nothing.
            (state, Event::Callback(_) | Event::BrowserFailed(_) | Event::TryAnotherWay) => {
                (state, Next::Wait)
            }
        };
        self.state = state;
        next
    }

    /// The lines added to the trace since the last call.
    pub fn take_trace(&mut self) -> Vec<TraceStep> {
        std::mem::take(&mut self.run.trace)
    }

    /// What is to be remembered since the last call.
    pub fn take_memos(&mut self) -> Vec<Memo> {
        std::mem::take(&mut self.run.memos)
    }

    /// The issuer and the registration in use, once they are chosen.
    pub fn registration(&self) -> Option<&Registration> {
        let attempt: &Attempt = match &self.state {
            State::Preflighting(state) => state.attempt(),
            State::Pushing(state) => state.attempt(),
            State::InBrowser(state) => state.attempt(),
            State::Exchanging(state) => state.attempt(),
            State::Probing(_)
            | State::FindingResource(_)
            | State::FindingServer(_)
            | State::FillingIn(_)
            | State::Registering(_)
            | State::Over => return None,
        };
        Some(&attempt.registration)
    }
}

fn failed(error: SignInError) -> Turn {
    over(Outcome::Failed(error))
}

fn over(outcome: Outcome) -> Turn {
    (State::Over, Next::Over(outcome))
}

/// RFC 9728 and RFC 8414 leave it open; in the field a 4xx, and a 502 of a proxy in front, mean
/// "not here, ask the next", and everything else "cannot tell".
fn is_not_here(status: u16) -> bool {
    matches!(status, 400..=428 | 430..=499 | 502)
}

/// What a status means that is neither an answer nor "not here".
fn out_of_order(url: &str, response: &Response) -> SignInError {
    SignInError::OutOfOrder {
        target: crate::text::without_query(url),
        status: response.status,
        retry_after: response.retry_after(),
    }
}

fn unreachable(url: &str, cause: NoAnswer) -> SignInError {
    SignInError::Unreachable { target: crate::text::without_query(url), cause }
}
