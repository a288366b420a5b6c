//! Registering dynamically (RFC 7591).

use super::attempt::{self, Attempt};
use super::ladder::{self, Tried};
use super::{Asked, Input, Memo, Next, Run, SignInError, Site, State, Turn, failed};
use crate::dcr::{self, Application, RegistrationError};
use crate::error_code::ErrorCode;
use crate::registration::{AuthMethod, Reason};
use crate::trace::Step;
use crate::wire::{NoAnswer, Response};

#[derive(Debug)]
pub(super) struct Registering {
    site: Site,
    reason: Reason,
    tried: Tried,
    asked: Asked,
    method: AuthMethod,
    /// Those asked for; `None` once they were refused.
    scopes: Option<Vec<String>>,
}

impl Registering {
    pub(super) fn enter(
        site: Site,
        reason: Reason,
        tried: Tried,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        let issuer = site.server.issuer.clone();
        let Some(endpoint) = site.server.registration_endpoint.clone() else {
            return failed(SignInError::NoRegistrationRoute { issuer, refused: None });
        };
        let Some(method) = dcr::auth_method(&site.server) else {
            let cause =
                RegistrationError::Unusable("it knows no way to authenticate that Keyfob knows");
            return failed(SignInError::Registration { issuer, cause });
        };
        let scopes = Some(attempt::scopes(&site, &tried, run));
        let asked = Asked::now(Step::Registration, endpoint, input);
        let state = Self { site, reason, tried, asked, method, scopes };
        state.send(run)
    }

    fn send(self, run: &Run) -> Turn {
        let request = dcr::request(&Application {
            endpoint: &self.asked.url,
            redirect_uri: ladder::redirect_uri(&self.site, &self.tried, run),
            scopes: self.scopes.as_deref().unwrap_or_default(),
            auth_method: self.method,
            version: &run.plan.version,
        });
        (State::Registering(self), Next::Fetch(request))
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
        let parsed = dcr::parse(
            &response,
            &self.site.server,
            self.method,
            ladder::redirect_uri(&self.site, &self.tried, run),
            self.reason.clone(),
            input.now,
        );
        Ok(match parsed {
            Ok(mut registration) => {
                registration.scopes = self.scopes.map(|mut asked| {
                    asked.extend(registration.scopes.unwrap_or_default());
                    asked
                });
                run.trace.push(
                    line("dcr".to_owned())
                        .decision(format!("client id {}", registration.client_id))
                        .reason(self.reason.text),
                );
                run.memos.push(Memo::Registered(registration.clone()));
                Attempt::begin(self.site, registration, self.tried, false, run, input)
            }
            Err(cause)
                if self.scopes.as_ref().is_some_and(|s| !s.is_empty())
                    && is_about_scope(&cause) =>
            {
                run.trace
                    .push(line(cause.to_string()).decision("once more, without scopes").warn());
                self.scopes = None;
                self.asked.at = input.now;
                self.send(run)
            }
            Err(cause) => {
                run.trace.push(line(cause.to_string()).warn());
                let issuer = self.site.server.issuer.clone();
                if is_about_redirect(&cause) {
                    let otherwise = SignInError::Registration { issuer, cause };
                    return Ok(ladder::by_name(self.site, &self.tried, otherwise, run, input));
                }
                failed(match cause {
                    RegistrationError::Closed { .. } => {
                        let refused = self.tried.document.said();
                        SignInError::NoRegistrationRoute { issuer, refused }
                    }
                    cause => SignInError::Registration { issuer, cause },
                })
            }
        })
    }
}

fn is_about_redirect(cause: &RegistrationError) -> bool {
    matches!(cause, RegistrationError::Refused { error: ErrorCode::InvalidRedirectUri, .. })
}

/// Servers that do not know a scope refuse the whole registration, some with a bare 403.
fn is_about_scope(cause: &RegistrationError) -> bool {
    match cause {
        RegistrationError::Refused { error, .. } => {
            matches!(error, ErrorCode::InvalidClientMetadata | ErrorCode::InvalidScope)
        }
        RegistrationError::Closed { status } => *status == 403,
        RegistrationError::NotNow { .. } | RegistrationError::Unusable(_) => false,
    }
}
