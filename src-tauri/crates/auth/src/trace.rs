//! The trace: what was asked, what came back, what was decided and why. It has no field that
//! could take a secret, and URLs enter it without their query.

use serde::{Deserialize, Serialize};

use crate::text;
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
    pub target: Option<String>,
    /// What came back.
    pub result: String,
    /// How long it took, in milliseconds, where something was waited for.
    pub ms: Option<u64>,
    /// What was decided.
    pub decision: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// How much it matters.
    #[serde(skip)]
    pub weight: Weight,
}

impl TraceStep {
    /// A line with its result.
    pub fn new(at: Timestamp, step: Step, result: impl Into<String>) -> Self {
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
    pub fn decision(mut self, decision: impl Into<String>) -> Self {
        self.decision = Some(decision.into());
        self
    }

    /// Says why.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
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
