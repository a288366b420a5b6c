//! The one place that prints.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use keyfob_core::problem::{Code, Problem};
use serde_json::Value;

/// Whether something that was to be read could not be written.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// A line for the person or program that asked.
pub(crate) fn line(text: impl std::fmt::Display) {
    match writeln!(io::stdout().lock(), "{text}") {
        Ok(()) => {}
        // Who reads no further wants no more, and what is being done is still to be done.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(error) => {
            if !IS_LOST.swap(true, Ordering::Relaxed) {
                aside(format_args!("keyfob: the output cannot be written: {error}"));
            }
        }
    }
}

/// Whether output was lost on its way to somebody who was still there, such as a full disk.
pub(crate) fn is_lost() -> bool {
    IS_LOST.load(Ordering::Relaxed)
}

/// A line beside the output. There is nobody to tell that it could not be written.
pub(crate) fn aside(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// JSON, readable.
pub(crate) fn json(value: &Value) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(text),
        Err(_) => line(value),
    }
}

/// A problem: a sentence and the way out, or one line of JSON.
pub(crate) fn problem(problem: &Problem, as_json: bool) {
    if as_json {
        aside(serde_json::json!(problem));
    } else {
        aside(format_args!("keyfob: {}\n        {}", problem.message, problem.remedy));
    }
}

/// The exit status for a problem.
pub(crate) fn status(problem: &Problem) -> u8 {
    match problem.code {
        Code::EndsSignIn
        | Code::InvalidUrl
        | Code::NameTaken
        | Code::UnknownClient
        | Code::UnknownServer
        | Code::Usage => 2,
        Code::NotMcp | Code::Offline | Code::Timeout | Code::TlsUntrusted | Code::Unreachable => 3,
        Code::IssuerMismatch
        | Code::IssuerSlash
        | Code::PkceUnsupported
        | Code::PrivateAddress
        | Code::ResourceMismatch
        | Code::ServiceChanged
        | Code::SharedService
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
        | Code::NotAwaited
        | Code::RegistrationRefused
        | Code::Retry
        | Code::ScopeNeeded
        | Code::SignInNeeded
        | Code::SignInRefused
        | Code::TokenNotAccepted => 5,
        Code::Deadline => 6,
        Code::VaultAbsent | Code::VaultFailed | Code::VaultLocked => 7,
        Code::AlreadyRunning
        | Code::ClientDocument
        | Code::ConfigInvalid
        | Code::Internal
        | Code::NoClientDocument
        | Code::PortTaken
        | Code::ServerOff
        | Code::ToolFailed => 1,
    }
}
