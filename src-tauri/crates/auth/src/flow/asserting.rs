//! Handing the identity provider's assertion to the server's sign-in service (RFC 7523 section 2.1).

use super::attempt::Attempt;
use super::exchanging::grant;
use super::token_request::TokenRequest;
use super::{Input, Next, Outcome, Run, SignInError, State, Turn, failed, over};
use crate::id_jag;
use crate::secret::Secret;
use crate::token::{self, TokenError};
use crate::wire::{NoAnswer, Response};

#[derive(Debug)]
pub(super) struct Asserting {
    attempt: Attempt,
    sent: TokenRequest,
}

impl Asserting {
    pub(super) fn enter(
        attempt: Attempt,
        assertion: &Secret,
        run: &Run,
        input: &Input<'_>,
    ) -> Turn {
        let endpoint = &attempt.site.server.token_endpoint;
        let wanted = attempt.wanted_assertion();
        let bare = id_jag::redeem(&attempt.registration, endpoint, assertion, wanted);
        match TokenRequest::send(bare, &attempt, run, input) {
            Ok((sent, request)) => (State::Asserting(Self { attempt, sent }), Next::Fetch(request)),
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
            return (State::Asserting(Self { attempt, sent }), Next::Fetch(request));
        }
        match token::parse_as(sent.token_type(), &response, input.now) {
            Ok(tokens) => {
                run.trace.push(line("access granted on the identity provider's word".to_owned()));
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
