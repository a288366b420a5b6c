//! Signed in.

use super::{
    Event, NeedsScope, Offline, Refreshing, SigningIn, State, Turn, Why, off, signed_out,
    vault_blocked,
};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready;

impl Ready {
    pub(super) fn on(self, event: Event) -> Turn {
        match event {
            Event::TurnedOff => off(),
            Event::RefreshBegan => (State::Refreshing(Refreshing), None),
            Event::Refused => signed_out(Why::Refused),
            Event::ScopeWanted { wanted } => (State::NeedsScope(NeedsScope { wanted }), None),
            Event::SignInBegan => {
                (State::SigningIn(SigningIn { before: Why::Refused, has_grant: true }), None)
            }
            Event::SignedOut => signed_out(Why::Never),
            Event::Unreachable { retry_at } => {
                (State::Offline(Offline { retry_at, has_grant: true }), None)
            }
            // A renewed token could not be saved; it serves on from memory.
            Event::VaultFailed => vault_blocked(),
            Event::TurnedOn
            | Event::GrantFound
            | Event::GrantAbsent { .. }
            | Event::Answered
            | Event::Challenged
            | Event::SignedIn
            | Event::SignInFailed
            | Event::Renewed => (State::Ready(self), None),
        }
    }
}
