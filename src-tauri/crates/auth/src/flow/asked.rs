//! A request that is on its way, as the trace tells of it.

use super::{Input, Run, SignInError};
use crate::text;
use crate::time::Timestamp;
use crate::trace::{Step, TraceStep};
use crate::wire::{NoAnswer, Response};

/// What was asked of whom, and when.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) step: Step,
    pub(super) url: String,
    pub(super) at: Timestamp,
}

impl Asked {
    /// Asking now.
    pub(super) fn now(step: Step, url: impl Into<String>, input: &Input<'_>) -> Self {
        Self { step, url: url.into(), at: input.now }
    }

    /// A line of the trace about what came back.
    pub(super) fn line(&self, result: impl Into<String>, input: &Input<'_>) -> TraceStep {
        TraceStep::new(input.now, self.step, result).target(&self.url).since(self.at)
    }

    /// The answer, or why nothing more can be told.
    pub(super) fn answered(
        &self,
        answer: Result<Response, NoAnswer>,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Result<Response, SignInError> {
        answer.map_err(|cause| {
            run.trace.push(self.line(cause.to_string(), input).warn());
            SignInError::Unreachable { target: text::without_query(&self.url), cause }
        })
    }

    /// What a status means that is neither an answer nor "not here".
    pub(super) fn out_of_order(&self, response: &Response) -> SignInError {
        SignInError::OutOfOrder {
            target: text::without_query(&self.url),
            status: response.status,
            retry_after: response.retry_after(),
        }
    }
}
