//! What the window shows. These types, and no others, cross to the page; none has a field that
//! could take a secret. `ui/src/lib/bindings/page.ts` is made from them.

use serde::{Deserialize, Serialize};

use keyfob_auth::registration::RegistrationKind;
use keyfob_auth::text::Shown;

use super::{Level, RegistrationView, TraceView};
use crate::locale;
use crate::problem::{Code, Problem};
use crate::server::Kind;

/// Everything that the list shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Snapshot {
    /// All servers, in the user's order.
    pub servers: Vec<Row>,
    /// Why Keyfob itself does not work, where it does not.
    pub trouble: Option<Problem>,
    /// What to paste at a provider for a client of one's own, most useful first.
    pub redirect_uris: Vec<String>,
    /// Whether this Keyfob has a client document, and so can use CIMD.
    pub has_document: bool,
    /// Whether sign-ins are gone when Keyfob ends.
    pub keeps_in_memory: bool,
    /// Clients whose keys another program may have been sent, which had our port.
    pub clients_to_rotate: Vec<String>,
    /// What became of the tray icon.
    pub tray: TrayPresence,
}

/// What became of the tray icon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum TrayPresence {
    /// Not known yet.
    Looking,
    /// It is shown.
    There,
    /// This desktop shows none.
    Missing,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Row {
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
    /// Who is signed in, where that is known.
    #[cfg_attr(test, ts(as = "Option<String>"))]
    pub account: Option<Shown>,
    /// When it is asked again, RFC 3339 in UTC, while it cannot be reached.
    pub retry_at: Option<String>,
    /// How Keyfob is known there.
    pub badge: Option<Badge>,
    /// The one thing to do next.
    pub action: Option<Action>,
    /// Whether it stands with those that need their person.
    pub needs_attention: bool,
    /// The sign-in under way.
    pub sign_in: Option<Waiting>,
    /// Why the last sign-in or look came to nothing.
    pub problem: Option<Problem>,
}

impl Row {
    /// A line; what is to be done follows from the rest.
    pub fn new(
        (name, url): (String, String),
        (state, level, text): (Kind, Level, String),
        account: Option<Shown>,
        retry_at: Option<String>,
        badge: Option<Badge>,
        sign_in: Option<Waiting>,
        problem: Option<Problem>,
    ) -> Self {
        let is_locked = problem.as_ref().is_none_or(|problem| problem.code == Code::VaultLocked);
        let action = match Action::of(state, level) {
            // What does not answer, or fails, has no lock to open.
            Some(Action::Unlock) if !is_locked => Some(Action::Retry),
            action => action,
        };
        let needs_attention = matches!(level, Level::Amber | Level::Red);
        Self {
            name,
            url,
            state,
            level,
            text,
            account,
            retry_at,
            badge,
            action,
            needs_attention,
            sign_in,
            problem,
        }
    }
}

impl Action {
    /// The one thing to do in this state.
    pub fn of(state: Kind, level: Level) -> Option<Self> {
        match state {
            Kind::Off => Some(Self::TurnOn),
            Kind::SignedOut if level == Level::Red => Some(Self::Reconnect),
            Kind::SignedOut => Some(Self::Connect),
            Kind::SigningIn => Some(Self::OpenAgain),
            Kind::Offline => Some(Self::Retry),
            Kind::NeedsScope => Some(Self::Review),
            Kind::VaultBlocked => Some(Self::Unlock),
            // What it was signed in with ends soon.
            Kind::Ready if level == Level::Amber => Some(Self::Reconnect),
            Kind::Probing | Kind::Open | Kind::Ready | Kind::Refreshing => None,
        }
    }

    /// What the button says.
    pub fn label(self) -> String {
        let key = match self {
            Self::Connect => "connect",
            Self::OpenAgain => "open-again",
            Self::Reconnect => "reconnect",
            Self::Review => "review",
            Self::Retry => "retry",
            Self::Unlock => "unlock",
            Self::TurnOn => "turn-on",
        };
        locale::text("actions", key)
    }
}

impl Badge {
    /// A badge with its reason.
    pub fn new(kind: BadgeKind, why: Shown) -> Self {
        let key = match kind {
            BadgeKind::Cimd => "cimd",
            BadgeKind::Dcr => "dcr",
            BadgeKind::OwnClient => "own-client",
            BadgeKind::NoSignIn => "no-sign-in",
        };
        Self { kind, label: locale::text("badges", key), why }
    }
}

impl From<RegistrationKind> for BadgeKind {
    fn from(kind: RegistrationKind) -> Self {
        match kind {
            RegistrationKind::PreRegistered => Self::OwnClient,
            RegistrationKind::Cimd => Self::Cimd,
            RegistrationKind::Dcr => Self::Dcr,
        }
    }
}

/// How Keyfob is known to the server's sign-in service, in two words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Badge {
    /// Which one.
    pub kind: BadgeKind,
    /// What it says: `CIMD`, `DCR`, `Own client`, `No sign-in`.
    pub label: String,
    /// Why, in one sentence.
    #[cfg_attr(test, ts(as = "String"))]
    pub why: Shown,
}

/// The badges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum BadgeKind {
    /// Our client document.
    Cimd,
    /// A dynamic registration.
    Dcr,
    /// The user's own client.
    OwnClient,
    /// None is needed.
    NoSignIn,
}

/// The one thing to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Sign in for the first time.
    Connect,
    /// Send the browser once more.
    OpenAgain,
    /// Sign in again.
    Reconnect,
    /// Look at what more is wanted, and allow it.
    Review,
    /// Ask the server again now.
    Retry,
    /// Unlock the keychain.
    Unlock,
    /// Turn it on.
    TurnOn,
}

/// A sign-in that waits for its person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Waiting {
    /// Until when, RFC 3339 in UTC; absent until there is a link to open.
    pub until: Option<String>,
    /// Whether a browser was sent there; otherwise the link is for the person to open.
    pub is_opened: bool,
    /// The last step.
    pub step: Option<TraceView>,
    /// Who will use what is allowed, where that is not the sign-in service's own site.
    pub notice: Option<String>,
}

/// One server, with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Details {
    /// Its line in the list.
    pub row: Row,
    /// The local address, without a key.
    pub address: String,
    /// The granted scopes.
    #[cfg_attr(test, ts(as = "Vec<String>"))]
    pub scopes: Vec<Shown>,
    /// The scopes that are wanted on top.
    #[cfg_attr(test, ts(as = "Vec<String>"))]
    pub wanted: Vec<Shown>,
    /// How many tools it listed last.
    pub tools: Option<u32>,
    /// When the access token was obtained, RFC 3339 in UTC.
    pub refreshed_at: Option<String>,
    /// From when on it is renewed.
    pub renews_at: Option<String>,
    /// When it ends.
    pub expires_at: Option<String>,
    /// How we are known there.
    pub registration: Option<RegistrationView>,
    /// The user's own client id, where one is set.
    pub own_client_id: Option<String>,
    /// The sign-in services that the server names, where there is a choice.
    #[cfg_attr(test, ts(as = "Vec<String>"))]
    pub services: Vec<Shown>,
    /// What is set for it, as it may be changed.
    pub entry: Entry,
    /// Who may use it through the gateway.
    pub keys: Vec<KeyView>,
    /// The steps of the last sign-in and what came after.
    pub trace: Vec<TraceView>,
}

/// A client key, without the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct KeyView {
    /// The client that it was made for.
    pub client: String,
    /// Since when, RFC 3339 in UTC.
    pub made_at: String,
    /// When it was used last.
    pub last_used_at: Option<String>,
    /// When it ends.
    pub expires_at: Option<String>,
    /// Whether that is over.
    pub has_ended: bool,
}

/// A server's entry on the list, as far as the window can change it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Entry {
    /// The sign-in service that is set in place of those that the server names.
    pub issuer: Option<String>,
    /// The scopes to ask for; none leave it to the server.
    pub scopes: Vec<String>,
    /// The names of the headers that are sent along.
    pub headers: Vec<String>,
    /// Whether addresses are guessed where they are described nowhere.
    pub allow_guessed_endpoints: bool,
}

/// What became of a change of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Changed {
    /// Its name now.
    pub name: String,
    /// What could not be done to end its sign-in.
    pub undone: Vec<String>,
}

/// Keyfob's own client document (CIMD).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Identity {
    /// Its URL, where there is one.
    pub url: Option<String>,
    /// Whether the URL stands in the settings; otherwise it came with this build.
    pub is_set: bool,
    /// The URL that came with this build.
    pub built_in: Option<String>,
    /// Whether the port of this Keyfob stands in the document to the letter, which exact services
    /// want.
    pub is_port_listed: bool,
}

/// What was found at an address before anything was put on the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Found {
    /// The address, canonical.
    pub url: String,
    /// The name that it would get.
    pub name: String,
    /// Servers on the list with the same address.
    pub known_as: Vec<String>,
    /// What it is; absent where it needs no sign-in.
    pub sign_in: Option<FoundSignIn>,
}

/// How a new server would be signed in to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FoundSignIn {
    /// Where.
    #[cfg_attr(test, ts(as = "String"))]
    pub issuer: Shown,
    /// The rung that would be taken; absent where a client of one's own is needed.
    pub way: Option<BadgeKind>,
    /// Why this one, in one sentence.
    pub why: String,
    /// What would be asked for.
    #[cfg_attr(test, ts(as = "Vec<String>"))]
    pub scopes: Vec<Shown>,
    /// Who will use what is allowed, where that is not the sign-in service's own site.
    pub notice: Option<String>,
}

/// One tool of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ToolView {
    /// Its name.
    #[cfg_attr(test, ts(as = "String"))]
    pub name: Shown,
    /// What it says of itself, cut short.
    #[cfg_attr(test, ts(as = "String"))]
    pub description: Shown,
}

/// Where the window stands when it opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "at", rename_all = "kebab-case")]
pub enum Place {
    /// The list.
    List,
    /// The dialog for a new server.
    Add,
    /// One server.
    Details {
        /// Its name.
        name: String,
    },
    /// Waiting for the browser.
    Waiting {
        /// The server's name.
        name: String,
    },
    /// The form for a client of one's own.
    OwnClient {
        /// The server's name.
        name: String,
    },
    /// The form for a change of a server.
    Edit {
        /// Its name.
        name: String,
    },
    /// The client document.
    Identity,
    /// The question whether to quit although programs are connected.
    Quit {
        /// How many connections are open.
        connections: usize,
    },
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ts_rs::{Config, TS};

    use super::{
        Action, Badge, BadgeKind, Changed, Details, Entry, Found, FoundSignIn, Identity, KeyView,
        Place, Row, Snapshot, ToolView, TrayPresence, Waiting,
    };
    use crate::problem::{Code, Problem};
    use crate::server::Kind;
    use crate::view::{Level, RegistrationView, TraceView};

    const WRITE: &str = "KEYFOB_WRITE_BINDINGS";

    fn declared<T: TS + 'static>() -> String {
        format!("export {}\n", T::decl(&Config::default()))
    }

    fn bindings() -> String {
        let head = format!(
            "// Made from the Rust types by `{WRITE}=1 cargo nextest run -p keyfob-core bindings`.\n\n"
        );
        let types = [
            declared::<Action>(),
            declared::<Badge>(),
            declared::<BadgeKind>(),
            declared::<Changed>(),
            declared::<Code>(),
            declared::<Details>(),
            declared::<Entry>(),
            declared::<Found>(),
            declared::<FoundSignIn>(),
            declared::<Identity>(),
            declared::<KeyView>(),
            declared::<Kind>(),
            declared::<Level>(),
            declared::<Place>(),
            declared::<Problem>(),
            declared::<RegistrationView>(),
            declared::<Row>(),
            declared::<Snapshot>(),
            declared::<ToolView>(),
            declared::<TraceView>(),
            declared::<TrayPresence>(),
            declared::<Waiting>(),
        ];
        head + &types.join("\n")
    }

    #[test]
    fn who_is_connected_has_something_to_do_only_where_that_ends_soon() {
        assert_eq!(Action::of(Kind::Ready, Level::Green), None);
        assert_eq!(Action::of(Kind::Ready, Level::Amber), Some(Action::Reconnect));
    }

    #[test]
    fn the_bindings_of_the_page_are_those_of_the_types() {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../ui/src/lib/bindings/page.ts");
        let made = bindings();
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(&file, &made).expect("written");
        }
        let kept = std::fs::read_to_string(&file).expect("the bindings");
        assert!(kept == made, "the bindings differ: {WRITE}=1 writes them again");
    }

    /// A type that crosses to the page is made of these types and of nothing else: no field of it
    /// can be a secret by type, and none is named like one.
    #[test]
    fn no_type_that_crosses_to_the_page_has_a_place_for_a_secret() {
        let all = without_comments(&bindings());
        let declarations: Vec<&str> = all.split("export type ").skip(1).collect();
        let mut known: Vec<&str> =
            declarations.iter().filter_map(|one| one.split([' ', '=']).next()).collect();
        assert!(known.len() >= 21, "{known:?}");
        known.extend(["string", "number", "boolean", "null", "Array", "key", "in"]);
        let mut fields = 0;
        for one in &declarations {
            let body = one.split_once('=').map(|(_, body)| unquoted(body)).unwrap_or_default();
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            for word in body.split(|c| !is_word(c)).filter(|word| !word.is_empty()) {
                let is_field = body.contains(&format!("{word}:"));
                fields += usize::from(is_field);
                assert!(is_field || known.contains(&word), "{word} in {one}");
                let lower = word.to_ascii_lowercase();
                for secret in ["token", "secret", "verifier", "password", "bearer", "link", "nonce"]
                {
                    assert!(!lower.contains(secret), "{word} in {one}");
                }
                let may_be = ["code", "state", "access", "key"].contains(&word);
                assert!(!may_be || is_harmless(word, one), "{word} in {one}");
            }
        }
        assert!(fields > 60, "only {fields} fields were seen");
    }

    fn without_comments(text: &str) -> String {
        let mut kept = String::new();
        for part in text.split("/**") {
            kept.push_str(part.split_once("*/").map_or(part, |(_, behind)| behind));
        }
        kept
    }

    /// `code` is a problem's or a reason's, `state` a server's.
    fn is_harmless(word: &str, line: &str) -> bool {
        match word {
            "code" => line.contains("code: Code") || line.contains("code: string, text: string"),
            "state" => line.contains("state: Kind"),
            "key" => line.contains("[key in string]"),
            _ => false,
        }
    }

    fn unquoted(text: &str) -> String {
        text.split('"').step_by(2).collect::<Vec<_>>().join(" ")
    }
}
