//! The one place that prints.

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use keyfob_core::auth::text::{self, Untrusted};
use keyfob_core::problem::{Code, Problem};
use serde::Serialize;
use serde_json::Value;

/// Whether something that was to be read could not be written.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// A line for the person or program that asked.
pub(crate) fn line(text: impl fmt::Display) {
    let mut out = io::stdout().lock();
    let written = match out.is_terminal() {
        true => writeln!(out, "{}", text::lines(&text.to_string())),
        false => writeln!(out, "{text}"),
    };
    drop(out);
    match written {
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

/// What a server said, which is the output itself: byte for byte for a program, and without what
/// acts for a terminal.
pub(crate) fn said(text: &Untrusted) {
    match io::stdout().is_terminal() {
        true => line(text.lines()),
        false => line(text.raw()),
    }
}

/// A line beside the output. There is nobody to tell that it could not be written.
pub(crate) fn aside(text: impl fmt::Display) {
    let mut out = io::stderr().lock();
    let _ = match out.is_terminal() {
        true => writeln!(out, "{}", text::lines(&text.to_string())),
        false => writeln!(out, "{text}"),
    };
}

/// JSON, readable.
pub(crate) fn json(value: &Value) {
    line(Json { value, is_pretty: true });
}

/// JSON on one line.
pub(crate) fn json_line(value: &impl Serialize) {
    line(Json { value, is_pretty: false });
}

/// JSON on one line beside the output.
pub(crate) fn json_aside(value: &impl Serialize) {
    aside(Json { value, is_pretty: false });
}

/// The one form of JSON that is printed: what acts on a terminal, turns the direction of text or is
/// not seen stands in it as an escape.
struct Json<'a, T> {
    value: &'a T,
    is_pretty: bool,
}

impl<T: Serialize> fmt::Display for Json<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.is_pretty {
            true => serde_json::to_string_pretty(self.value),
            false => serde_json::to_string(self.value),
        };
        f.write_str(&text::escaped_json(&text.map_err(|_| fmt::Error)?))
    }
}

/// A problem: a sentence and the way out, or one line of JSON.
pub(crate) fn problem(problem: &Problem, as_json: bool) {
    if as_json {
        json_aside(problem);
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
        Code::VaultAbsent | Code::VaultFailed | Code::VaultLocked | Code::VaultSlow => 7,
        Code::AlreadyRunning
        | Code::ClientDocument
        | Code::ConfigInvalid
        | Code::Internal
        | Code::KeyEnded
        | Code::NoClientDocument
        | Code::OtherUser
        | Code::PortTaken
        | Code::ServerOff
        | Code::TooMuch
        | Code::SocketFolder
        | Code::ToolFailed => 1,
    }
}
