//! Redeeming the code. A code is used once: whatever goes wrong here, it is not sent again.

use super::attempt::Attempt;
use super::ladder::DocumentTried;
use super::{Asked, Input, Memo, Next, Outcome, Run, SignInError, State, Turn, failed, over};
use crate::authorize::Binding;
use crate::grant::Grant;
use crate::registration::RegistrationKind;
use crate::secret::Secret;
use crate::token::{self, TokenError, Tokens};
use crate::trace::Step;
use crate::wire::{NoAnswer, Response};

#[derive(Debug)]
pub(super) struct Exchanging {
    attempt: Attempt,
    asked: Asked,
}

impl Exchanging {
    pub(super) fn enter(
        attempt: Attempt,
        code: &Secret,
        binding: &Binding,
        input: &Input<'_>,
    ) -> Turn {
        let request = token::exchange(
            &attempt.registration,
            &attempt.site.server.token_endpoint,
            code,
            &binding.verifier,
            attempt.resource.as_deref(),
        );
        let Some(request) = request else {
            let issuer = attempt.issuer().to_owned();
            return failed(SignInError::UnsafeLink { issuer });
        };
        let asked = Asked::now(Step::Token, request.url.as_str(), input);
        (State::Exchanging(Self { attempt, asked }), Next::Fetch(request))
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
        let asked = self.asked.clone();
        let line = |result: String| asked.line(result, input);
        let response = match asked.answered(answer, run, input) {
            Ok(response) => response,
            Err(error) => return failed(error),
        };
        match token::parse(&response, input.now) {
            Ok(tokens) => {
                let grant = grant(&self.attempt, tokens, run);
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
                let issuer = self.attempt.issuer();
                let is_by_name = grant.registration.redirect_uri == run.plan.redirect_uri_by_name;
                if is_by_name && !run.plan.by_name_at.iter().any(|at| at == issuer) {
                    run.memos.push(Memo::NameWorks(issuer.to_owned()));
                }
                if self.attempt.tried.document == DocumentTried::Left {
                    self.attempt.remember_refusal("its page showed an error", run, input);
                }
                over(Outcome::SignedIn(Box::new(grant)))
            }
            Err(TokenError::Refused { error, said }) => {
                run.trace.push(line(format!("HTTP {}: {error}", response.status)).warn());
                let cause = TokenError::Refused { error: error.clone(), said };
                let otherwise = |issuer| SignInError::Exchange { issuer, cause };
                self.attempt.refused(error, otherwise, run, input)
            }
            Err(cause @ (TokenError::NotNow { .. } | TokenError::Unusable(_))) => {
                run.trace.push(line(cause.to_string()).warn());
                let issuer = self.attempt.issuer().to_owned();
                failed(SignInError::Exchange { issuer, cause })
            }
        }
    }
}

fn grant(attempt: &Attempt, tokens: Tokens, run: &Run) -> Grant {
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
    }
}
