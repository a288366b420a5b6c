//! What a command left behind.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// A command that has ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its exit status; none when a signal ended it or it was given up.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Did it run out of time?
    pub late: bool,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Output {
    /// Demands exit 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.expect_code(0)
    }

    /// Demands this exit status.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        let command = self.arguments.join(" ");
        assert!(self.code == Some(code), "`keyfob {command}` did not end with {code}:\n{self}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(e) => panic!("standard output is no JSON ({e}):\n{self}"),
        }
    }

    /// The last line of standard error as JSON: how failures are told with `--json`.
    #[track_caller]
    pub fn problem(&self) -> Value {
        let line = self.stderr.lines().last().unwrap_or_default();
        let problem: Value = match serde_json::from_str(line) {
            Ok(value) => value,
            Err(e) => panic!("the last line of standard error is no JSON ({e}):\n{self}"),
        };
        for field in ["code", "message", "remedy", "params"] {
            assert!(problem.get(field).is_some(), "the problem lacks {field}: {problem}");
        }
        problem
    }

    /// Demands that a failure was told in one clear sentence, and no more than a few lines.
    #[track_caller]
    pub fn one_sentence(&self) -> &str {
        let said = self.stderr.trim();
        assert!(!said.is_empty(), "nothing was said:\n{self}");
        assert!(said.lines().count() <= 4, "too much was said:\n{self}");
        for noise in ["panicked", "RUST_BACKTRACE", "Error(", "Err(", "unwrap", "{ code"] {
            assert!(!said.contains(noise), "{noise} is not for a user:\n{self}");
        }
        assert!(said.contains(' ') && said.len() > 20, "no sentence:\n{self}");
        said
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.took.as_millis();
        writeln!(f, "$ keyfob {}", self.arguments.join(" "))?;
        match (self.late, self.code, self.signal) {
            (true, ..) => writeln!(f, "[not done after {ms} ms]")?,
            (false, Some(code), _) => writeln!(f, "[exit {code} after {ms} ms]")?,
            (false, None, signal) => writeln!(f, "[signal {signal:?} after {ms} ms]")?,
        }
        writeln!(f, "--- stdout\n{}--- stderr\n{}---", self.stdout, self.stderr)
    }
}
