//! One server as the broker holds it.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use keyfob_auth::challenge::Challenge;
use keyfob_auth::grant::Grant;
use keyfob_auth::text::Untrusted;
use keyfob_auth::{Secret, Timestamp, scope};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::pause::Pause;
use super::sign_in::Wish;
use super::turn::Turn;
use crate::config::ServerConfig;
use crate::extensions::ExtensionSecrets;
use crate::gateway::seat::{Bearer, Lease, Reply, Seat};
use crate::problem::{Code, Problem};
use crate::server::{Event, Kind, State, Why};
use crate::view::{Progress, ServerView};

/// A sign-in under way.
pub struct UnderWay {
    /// What the person may wish.
    pub wishes: mpsc::UnboundedSender<Wish>,
    /// Who watches.
    pub watchers: Vec<mpsc::UnboundedSender<Progress>>,
    /// Who waits for its end.
    pub ends: Vec<oneshot::Sender<Result<ServerView, Problem>>>,
    /// What the watchers have been told, for those who come late.
    pub told: Vec<Progress>,
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaits {
    /// Any lease that can be used.
    Lease,
    /// Another token than the one of this generation, which was refused.
    Renewal(u64),
    /// Another token than the one of this generation, which had too little access.
    Scope(u64),
}

impl Awaits {
    fn is_served_by(self, generation: u64) -> bool {
        match self {
            Self::Lease => true,
            Self::Renewal(refused) | Self::Scope(refused) => generation != refused,
        }
    }
}

/// A request of a client that waits.
pub struct Waiter {
    /// Whether it waits for a person.
    pub holds: bool,
    /// What for.
    pub awaits: Awaits,
    /// Where to answer.
    pub reply: Reply,
}

/// See the module.
pub struct Slot {
    /// What the user wants.
    pub config: ServerConfig,
    /// What the gateway sees.
    pub seat: Arc<Seat>,
    /// What is.
    pub state: State,
    /// The grant, also while it is refused.
    pub grant: Option<Box<Grant>>,
    /// Counts its tokens.
    pub generation: u64,
    /// The user's own client secret.
    pub own_secret: Option<Secret>,
    /// What the extensions need.
    pub extension_secrets: ExtensionSecrets,
    /// Whose turn it is to write the grant.
    pub(super) turn: Turn,
    /// A refresh is in flight, whatever the state.
    pub is_refreshing: bool,
    /// The client secret that the refresh waits for, and the epoch that it was begun in.
    pub awaits_secret: Option<(String, u64)>,
    /// The client secret was refused since the last refresh that worked.
    pub was_secret_refused: bool,
    /// The vault is being asked.
    pub is_loading: bool,
    /// What the server last said to a client.
    pub challenge: Option<Challenge>,
    /// The generation that the server refused last.
    pub refused: Option<u64>,
    /// As long as it lasts a refresh is not worth trying.
    pub pause: Pause,
    /// How often in a row a refresh failed.
    pub failures: u32,
    /// How often in a row it was refused without an error code.
    pub unclear: u32,
    /// How often more access was asked for since [`Slot::step_ups_since`].
    pub step_ups: u32,
    /// When counting began.
    pub step_ups_since: Instant,
    /// When the last sign-in succeeded.
    pub signed_in_at: Option<Instant>,
    /// What became of a sign-in that was started for a held request; it is not repeated for the
    /// next one.
    pub held_failure: Option<Problem>,
    /// When the last sign-in failed.
    pub failed_at: Option<Instant>,
    /// How the last sign-in failed.
    pub last_failure: Option<Problem>,
    /// A sign-in under way.
    pub sign_in: Option<UnderWay>,
    /// Requests that wait.
    pub waiters: Vec<Waiter>,
    /// A renewed token could not be saved.
    pub is_unsaved: bool,
    /// When the keychain is asked again, to keep that or to read what it did not give.
    pub vault_again_at: Option<Timestamp>,
    /// Who watches the sign-ins that held requests start.
    pub watcher: Option<mpsc::UnboundedSender<Progress>>,
    /// How links are opened for this server alone (a session's choice).
    pub browser: Option<crate::browser::Browser>,
}

impl Slot {
    /// A slot in its first state.
    pub fn new(config: ServerConfig, seat: Arc<Seat>, state: State) -> Self {
        Self {
            config,
            seat,
            state,
            grant: None,
            generation: 0,
            own_secret: None,
            extension_secrets: ExtensionSecrets::default(),
            turn: Turn::default(),
            is_refreshing: false,
            awaits_secret: None,
            was_secret_refused: false,
            is_loading: false,
            challenge: None,
            refused: None,
            pause: Pause::none(),
            failures: 0,
            unclear: 0,
            step_ups: 0,
            step_ups_since: Instant::now(),
            signed_in_at: None,
            held_failure: None,
            failed_at: None,
            last_failure: None,
            sign_in: None,
            waiters: Vec::new(),
            is_unsaved: false,
            vault_again_at: None,
            watcher: None,
            browser: None,
        }
    }

    /// Goes to the next state and tells the gateway.
    pub fn step(&mut self, event: Event) -> Option<crate::server::Effect> {
        let before = self.state.kind();
        let (state, effect) = std::mem::replace(&mut self.state, State::start(false).0).step(event);
        self.state = state;
        if before != self.state.kind() {
            tracing::debug!(server = %self.config.name, from = ?before, to = ?self.state.kind(), "state");
        }
        self.publish();
        effect
    }

    /// Takes a grant in use.
    pub fn hold(&mut self, grant: Box<Grant>) {
        self.grant = Some(grant);
        self.generation += 1;
        self.was_secret_refused = false;
    }

    /// Tells the gateway what a request may carry now.
    pub fn publish(&self) {
        let lease = self.lease();
        if !lease.is_like(&self.seat.lease()) {
            self.seat.set_lease(lease);
        }
    }

    /// What a request may carry now.
    pub fn lease(&self) -> Lease {
        let trouble = |code| Lease::Trouble(Arc::new(self.problem(code)));
        let bearer = || {
            let grant = self.grant.as_deref()?;
            Bearer::of(grant, self.generation).map(Lease::Bearer)
        };
        match &self.state {
            State::Off(_) => trouble(Code::ServerOff),
            // A request that comes before the vault has answered waits for it.
            State::Probing(_) if self.is_loading => trouble(Code::SignInNeeded),
            State::Probing(_) | State::Open(_) => Lease::Bare,
            State::SignedOut(state) => match state.why {
                Why::Never => trouble(Code::SignInNeeded),
                Why::Refused => match &self.last_failure {
                    Some(problem) if problem.code == Code::TokenNotAccepted => {
                        Lease::Trouble(Arc::new(problem.clone()))
                    }
                    Some(_) | None => trouble(Code::GrantExpired),
                },
            },
            State::SigningIn(state) if !state.has_grant => trouble(Code::SignInNeeded),
            State::SigningIn(_) | State::Ready(_) | State::Refreshing(_) | State::NeedsScope(_) => {
                bearer().unwrap_or(Lease::Bare)
            }
            State::Offline(state) if state.has_grant => bearer().unwrap_or(Lease::Bare),
            State::Offline(_) => Lease::Bare,
            State::VaultBlocked(_) => bearer().unwrap_or_else(|| {
                match self.last_failure.as_ref().filter(|problem| problem.is_of_vault()) {
                    Some(problem) => Lease::Trouble(Arc::new(problem.clone())),
                    None => trouble(Code::VaultLocked),
                }
            }),
        }
    }

    /// What a waiting request gets now; `None` when it has to wait on.
    pub fn offer(&self, waiter: &Waiter) -> Option<Result<Lease, Problem>> {
        let wants_scope = matches!(waiter.awaits, Awaits::Scope(_));
        let is_served = waiter.awaits.is_served_by(self.generation);
        match self.state.kind() {
            Kind::Probing if self.is_loading => return None,
            _ if self.is_refreshing => return None,
            Kind::SigningIn if waiter.holds || wants_scope => return None,
            Kind::NeedsScope if wants_scope && !is_served => return None,
            _ => {}
        }
        Some(match self.lease() {
            Lease::Trouble(problem) => match (&self.held_failure, waiter.holds) {
                (Some(failure), true) => Err(failure.clone()),
                _ => Err((*problem).clone()),
            },
            Lease::Bearer(_) if !is_served => Err(match (&self.held_failure, self.state.kind()) {
                (Some(failure), _) if waiter.holds => failure.clone(),
                (_, Kind::Offline) => self.problem(Code::Offline),
                // A refresh that could not be made now says nothing about the grant.
                _ if self.failures > 0 => self.problem(Code::Offline),
                _ if wants_scope => self.problem(Code::ScopeNeeded),
                _ => self.problem(Code::GrantExpired),
            }),
            lease => Ok(lease),
        })
    }

    /// Answers the requests that need wait no longer.
    pub fn settle(&mut self) {
        let waiters = std::mem::take(&mut self.waiters);
        for waiter in waiters.into_iter().filter(|waiter| !waiter.reply.is_closed()) {
            match self.offer(&waiter) {
                Some(answer) => {
                    let _ = waiter.reply.send(answer);
                }
                None => self.waiters.push(waiter),
            }
        }
    }

    /// A problem with this server.
    pub fn problem(&self, code: Code) -> Problem {
        let wanted = match &self.state {
            State::NeedsScope(state) => scope::join(&state.wanted),
            _ => {
                let wanted = self.challenge.as_ref().and_then(|c| c.scope.as_ref());
                wanted.map(Untrusted::to_string).unwrap_or_default()
            }
        };
        let problem = Problem::new(code).with("server", &self.config.name);
        if code != Code::ScopeNeeded {
            return problem;
        }
        // A server need not say what it wants, and a sign-in may have forgotten it.
        let wanted = if wanted.is_empty() { "it does not say which".to_owned() } else { wanted };
        problem.with("scopes", wanted)
    }

    /// Everything that was asked for or granted so far.
    pub fn had_scopes(&self) -> Vec<String> {
        let Some(grant) = &self.grant else { return Vec::new() };
        let mut had = grant.requested_scopes.clone();
        had.extend(grant.scopes.iter().filter(|s| !grant.requested_scopes.contains(s)).cloned());
        had
    }
}

/// The user's own headers, as they go with each request.
pub fn own_headers(pairs: &[(String, Secret)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        if let (Ok(name), Ok(mut value)) =
            (name.parse::<HeaderName>(), HeaderValue::from_str(value.expose()))
        {
            value.set_sensitive(true);
            headers.append(name, value);
        }
    }
    headers
}
