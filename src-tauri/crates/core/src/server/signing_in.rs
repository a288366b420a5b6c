//! Its person is at it.

use super::{Effect, Event, Offline, Open, State, Turn, Why, off, ready, signed_out};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningIn {
    /// What it goes back to when nothing comes of it.
    pub before: Why,
    /// An old token still serves meanwhile (more access is being asked for).
    pub has_grant: bool,
}

impl SigningIn {
    pub(super) fn on(self, event: Event) -> Turn {
        match event {
            Event::TurnedOff => (off().0, Some(Effect::CancelSignIn)),
            Event::SignedIn => ready(),
            Event::SignInFailed if self.has_grant => ready(),
            Event::SignInFailed => signed_out(self.before),
            Event::SignedOut => (signed_out(Why::Never).0, Some(Effect::CancelSignIn)),
            // The sign-in itself found that none is needed.
            Event::Answered if !self.has_grant => (State::Open(Open), None),
            Event::Refused => {
                (State::SigningIn(Self { before: Why::Refused, has_grant: false }), None)
            }
            Event::Renewed => (State::SigningIn(Self { has_grant: true, ..self }), None),
            // It could not even be asked; whether it needs its person is as unknown as before.
            Event::Unreachable { retry_at } if !self.has_grant && self.before == Why::Never => {
                (State::Offline(Offline { retry_at, has_grant: false }), None)
            }
            Event::TurnedOn
            | Event::GrantFound
            | Event::GrantAbsent { .. }
            | Event::VaultFailed
            | Event::Answered
            | Event::Challenged
            | Event::Unreachable { .. }
            | Event::SignInBegan
            | Event::RefreshBegan
            | Event::ScopeWanted { .. } => (State::SigningIn(self), None),
        }
    }
}
