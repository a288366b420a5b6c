//! Redeeming the code. A code is used once: whatever goes wrong here, it is not sent again.

use super::attempt::Attempt;
use super::ladder::DocumentTried;
use super::{Input, Memo, Next, Outcome, Run, SignInError, State, Turn, failed, over, unreachable};
use crate::authorize::Binding;
use crate::grant::Grant;
use crate::registration::RegistrationKind;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::token::{self, TokenError, Tokens};
use crate::trace::{Step, TraceStep};
use crate::wire::{NoAnswer, Response};

#[derive(Debug)]
pub(super) struct Exchanging {
    attempt: Attempt,
    started: Timestamp,
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
        (State::Exchanging(Self { attempt, started: input.now }), Next::Fetch(request))
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
        let endpoint = self.attempt.site.server.token_endpoint.clone();
        let started = self.started;
        let line = |result: String| {
            TraceStep::new(input.now, Step::Token, result).target(&endpoint).since(started)
        };
        let response = match answer {
            Ok(response) => response,
            Err(cause) => {
                run.trace.push(line(cause.to_string()).warn());
                return failed(unreachable(&endpoint, cause));
            }
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
