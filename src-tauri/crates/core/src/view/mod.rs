//! What is shown of a server: to the CLI, the tray and the window. No field can hold a secret, and
//! none for what a server says can hold text that was not cleaned.

pub mod page;
mod report;

pub use self::report::report;
use keyfob_auth::grant::Grant;
use keyfob_auth::registration::{Reason, Registration, RegistrationKind};
use keyfob_auth::text::Shown;
use keyfob_auth::trace::{Step, TraceStep};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::locale;
use crate::problem::Code;
use crate::server::{Kind, State, Why};

/// How much a server needs its person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing to see.
    Grey,
    /// All well.
    Green,
    /// Something to do.
    Amber,
    /// It worked before and does no more.
    Red,
}

/// One server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerView {
    /// Its name.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// Its state.
    pub state: Kind,
    /// How much it needs its person.
    pub level: Level,
    /// One short text.
    pub text: String,
    /// The local address, without a key.
    pub address: String,
    /// Who is signed in, where that is known.
    pub account: Option<Shown>,
    /// The granted scopes.
    pub scopes: Vec<Shown>,
    /// How many tools it listed last.
    pub tools: Option<u32>,
    /// When the access token ends, RFC 3339 in UTC.
    pub expires_at: Option<String>,
    /// How we are known there.
    pub registration: Option<RegistrationView>,
}

/// What became of a change of a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Edit {
    /// The server as it is now.
    pub server: ServerView,
    /// What was done to end its sign-in, line by line.
    pub lines: Vec<TraceView>,
    /// Whether it has another local address now.
    pub is_renamed: bool,
    /// Whether it was signed in and is no more.
    pub ends_sign_in: bool,
}

/// A registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RegistrationView {
    /// The rung.
    #[cfg_attr(test, ts(type = "\"pre-registered\" | \"cimd\" | \"dcr\""))]
    pub kind: RegistrationKind,
    /// The client id.
    #[cfg_attr(test, ts(as = "String"))]
    pub client_id: Shown,
    /// The issuer.
    #[cfg_attr(test, ts(as = "String"))]
    pub issuer: Shown,
    /// The redirect URI.
    pub redirect_uri: String,
    /// When it was made, RFC 3339 in UTC.
    pub registered_at: String,
    /// Why it is of this kind.
    #[cfg_attr(test, ts(type = "{ code: string, text: string }"))]
    pub reason: Reason,
}

impl From<&Registration> for RegistrationView {
    fn from(from: &Registration) -> Self {
        Self {
            kind: from.kind,
            client_id: Shown::identifier(&from.client_id),
            issuer: Shown::identifier(&from.issuer),
            redirect_uri: from.redirect_uri.clone(),
            registered_at: clock::rfc3339(from.registered_at),
            reason: from.reason.clone(),
        }
    }
}

/// One line of the trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TraceView {
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// What was done.
    #[cfg_attr(test, ts(type = "string"))]
    pub step: Step,
    /// Whom it concerned.
    #[cfg_attr(test, ts(as = "Option<String>"))]
    pub target: Option<Shown>,
    /// What came back.
    #[cfg_attr(test, ts(as = "String"))]
    pub result: Shown,
    /// How long it took, in milliseconds.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub ms: Option<u64>,
    /// What was decided.
    #[cfg_attr(test, ts(as = "Option<String>"))]
    pub decision: Option<Shown>,
    /// Why.
    #[cfg_attr(test, ts(as = "Option<String>"))]
    pub reason: Option<Shown>,
}

impl From<&TraceStep> for TraceView {
    fn from(from: &TraceStep) -> Self {
        Self {
            at: clock::rfc3339(from.at),
            step: from.step,
            target: from.target.clone(),
            result: from.result.clone(),
            ms: from.ms,
            decision: from.decision.clone(),
            reason: from.reason.clone(),
        }
    }
}

/// What a view is made of.
pub struct Seen<'a> {
    /// The name.
    pub name: &'a str,
    /// The URL.
    pub url: &'a str,
    /// The local address.
    pub address: String,
    /// The state.
    pub state: &'a State,
    /// The grant, where there is one.
    pub grant: Option<&'a Grant>,
    /// How many tools it listed last.
    pub tools: Option<u32>,
    /// What went wrong last.
    pub failure: Option<Code>,
    /// What it was signed in with ends soon, and only its person can help.
    pub is_ending: bool,
}

impl Seen<'_> {
    /// The view.
    pub fn view(self) -> ServerView {
        let (level, text) = status(self.state, self.tools, self.failure, self.is_ending);
        let grant = self.grant;
        ServerView {
            name: self.name.to_owned(),
            url: self.url.to_owned(),
            state: self.state.kind(),
            level,
            text,
            address: self.address,
            account: grant.and_then(|g| g.account.clone()),
            scopes: shown(grant.map(|g| g.scopes.as_slice()).unwrap_or_default()),
            tools: self.tools,
            expires_at: grant.and_then(|g| g.expires_at).map(clock::rfc3339),
            registration: grant.map(|g| RegistrationView::from(&g.registration)),
        }
    }
}

/// Scopes or URLs, as they are shown.
pub(crate) fn shown(identifiers: &[String]) -> Vec<Shown> {
    identifiers.iter().map(|text| Shown::identifier(text)).collect()
}

fn status(
    state: &State,
    tools: Option<u32>,
    failure: Option<Code>,
    is_ending: bool,
) -> (Level, String) {
    let (level, key) = match state {
        State::Off(_) => (Level::Grey, "off"),
        State::Probing(_) => (Level::Grey, "probing"),
        State::Open(_) => (Level::Green, "open"),
        State::SignedOut(_) if failure == Some(Code::TokenNotAccepted) => {
            (Level::Red, "not-accepted")
        }
        State::SignedOut(s) if s.why == Why::Refused => (Level::Red, "sign-in-again"),
        State::SignedOut(_) => (Level::Amber, "sign-in-needed"),
        State::SigningIn(_) => (Level::Amber, "signing-in"),
        State::Ready(_) if is_ending => (Level::Amber, "sign-in-again-soon"),
        State::Ready(_) => match tools {
            Some(1) => (Level::Green, "connected-one-tool"),
            Some(count) => {
                let count = count.to_string();
                let text = locale::filled("states", "connected-tools", &[("count", &count)]);
                return (Level::Green, text);
            }
            None => (Level::Green, "connected"),
        },
        State::Refreshing(_) => (Level::Green, "connected"),
        State::Offline(_) if failure == Some(Code::NotMcp) => (Level::Grey, "no-mcp-server"),
        State::Offline(_) => (Level::Grey, "offline"),
        State::NeedsScope(_) => (Level::Amber, "needs-scope"),
        State::VaultBlocked(_) if failure == Some(Code::VaultAbsent) => {
            (Level::Amber, "no-keychain")
        }
        State::VaultBlocked(_) if failure == Some(Code::VaultSlow) => {
            (Level::Amber, "keychain-slow")
        }
        State::VaultBlocked(_) if failure == Some(Code::VaultFailed) => {
            (Level::Amber, "keychain-failed")
        }
        State::VaultBlocked(_) => (Level::Amber, "keychain-locked"),
    };
    (level, locale::text("states", key))
}

/// What a person sees of a sign-in while it goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Progress {
    /// A line of the trace.
    Trace {
        /// The line.
        line: TraceView,
    },
    /// Something to be known before anything is allowed.
    Notice {
        /// The sentence.
        text: String,
    },
    /// The browser is being sent somewhere; the link is the real one, to be copied.
    Link {
        /// The link.
        link: String,
        /// Until when it is waited for, RFC 3339 in UTC.
        until: String,
        /// Whether a browser was sent there; otherwise it is for the person to open.
        is_opened: bool,
    },
}

/// A client with keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientView {
    /// The client.
    pub name: String,
    /// The server that it may use.
    pub server: String,
    /// Since when, RFC 3339 in UTC.
    pub made_at: String,
    /// When it was used last.
    pub last_used_at: Option<String>,
    /// When it ends.
    pub expires_at: Option<String>,
    /// Whether another program may have been sent it, which had our port.
    pub may_be_known: bool,
}
