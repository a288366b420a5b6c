//! One request from a client to its server, with everything that may come between: a stale token,
//! a refusal, a sign-in that has to happen first.

use std::fmt::Display;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use keyfob_auth::challenge::{self, Challenge};
use keyfob_auth::dpop;
use keyfob_auth::text::Untrusted;
use keyfob_auth::wire::NoAnswer;
use tokio::sync::oneshot;
use url::Url;

use super::answer::{Response, trouble};
use super::relay::{self, Begun, Relay, Upload};
use super::seat::{Ask, Bearer, Broker, Caller, Lease, Seat};
use super::{headers, route};
use crate::clock;
use crate::fetch;
use crate::problem::{Code, Problem};

/// Most requests that one request of a client may become.
const MOST_TRIES: usize = 6;

/// How long a request waits while its person decides about more access.
const DECISION: Duration = Duration::from_secs(120);

/// A request, taken apart.
pub struct Inbound {
    /// The method.
    pub method: Method,
    /// Its headers as they came.
    pub headers: HeaderMap,
    /// What follows the server's name in the path.
    pub tail: String,
    /// The query.
    pub query: Option<String>,
    /// The body.
    pub body: Upload,
}

/// Forwards one request. It ends when what it is sent with does, whatever it is at.
pub async fn forward(
    relay: &Relay,
    broker: &Broker,
    seat: &Arc<Seat>,
    caller: &Caller,
    inbound: Inbound,
) -> Response {
    let known = match inbound.body.again() {
        Some(Upload::Whole(bytes)) => bytes,
        Some(Upload::Stream(..)) | None => Bytes::new(),
    };
    let asking = Asking { broker, seat, holds: caller.holds };
    // Before the lease is looked at: none can end unseen.
    let mut end = seat.end();
    let answered = tokio::select! {
        biased;
        answered = asking.exchange(relay, inbound) => answered,
        () = &mut end => Err(asking.ended()),
    };
    match answered {
        Ok(answer) => answer.until(end),
        Err(problem) => trouble(&problem, &known),
    }
}

/// What is asked of the broker in the course of one request.
struct Asking<'a> {
    broker: &'a Broker,
    seat: &'a Arc<Seat>,
    holds: bool,
}

impl Asking<'_> {
    /// Sends a request until it has an answer that can be passed on.
    async fn exchange(&self, relay: &Relay, inbound: Inbound) -> Result<Begun, Problem> {
        let Self { broker, seat, .. } = self;
        let Inbound { method, headers, tail, query, body } = inbound;
        let url = route::upstream(&seat.upstream, &tail, query.as_deref());
        let mut url = Url::parse(&url).map_err(Problem::internal)?;
        let own = seat.headers.read().unwrap_or_else(PoisonError::into_inner).clone();
        let passed = headers::upward(&headers, &own);
        let mut next = Some(body);
        let mut lease = seat.lease();
        let mut was_renewed = false;
        let mut had_new_nonce = false;
        for _ in 0..MOST_TRIES {
            lease = self.usable(lease).await?;
            let Some(body) = next.take() else { return Err(self.again_later()) };
            next = body.again();
            let mut headers = passed.clone();
            let mut nonce = None;
            let (generation, is_bound) = match &lease {
                Lease::Bearer(bearer) => {
                    headers.insert(AUTHORIZATION, bearer.value.clone());
                    if let Some(bound) = &bearer.bound {
                        nonce = seat.nonce();
                        let proof = bound.prove(&method, &url, nonce.as_deref())?;
                        headers.insert(dpop::HEADER, proof);
                    }
                    (Some(bearer.generation), bearer.bound.is_some())
                }
                Lease::Bare | Lease::Trouble(_) => (None, false),
            };
            let sent = relay.send(method.clone(), url.clone(), headers, body).await;
            let response = sent.map_err(|error| self.no_answer(&error))?;
            relay::check(&response).map_err(|unfit| self.unreachable(unfit))?;
            let status = response.status().as_u16();
            let challenge = || read_challenge(&response);
            let has_new_nonce = is_bound && seat.keep_nonce(response.headers(), nonce.as_deref());
            lease = match status {
                // What was refused may be the proof and not the token (RFC 9449 section 9). Once:
                // it could go on like this for ever.
                401 if has_new_nonce && !had_new_nonce => {
                    had_new_nonce = true;
                    drain(response).await;
                    continue;
                }
                401 => {
                    let challenge = challenge();
                    drain(response).await;
                    self.refused(generation, was_renewed, challenge).await?
                }
                403 => match challenge().filter(Challenge::wants_scope) {
                    Some(challenge) => match self.scope_wanted(generation, challenge).await {
                        // The same would be refused again: the server's own answer says so best.
                        Err(problem) if problem.code == Code::SignInRefused => {
                            return self.begin(response).await;
                        }
                        answered => answered?,
                    },
                    None => return self.begin(response).await,
                },
                307 | 308 => {
                    url = moved(&url, &response).ok_or_else(|| self.moved_away())?;
                    continue;
                }
                300..=303 | 305..=306 => return Err(self.moved_away()),
                _ => {
                    let begun = self.begin(response).await?;
                    if (200..300).contains(&status) && seat.is_first_answer() {
                        let _ = broker.send(Ask::Answered { server: seat.id.clone(), generation });
                    }
                    return Ok(begun);
                }
            };
            was_renewed = true;
        }
        Err(self.again_later())
    }

    async fn begin(&self, response: reqwest::Response) -> Result<Begun, Problem> {
        relay::begin(response).await.map_err(|error| self.no_answer(&error))
    }

    /// A lease that can be used: the given one, or another after whatever it takes.
    async fn usable(&self, lease: Lease) -> Result<Lease, Problem> {
        let is_usable = match &lease {
            Lease::Bare => true,
            Lease::Bearer(Bearer { renew_at, .. }) => renew_at.is_none_or(|at| clock::now() < at),
            Lease::Trouble(_) => false,
        };
        if is_usable {
            return Ok(lease);
        }
        let server = self.seat.id.clone();
        self.ask(|reply| Ask::Lease { server, holds: self.holds, reply }).await
    }

    async fn refused(
        &self,
        generation: Option<u64>,
        is_second: bool,
        challenge: Option<Challenge>,
    ) -> Result<Lease, Problem> {
        let server = self.seat.id.clone();
        let holds = self.holds;
        self.ask(|reply| Ask::Refused { server, generation, is_second, challenge, holds, reply })
            .await
    }

    async fn scope_wanted(
        &self,
        generation: Option<u64>,
        challenge: Challenge,
    ) -> Result<Lease, Problem> {
        let server = self.seat.id.clone();
        let holds = self.holds;
        let wanted = challenge.scope.as_ref().map(Untrusted::shown).unwrap_or_default();
        let asked =
            self.ask(|reply| Ask::ScopeWanted { server, generation, challenge, holds, reply });
        match tokio::time::timeout(DECISION, asked).await {
            Ok(answered) => answered,
            Err(_) => Err(self.problem(Code::ScopeNeeded).with("scopes", wanted)),
        }
    }

    async fn ask(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<Lease, Problem>>) -> Ask,
    ) -> Result<Lease, Problem> {
        let (reply, answer) = oneshot::channel();
        let ending = || self.problem(Code::Offline);
        self.broker.send(make(reply)).map_err(|_| ending())?;
        answer.await.map_err(|_| ending())?
    }

    fn no_answer(&self, error: &reqwest::Error) -> Problem {
        let cause = fetch::no_answer(error);
        if error.is_connect() {
            let _ = self.broker.send(Ask::Unreachable { server: self.seat.id.clone() });
        }
        let code = match &cause {
            NoAnswer::Untrusted(_) => Code::TlsUntrusted,
            NoAnswer::Unreachable(_) if error.is_timeout() => Code::Timeout,
            NoAnswer::Unreachable(_) | NoAnswer::Forbidden(_) | NoAnswer::TooLarge => {
                Code::Unreachable
            }
        };
        self.problem(code).with("target", &self.seat.name).with("cause", cause)
    }

    fn moved_away(&self) -> Problem {
        self.unreachable("it has moved to another address")
    }

    fn unreachable(&self, cause: impl Display) -> Problem {
        self.problem(Code::Unreachable).with("target", &self.seat.name).with("cause", cause)
    }

    /// Why nothing goes on: the server was signed out, turned off or taken away.
    fn ended(&self) -> Problem {
        match self.seat.lease() {
            Lease::Trouble(problem) => problem.as_ref().clone(),
            // It is there again already.
            Lease::Bare | Lease::Bearer(_) => self.again_later(),
        }
    }

    /// A body that cannot be sent again met something that would need it.
    fn again_later(&self) -> Problem {
        self.problem(Code::Retry)
    }

    fn problem(&self, code: Code) -> Problem {
        Problem::new(code).with("server", &self.seat.name)
    }
}

fn read_challenge(response: &reqwest::Response) -> Option<Challenge> {
    let values = response.headers().get_all("www-authenticate");
    challenge::select(values.iter().filter_map(|value| value.to_str().ok()))
}

/// The place of a redirect that may be followed: the same place with or without a slash, or further
/// down, since the token goes along.
fn moved(from: &Url, response: &reqwest::Response) -> Option<Url> {
    let place = response.headers().get("location")?.to_str().ok()?;
    let place = from.join(place).ok()?;
    let own = from.path().trim_end_matches('/');
    let rest = place.path().strip_prefix(own);
    let is_below = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    (place.origin() == from.origin() && place != *from && is_below).then_some(place)
}

/// Reads a short rest, so that the connection can be used again.
async fn drain(mut response: reqwest::Response) {
    let reading = async {
        let mut length = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            length += chunk.len();
            if length > 64 * 1024 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), reading).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use http::{HeaderMap, Method};
    use http_body_util::BodyExt;
    use keyfob_auth::ServerUrl;
    use keyfob_auth::challenge::Challenge;
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    use super::{Asking, DECISION, Inbound, forward};
    use crate::gateway::relay::{Relay, Upload};
    use crate::gateway::seat::{Caller, Lease, Seat};
    use crate::problem::{Code, Problem};

    /// What waits is told when there is nothing to wait for any more.
    #[tokio::test]
    async fn a_request_that_waits_for_its_lease_ends_with_the_sign_in() {
        let upstream = ServerUrl::parse("https://h/mcp").expect("a server URL");
        let seat = Arc::new(Seat::new("id".into(), "name".into(), upstream));
        let trouble = |code| Lease::Trouble(Arc::new(Problem::new(code).with("server", "name")));
        seat.set_lease(trouble(Code::SignInNeeded));
        let (broker, mut asks) = mpsc::unbounded_channel();
        let relay = Relay::new(None).expect("a relay");
        let caller = Caller { client: "test".into(), holds: true };
        let body = Bytes::from_static(br#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#);
        let inbound = Inbound {
            method: Method::POST,
            headers: HeaderMap::new(),
            tail: String::new(),
            query: None,
            body: Upload::Whole(body),
        };
        let forwarding = forward(&relay, &broker, &seat, &caller, inbound);
        tokio::pin!(forwarding);
        // Nobody answers this; it is kept, so that the request goes on waiting.
        let _asked = tokio::select! {
            _ = &mut forwarding => panic!("it does not wait"),
            asked = asks.recv() => asked,
        };
        seat.set_lease(trouble(Code::ServerOff));
        seat.end_streams();
        let response = forwarding.await;
        assert_eq!(response.status().as_u16(), 503);
        let said = response.into_body().collect().await.expect("a body").to_bytes();
        let said: serde_json::Value = serde_json::from_slice(&said).expect("JSON");
        assert_eq!(
            (&said["id"], &said["error"]["data"]["code"]),
            (&7.into(), &"server-off".into())
        );
    }

    /// A client does not wait for ever for its person to decide.
    #[tokio::test(start_paused = true)]
    async fn a_person_who_does_not_decide_about_more_access_is_waited_for_two_minutes() {
        let upstream = ServerUrl::parse("https://h/mcp").expect("a server URL");
        let seat = Arc::new(Seat::new("id".into(), "name".into(), upstream));
        let (broker, mut asks) = mpsc::unbounded_channel();
        let asking = Asking { broker: &broker, seat: &seat, holds: true };
        let challenge = Challenge { scope: Some("files:write".into()), ..Challenge::default() };
        let began = Instant::now();
        let told = asking.scope_wanted(Some(1), challenge).await.expect_err("nobody decided");
        assert_eq!((told.code, began.elapsed()), (Code::ScopeNeeded, DECISION));
        assert_eq!(told.params["scopes"], "files:write");
        assert!(asks.try_recv().is_ok(), "the broker was asked");
    }
}
