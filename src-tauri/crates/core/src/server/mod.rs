//! What is, for one server: a pure machine, one file per state. What the user wants stands in the
//! configuration; this machine moves towards it.
//!
//! Every state answers every event in writing; nothing falls through.

#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

mod needs_scope;
mod off;
mod offline;
mod open;
mod probing;
mod ready;
mod refreshing;
mod signed_out;
mod signing_in;
#[cfg(test)]
mod tests;
mod vault_blocked;

use keyfob_auth::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::needs_scope::NeedsScope;
pub use self::off::Off;
pub use self::offline::Offline;
pub use self::open::Open;
pub use self::probing::Probing;
pub use self::ready::Ready;
pub use self::refreshing::Refreshing;
pub use self::signed_out::SignedOut;
pub use self::signing_in::SigningIn;
pub use self::vault_blocked::VaultBlocked;

/// The state of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not to be used.
    Off(Off),
    /// Not known yet.
    Probing(Probing),
    /// Needs no sign-in.
    Open(Open),
    /// Needs its person.
    SignedOut(SignedOut),
    /// Its person is at it.
    SigningIn(SigningIn),
    /// Signed in.
    Ready(Ready),
    /// Signed in, the access token is being renewed.
    Refreshing(Refreshing),
    /// Cannot be reached; nothing is lost.
    Offline(Offline),
    /// Signed in, and more access is wanted.
    NeedsScope(NeedsScope),
    /// The keychain does not answer or is locked.
    VaultBlocked(VaultBlocked),
}

/// Why a server is signed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Never signed in, or signed out by its person.
    Never,
    /// It worked before and was refused.
    Refused,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The user turned it on.
    TurnedOn,
    /// The user turned it off.
    TurnedOff,
    /// The vault holds a grant.
    GrantFound,
    /// The vault holds none.
    GrantAbsent {
        /// A sign-in has worked before.
        has_worked: bool,
        /// What it said when it was last asked.
        last: Option<LastSaid>,
    },
    /// The vault could not be asked or written.
    VaultFailed,
    /// It answered without a sign-in.
    Answered,
    /// It wants a sign-in.
    Challenged,
    /// It could not be reached.
    Unreachable {
        /// When to try again.
        retry_at: Timestamp,
    },
    /// A sign-in began.
    SignInBegan,
    /// A sign-in ended with a grant.
    SignedIn,
    /// A sign-in came to nothing.
    SignInFailed,
    /// A refresh began.
    RefreshBegan,
    /// A refresh brought a new access token.
    Renewed,
    /// The grant is dead, or a fresh token was refused.
    Refused,
    /// More scopes are wanted.
    ScopeWanted {
        /// Which.
        wanted: Vec<String>,
    },
    /// Its person signed out.
    SignedOut,
}

/// What a server said when it was last asked without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastSaid {
    /// Come in.
    Open,
    /// Sign in first.
    SignIn,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask the vault for the grant.
    LoadGrant,
    /// Ask the server whether it wants a sign-in.
    Probe,
    /// End the sign-in that is under way.
    CancelSignIn,
}

/// A state with what is to be done on entering it.
pub type Turn = (State, Option<Effect>);

impl State {
    /// The state at the start.
    pub fn start(is_enabled: bool) -> Turn {
        if is_enabled {
            (State::Probing(Probing), Some(Effect::LoadGrant))
        } else {
            (State::Off(Off), None)
        }
    }

    /// The next state.
    pub fn step(self, event: Event) -> Turn {
        match self {
            State::Off(state) => state.on(event),
            State::Probing(state) => state.on(event),
            State::Open(state) => state.on(event),
            State::SignedOut(state) => state.on(event),
            State::SigningIn(state) => state.on(event),
            State::Ready(state) => state.on(event),
            State::Refreshing(state) => state.on(event),
            State::Offline(state) => state.on(event),
            State::NeedsScope(state) => state.on(event),
            State::VaultBlocked(state) => state.on(event),
        }
    }

    /// Its name in JSON.
    pub fn kind(&self) -> Kind {
        match self {
            State::Off(_) => Kind::Off,
            State::Probing(_) => Kind::Probing,
            State::Open(_) => Kind::Open,
            State::SignedOut(_) => Kind::SignedOut,
            State::SigningIn(_) => Kind::SigningIn,
            State::Ready(_) => Kind::Ready,
            State::Refreshing(_) => Kind::Refreshing,
            State::Offline(_) => Kind::Offline,
            State::NeedsScope(_) => Kind::NeedsScope,
            State::VaultBlocked(_) => Kind::VaultBlocked,
        }
    }
}

/// The states by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "see State")]
pub enum Kind {
    Off,
    Probing,
    Open,
    SignedOut,
    SigningIn,
    Ready,
    Refreshing,
    Offline,
    NeedsScope,
    VaultBlocked,
}

fn off() -> Turn {
    (State::Off(Off), None)
}

fn ready() -> Turn {
    (State::Ready(Ready), None)
}

fn signed_out(why: Why) -> Turn {
    (State::SignedOut(SignedOut { why }), None)
}

fn load() -> Turn {
    (State::Probing(Probing), Some(Effect::LoadGrant))
}

fn vault_blocked() -> Turn {
    (State::VaultBlocked(VaultBlocked), None)
}
