//! Pushing the authorization request (RFC 9126), where the server requires it.

use serde_json::Value;

use super::attempt::Attempt;
use super::in_browser::InBrowser;
use super::ladder::{self, DocumentTried, Loopback};
use super::{Asked, Input, Next, Run, SignInError, State, Turn, failed};
use crate::authorize::Binding;
use crate::client_assertion;
use crate::client_document::{Listing, listing};
use crate::error_code::ErrorCode;
use crate::registration::RegistrationKind;
use crate::trace::{Step, TraceStep};
use crate::wire::{NoAnswer, Response};

#[derive(Debug)]
pub(super) struct Pushing {
    pub(super) attempt: Attempt,
    binding: PendingBinding,
    asked: Asked,
}

struct PendingBinding(Binding);

impl std::fmt::Debug for PendingBinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[binding]")
    }
}

impl Pushing {
    pub(super) fn enter(attempt: Attempt, run: &mut Run, input: &Input<'_>) -> Turn {
        let Some(endpoint) = attempt.site.server.pushed_authorization_request_endpoint.clone()
        else {
            run.trace.push(
                TraceStep::new(input.now, Step::PushedRequest, "no endpoint")
                    .target(attempt.issuer())
                    .warn(),
            );
            return InBrowser::enter(attempt, run, input);
        };
        let binding = Binding::new(input.entropy);
        let mut request = attempt.request(&binding, &run.plan).push(&endpoint);
        let registration = &attempt.registration;
        let signed = request
            .as_mut()
            .and_then(|r| client_assertion::add(r, registration, input.now, input.entropy));
        let Some(request) = request.filter(|_| signed.is_some()) else {
            let issuer = attempt.issuer().to_owned();
            return failed(SignInError::UnsafeLink { issuer });
        };
        let binding = PendingBinding(binding);
        let asked = Asked::now(Step::PushedRequest, endpoint, input);
        let state = Self { attempt, binding, asked };
        (State::Pushing(state), Next::Fetch(request))
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
        let body = response.json_object().unwrap_or_default();
        let member = |name: &str| body.get(name).and_then(Value::as_str);
        if let (200 | 201, Some(request_uri)) = (response.status, member("request_uri")) {
            run.trace.push(line("accepted".to_owned()));
            if let DocumentTried::Unlisted { said } = self.attempt.tried.document.clone() {
                self.attempt.remember_refusal(&said, run, input);
                self.attempt.tried.document = DocumentTried::Refused { said };
            }
            let url = self.attempt.request(&self.binding.0, &run.plan).pushed_url(request_uri);
            return Ok(InBrowser::enter_with(self.attempt, self.binding.0, url, run, input));
        }
        run.trace.push(line(format!("HTTP {}", response.status)).warn());
        Ok(match member("error").map(ErrorCode::parse) {
            // A push endpoint has no other word for a redirect URI that it does not take (RFC 9126
            // section 2.3).
            Some(error @ (ErrorCode::InvalidRequest | ErrorCode::InvalidRedirectUri)) => {
                redirect_refused(self.attempt, error, run, input)
            }
            Some(error) => {
                let otherwise = |issuer| SignInError::Refused { issuer, error: error.clone() };
                self.attempt.refused(error.clone(), otherwise, run, input)
            }
            None => failed(asked.out_of_order(&response)),
        })
    }
}

/// What may be refused is our redirect URI: once more with the other name of this machine; then,
/// where our document does not list it to the letter, with a registration that does.
fn redirect_refused(attempt: Attempt, error: ErrorCode, run: &mut Run, input: &Input<'_>) -> Turn {
    let Attempt { site, registration, mut tried, .. } = attempt;
    let redirect_uri = &registration.redirect_uri;
    let is_unlisted =
        error == ErrorCode::InvalidRedirectUri || listing(redirect_uri) == Listing::AnyPort;
    let steps_down = registration.kind == RegistrationKind::Cimd
        && *redirect_uri == run.plan.redirect_uri_by_name
        && site.server.registration_endpoint.is_some()
        && is_unlisted;
    if steps_down {
        run.trace.push(
            TraceStep::new(input.now, Step::Registration, error.to_string())
                .target(&site.server.issuer)
                .decision("next way: DCR")
                .reason("Keyfob's document does not list the redirect address to the letter")
                .warn(),
        );
        tried.document = DocumentTried::Unlisted { said: error.as_str().into() };
        tried.loopback = Loopback::Address;
        return ladder::climb(site, tried, run, input);
    }
    let issuer = site.server.issuer.clone();
    ladder::by_name(site, &tried, SignInError::Refused { issuer, error }, run, input)
}
