//! Trying the authorization endpoint before the browser does: a conforming server shows an error
//! page to a client that it refuses and never redirects (RFC 6749 section 4.1.2.1), so nobody
//! would ever tell us.

use super::attempt::{self, Attempt};
use super::in_browser::InBrowser;
use super::ladder::{self, DocumentTried};
use super::{Asked, Input, Next, Run, SignInError, State, Turn, failed};
use crate::authorize::{AuthorizationResponse, Binding};
use crate::registration::RegistrationKind;
use crate::text::Shown;
use crate::trace::Step;
use crate::wire::{NoAnswer, Request, Response};

#[derive(Debug)]
pub(super) struct Preflighting {
    pub(super) attempt: Attempt,
    asked: Asked,
}

enum Verdict {
    Accepted,
    /// By a typed error in a redirect to us.
    RefusedClient(crate::error_code::ErrorCode),
    /// By anything else.
    Refused,
}

impl Preflighting {
    pub(super) fn enter(attempt: Attempt, run: &Run, input: &Input<'_>) -> Turn {
        // Its state and verifier are its own: the browser gets a fresh pair.
        let binding = Binding::new(input.entropy);
        let Some(url) = attempt.request(&binding, &run.plan).url() else {
            let issuer = attempt.issuer().to_owned();
            return failed(SignInError::UnsafeLink { issuer });
        };
        let request = Request::get(url, "text/html,application/xhtml+xml,*/*;q=0.8");
        let asked = Asked::now(Step::Preflight, request.url.as_str(), input);
        (State::Preflighting(Self { attempt, asked }), Next::Fetch(request))
    }

    pub(super) fn on(
        self,
        answer: Result<Response, NoAnswer>,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        let Self { mut attempt, asked } = self;
        let line = |result: Shown| asked.line(result, input);
        let response = match answer {
            Ok(response) => response,
            // What we may not reach ourselves, the browser is not sent to either.
            Err(cause @ NoAnswer::Forbidden(_)) => {
                run.trace.push(line(cause.to_string().into()).decision("stopped").warn());
                let issuer = attempt.issuer().to_owned();
                return failed(SignInError::UnsafeLink { issuer });
            }
            Err(cause) => {
                run.trace
                    .push(line(cause.to_string().into()).decision("the browser will tell").warn());
                return InBrowser::enter(attempt, run, input);
            }
        };
        let result = told(&response);
        match (judge(&response, &attempt.registration.redirect_uri), attempt.registration.kind) {
            (Verdict::Accepted, RegistrationKind::Cimd | RegistrationKind::PreRegistered) => {
                run.trace.push(line(result).decision("the client id is not refused"));
                InBrowser::enter(attempt, run, input)
            }
            (Verdict::Accepted, RegistrationKind::Dcr) => {
                if let DocumentTried::Suspected { said, .. } = attempt.tried.document.clone() {
                    let reason = "the same request with a registered client is accepted";
                    run.trace.push(line(result).decision("CIMD was refused").reason(reason).warn());
                    attempt.remember_refusal(&said, run, input);
                    attempt.tried.document = DocumentTried::Refused { said };
                }
                InBrowser::enter(attempt, run, input)
            }
            (Verdict::RefusedClient(error), _) => {
                run.trace.push(line(result).decision("the client is refused").warn());
                let issuer = |issuer| SignInError::Refused { issuer, error: error.clone() };
                attempt.refused(error.clone(), issuer, run, input)
            }
            (Verdict::Refused, RegistrationKind::Cimd | RegistrationKind::PreRegistered) => {
                let status = response.status;
                let can_register = attempt.site.server.registration_endpoint.is_some();
                if !can_register && !matches!(status, 400 | 401 | 422) {
                    run.trace.push(line(result).decision("the browser will tell").warn());
                    return InBrowser::enter(attempt, run, input);
                }
                let decision = if can_register { "next way: DCR" } else { "no way left" };
                run.trace.push(
                    line(result.clone())
                        .decision(decision)
                        .reason("the sign-in page refuses Keyfob's document")
                        .warn(),
                );
                attempt.tried.document = DocumentTried::Suspected { said: result, status };
                ladder::climb(attempt.site, attempt.tried, run, input)
            }
            (Verdict::Refused, RegistrationKind::Dcr)
                if attempt.is_reused && !attempt.tried.registration_gone =>
            {
                run.trace.push(
                    line(result)
                        .decision("registering anew")
                        .reason("the registration may be gone"),
                );
                run.memos.push(attempt::gone(attempt.registration));
                attempt.tried.registration_gone = true;
                ladder::climb(attempt.site, attempt.tried, run, input)
            }
            (Verdict::Refused, RegistrationKind::Dcr) => {
                let status = response.status;
                let why = "a registered client is refused as well, so it is not about CIMD";
                run.trace.push(line(result).reason(why).warn());
                let is_outage = matches!(status, 429 | 500..=599);
                let Attempt { site, tried, .. } = attempt;
                let issuer = site.server.issuer.clone();
                let stopped = SignInError::AuthorizationRefused { issuer, status };
                if is_outage {
                    return failed(stopped);
                }
                ladder::by_name(site, &tried, stopped, run, input)
            }
        }
    }
}

/// The status, and what a refusal says in the form of RFC 6749 section 5.2, which some servers use
/// here as well.
fn told(response: &Response) -> Shown {
    let status = response.status;
    let body = if status < 400 { None } else { response.json_object() };
    let member = |name| body.as_ref()?.get(name)?.as_str().filter(|s| !s.is_empty());
    match (member("error"), member("error_description")) {
        (Some(error), Some(said)) => Shown::quotation(&format!("HTTP {status}: {error}, {said}")),
        (Some(error), None) => Shown::quotation(&format!("HTTP {status}: {error}")),
        (None, _) => format!("HTTP {status}").into(),
    }
}

/// 2xx and 3xx are accepted, unless the redirect brings us an error about the client. A code in
/// it is thrown away.
fn judge(response: &Response, redirect_uri: &str) -> Verdict {
    if !(200..400).contains(&response.status) {
        return Verdict::Refused;
    }
    match AuthorizationResponse::from_location(response, redirect_uri).map(|r| r.outcome) {
        Some(Err(error)) if error.refuses_client() => Verdict::RefusedClient(error),
        _ => Verdict::Accepted,
    }
}
