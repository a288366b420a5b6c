//! Not known yet: the vault is being asked, then the server itself.

use super::{
    Effect, Event, LastSaid, NeedsScope, Offline, Open, Refreshing, SigningIn, State, Turn, Why,
    off, ready, signed_out, vault_blocked,
};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probing;

impl Probing {
    pub(super) fn on(self, event: Event) -> Turn {
        match event {
            Event::TurnedOff => off(),
            Event::GrantFound | Event::Renewed => ready(),
            Event::GrantAbsent { has_worked: true, .. } => signed_out(Why::Refused),
            Event::GrantAbsent { has_worked: false, last: Some(LastSaid::Open) } => {
                (State::Open(Open), None)
            }
            Event::GrantAbsent { has_worked: false, last: Some(LastSaid::SignIn) } => {
                signed_out(Why::Never)
            }
            Event::GrantAbsent { has_worked: false, last: None } => {
                (State::Probing(self), Some(Effect::Probe))
            }
            Event::VaultFailed => vault_blocked(),
            Event::Answered => (State::Open(Open), None),
            Event::Challenged => signed_out(Why::Never),
            Event::Refused => signed_out(Why::Refused),
            Event::Unreachable { retry_at } => {
                (State::Offline(Offline { retry_at, has_grant: false }), None)
            }
            Event::SignInBegan => {
                (State::SigningIn(SigningIn { before: Why::Never, has_grant: false }), None)
            }
            Event::SignedIn => ready(),
            Event::RefreshBegan => (State::Refreshing(Refreshing), None),
            Event::ScopeWanted { wanted } => (State::NeedsScope(NeedsScope { wanted }), None),
            Event::SignedOut => signed_out(Why::Never),
            Event::TurnedOn | Event::SignInFailed => (State::Probing(self), None),
        }
    }
}
