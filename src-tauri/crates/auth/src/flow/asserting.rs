//! Handing the identity provider's assertion to the server's sign-in service (RFC 7523 section 2.1).

use super::attempt::Attempt;
use super::token_request::TokenRequest;
use super::{Input, Run, State, Turn};
use crate::id_jag;
use crate::secret::Secret;
use crate::wire::{NoAnswer, Response};

#[derive(Debug)]
pub(super) struct Asserting(pub(super) TokenRequest);

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
        TokenRequest::send(bare, attempt, Self::wait, run, input)
    }

    fn wait(sent: TokenRequest) -> State {
        State::Asserting(Self(sent))
    }

    pub(super) fn on(
        self,
        answer: Result<Response, NoAnswer>,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        let said = "access granted on the identity provider's word";
        match self.0.answered(answer, Self::wait, run, input) {
            Ok((sent, tokens)) => sent.signed_in(said, tokens, run, input),
            Err(turn) => *turn,
        }
    }
}
