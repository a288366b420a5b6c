//! A new ID token from the identity provider by the grant of an earlier visit (OpenID Connect Core
//! section 12), so that nobody has to go there again.

use super::attempt::Attempt;
use super::extensions::IdentityProvider;
use super::finding_provider::FindingProvider;
use super::vouching::Vouching;
use super::{Asked, Input, Memo, Next, Run, SignInError, State, Turn, failed};
use crate::grant::Grant;
use crate::secret::Secret;
use crate::token::{self, TokenError, TokenType};
use crate::trace::Step;
use crate::wire::{NoAnswer, Response};

#[derive(Debug)]
pub(super) struct Reviving {
    /// The one at the server's sign-in service.
    pub(super) attempt: Attempt,
    grant: Box<Grant>,
    asked: Asked,
}

impl Reviving {
    pub(super) fn enter(
        attempt: Attempt,
        provider: &IdentityProvider,
        grant: Grant,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        let mut grant = Box::new(grant);
        // It may have been changed since the visit.
        if let (Some(kept), Some(secret)) =
            (&mut grant.registration.secret, &provider.client_secret)
        {
            *kept = secret.clone();
        }
        match grant.renewal(None, input.now, input.entropy) {
            Some(request) => {
                let asked = Asked::now(Step::Token, grant.token_endpoint.as_str(), input);
                (State::Reviving(Self { attempt, grant, asked }), Next::Fetch(request))
            }
            None => ask_the_person(attempt, run, input),
        }
    }

    pub(super) fn on(
        mut self,
        answer: Result<Response, NoAnswer>,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Result<Turn, SignInError> {
        let asked = self.asked.clone();
        let line = |result: String| asked.line(result, input);
        let response = asked.answered(answer, run, input)?;
        Ok(match token::parse_as(TokenType::Bearer, &response, input.now) {
            Ok(mut tokens) => {
                let id_token = tokens.id_token.take();
                self.grant.renew(tokens);
                run.memos.push(Memo::ProviderGrant(self.grant.clone()));
                match id_token {
                    Some(id_token) => {
                        run.trace.push(line("the identity provider still knows you".to_owned()));
                        self.vouch(&id_token, run, input)
                    }
                    None => {
                        run.trace.push(line("no ID token".to_owned()).decision("asking you"));
                        ask_the_person(self.attempt, run, input)
                    }
                }
            }
            Err(TokenError::Refused { error, .. }) if error.ends_grant() => {
                let said = format!("HTTP {}: {error}", response.status);
                run.trace.push(line(said).decision("asking you"));
                run.memos.push(Memo::ProviderGrantGone);
                ask_the_person(self.attempt, run, input)
            }
            // Whatever else is wrong says nothing about the grant.
            Err(cause) => {
                run.trace.push(line(cause.to_string()).warn());
                let issuer = self.grant.registration.issuer.clone();
                failed(SignInError::Exchange { issuer, cause })
            }
        })
    }

    fn vouch(self, id_token: &Secret, run: &mut Run, input: &Input<'_>) -> Turn {
        let Self { attempt, grant, .. } = self;
        // Should the next steps have to be gone once more, nothing is asked again.
        if let Some(provider) = &mut run.plan.extensions.identity_provider {
            provider.id_token = Some(id_token.clone());
        }
        Vouching::enter(attempt, &grant.registration, &grant.token_endpoint, id_token, input)
    }
}

fn ask_the_person(attempt: Attempt, run: &mut Run, input: &Input<'_>) -> Turn {
    let Some(provider) = &mut run.plan.extensions.identity_provider else {
        return failed(SignInError::NoAuthorizationServer);
    };
    provider.grant = None;
    FindingProvider::look(attempt, provider.clone(), input)
}
