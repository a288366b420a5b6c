//! Asking the server itself whether it wants a sign-in.

use http::{HeaderValue, Method, header};
use serde_json::{Value, json};
use url::Url;

use super::finding_resource::FindingResource;
use super::{Asked, Input, Next, Outcome, Run, SignInError, State, Turn, failed, over};
use crate::challenge;
use crate::text::Shown;
use crate::trace::Step;
use crate::wire::{NoAnswer, Request, Response};

/// Most redirects that a probe follows, each within the server's own origin.
const MOST_HOPS: u32 = 3;

#[derive(Debug)]
pub(super) struct Probing {
    asked: Asked,
    hops: u32,
    form: Form,
}

/// The first request of each era. A server of one era answers that of the other with a JSON-RPC
/// error, which says nothing about sign-ins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Up to MCP 2025-11-25.
    Initialize,
    /// From MCP 2026-07-28 on.
    Discover,
}

/// The revision with [`Form::Discover`].
const STATELESS: &str = "2026-07-28";

impl Probing {
    pub(super) fn enter(run: &mut Run, input: &Input<'_>) -> Turn {
        let url = run.plan.server.as_str().to_owned();
        let asked = Asked::now(Step::Probe, url, input);
        Self { asked, hops: 0, form: Form::Initialize }.ask(run)
    }

    fn ask(self, run: &Run) -> Turn {
        let request = request(&self.asked.url, self.form, run);
        (State::Probing(self), Next::Fetch(request))
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
        if let Some(url) = moved(&asked.url, &response).filter(|_| self.hops < MOST_HOPS) {
            run.trace.push(line(format!("HTTP {}", response.status)).decision("asking there"));
            let asked = Asked::now(Step::Probe, url, input);
            return Ok(Self { asked, hops: self.hops + 1, ..self }.ask(run));
        }
        Ok(match judge(&response, self.form) {
            Verdict::OtherEra => {
                run.trace.push(
                    line(format!("HTTP {}", response.status))
                        .decision("asking as MCP 2026-07-28 does")
                        .reason("it answers with an error of the protocol"),
                );
                let asked = Asked::now(Step::Probe, asked.url, input);
                Self { asked, form: Form::Discover, ..self }.ask(run)
            }
            Verdict::Open => match run.plan.refused_later.clone() {
                None => {
                    run.trace.push(
                        line(format!("HTTP {}", response.status)).decision("no sign-in needed"),
                    );
                    over(Outcome::Open)
                }
                Some(challenge) => {
                    run.trace.push(
                        line(format!("HTTP {}", response.status))
                            .decision("sign-in needed")
                            .reason("it answers this, but a later request wanted a sign-in"),
                    );
                    run.answers_freely = true;
                    FindingResource::enter(Some(challenge), run, input)
                }
            },
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
                run.trace
                    .push(asked.line(found.clone(), input).decision("not an MCP server").warn());
                failed(SignInError::NotMcp { found })
            }
        })
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

fn request(url: &str, form: Form, run: &Run) -> Request {
    let mut request = Request::get(url, "application/json, text/event-stream");
    request.method = Method::POST;
    for (name, value) in &run.plan.headers {
        request.headers.append(name.clone(), value.clone());
    }
    request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let us = json!({ "name": "keyfob", "version": run.plan.version });
    let (method, params) = match form {
        Form::Initialize => (
            "initialize",
            json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": us }),
        ),
        Form::Discover => {
            let version = HeaderValue::from_static(STATELESS);
            request.headers.insert("mcp-protocol-version", version);
            request.headers.insert("mcp-method", HeaderValue::from_static("server/discover"));
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": STATELESS,
                "io.modelcontextprotocol/clientInfo": us,
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            ("server/discover", json!({ "_meta": meta }))
        }
    };
    let body =
        json!({ "jsonrpc": "2.0", "id": "keyfob-probe", "method": method, "params": params });
    request.body = body.to_string().into_bytes();
    request
}

enum Verdict {
    Open,
    /// It does not know this request; that of the other era may show more.
    OtherEra,
    WantsSignIn,
    OutOfOrder,
    Foreign(Shown),
}

/// Only a valid JSON-RPC answer shows an MCP server that needs no sign-in; a page with status 200
/// may be a captive portal.
fn judge(response: &Response, form: Form) -> Verdict {
    let challenges = challenge::select(response.header_all("www-authenticate")).is_some();
    match response.status {
        401 => Verdict::WantsSignIn,
        403 if challenges => Verdict::WantsSignIn,
        429 | 500..=599 => Verdict::OutOfOrder,
        status if is_json_rpc(response) => match (status, form) {
            (200..=299 | 400..=499, Form::Initialize) if is_error(response) => Verdict::OtherEra,
            (200..=299 | 400..=499, _) => Verdict::Open,
            _ => Verdict::Foreign(format!("HTTP {status}").into()),
        },
        // It has spoken MCP before; what it makes of the other era's request is no matter.
        400..=499 if form == Form::Discover => Verdict::Open,
        status => Verdict::Foreign(match response.media_type() {
            Some(kind) => format!("HTTP {status}, {}", Shown::quotation(&kind)).into(),
            None => format!("HTTP {status}").into(),
        }),
    }
}

/// A JSON-RPC error where a result belongs.
fn is_error(response: &Response) -> bool {
    let message = response.json_object().unwrap_or_default();
    message.contains_key("error") && !message.contains_key("result")
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
