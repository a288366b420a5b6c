//! What the broker answers to the gateway.

use std::time::Duration;

use keyfob_auth::challenge::Challenge;
use keyfob_auth::grant::Grant;
use keyfob_auth::{scope, token};
use tokio::time::Instant;

use super::begin::Wanted;
use super::controller::Controller;
use super::slot::{Awaits, Slot, Waiter};
use crate::clock;
use crate::gateway::seat::{Ask, Reply};
use crate::problem::{Code, Problem};
use crate::server::{Event, LastSaid, State};

/// A sign-in that succeeded this recently is not repeated because a token of it is refused.
const TOO_SOON: Duration = Duration::from_secs(30);

/// How long after a sign-in that failed another may begin by itself, where it needs nobody.
const FAILED_PAUSE: Duration = Duration::from_secs(30);

/// Most step-ups within [`STEP_UPS_COUNT_FOR`].
const MOST_STEP_UPS: u32 = 3;

/// How long a step-up counts.
const STEP_UPS_COUNT_FOR: Duration = Duration::from_secs(600);

/// Signing in once more would lead in a circle, so it is told for what it is.
fn not_accepted(slot: &Slot, grant: &Grant) -> Problem {
    let audience = token::audience(&grant.access);
    let is_for_another = match (&audience, &grant.resource) {
        (Some(audience), Some(resource)) => !audience.contains(resource),
        _ => false,
    };
    let cause = if is_for_another {
        "; the sign-in service has ignored which server it is for"
    } else {
        ""
    };
    slot.problem(Code::TokenNotAccepted)
        .with("issuer", &grant.registration.issuer)
        .with("cause", cause)
}

impl Controller {
    /// Whether a sign-in may begin for this request by itself. One that needs nobody always may; a
    /// failed one may again after a pause.
    fn may_begin(&mut self, id: &str, holds: bool) -> bool {
        let is_unattended = self.slots.get(id).is_some_and(|slot| self.is_unattended(slot));
        if let Some(slot) = self.slots.get_mut(id).filter(|_| is_unattended)
            && slot.failed_at.is_none_or(|at| at.elapsed() >= FAILED_PAUSE)
        {
            slot.held_failure = None;
        }
        holds || is_unattended
    }

    pub(super) fn ask(&mut self, ask: Ask) {
        match ask {
            Ask::Lease { server, holds, reply } => {
                let holds = self.may_begin(&server, holds);
                self.lease_wanted(&server, holds, reply);
            }
            Ask::Refused { server, generation, is_second, challenge, holds, reply } => {
                let holds = self.may_begin(&server, holds);
                let awaits = generation.map_or(Awaits::Lease, Awaits::Renewal);
                let waiter = Waiter { holds, awaits, reply };
                self.refused(&server, generation, is_second, challenge, waiter);
            }
            Ask::ScopeWanted { server, generation, challenge, holds, reply } => {
                let holds = self.may_begin(&server, holds);
                self.scope_wanted(
                    &server,
                    generation,
                    challenge,
                    Waiter { holds, awaits: Awaits::Lease, reply },
                );
            }
            Ask::Answered { server, generation } => self.answered(&server, generation),
            Ask::Unreachable { server } => {
                let retry_at = clock::now().plus(Duration::from_secs(30));
                self.step(&server, Event::Unreachable { retry_at });
            }
        }
    }

    /// Only an answer to a request that carried nothing shows that no sign-in is needed, and only
    /// while nothing else is known: it may have been on its way for long.
    fn answered(&mut self, id: &str, generation: Option<u64>) {
        let Some(slot) = self.slots.get(id) else { return };
        let is_news = match (&slot.state, generation) {
            (State::Probing(_), None) => slot.grant.is_none(),
            (State::Offline(state), None) => !state.has_grant,
            (State::Offline(_), Some(generation)) => generation == slot.generation,
            _ => false,
        };
        if !is_news {
            return;
        }
        if generation.is_none() {
            self.remembered.server(id).last = Some(LastSaid::Open);
            self.remembered.save();
        }
        self.step(id, Event::Answered);
    }

    /// Lets a request wait, or answers it at once.
    fn wait(&mut self, id: &str, waiter: Waiter) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.waiters.push(waiter);
            slot.settle();
        }
    }

    fn lease_wanted(&mut self, id: &str, holds: bool, reply: Reply) {
        let now = clock::now();
        let Some(slot) = self.slots.get(id) else { return };
        let waiter = Waiter { holds, awaits: Awaits::Lease, reply };
        match &slot.state {
            State::SignedOut(_) if holds && slot.held_failure.is_none() => {
                self.begin_sign_in(id, Wanted::default());
            }
            State::VaultBlocked(_) if slot.grant.is_none() && !slot.is_loading => {
                self.step(id, Event::TurnedOn);
            }
            State::Ready(_) | State::NeedsScope(_) | State::Offline(_) | State::VaultBlocked(_) => {
                let Some(grant) = slot.grant.as_ref().filter(|grant| grant.is_stale(now)) else {
                    return self.wait(id, waiter);
                };
                if slot.pause.is_over() {
                    self.begin_refresh(id);
                } else if grant.has_ended(now) {
                    let _ = waiter.reply.send(Err(slot.problem(Code::Offline)));
                    return;
                }
            }
            State::Off(_)
            | State::Probing(_)
            | State::Open(_)
            | State::SignedOut(_)
            | State::SigningIn(_)
            | State::Refreshing(_) => {}
        }
        self.wait(id, waiter);
    }

    /// A 401. A token that has been replaced meanwhile was refused for its age; the present one
    /// is renewed once; what is refused after that needs its person.
    fn refused(
        &mut self,
        id: &str,
        generation: Option<u64>,
        is_second: bool,
        challenge: Option<Challenge>,
        waiter: Waiter,
    ) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let challenge = challenge.unwrap_or_default();
        let facts = self.remembered.server(id);
        if facts.refused_later != Some((&challenge).into()) {
            facts.refused_later = Some((&challenge).into());
            self.remembered.save();
        }
        slot.challenge = Some(challenge);
        let is_current = generation.is_none_or(|refused| refused == slot.generation);
        let is_busy = slot.is_refreshing || matches!(slot.state, State::SigningIn(_));
        if !is_current || is_busy {
            return self.wait(id, waiter);
        }
        let can_refresh = slot.grant.as_ref().is_some_and(|grant| grant.can_renew());
        slot.refused = generation;
        if generation.is_some() && can_refresh && !is_second {
            if !slot.pause.is_over() {
                // The service that would renew it cannot be asked yet: nothing is known to be lost.
                let _ = waiter.reply.send(Err(slot.problem(Code::Offline)));
                return;
            }
            self.begin_refresh(id);
            return self.wait(id, waiter);
        }
        let is_too_soon = slot.signed_in_at.is_some_and(|at| at.elapsed() < TOO_SOON) && is_second;
        let may_sign_in = waiter.holds && slot.held_failure.is_none() && !is_too_soon;
        if is_too_soon {
            slot.last_failure = slot.grant.as_deref().map(|grant| not_accepted(slot, grant));
        }
        let event = if generation.is_some() { Event::Refused } else { Event::Challenged };
        self.remembered.server(id).last = Some(LastSaid::SignIn);
        self.step(id, event);
        if may_sign_in {
            self.begin_sign_in(id, Wanted::default());
        }
        self.wait(id, waiter);
    }

    /// A 403 `insufficient_scope`. What was asked for before and is demanded again is a plain
    /// refusal.
    fn scope_wanted(
        &mut self,
        id: &str,
        generation: Option<u64>,
        challenge: Challenge,
        mut waiter: Waiter,
    ) {
        if generation.is_none() {
            return self.refused(id, generation, false, Some(challenge), waiter);
        }
        let Some(slot) = self.slots.get_mut(id) else { return };
        if generation != Some(slot.generation) {
            return self.wait(id, waiter);
        }
        if slot.step_ups_since.elapsed() > STEP_UPS_COUNT_FOR {
            (slot.step_ups, slot.step_ups_since) = (0, Instant::now());
        }
        let wanted =
            challenge.scope.as_ref().map(|scope| scope::split(scope.raw())).unwrap_or_default();
        let is_hopeless = wanted.is_empty()
            || scope::covers(&slot.had_scopes(), &wanted)
            || slot.step_ups >= MOST_STEP_UPS
            || (waiter.holds && slot.held_failure.is_some());
        if is_hopeless {
            let _ = waiter.reply.send(Err(slot.problem(Code::SignInRefused)));
            return;
        }
        waiter.awaits = Awaits::Scope(slot.generation);
        let holds = waiter.holds;
        if !matches!(slot.state, State::SigningIn(_)) {
            slot.challenge = Some(challenge);
            slot.step_ups += 1;
            self.step(id, Event::ScopeWanted { wanted });
            if holds {
                self.begin_sign_in(id, Wanted::default());
            }
        }
        self.wait(id, waiter);
    }
}
