//! The trace: what was asked, what came back, what was decided and why. It has no field that
//! could take a secret or text that was not cleaned, and URLs enter it without their query.

use serde::{Deserialize, Serialize};

use crate::text::{self, Shown};
use crate::time::Timestamp;

/// One thing that a sign-in did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Asked the server itself.
    Probe,
    /// Looked for protected resource metadata.
    ResourceMetadata,
    /// Looked for authorization server metadata.
    ServerMetadata,
    /// Chose or made a registration.
    Registration,
    /// Tried the authorization endpoint before the browser did.
    Preflight,
    /// Pushed the authorization request.
    PushedRequest,
    /// Sent the browser.
    Browser,
    /// Got the browser's answer.
    Callback,
    /// Redeemed the code.
    Token,
    /// Put the grant into the vault.
    Vault,
    /// Renewed the access token.
    Refresh,
    /// Ended it.
    SignOut,
}

/// How much a step matters to someone who reads the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// As expected.
    #[default]
    Detail,
    /// Worth knowing.
    Info,
    /// Something was refused or failed.
    Warn,
}

/// One line of the trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceStep {
    /// When it ended.
    pub at: Timestamp,
    /// What it was.
    pub step: Step,
    /// Whom it concerned: a URL without its query, or a name.
    pub target: Option<Shown>,
    /// What came back.
    pub result: Shown,
    /// How long it took, in milliseconds, where something was waited for.
    pub ms: Option<u64>,
    /// What was decided.
    pub decision: Option<Shown>,
    /// Why.
    pub reason: Option<Shown>,
    /// How much it matters.
    #[serde(skip)]
    pub weight: Weight,
}

impl TraceStep {
    /// A line with its result.
    pub fn new(at: Timestamp, step: Step, result: impl Into<Shown>) -> Self {
        Self {
            at,
            step,
            target: None,
            result: result.into(),
            ms: None,
            decision: None,
            reason: None,
            weight: Weight::Detail,
        }
    }

    /// Names the target; a URL loses its query.
    pub fn target(mut self, target: &str) -> Self {
        self.target = Some(text::without_query(target));
        self
    }

    /// Says how long it took.
    pub fn since(mut self, started: Timestamp) -> Self {
        self.ms = u64::try_from(self.at.since(started).as_millis()).ok();
        self
    }

    /// Says what was decided.
    pub fn decision(mut self, decision: impl Into<Shown>) -> Self {
        self.decision = Some(decision.into());
        self
    }

    /// Says why.
    pub fn reason(mut self, reason: impl Into<Shown>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Marks it as worth knowing.
    pub fn info(mut self) -> Self {
        self.weight = Weight::Info;
        self
    }

    /// Marks it as a refusal or failure.
    pub fn warn(mut self) -> Self {
        self.weight = Weight::Warn;
        self
    }
}

/// The most lines of one sign-in. An honest one needs some thirty.
pub const MOST_LINES: usize = 150;

/// The lines of one sign-in as they come, up to a bound.
#[derive(Debug, Default)]
pub struct Trace {
    lines: Vec<TraceStep>,
    count: usize,
}

impl Trace {
    /// Adds a line. The last one that there is room for says that the rest is missing.
    pub fn push(&mut self, line: TraceStep) {
        self.count = self.count.saturating_add(1);
        match self.count {
            0..MOST_LINES => self.lines.push(line),
            MOST_LINES => self.lines.push(
                TraceStep::new(line.at, line.step, "the trace ends here")
                    .reason(format!("a sign-in has at most {MOST_LINES} lines"))
                    .warn(),
            ),
            _ => {}
        }
    }

    /// The lines added since the last call.
    pub fn take(&mut self) -> Vec<TraceStep> {
        std::mem::take(&mut self.lines)
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_LINES, Step, Trace, TraceStep};
    use crate::time::Timestamp;

    #[test]
    fn a_line_cannot_carry_what_acts() {
        let line = TraceStep::new(Timestamp(0), Step::Probe, "a\u{1b}[2Jb\nc")
            .target("https://h/\u{202e}x?key=1")
            .decision("\u{9b}31mred".to_owned())
            .reason("x".repeat(100_000));
        let kept = serde_json::to_string(&line).expect("JSON");
        assert!(kept.contains(r#""result":"ab c""#) && kept.contains(r#""https://h/x""#), "{kept}");
        assert!(kept.contains(r#""decision":"red""#) && kept.len() < 2000, "{}", kept.len());
        let planted = kept.replace("ab c", "ab\\u001b]0;x\\u0007\\nc");
        let read: TraceStep = serde_json::from_str(&planted).expect("a line");
        assert_eq!(read.result, "ab c", "a file is no way around it");
    }

    #[test]
    fn a_sign_in_has_so_many_lines_and_the_last_says_so() {
        let mut trace = Trace::default();
        for n in 0..10_000 {
            trace.push(TraceStep::new(Timestamp(n), Step::Probe, n.to_string()));
        }
        let lines = trace.take();
        assert_eq!(lines.len(), MOST_LINES);
        assert_eq!(lines[MOST_LINES - 2].result, (MOST_LINES - 2).to_string().as_str());
        assert_eq!(lines[MOST_LINES - 1].result, "the trace ends here");
        trace.push(TraceStep::new(Timestamp(0), Step::Probe, "late"));
        assert!(trace.take().is_empty(), "the bound is for the whole sign-in");
    }
}
