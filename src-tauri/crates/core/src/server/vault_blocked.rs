//! The keychain does not answer or is locked: a state that can be left at any time.

use super::{
    Event, NeedsScope, Refreshing, SigningIn, State, Turn, Why, load, off, ready, signed_out,
};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultBlocked;

impl VaultBlocked {
    pub(super) fn on(self, event: Event) -> Turn {
        match event {
            Event::TurnedOff => off(),
            Event::TurnedOn => load(),
            Event::GrantFound | Event::SignedIn | Event::Renewed => ready(),
            Event::GrantAbsent { has_worked, last } => {
                super::Probing.on(Event::GrantAbsent { has_worked, last })
            }
            Event::Refused => signed_out(Why::Refused),
            Event::SignedOut => signed_out(Why::Never),
            Event::SignInBegan => {
                (State::SigningIn(SigningIn { before: Why::Never, has_grant: false }), None)
            }
            Event::RefreshBegan => (State::Refreshing(Refreshing), None),
            Event::ScopeWanted { wanted } => (State::NeedsScope(NeedsScope { wanted }), None),
            Event::VaultFailed
            | Event::Answered
            | Event::Challenged
            | Event::Unreachable { .. }
            | Event::SignInFailed => (State::VaultBlocked(self), None),
        }
    }
}
