//! Signed in, and more access is wanted for something. The old token serves on.

use super::{
    Event, Offline, Refreshing, SigningIn, State, Turn, Why, off, ready, signed_out, vault_blocked,
};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedsScope {
    /// The scopes wanted.
    pub wanted: Vec<String>,
}

impl NeedsScope {
    pub(super) fn on(self, event: Event) -> Turn {
        match event {
            Event::TurnedOff => off(),
            Event::SignInBegan => {
                (State::SigningIn(SigningIn { before: Why::Refused, has_grant: true }), None)
            }
            Event::SignedIn => ready(),
            Event::ScopeWanted { wanted } => (State::NeedsScope(Self { wanted }), None),
            Event::Refused => signed_out(Why::Refused),
            Event::SignedOut => signed_out(Why::Never),
            Event::RefreshBegan => (State::Refreshing(Refreshing), None),
            Event::Unreachable { retry_at } => {
                (State::Offline(Offline { retry_at, has_grant: true }), None)
            }
            Event::VaultFailed => vault_blocked(),
            Event::TurnedOn
            | Event::GrantFound
            | Event::GrantAbsent { .. }
            | Event::Answered
            | Event::Challenged
            | Event::SignInFailed
            | Event::Renewed => (State::NeedsScope(self), None),
        }
    }
}
