//! Asking the server itself whether it wants a sign-in.

use http::{HeaderValue, Method, header};
use serde_json::{Value, json};
use url::Url;

use super::finding_resource::FindingResource;
use super::{Asked, Input, Next, Outcome, Run, SignInError, State, Turn, failed, over};
use crate::challenge;
use crate::text;
use crate::trace::Step;
use crate::wire::{NoAnswer, Request, Response};

/// Most redirects that a probe follows, each within the server's own origin.
const MOST_HOPS: u32 = 3;

#[derive(Debug)]
pub(super) struct Probing {
    asked: Asked,
    hops: u32,
}

impl Probing {
    pub(super) fn enter(run: &mut Run, input: &Input<'_>) -> Turn {
        let url = run.plan.server.as_str().to_owned();
        Self { asked: Asked::now(Step::Probe, url, input), hops: 0 }.ask(run)
    }

    fn ask(self, run: &Run) -> Turn {
        let request = request(&self.asked.url, run);
        (State::Probing(self), Next::Fetch(request))
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
        if let Some(url) = moved(&asked.url, &response).filter(|_| self.hops < MOST_HOPS) {
            run.trace.push(line(format!("HTTP {}", response.status)).decision("asking there"));
            let asked = Asked::now(Step::Probe, url, input);
            return Self { asked, hops: self.hops + 1 }.ask(run);
        }
        match judge(&response) {
            Verdict::Open => {
                run.trace
                    .push(line(format!("HTTP {}", response.status)).decision("no sign-in needed"));
                over(Outcome::Open)
            }
            Verdict::WantsSignIn => {
                let challenge = challenge::select(response.header_all("www-authenticate"));
                let said = match &challenge {
                    Some(c) if c.resource_metadata.is_some() => "the server says where to look",
                    Some(_) => "the server challenges without saying where to look",
                    None => "the server does not challenge",
                };
                run.trace.push(
                    line(format!("HTTP {}", response.status))
                        .decision("sign-in needed")
                        .reason(said),
                );
                FindingResource::enter(challenge, run, input)
            }
            Verdict::OutOfOrder => {
                run.trace.push(line(format!("HTTP {}", response.status)).warn());
                failed(asked.out_of_order(&response))
            }
            Verdict::Foreign(found) => {
                run.trace.push(line(found.clone()).decision("not an MCP server").warn());
                failed(SignInError::NotMcp { found })
            }
        }
    }
}

/// The place of a redirect that keeps the method, within the same origin: many servers have their
/// endpoint one slash further on.
fn moved(from: &str, response: &Response) -> Option<String> {
    if !matches!(response.status, 307 | 308) {
        return None;
    }
    let from = Url::parse(from).ok()?;
    let place = from.join(response.header("location")?).ok()?;
    is_below(&from, &place).then(|| place.into())
}

/// The same place with or without a slash, or further down; nowhere else may a credential go.
fn is_below(from: &Url, place: &Url) -> bool {
    let own = from.path().trim_end_matches('/');
    let rest = place.path().strip_prefix(own);
    place.origin() == from.origin()
        && place != from
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn request(url: &str, run: &Run) -> Request {
    let mut request = Request::get(url, "application/json, text/event-stream");
    request.method = Method::POST;
    for (name, value) in &run.plan.headers {
        request.headers.append(name.clone(), value.clone());
    }
    request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = json!({
        "jsonrpc": "2.0",
        "id": "keyfob-probe",
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "keyfob", "version": run.plan.version },
        },
    });
    request.body = body.to_string().into_bytes();
    request
}

enum Verdict {
    Open,
    WantsSignIn,
    OutOfOrder,
    Foreign(String),
}

/// Only a valid JSON-RPC answer shows an MCP server that needs no sign-in; a page with status 200
/// may be a captive portal.
fn judge(response: &Response) -> Verdict {
    let challenges = challenge::select(response.header_all("www-authenticate")).is_some();
    match response.status {
        401 => Verdict::WantsSignIn,
        403 if challenges => Verdict::WantsSignIn,
        429 | 500..=599 => Verdict::OutOfOrder,
        status if is_json_rpc(response) => match status {
            200..=299 | 400..=499 => Verdict::Open,
            _ => Verdict::Foreign(format!("HTTP {status}")),
        },
        status => Verdict::Foreign(match response.media_type() {
            Some(kind) => format!("HTTP {status}, {}", text::shown(&kind)),
            None => format!("HTTP {status}"),
        }),
    }
}

fn is_json_rpc(response: &Response) -> bool {
    let is_message = |text: &[u8]| {
        serde_json::from_slice::<Value>(text)
            .is_ok_and(|value| value.get("jsonrpc").and_then(Value::as_str) == Some("2.0"))
    };
    if response.media_type().as_deref() == Some("text/event-stream") {
        // A priming event may come first (MCP 2025-11-25); the form alone has to do then.
        return response.body.is_empty()
            || response.body.split(|b| *b == b'\n').any(|line| {
                [&b"data:"[..], b"id:", b"event:", b"retry:", b":"]
                    .iter()
                    .any(|p| line.starts_with(p))
            });
    }
    is_message(&response.body)
}
