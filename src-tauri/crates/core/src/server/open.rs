//! Needs no sign-in, as far as it has been asked: a server may challenge on a later call.

use super::{Event, NeedsScope, Offline, SigningIn, State, Turn, Why, off, ready, signed_out};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open;

impl Open {
    pub(super) fn on(self, event: Event) -> Turn {
        match event {
            Event::TurnedOff => off(),
            Event::GrantFound | Event::SignedIn | Event::Renewed => ready(),
            Event::Challenged => signed_out(Why::Never),
            Event::Refused => signed_out(Why::Refused),
            Event::Unreachable { retry_at } => {
                (State::Offline(Offline { retry_at, has_grant: false }), None)
            }
            Event::SignInBegan => {
                (State::SigningIn(SigningIn { before: Why::Never, has_grant: false }), None)
            }
            Event::ScopeWanted { wanted } => (State::NeedsScope(NeedsScope { wanted }), None),
            Event::TurnedOn
            | Event::GrantAbsent { .. }
            | Event::VaultFailed
            | Event::Answered
            | Event::SignInFailed
            | Event::RefreshBegan
            | Event::SignedOut => (State::Open(self), None),
        }
    }
}
