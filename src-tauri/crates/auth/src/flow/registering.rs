//! Registering dynamically (RFC 7591).

use super::attempt::{self, Attempt};
use super::ladder::Tried;
use super::{Input, Memo, Next, Run, SignInError, Site, State, Turn, failed, unreachable};
use crate::dcr::{self, Application, RegistrationError};
use crate::error_code::ErrorCode;
use crate::registration::{AuthMethod, Reason};
use crate::time::Timestamp;
use crate::trace::{Step, TraceStep};
use crate::wire::{NoAnswer, Response};

#[derive(Debug)]
pub(super) struct Registering {
    site: Site,
    reason: Reason,
    tried: Tried,
    endpoint: String,
    asked: AuthMethod,
    with_scope: bool,
    started: Timestamp,
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
        let Some(asked) = dcr::auth_method(&site.server) else {
            let cause =
                RegistrationError::Unusable("it knows no way to authenticate that Keyfob knows");
            return failed(SignInError::Registration { issuer, cause });
        };
        let scopes = attempt::scopes(&site, &tried, run);
        let with_scope = !scopes.is_empty();
        let state = Self { site, reason, tried, endpoint, asked, with_scope, started: input.now };
        state.send(scopes, run)
    }

    fn send(self, scopes: Vec<String>, run: &Run) -> Turn {
        let request = dcr::request(&Application {
            endpoint: &self.endpoint,
            redirect_uri: &run.plan.redirect_uri,
            scopes: &scopes,
            auth_method: self.asked,
            version: &run.plan.version,
        });
        (State::Registering(self), Next::Fetch(request))
    }

    pub(super) fn on(
        mut self,
        answer: Result<Response, NoAnswer>,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        let line = |result: String| {
            TraceStep::new(input.now, Step::Registration, result)
                .target(&self.endpoint)
                .since(self.started)
        };
        let response = match answer {
            Ok(response) => response,
            Err(cause) => {
                run.trace.push(line(cause.to_string()).warn());
                return failed(unreachable(&self.endpoint, cause));
            }
        };
        let parsed = dcr::parse(
            &response,
            &self.site.server,
            self.asked,
            &run.plan.redirect_uri,
            self.reason.clone(),
            input.now,
        );
        match parsed {
            Ok(registration) => {
                run.trace.push(
                    line("dcr".to_owned())
                        .decision(format!("client id {}", registration.client_id))
                        .reason(self.reason.text),
                );
                run.memos.push(Memo::Registered(registration.clone()));
                Attempt::begin(self.site, registration, self.tried, false, run, input)
            }
            Err(cause) if self.with_scope && is_about_scope(&cause) => {
                run.trace
                    .push(line(cause.to_string()).decision("once more, without scopes").warn());
                self.with_scope = false;
                self.started = input.now;
                self.send(Vec::new(), run)
            }
            Err(cause) => {
                run.trace.push(line(cause.to_string()).warn());
                let issuer = self.site.server.issuer;
                failed(match cause {
                    RegistrationError::Closed { .. } => {
                        SignInError::NoRegistrationRoute { issuer, refused: None }
                    }
                    cause => SignInError::Registration { issuer, cause },
                })
            }
        }
    }
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
