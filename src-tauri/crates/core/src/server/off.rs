//! Not to be used.

use super::{Event, State, Turn, load};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Off;

impl Off {
    pub(super) fn on(self, event: Event) -> Turn {
        match event {
            Event::TurnedOn => load(),
            // What was under way when it was turned off ends without a trace.
            Event::TurnedOff
            | Event::GrantFound
            | Event::GrantAbsent { .. }
            | Event::VaultFailed
            | Event::Answered
            | Event::Challenged
            | Event::Unreachable { .. }
            | Event::SignInBegan
            | Event::SignedIn
            | Event::SignInFailed
            | Event::RefreshBegan
            | Event::Renewed
            | Event::Refused
            | Event::ScopeWanted { .. }
            | Event::SignedOut => (State::Off(self), None),
        }
    }
}
