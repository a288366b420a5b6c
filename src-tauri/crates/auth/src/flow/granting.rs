//! Asking for an access token in the name of the user's own client, without any person (RFC 6749
//! section 4.4, MCP extension `oauth-client-credentials`).

use super::attempt::Attempt;
use super::token_request::TokenRequest;
use super::{Input, Run, State, Turn};
use crate::scope::OFFLINE_ACCESS;
use crate::token;
use crate::wire::{NoAnswer, Response};

#[derive(Debug)]
pub(super) struct Granting(pub(super) TokenRequest);

impl Granting {
    pub(super) fn enter(mut attempt: Attempt, run: &Run, input: &Input<'_>) -> Turn {
        // There is no refresh token to be had: the same request once more does its work.
        if !run.plan.scopes.iter().any(|scope| scope == OFFLINE_ACCESS) {
            attempt.scopes.retain(|scope| scope != OFFLINE_ACCESS);
        }
        let bare = token::client_credentials(
            &attempt.registration,
            &attempt.site.server.token_endpoint,
            &attempt.scopes,
            attempt.resource.as_deref(),
        );
        TokenRequest::send(bare, attempt, Self::wait, run, input)
    }

    fn wait(sent: TokenRequest) -> State {
        State::Granting(Self(sent))
    }

    pub(super) fn on(
        self,
        answer: Result<Response, NoAnswer>,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        let said = "access granted, to be renewed by Keyfob";
        match self.0.answered(answer, Self::wait, run, input) {
            Ok((sent, tokens)) => sent.signed_in(said, tokens, run, input),
            Err(turn) => *turn,
        }
    }
}
