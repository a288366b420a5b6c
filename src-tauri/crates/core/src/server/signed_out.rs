//! Needs its person.

use super::{Event, SigningIn, State, Turn, Why, off, ready, signed_out};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedOut {
    /// Why; it decides between amber and red.
    pub why: Why,
}

impl SignedOut {
    pub(super) fn on(self, event: Event) -> Turn {
        match event {
            Event::TurnedOff => off(),
            Event::GrantFound | Event::SignedIn | Event::Renewed => ready(),
            Event::SignInBegan => {
                (State::SigningIn(SigningIn { before: self.why, has_grant: false }), None)
            }
            Event::Refused => signed_out(Why::Refused),
            Event::SignedOut => signed_out(Why::Never),
            // A late answer changes nothing, and a server that cannot be reached still needs its
            // person first.
            Event::TurnedOn
            | Event::Answered
            | Event::GrantAbsent { .. }
            | Event::VaultFailed
            | Event::Challenged
            | Event::Unreachable { .. }
            | Event::SignInFailed
            | Event::RefreshBegan
            | Event::ScopeWanted { .. } => (State::SignedOut(self), None),
        }
    }
}
