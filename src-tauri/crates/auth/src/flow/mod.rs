//! The sign-in: from the first look at a server to a grant. One file per state.
//!
//! [`SignIn::start`] and [`SignIn::step`] each give exactly one thing to do next. Nothing is done
//! in parallel and nothing on speculation: a location that the order does not reach is not asked.

mod asked;
mod asserting;
mod attempt;
mod error;
mod exchanging;
mod extensions;
mod filling_in;
mod finding_provider;
mod finding_resource;
mod finding_server;
mod granting;
mod in_browser;
mod ladder;
mod plan;
mod preflighting;
mod probing;
mod pushing;
mod registering;
mod reviving;
mod survey;
#[cfg(test)]
mod tests;
mod token_request;
mod vouching;

use self::asked::Asked;
use self::asserting::Asserting;
use self::attempt::Attempt;
pub use self::error::SignInError;
use self::exchanging::Exchanging;
pub use self::extensions::{Extensions, IdentityProvider, SignInWay};
use self::filling_in::FillingIn;
use self::finding_provider::FindingProvider;
use self::finding_resource::FindingResource;
use self::finding_server::FindingServer;
use self::granting::Granting;
use self::in_browser::InBrowser;
pub use self::plan::{OwnClient, Plan, ResourceForm};
use self::preflighting::Preflighting;
use self::probing::Probing;
use self::pushing::Pushing;
use self::registering::Registering;
use self::reviving::Reviving;
pub use self::survey::{Survey, Way};
use self::vouching::Vouching;
use crate::authorize::{AuthorizationResponse, Entropy};
use crate::challenge::Challenge;
use crate::grant::Grant;
use crate::metadata::{AuthorizationServer, ProtectedResource};
use crate::registration::{Refusal, Registration};
use crate::secret::Secret;
use crate::text::{self, Shown};
use crate::time::Timestamp;
use crate::trace::{Step, Trace, TraceStep};
use crate::wire::{NoAnswer, Request, Response};

/// Most requests of one sign-in. Honest servers need a dozen; one whose answers lead from one
/// question to the next must not keep us asking.
const MOST_REQUESTS: u32 = 30;

/// What happened outside.
#[derive(Clone, Debug)]
pub enum Event {
    /// The request of the last [`Next::Fetch`] was answered, or not.
    Answer(Result<Response, NoAnswer>),
    /// Something came to our redirect URI.
    Callback(AuthorizationResponse),
    /// The browser could not be opened.
    BrowserFailed(Shown),
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
    /// What [`SignIn::survey`] found.
    Surveyed(Box<Survey>),
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
        /// The redirect URI that it was made with.
        redirect_uri: String,
    },
    /// Our document was refused.
    DocumentRefused(Refusal),
    /// Our document was accepted by this issuer.
    DocumentAccepted(String),
    /// Nobody came back from this issuer's page with our document as the client id.
    DocumentDoubted(String),
    /// This issuer wants the resource indicator of this server in another form.
    ResourceForm {
        /// The issuer.
        issuer: String,
        /// The form that it has not refused yet.
        form: ResourceForm,
    },
    /// This issuer took our redirect URI by name only.
    NameWorks(String),
    /// The person's grant at the identity provider, new or renewed.
    ProviderGrant(Box<Grant>),
    /// That grant is of no more use.
    ProviderGrantGone,
    /// The issuers that the server names, in its order.
    Issuers(Vec<String>),
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
    Granting(Granting),
    FindingProvider(FindingProvider),
    Reviving(Reviving),
    Vouching(Vouching),
    Asserting(Asserting),
    Over,
}

/// What all states share.
#[derive(Debug)]
struct Run {
    plan: Plan,
    /// Ends at the ladder, before anything is registered or opened.
    only_surveys: bool,
    /// The probe was answered freely, and the sign-in goes on for what a later request met.
    answers_freely: bool,
    /// How many requests were sent.
    asked: u32,
    trace: Trace,
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
        Self::begin(plan, false, now, entropy)
    }

    /// Begins to find out how this server would be signed in to. It registers nothing and opens
    /// nothing; it ends with [`Outcome::Surveyed`] where a sign-in is needed.
    pub fn survey(plan: Plan, now: Timestamp, entropy: &Entropy) -> (Self, Next) {
        Self::begin(plan, true, now, entropy)
    }

    fn begin(plan: Plan, only_surveys: bool, now: Timestamp, entropy: &Entropy) -> (Self, Next) {
        let mut run = Run {
            plan,
            only_surveys,
            answers_freely: false,
            asked: 0,
            trace: Trace::default(),
            memos: Vec::new(),
        };
        let input = Input { now, entropy };
        let turn = match run.plan.challenge.clone() {
            Some(challenge) => FindingResource::enter(Some(challenge), &mut run, &input),
            None => Probing::enter(&mut run, &input),
        };
        let (state, next) = counted(turn, &mut run, &input);
        (Self { state, run }, next)
    }

    /// Goes on with what happened. `entropy` must be fresh at each call.
    pub fn step(&mut self, event: Event, now: Timestamp, entropy: &Entropy) -> Next {
        let input = Input { now, entropy };
        let run = &mut self.run;
        let state = std::mem::replace(&mut self.state, State::Over);
        let turn = match (state, event) {
            (State::Over, _) => (State::Over, Next::Wait),
            (State::InBrowser(state), event) => state.on(event, run, &input),
            (_, Event::TimedOut) => failed(SignInError::TimedOut),
            (_, Event::Cancelled) => failed(SignInError::Cancelled),
            (State::Probing(state), Event::Answer(answer)) => {
                settled(state.on(answer, run, &input))
            }
            (State::FindingResource(state), Event::Answer(answer)) => {
                settled(state.on(answer, run, &input))
            }
            (State::FindingServer(state), Event::Answer(answer)) => state.on(answer, run, &input),
            (State::FillingIn(state), Event::Answer(answer)) => state.on(answer, run, &input),
            (State::Registering(state), Event::Answer(answer)) => {
                settled(state.on(answer, run, &input))
            }
            (State::Preflighting(state), Event::Answer(answer)) => state.on(answer, run, &input),
            (State::Pushing(state), Event::Answer(answer)) => {
                settled(state.on(answer, run, &input))
            }
            (State::Exchanging(state), Event::Answer(answer)) => state.on(answer, run, &input),
            (State::Granting(state), Event::Answer(answer)) => state.on(answer, run, &input),
            (State::FindingProvider(state), Event::Answer(answer)) => {
                settled(state.on(answer, run, &input))
            }
            (State::Reviving(state), Event::Answer(answer)) => {
                settled(state.on(answer, run, &input))
            }
            (State::Vouching(state), Event::Answer(answer)) => {
                settled(state.on(answer, run, &input))
            }
            (State::Asserting(state), Event::Answer(answer)) => state.on(answer, run, &input),
            // A stray callback or click while an answer is awaited changes nothing.
            (state, Event::Callback(_) | Event::BrowserFailed(_) | Event::TryAnotherWay) => {
                (state, Next::Wait)
            }
        };
        let (state, next) = counted(turn, run, &input);
        self.state = state;
        next
    }

    /// Whether the server itself is still being asked if it wants a sign-in.
    pub fn is_probing(&self) -> bool {
        matches!(self.state, State::Probing(_))
    }

    /// The lines added to the trace since the last call.
    pub fn take_trace(&mut self) -> Vec<TraceStep> {
        self.run.trace.take()
    }

    /// What is to be remembered since the last call.
    pub fn take_memos(&mut self) -> Vec<Memo> {
        std::mem::take(&mut self.run.memos)
    }

    /// The issuer and the registration in use, once they are chosen.
    pub fn registration(&self) -> Option<&Registration> {
        let attempt: &Attempt = match &self.state {
            State::Preflighting(state) => &state.attempt,
            State::Pushing(state) => &state.attempt,
            State::InBrowser(state) => &state.attempt,
            State::Exchanging(state) => &state.0.attempt,
            State::Granting(state) => &state.0.attempt,
            State::FindingProvider(state) => &state.attempt,
            State::Reviving(state) => &state.attempt,
            State::Vouching(state) => &state.attempt,
            State::Asserting(state) => &state.0.attempt,
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

/// Counts what is asked, and ends what does not end by itself.
fn counted(turn: Turn, run: &mut Run, input: &Input<'_>) -> Turn {
    let (_, Next::Fetch(request)) = &turn else { return turn };
    run.asked += 1;
    if run.asked <= MOST_REQUESTS {
        return turn;
    }
    let target = text::without_query(&request.url);
    run.trace.push(
        TraceStep::new(input.now, Step::ServerMetadata, "not asked")
            .target(&target)
            .decision("stopped")
            .reason(format!("{MOST_REQUESTS} requests have led to no end"))
            .warn(),
    );
    failed(SignInError::Endless { target, asked: MOST_REQUESTS })
}

/// What a step leads to, or the end that it has come to.
fn settled(step: Result<Turn, SignInError>) -> Turn {
    step.unwrap_or_else(failed)
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
