//! Redeeming the code. A code is used once: whatever goes wrong here, it is not sent again. Only
//! where the server has not looked at it yet, because the proof beside it lacks a nonce (RFC 9449
//! section 8), it is.

use super::attempt::Attempt;
use super::ladder::DocumentTried;
use super::token_request::TokenRequest;
use super::vouching::Vouching;
use super::{Input, Memo, Outcome, Run, SignInError, State, Turn, failed, over};
use crate::authorize::Binding;
use crate::registration::RegistrationKind;
use crate::secret::Secret;
use crate::token::{self, TokenError, Tokens};
use crate::wire::{NoAnswer, Response};

#[derive(Debug)]
pub(super) struct Exchanging(pub(super) TokenRequest);

impl Exchanging {
    pub(super) fn enter(
        attempt: Attempt,
        code: &Secret,
        binding: &Binding,
        run: &Run,
        input: &Input<'_>,
    ) -> Turn {
        let bare = token::exchange(
            &attempt.registration,
            &attempt.site.server.token_endpoint,
            code,
            &binding.verifier,
            attempt.resource.as_deref(),
        );
        TokenRequest::send(bare, attempt, Self::wait, run, input)
    }

    fn wait(sent: TokenRequest) -> State {
        State::Exchanging(Self(sent))
    }

    pub(super) fn on(
        self,
        answer: Result<Response, NoAnswer>,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        let (mut sent, tokens) = match self.0.answered(answer, Self::wait, run, input) {
            Ok(granted) => granted,
            Err(turn) => return *turn,
        };
        match sent.attempt.errand.take() {
            Some(next) => back_from_provider(*next, sent, tokens, run, input),
            None => signed_in(sent, tokens, run, input),
        }
    }
}

/// The visit was for an ID token, with which the attempt at the server's own sign-in service,
/// `next`, goes on.
fn back_from_provider(
    next: Attempt,
    sent: TokenRequest,
    mut tokens: Tokens,
    run: &mut Run,
    input: &Input<'_>,
) -> Turn {
    let Some(id_token) = tokens.id_token.take() else {
        run.trace.push(sent.line("no ID token", input).warn());
        let issuer = sent.attempt.issuer().to_owned();
        let cause = TokenError::Unusable("it has no ID token");
        return failed(SignInError::Exchange { issuer, cause });
    };
    run.trace.push(sent.line("the identity provider knows you", input));
    let (_, mut grant) = sent.grant(tokens, run);
    grant.server.clone_from(&grant.registration.issuer);
    // Should the next steps have to be gone once more, nobody is asked again.
    if let Some(provider) = &mut run.plan.extensions.identity_provider {
        provider.id_token = Some(id_token.clone());
    }
    let (registration, endpoint) = (grant.registration.clone(), grant.token_endpoint.clone());
    if grant.can_renew() {
        run.memos.push(Memo::ProviderGrant(Box::new(grant)));
    }
    Vouching::enter(next, &registration, &endpoint, &id_token, input)
}

fn signed_in(sent: TokenRequest, tokens: Tokens, run: &mut Run, input: &Input<'_>) -> Turn {
    let said = match (&tokens.refresh, tokens.expires_at) {
        (Some(_), _) => "access granted, to be renewed by Keyfob",
        (None, None) => "access granted, without an end",
        (None, Some(_)) => "access granted; the server will ask again when it ends",
    };
    let mut done = sent.line(said, input);
    let (attempt, grant) = sent.grant(tokens, run);
    if grant.registration.kind == RegistrationKind::Cimd {
        done = done.reason("CIMD was used").info();
        run.memos.push(Memo::DocumentAccepted(grant.registration.issuer.clone()));
    }
    run.trace.push(done);
    let issuer = attempt.issuer();
    let is_by_name = grant.registration.redirect_uri == run.plan.redirect_uri_by_name;
    if is_by_name && !run.plan.by_name_at.iter().any(|at| at == issuer) {
        run.memos.push(Memo::NameWorks(issuer.to_owned()));
    }
    if attempt.tried.document == DocumentTried::Left {
        attempt.remember_refusal(&"its page showed an error".into(), run, input);
    }
    over(Outcome::SignedIn(Box::new(grant)))
}
