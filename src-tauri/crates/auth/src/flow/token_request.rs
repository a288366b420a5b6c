//! A token request on its way, with what must be new each time that it is sent: the client
//! assertion, and the proof of possession of the key that the token is to be bound to.

use super::attempt::Attempt;
use super::{Asked, Input, Run, SignInError};
use crate::client_assertion;
use crate::dpop;
use crate::jwt::SigningKey;
use crate::token::TokenType;
use crate::trace::Step;
use crate::wire::{Request, Response};

/// What was sent to a token endpoint.
#[derive(Debug)]
pub(super) struct TokenRequest {
    pub(super) asked: Asked,
    /// The key that the token is to be bound to (RFC 9449); made for this grant alone.
    pub(super) key: Option<SigningKey>,
    bare: Request,
    has_nonce: bool,
}

impl TokenRequest {
    /// Sends `bare`.
    pub(super) fn send(
        bare: Option<Request>,
        attempt: &Attempt,
        run: &Run,
        input: &Input<'_>,
    ) -> Result<(Self, Request), SignInError> {
        let unsafe_link = || SignInError::UnsafeLink { issuer: attempt.issuer().to_owned() };
        let bare = bare.ok_or_else(unsafe_link)?;
        // At the identity provider nothing is bound.
        let wants_key =
            attempt.errand.is_none() && run.plan.extensions.wants_dpop(&attempt.site.ground);
        let key = match wants_key {
            true => Some(SigningKey::generate(input.entropy).ok_or_else(unsafe_link)?),
            false => None,
        };
        let asked = Asked::now(Step::Token, bare.url.as_str(), input);
        let sent = Self { asked, key, bare, has_nonce: false };
        let request = sent.sealed(None, attempt, input).ok_or_else(unsafe_link)?;
        Ok((sent, request))
    }

    /// What the answer has to bring.
    pub(super) fn token_type(&self) -> TokenType {
        if self.key.is_some() { TokenType::Dpop } else { TokenType::Bearer }
    }

    /// The same once more, where the answer demands a nonce (RFC 9449 section 8). Once: whoever
    /// demands another then is out of order.
    pub(super) fn again(
        &mut self,
        response: &Response,
        attempt: &Attempt,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Option<Request> {
        let is_first = self.key.is_some() && !self.has_nonce;
        let nonce = dpop::wanted_nonce(response).filter(|_| is_first)?;
        let request = self.sealed(Some(&nonce), attempt, input)?;
        let line = self.asked.line(format!("HTTP {}: use_dpop_nonce", response.status), input);
        run.trace.push(line.decision("once more, with its nonce"));
        self.has_nonce = true;
        self.asked.at = input.now;
        Some(request)
    }

    fn sealed(&self, nonce: Option<&str>, attempt: &Attempt, input: &Input<'_>) -> Option<Request> {
        let mut request = self.bare.clone();
        let (now, entropy) = (input.now, input.entropy);
        client_assertion::add(&mut request, &attempt.registration, now, entropy)?;
        if let Some(key) = &self.key {
            dpop::add(&mut request, key, nonce, now, entropy)?;
        }
        Some(request)
    }
}
