//! A token request on its way.

use super::attempt::Attempt;
use super::{Asked, Input, SignInError};
use crate::client_assertion;
use crate::trace::Step;
use crate::wire::Request;

/// What was sent to a token endpoint.
#[derive(Debug)]
pub(super) struct TokenRequest {
    pub(super) asked: Asked,
}

impl TokenRequest {
    /// Sends `bare`, with all that must be new each time.
    pub(super) fn send(
        bare: Option<Request>,
        attempt: &Attempt,
        input: &Input<'_>,
    ) -> Result<(Self, Request), SignInError> {
        let unsafe_link = || SignInError::UnsafeLink { issuer: attempt.issuer().to_owned() };
        let mut request = bare.ok_or_else(unsafe_link)?;
        client_assertion::add(&mut request, &attempt.registration, input.now, input.entropy)
            .ok_or_else(unsafe_link)?;
        let asked = Asked::now(Step::Token, request.url.as_str(), input);
        Ok((Self { asked }, request))
    }
}
