//! A token request on its way, with what must be new each time that it is sent: the client
//! assertion, and the proof of possession of the key that the token is to be bound to.

use super::attempt::Attempt;
use super::{Asked, Input, Next, Outcome, Run, SignInError, State, Turn, failed, over};
use crate::client_assertion;
use crate::dpop;
use crate::grant::Grant;
use crate::jwt::SigningKey;
use crate::text::Shown;
use crate::token::{self, TokenError, TokenType, Tokens};
use crate::trace::{Step, TraceStep};
use crate::wire::{NoAnswer, Request, Response};

/// What was sent to a token endpoint, and for which attempt.
#[derive(Debug)]
pub(super) struct TokenRequest {
    pub(super) attempt: Attempt,
    asked: Asked,
    /// The key that the token is to be bound to (RFC 9449); made for this grant alone.
    key: Option<SigningKey>,
    bare: Request,
    has_nonce: bool,
}

impl TokenRequest {
    /// Sends `bare`, and waits for its answer in the state that `wait` makes.
    pub(super) fn send(
        bare: Option<Request>,
        attempt: Attempt,
        wait: fn(Self) -> State,
        run: &Run,
        input: &Input<'_>,
    ) -> Turn {
        let issuer = attempt.issuer().to_owned();
        match Self::sealed_first(bare, attempt, run, input) {
            Some((sent, request)) => (wait(sent), Next::Fetch(request)),
            None => failed(SignInError::UnsafeLink { issuer }),
        }
    }

    fn sealed_first(
        bare: Option<Request>,
        attempt: Attempt,
        run: &Run,
        input: &Input<'_>,
    ) -> Option<(Self, Request)> {
        let bare = bare?;
        // At the identity provider nothing is bound.
        let wants_key =
            attempt.errand.is_none() && run.plan.extensions.wants_dpop(&attempt.site.ground);
        let key = match wants_key {
            true => Some(SigningKey::generate(input.entropy)?),
            false => None,
        };
        let asked = Asked::now(Step::Token, bare.url.as_str(), input);
        let sent = Self { attempt, asked, key, bare, has_nonce: false };
        let request = sent.sealed(None, input)?;
        Some((sent, request))
    }

    /// The tokens of the answer, or what else it leads to. Only where the server has not looked at
    /// what was sent yet, because the proof beside it lacks a nonce, it is sent once more.
    pub(super) fn answered(
        mut self,
        answer: Result<Response, NoAnswer>,
        wait: fn(Self) -> State,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Result<(Self, Tokens), Box<Turn>> {
        let end = |turn| Err(Box::new(turn));
        let response = match self.asked.answered(answer, run, input) {
            Ok(response) => response,
            Err(error) => return end(failed(error)),
        };
        if let Some(request) = self.again(&response, run, input) {
            return end((wait(self), Next::Fetch(request)));
        }
        let token_type = if self.key.is_some() { TokenType::Dpop } else { TokenType::Bearer };
        match token::parse_as(token_type, &response, input.now) {
            Ok(tokens) => {
                self.asked.odd_scopes(tokens.odd_scopes, run, input);
                Ok((self, tokens))
            }
            Err(TokenError::Refused { error, said }) => {
                let line = self.line(format!("HTTP {}: {error}", response.status), input);
                run.trace.push(line.warn());
                let cause = TokenError::Refused { error: error.clone(), said };
                let otherwise = |issuer| SignInError::Exchange { issuer, cause };
                end(self.attempt.refused(error, otherwise, run, input))
            }
            Err(cause @ (TokenError::NotNow { .. } | TokenError::Unusable(_))) => {
                run.trace.push(self.line(cause.to_string(), input).warn());
                let issuer = self.attempt.issuer().to_owned();
                end(failed(SignInError::Exchange { issuer, cause }))
            }
        }
    }

    /// A line of the trace about what came back.
    pub(super) fn line(&self, result: impl Into<Shown>, input: &Input<'_>) -> TraceStep {
        self.asked.line(result, input)
    }

    /// It is over, with a grant.
    pub(super) fn signed_in(
        self,
        said: &str,
        tokens: Tokens,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        run.trace.push(self.line(said, input));
        over(Outcome::SignedIn(Box::new(self.grant(tokens, run).1)))
    }

    /// The grant that the tokens make.
    pub(super) fn grant(self, tokens: Tokens, run: &Run) -> (Attempt, Grant) {
        let Self { attempt, key, .. } = self;
        let server = &attempt.site.server;
        let grant = Grant {
            registration: attempt.registration.clone(),
            server: run.plan.server.as_str().to_owned(),
            resource: attempt.resource.clone(),
            token_endpoint: server.token_endpoint.clone(),
            revocation_endpoint: server.revocation_endpoint.clone(),
            requested_scopes: attempt.scopes.clone(),
            scopes: tokens.scopes.unwrap_or_else(|| attempt.scopes.clone()),
            account: tokens.account,
            access: tokens.access,
            refresh: tokens.refresh,
            issued_at: tokens.issued_at,
            expires_at: tokens.expires_at,
            dpop_key: key,
            way: run.plan.extensions.way,
            // The code that sends the requests sets it.
            reach: None,
        };
        (attempt, grant)
    }

    /// The same once more, where the answer demands a nonce (RFC 9449 section 8). Once: whoever
    /// demands another then is out of order.
    fn again(&mut self, response: &Response, run: &mut Run, input: &Input<'_>) -> Option<Request> {
        let is_first = self.key.is_some() && !self.has_nonce;
        let nonce = dpop::wanted_nonce(response).filter(|_| is_first)?;
        let request = self.sealed(Some(&nonce), input)?;
        let line = self.line(format!("HTTP {}: use_dpop_nonce", response.status), input);
        run.trace.push(line.decision("once more, with its nonce"));
        self.has_nonce = true;
        self.asked.at = input.now;
        Some(request)
    }

    fn sealed(&self, nonce: Option<&str>, input: &Input<'_>) -> Option<Request> {
        let mut request = self.bare.clone();
        let (now, entropy) = (input.now, input.entropy);
        client_assertion::add(&mut request, &self.attempt.registration, now, entropy)?;
        if let Some(key) = &self.key {
            dpop::add(&mut request, key, nonce, now, entropy)?;
        }
        Some(request)
    }
}
