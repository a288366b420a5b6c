//! Waiting for the person to come back from the browser.

use super::attempt::{self, Attempt};
use super::exchanging::Exchanging;
use super::ladder::{self, DocumentTried};
use super::{Event, Input, Memo, Next, Run, SignInError, State, Turn, Visit, failed};
use crate::authorize::{AuthorizationResponse, BadIssuer, Binding, check_issuer};
use crate::error_code::ErrorCode;
use crate::registration::RegistrationKind;
use crate::scope;
use crate::secret::Secret;
use crate::server_url::is_usable_endpoint;
use crate::text::Shown;
use crate::time::Timestamp;
use crate::trace::{Step, TraceStep};

/// Longest link that a browser is sent to, in bytes: what a server adds to it is its own choice.
const LONGEST_LINK: usize = 16 * 1024;

pub(super) struct InBrowser {
    pub(super) attempt: Attempt,
    binding: Binding,
    started: Timestamp,
}

impl std::fmt::Debug for InBrowser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("InBrowser").field(&self.attempt).finish()
    }
}

impl InBrowser {
    pub(super) fn enter(attempt: Attempt, run: &mut Run, input: &Input<'_>) -> Turn {
        let binding = Binding::new(input.entropy);
        let url = attempt.request(&binding, &run.plan).url();
        Self::enter_with(attempt, binding, url, run, input)
    }

    pub(super) fn enter_with(
        attempt: Attempt,
        binding: Binding,
        url: Option<String>,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        let url = url.filter(|url| url.len() <= LONGEST_LINK && is_usable_endpoint(url));
        let Some(url) = url else {
            let issuer = attempt.issuer().to_owned();
            return failed(SignInError::UnsafeLink { issuer });
        };
        run.trace.push(TraceStep::new(input.now, Step::Browser, "waiting").target(&url).decision(
            match attempt.scopes.as_slice() {
                [] => "asking for the server's usual access".to_owned(),
                scopes => format!("asking for {}", Shown::quotation(&scope::join(scopes))),
            },
        ));
        let visit = Visit { url: Secret::new(url), state: binding.state.clone() };
        (State::InBrowser(Self { attempt, binding, started: input.now }), Next::Browse(visit))
    }

    pub(super) fn on(self, event: Event, run: &mut Run, input: &Input<'_>) -> Turn {
        match event {
            Event::Callback(response) if response.state == self.binding.state => {
                self.came_back(response, run, input)
            }
            Event::BrowserFailed(cause) => {
                run.trace.push(TraceStep::new(input.now, Step::Browser, cause.clone()).warn());
                failed(SignInError::Browser { cause })
            }
            Event::TryAnotherWay => self.try_another_way(run, input),
            Event::TimedOut => self.nobody_came_back(SignInError::TimedOut, run),
            Event::Cancelled => self.nobody_came_back(SignInError::Cancelled, run),
            // An answer with another state is not ours: whoever can reach the port could send it.
            Event::Callback(_) | Event::Answer(_) => (State::InBrowser(self), Next::Wait),
        }
    }

    /// Perhaps the page showed an error about our document, which nobody tells us: the next sign-in
    /// tries the page out again before it sends a person there.
    fn nobody_came_back(self, error: SignInError, run: &mut Run) -> Turn {
        if self.attempt.registration.kind == RegistrationKind::Cimd {
            run.memos.push(Memo::DocumentDoubted(self.attempt.issuer().to_owned()));
        }
        failed(error)
    }

    fn came_back(self, response: AuthorizationResponse, run: &mut Run, input: &Input<'_>) -> Turn {
        let started = self.started;
        let line =
            |result: String| TraceStep::new(input.now, Step::Callback, result).since(started);
        if let Err(cause) = check_issuer(response.iss.as_deref(), &self.attempt.site.server) {
            let said = match cause {
                BadIssuer::Missing => "the answer does not name its sender",
                BadIssuer::Other => "the answer names another sender",
            };
            run.trace.push(line(said.to_owned()).decision("rejected").warn());
            return failed(match (&cause, &response.outcome) {
                (BadIssuer::Missing, Err(_)) => {
                    SignInError::Unnamed { issuer: self.attempt.issuer().to_owned() }
                }
                _ => SignInError::Issuer(cause),
            });
        }
        match response.outcome {
            Ok(code) => {
                run.trace.push(line("approved".to_owned()));
                Exchanging::enter(self.attempt, &code, &self.binding, run, input)
            }
            Err(error) => {
                run.trace.push(line(error.to_string()).warn());
                let otherwise = |issuer| match &error {
                    ErrorCode::AccessDenied => SignInError::Denied,
                    error => SignInError::Refused { issuer, error: error.clone() },
                };
                self.attempt.refused(error.clone(), otherwise, run, input)
            }
        }
    }

    fn try_another_way(self, run: &mut Run, input: &Input<'_>) -> Turn {
        let Attempt { site, registration, mut tried, is_reused, .. } = self.attempt;
        run.trace.push(
            TraceStep::new(input.now, Step::Browser, "left")
                .decision("next way")
                .reason("you asked for another way"),
        );
        match registration.kind {
            RegistrationKind::Cimd => {
                tried.document = DocumentTried::Left;
                ladder::climb(site, tried, run, input)
            }
            // A server that has forgotten a registration shows a page and sends nobody back.
            RegistrationKind::Dcr if is_reused => {
                run.memos.push(attempt::gone(registration));
                tried.registration_gone = true;
                ladder::climb(site, tried, run, input)
            }
            RegistrationKind::Dcr | RegistrationKind::PreRegistered => {
                let issuer = site.server.issuer.clone();
                let refused = tried.document.said();
                let otherwise = SignInError::NoRegistrationRoute { issuer, refused };
                ladder::by_name(site, &tried, otherwise, run, input)
            }
        }
    }
}
