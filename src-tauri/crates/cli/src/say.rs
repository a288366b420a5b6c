//! The one place that prints.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what it is for")]

use keyfob_core::problem::{Code, Problem};
use serde_json::Value;

/// A line for the person or program that asked.
pub(crate) fn line(text: impl std::fmt::Display) {
    println!("{text}");
}

/// A line beside the output.
pub(crate) fn aside(text: impl std::fmt::Display) {
    eprintln!("{text}");
}

/// JSON, readable.
pub(crate) fn json(value: &Value) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => println!("{text}"),
        Err(_) => println!("{value}"),
    }
}

/// A problem: a sentence and the way out, or one line of JSON.
pub(crate) fn problem(problem: &Problem, as_json: bool) {
    if as_json {
        eprintln!("{}", serde_json::json!(problem));
    } else {
        eprintln!("keyfob: {}\n        {}", problem.message, problem.remedy);
    }
}

/// The exit status for a problem.
pub(crate) fn status(problem: &Problem) -> u8 {
    match problem.code {
        Code::InvalidUrl
        | Code::NameTaken
        | Code::UnknownClient
        | Code::UnknownServer
        | Code::Usage => 2,
        Code::NotMcp | Code::Offline | Code::Timeout | Code::TlsUntrusted | Code::Unreachable => 3,
        Code::IssuerMismatch
        | Code::PkceUnsupported
        | Code::ResourceMismatch
        | Code::UnsafeLink => 4,
        Code::BrowserFailed
        | Code::CallbackTimeout
        | Code::Cancelled
        | Code::ConsentDenied
        | Code::ExchangeRefused
        | Code::GrantExpired
        | Code::MetadataInvalid
        | Code::NoAuthorizationServer
        | Code::NoRegistrationRoute
        | Code::RegistrationRefused
        | Code::ScopeNeeded
        | Code::SignInNeeded
        | Code::SignInRefused => 5,
        Code::Deadline => 6,
        Code::VaultAbsent | Code::VaultFailed | Code::VaultLocked => 7,
        Code::AlreadyRunning
        | Code::ClientDocument
        | Code::ConfigInvalid
        | Code::Internal
        | Code::PortTaken
        | Code::ServerOff
        | Code::ToolFailed => 1,
    }
}
