//! Cannot be reached; nothing is lost.

use keyfob_auth::Timestamp;

use super::{
    Event, NeedsScope, Open, Refreshing, SigningIn, State, Turn, Why, off, ready, signed_out,
    vault_blocked,
};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offline {
    /// When it is worth trying again.
    pub retry_at: Timestamp,
    /// There is a grant.
    pub has_grant: bool,
}

impl Offline {
    pub(super) fn on(self, event: Event) -> Turn {
        match event {
            Event::TurnedOff => off(),
            Event::Answered if self.has_grant => ready(),
            Event::Answered => (State::Open(Open), None),
            Event::GrantFound | Event::Renewed | Event::SignedIn => ready(),
            Event::Challenged if self.has_grant => ready(),
            Event::Challenged => signed_out(Why::Never),
            Event::Refused => signed_out(Why::Refused),
            Event::Unreachable { retry_at } => (State::Offline(Self { retry_at, ..self }), None),
            Event::SignInBegan => {
                let before = if self.has_grant { Why::Refused } else { Why::Never };
                (State::SigningIn(SigningIn { before, has_grant: self.has_grant }), None)
            }
            Event::RefreshBegan => (State::Refreshing(Refreshing), None),
            Event::ScopeWanted { wanted } => (State::NeedsScope(NeedsScope { wanted }), None),
            Event::VaultFailed => vault_blocked(),
            Event::SignedOut => signed_out(Why::Never),
            Event::TurnedOn | Event::GrantAbsent { .. } | Event::SignInFailed => {
                (State::Offline(self), None)
            }
        }
    }
}
