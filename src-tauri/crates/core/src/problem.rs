//! What a person is told when something does not work: one form for CLI, gateway, tray and window.

use std::collections::BTreeMap;
use std::fmt;

use keyfob_auth::dcr::RegistrationError;
use keyfob_auth::flow::SignInError;
use keyfob_auth::metadata::BadMetadata;
use keyfob_auth::registration::RegistrationKind;
use keyfob_auth::text::{self, Shown};
use keyfob_auth::token::TokenError;
use keyfob_auth::wire::NoAnswer;
use serde::{Deserialize, Serialize};

use crate::locale;

/// What is wrong, for programs. Wording lives in the locale file, a section for each in
/// `docs/troubleshooting.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is worded in the locale file")]
pub enum Code {
    AlreadyRunning,
    BrowserFailed,
    CallbackTimeout,
    Cancelled,
    ClientDocument,
    ConfigInvalid,
    ConsentDenied,
    Deadline,
    EndsSignIn,
    ExchangeRefused,
    GrantExpired,
    Internal,
    InvalidUrl,
    IssuerMismatch,
    IssuerSlash,
    KeyEnded,
    MetadataInvalid,
    NameTaken,
    NoAuthorizationServer,
    NoClientDocument,
    NoRegistrationRoute,
    NotAwaited,
    NotMcp,
    Offline,
    OtherUser,
    PkceUnsupported,
    PortTaken,
    PrivateAddress,
    RegistrationRefused,
    ResourceMismatch,
    Retry,
    ScopeNeeded,
    ServerOff,
    ServiceChanged,
    SharedService,
    SignInNeeded,
    SignInRefused,
    SocketFolder,
    Timeout,
    TlsUntrusted,
    TokenNotAccepted,
    TooMuch,
    ToolFailed,
    UnknownClient,
    UnknownServer,
    Unreachable,
    UnsafeLink,
    Usage,
    VaultAbsent,
    VaultFailed,
    VaultLocked,
    VaultSlow,
}

/// A problem with everything that its wording needs. It holds no secret: parameters are names,
/// codes and URLs without their query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Problem {
    /// What is wrong.
    pub code: Code,
    /// The sentence: the thing and the cause.
    pub message: String,
    /// The way out.
    pub remedy: String,
    /// What was filled in.
    #[cfg_attr(test, ts(as = "BTreeMap<String, String>"))]
    pub params: BTreeMap<String, Shown>,
}

impl Problem {
    /// A problem without parameters; add them with [`Problem::with`].
    pub fn new(code: Code) -> Self {
        let mut problem =
            Self { code, message: String::new(), remedy: String::new(), params: BTreeMap::new() };
        problem.word();
        problem
    }

    /// Adds a parameter, made fit to be shown.
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.params.insert(name.to_owned(), Shown::quotation(&value.to_string()));
        self.word();
        self
    }

    /// Whether it is about the keychain.
    pub fn is_of_vault(&self) -> bool {
        matches!(
            self.code,
            Code::VaultAbsent | Code::VaultFailed | Code::VaultLocked | Code::VaultSlow
        )
    }

    /// Something that should not happen, with what was seen.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(Code::Internal).with("cause", cause)
    }

    /// Why a sign-in to `server` failed.
    pub fn from_sign_in(error: &SignInError, server: &str, url: &str, redirect_uri: &str) -> Self {
        let with = |code: Code| Self::new(code).with("server", server);
        match error {
            SignInError::Unreachable { target, cause: NoAnswer::Untrusted(cause) } => {
                with(Code::TlsUntrusted).with("target", target).with("cause", cause)
            }
            SignInError::Unreachable { target, cause: NoAnswer::Forbidden(_) } => {
                with(Code::PrivateAddress).with("target", target)
            }
            SignInError::Unreachable { target, cause } => {
                with(Code::Unreachable).with("target", target).with("cause", cause)
            }
            SignInError::OutOfOrder { target, status, .. } => with(Code::Unreachable)
                .with("target", target)
                .with("cause", format_args!("it is out of order (HTTP {status})")),
            SignInError::NotMcp { found } => {
                with(Code::NotMcp).with("url", text::without_query(url)).with("found", found)
            }
            SignInError::NoAuthorizationServer => with(Code::NoAuthorizationServer),
            SignInError::Metadata { cause: cause @ BadMetadata::OtherResource { .. }, .. } => {
                with(Code::ResourceMismatch).with("cause", cause)
            }
            SignInError::Metadata {
                cause: BadMetadata::OtherIssuer { found, by_slash: true },
                ..
            } => with(Code::IssuerSlash).with("found", found),
            SignInError::Metadata { cause: cause @ BadMetadata::OtherIssuer { .. }, .. } => {
                with(Code::IssuerMismatch).with("cause", cause)
            }
            SignInError::Metadata { url, cause } => {
                with(Code::MetadataInvalid).with("url", url).with("cause", cause)
            }
            SignInError::Endless { target, asked } => with(Code::MetadataInvalid)
                .with("url", target)
                .with("cause", format_args!("after {asked} questions it leads to yet another")),
            SignInError::PkceUnsupported { issuer } => {
                with(Code::PkceUnsupported).with("issuer", issuer)
            }
            SignInError::OtherService { had, named } => {
                with(Code::ServiceChanged).with("had", had).with("named", named)
            }
            SignInError::NoDocument { issuer } => with(Code::NoRegistrationRoute)
                .with("issuer", issuer)
                .with("refused", ", or that have a public document of their own, as this Keyfob has not (keyfob identity)")
                .with("redirect_uri", redirect_uri),
            SignInError::NoRegistrationRoute { issuer, refused } => {
                let refused = match refused {
                    Some(said) => format!("; it refused Keyfob's own document ({said})"),
                    None => String::new(),
                };
                with(Code::NoRegistrationRoute)
                    .with("issuer", issuer)
                    .with("refused", refused)
                    .with("redirect_uri", redirect_uri)
            }
            SignInError::Registration { issuer, cause } => {
                let cause: &RegistrationError = cause;
                with(Code::RegistrationRefused)
                    .with("issuer", issuer)
                    .with("cause", cause)
                    .with("redirect_uri", redirect_uri)
            }
            SignInError::AuthorizationRefused { issuer, status } => with(Code::SignInRefused)
                .with("issuer", issuer)
                .with("cause", format_args!("its sign-in page answers HTTP {status}")),
            SignInError::ClientRefused { issuer, error, kind } => {
                let cause = match kind {
                    RegistrationKind::PreRegistered => {
                        format!("it does not know your own client, or not by this secret ({error})")
                    }
                    _ => format!("it does not let Keyfob in ({error})"),
                };
                with(Code::SignInRefused).with("issuer", issuer).with("cause", cause)
            }
            SignInError::DpopUnsupported { issuer } => with(Code::SignInRefused)
                .with("issuer", issuer)
                .with("cause", "it cannot bind access to a key (DPoP)"),
            SignInError::Denied => with(Code::ConsentDenied),
            SignInError::Refused { issuer, error } => {
                with(Code::SignInRefused).with("issuer", issuer).with("cause", error)
            }
            SignInError::Unnamed { issuer } => with(Code::SignInRefused)
                .with("issuer", issuer)
                .with("cause", "it ended the sign-in without saying who it is"),
            SignInError::Issuer(cause) => with(Code::IssuerMismatch).with("cause", cause),
            SignInError::Exchange { issuer, cause } => {
                let cause: &TokenError = cause;
                with(Code::ExchangeRefused).with("issuer", issuer).with("cause", cause)
            }
            SignInError::UnsafeLink { issuer } => with(Code::UnsafeLink).with("issuer", issuer),
            SignInError::Browser { cause } => with(Code::BrowserFailed).with("cause", cause),
            SignInError::TimedOut => with(Code::CallbackTimeout),
            SignInError::Cancelled => with(Code::Cancelled),
        }
    }

    fn word(&mut self) {
        let Some(wording) = locale::problems().get(&self.code) else {
            self.message = format!("{:?}", self.code);
            return;
        };
        self.message = locale::fill(&wording.message, &self.params);
        self.remedy = locale::fill(&wording.remedy, &self.params);
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.message, self.remedy)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use keyfob_auth::flow::SignInError;
    use keyfob_auth::wire::NoAnswer;

    use super::{Code, Problem};
    use crate::locale;

    #[test]
    fn the_locale_file_words_every_problem() {
        let worded = locale::problems();
        assert!(worded.len() >= 30, "the locale file did not parse");
        for (code, wording) in worded {
            assert!(wording.message.ends_with('.'), "{code:?}: {}", wording.message);
            assert!(!wording.remedy.is_empty(), "{code:?} has no way out");
        }
        let problem = Problem::new(Code::UnknownServer).with("name", "x");
        assert_eq!(problem.message, "There is no server named x.");
    }

    #[test]
    fn every_problem_has_its_section_in_the_troubleshooting_page_and_no_other_has() {
        let page = include_str!("../../../../docs/troubleshooting.md");
        let sections: Vec<&str> =
            page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        let codes: Vec<String> = locale::problems()
            .keys()
            .map(|code| serde_json::json!(code).as_str().unwrap_or_default().to_owned())
            .collect();
        for code in &codes {
            assert!(sections.contains(&code.as_str()), "{code} has no section");
        }
        assert_eq!(sections.len(), codes.len(), "a section is about no problem: {sections:?}");
    }

    /// What stands in a message, as a user would meet it.
    fn sample(param: &str) -> &'static str {
        match param {
            "server" | "name" => "notion",
            "url" | "target" => "https://mcp.notion.com/mcp",
            "issuer" | "had" | "named" => "https://auth.notion.com",
            "redirect_uri" => "http://127.0.0.1:15393/callback",
            "file" => "config.toml",
            "port" => "15393",
            "pid" => "4711",
            "seconds" => "25",
            "scopes" => "files:write",
            "found" => "a web page",
            "refused" => "",
            _ => "it said no",
        }
    }

    fn params(wording: &str) -> Vec<&str> {
        wording.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect()
    }

    /// `cargo nextest run -p keyfob-core all_problems --no-capture` prints the page.
    #[test]
    fn all_problems_on_one_page_are_words_for_people() {
        let mut page = String::new();
        for (code, wording) in locale::problems() {
            let mut problem = Problem::new(*code);
            for param in params(&wording.message).into_iter().chain(params(&wording.remedy)) {
                problem = problem.with(param, sample(param));
            }
            let name = serde_json::json!(code).as_str().unwrap_or_default().to_owned();
            page.push_str(&format!("{name}\n  {}\n  {}\n", problem.message, problem.remedy));
            let said = format!("{} {}", problem.message, problem.remedy);
            assert!(!said.contains(['{', '}']), "{name}: {said}");
            assert!(!said.contains("  "), "{name}: {said}");
            // The name of a setting is what it is.
            let said = said.replace("client_metadata_url", "");
            let jargon = ["RFC", "OAuth", "metadata", "endpoint", "grant", "token", "resource"];
            for term in jargon {
                assert!(!said.contains(term), "{name} wants a specification to be read: {said}");
            }
        }
        println!("{page}");
    }

    #[test]
    fn an_address_inside_the_network_is_told_for_what_it_is() {
        let cause = NoAnswer::Forbidden("beyond".into());
        let target = "https://as.example/.well-known/x".into();
        let error = SignInError::Unreachable { target, cause };
        let problem = Problem::from_sign_in(&error, "s", "https://h/mcp", "");
        assert_eq!(problem.code, Code::PrivateAddress);
    }

    #[test]
    fn a_parameter_cannot_carry_what_acts() {
        let said = "a\u{1b}]52;c;aGk=\u{7}b\u{9b}2J\u{202e}c\n● forged";
        let problem = Problem::new(Code::NotMcp).with("url", "u").with("found", said);
        assert_eq!(problem.message, "No MCP server answers at u (abc ● forged).");
        let sent = serde_json::to_string(&problem).expect("JSON");
        let planted = sent.replace("abc ● forged", "x\\u001b[2Jy\\nz");
        let read: Problem = serde_json::from_str(&planted).expect("a problem");
        assert_eq!(read.params["found"], "xy z");
    }

    #[test]
    fn what_a_server_says_cannot_forge_the_wording() {
        let problem = Problem::new(Code::NotMcp).with("url", "u").with("found", "{url}\u{202e}\n");
        assert_eq!(problem.message, "No MCP server answers at u ({url}).");
    }
}
