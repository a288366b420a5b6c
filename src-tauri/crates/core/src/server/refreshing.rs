//! Signed in, the access token is being renewed.

use super::{Event, NeedsScope, Offline, State, Turn, Why, off, ready, signed_out, vault_blocked};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refreshing;

impl Refreshing {
    pub(super) fn on(self, event: Event) -> Turn {
        match event {
            Event::TurnedOff => off(),
            Event::Renewed | Event::SignedIn => ready(),
            Event::Refused => signed_out(Why::Refused),
            Event::Unreachable { retry_at } => {
                (State::Offline(Offline { retry_at, has_grant: true }), None)
            }
            Event::VaultFailed => vault_blocked(),
            Event::SignedOut => signed_out(Why::Never),
            Event::ScopeWanted { wanted } => (State::NeedsScope(NeedsScope { wanted }), None),
            Event::TurnedOn
            | Event::GrantFound
            | Event::GrantAbsent { .. }
            | Event::Answered
            | Event::Challenged
            | Event::SignInBegan
            | Event::SignInFailed
            | Event::RefreshBegan => (State::Refreshing(self), None),
        }
    }
}
