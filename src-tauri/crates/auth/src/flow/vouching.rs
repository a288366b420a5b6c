//! Asking the company's identity provider to vouch for the person at the server's sign-in service
//! (RFC 8693, MCP extension `enterprise-managed-authorization`).

use super::asserting::Asserting;
use super::attempt::Attempt;
use super::extensions::IdentityProvider;
use super::{Asked, Input, Next, Run, SignInError, State, Turn, failed};
use crate::id_jag;
use crate::metadata::AuthorizationServer;
use crate::registration::{AuthMethod, Reason, ReasonCode, Registration, RegistrationKind};
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::token::TokenError;
use crate::trace::Step;
use crate::wire::{NoAnswer, Response};

#[derive(Debug)]
pub(super) struct Vouching {
    pub(super) attempt: Attempt,
    /// The issuer of the identity provider.
    provider: String,
    asked: Asked,
}

impl Vouching {
    /// `attempt` is the one at the server's sign-in service, which takes up what comes of this.
    pub(super) fn enter(
        attempt: Attempt,
        at_provider: &Registration,
        token_endpoint: &str,
        id_token: &Secret,
        input: &Input<'_>,
    ) -> Turn {
        let request =
            id_jag::exchange(at_provider, token_endpoint, id_token, attempt.wanted_assertion());
        let provider = at_provider.issuer.clone();
        let Some(request) = request else {
            return failed(SignInError::UnsafeLink { issuer: provider });
        };
        let asked = Asked::now(Step::Token, token_endpoint, input);
        (State::Vouching(Self { attempt, provider, asked }), Next::Fetch(request))
    }

    pub(super) fn on(
        self,
        answer: Result<Response, NoAnswer>,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Result<Turn, SignInError> {
        let asked = self.asked.clone();
        let line = |result: String| asked.line(result, input);
        let response = asked.answered(answer, run, input)?;
        Ok(match id_jag::parse(&response) {
            Ok(assertion) => {
                let said = "the identity provider vouches for you".to_owned();
                run.trace.push(line(said));
                Asserting::enter(self.attempt, &assertion, run, input)
            }
            Err(cause) => {
                run.trace.push(
                    line(match &cause {
                        TokenError::Refused { error, .. } => {
                            format!("HTTP {}: {error}", response.status)
                        }
                        cause => cause.to_string(),
                    })
                    .warn(),
                );
                failed(SignInError::Exchange { issuer: self.provider, cause })
            }
        })
    }
}

/// How the user's own client is known at the identity provider. `server` is what it says of
/// itself, where that was read.
pub(super) fn at_provider(
    provider: &IdentityProvider,
    server: Option<&AuthorizationServer>,
    redirect_uri: &str,
    now: Timestamp,
) -> Registration {
    let secret = provider.client_secret.clone().filter(|secret| !secret.is_empty());
    let auth_method = match (&secret, server) {
        (Some(_), Some(server)) => AuthMethod::with_secret(server),
        (Some(_), None) => AuthMethod::ClientSecretBasic,
        (None, _) => AuthMethod::None,
    };
    Registration {
        kind: RegistrationKind::PreRegistered,
        client_id: provider.client_id.clone(),
        secret,
        auth_method,
        issuer: provider.issuer.clone(),
        redirect_uri: redirect_uri.to_owned(),
        scopes: None,
        registered_at: now,
        secret_expires_at: None,
        reason: Reason::new(ReasonCode::OwnClient),
        management: None,
    }
}
