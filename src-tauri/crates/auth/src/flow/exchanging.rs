//! Redeeming the code. A code is used once: whatever goes wrong here, it is not sent again. Only
//! where the server has not looked at it yet, because the proof beside it lacks a nonce (RFC 9449
//! section 8), it is.

use super::attempt::Attempt;
use super::ladder::DocumentTried;
use super::token_request::TokenRequest;
use super::vouching::Vouching;
use super::{Input, Memo, Next, Outcome, Run, SignInError, State, Turn, failed, over};
use crate::authorize::Binding;
use crate::grant::Grant;
use crate::jwt::SigningKey;
use crate::registration::RegistrationKind;
use crate::secret::Secret;
use crate::token::{self, TokenError, Tokens};
use crate::wire::{NoAnswer, Response};

#[derive(Debug)]
pub(super) struct Exchanging {
    attempt: Attempt,
    sent: TokenRequest,
}

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
        match TokenRequest::send(bare, &attempt, run, input) {
            Ok((sent, request)) => {
                (State::Exchanging(Self { attempt, sent }), Next::Fetch(request))
            }
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
            return (State::Exchanging(Self { attempt, sent }), Next::Fetch(request));
        }
        match token::parse_as(sent.token_type(), &response, input.now) {
            Ok(tokens) if attempt.errand.is_some() => {
                let Attempt { site, registration, errand, .. } = attempt;
                let (Some(next), Some(id_token)) = (errand, tokens.id_token) else {
                    run.trace.push(line("no ID token".to_owned()).warn());
                    let cause = TokenError::Unusable("it has no ID token");
                    return failed(SignInError::Exchange { issuer: site.server.issuer, cause });
                };
                run.trace.push(line("the identity provider knows you".to_owned()));
                let endpoint = site.server.token_endpoint;
                // Should the next steps have to be gone once more, nobody is asked again.
                if let Some(provider) = &mut run.plan.extensions.identity_provider {
                    provider.id_token = Some(id_token.clone());
                }
                Vouching::enter(*next, &registration, &endpoint, &id_token, input)
            }
            Ok(tokens) => {
                let grant = grant(&attempt, sent.key, tokens, run);
                let said = match (&grant.refresh, grant.expires_at) {
                    (Some(_), _) => "access granted, to be renewed by Keyfob",
                    (None, None) => "access granted, without an end",
                    (None, Some(_)) => "access granted; the server will ask again when it ends",
                };
                let mut done = line(said.to_owned());
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
                    attempt.remember_refusal("its page showed an error", run, input);
                }
                over(Outcome::SignedIn(Box::new(grant)))
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

pub(super) fn grant(
    attempt: &Attempt,
    dpop_key: Option<SigningKey>,
    tokens: Tokens,
    run: &Run,
) -> Grant {
    let server = &attempt.site.server;
    Grant {
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
        dpop_key,
        way: run.plan.extensions.way,
    }
}
