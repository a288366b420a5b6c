//! A request that is on its way, as the trace tells of it.

use super::{Input, Run, SignInError};
use crate::metadata::{LeftOut, MOST_ENTRIES};
use crate::text::{self, Shown};
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
    pub(super) fn line(&self, result: impl Into<Shown>, input: &Input<'_>) -> TraceStep {
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

    /// One line each, where lists of a document go on behind what is looked at, and where some of its
    /// scopes are none.
    pub(super) fn left_out(&self, of: &LeftOut, run: &mut Run, input: &Input<'_>) {
        if !of.lists.is_empty() {
            let lists: Vec<_> =
                of.lists.iter().map(|(name, count)| format!("{name} has {count}")).collect();
            run.trace.push(
                self.line("more entries than are looked at", input)
                    .decision(format!("looking at the first {MOST_ENTRIES}"))
                    .reason(lists.join(", "))
                    .warn(),
            );
        }
        self.odd_scopes(of.odd_scopes, run, input);
    }

    /// A line where some of the scopes that came are none.
    pub(super) fn odd_scopes(&self, count: usize, run: &mut Run, input: &Input<'_>) {
        if count > 0 {
            run.trace.push(odd_scopes(self.line("odd scopes", input), count));
        }
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

/// Adds to a trace line how many scopes were left out, and why.
pub(super) fn odd_scopes(line: TraceStep, count: usize) -> TraceStep {
    line.decision(format!("{count} left out"))
        .reason("a scope is printable ASCII without blank, quotation mark and backslash")
        .warn()
}
