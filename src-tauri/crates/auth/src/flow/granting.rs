//! Asking for an access token in the name of the user's own client, without any person (RFC 6749
//! section 4.4, MCP extension `oauth-client-credentials`).

use super::attempt::Attempt;
use super::exchanging::grant;
use super::token_request::TokenRequest;
use super::{Input, Next, Outcome, Run, SignInError, State, Turn, failed, over};
use crate::scope::OFFLINE_ACCESS;
use crate::token::{self, TokenError};
use crate::wire::{NoAnswer, Response};

#[derive(Debug)]
pub(super) struct Granting {
    attempt: Attempt,
    sent: TokenRequest,
}

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
        match TokenRequest::send(bare, &attempt, run, input) {
            Ok((sent, request)) => (State::Granting(Self { attempt, sent }), Next::Fetch(request)),
            Err(error) => failed(error),
        }
    }

    pub(super) fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    pub(super) fn on(
        self,
        answer: Result<Response, NoAnswer>,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        let Self { attempt, mut sent } = self;
        let asked = sent.asked.clone();
        let line = |result: String| asked.line(result, input);
        let response = match asked.answered(answer, run, input) {
            Ok(response) => response,
            Err(error) => return failed(error),
        };
        if let Some(request) = sent.again(&response, &attempt, run, input) {
            return (State::Granting(Self { attempt, sent }), Next::Fetch(request));
        }
        match token::parse_as(sent.token_type(), &response, input.now) {
            Ok(tokens) => {
                run.trace.push(line("access granted, to be renewed by Keyfob".to_owned()));
                over(Outcome::SignedIn(Box::new(grant(&attempt, sent.key, tokens, run))))
            }
            Err(TokenError::Refused { error, said }) => {
                run.trace.push(line(format!("HTTP {}: {error}", response.status)).warn());
                let cause = TokenError::Refused { error: error.clone(), said };
                let otherwise = |issuer| SignInError::Exchange { issuer, cause };
                attempt.refused(error, otherwise, run, input)
            }
            Err(cause @ (TokenError::NotNow { .. } | TokenError::Unusable(_))) => {
                run.trace.push(line(cause.to_string()).warn());
                let issuer = attempt.issuer().to_owned();
                failed(SignInError::Exchange { issuer, cause })
            }
        }
    }
}
