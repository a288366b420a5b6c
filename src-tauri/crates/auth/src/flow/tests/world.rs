//! A scripted world: it answers each request by its URL with a canned document and keeps what it
//! was asked, so that a test can hold the whole order of questions against the rule.

use std::collections::{HashMap, VecDeque};

use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use crate::authorize::{AuthorizationResponse, Binding, Entropy};
use crate::challenge::Challenge;
use crate::client_document::ClientDocumentUrl;
use crate::flow::{Event, Memo, Next, Outcome, Plan, SignIn, SignInError, Visit};
use crate::grant::Grant;
use crate::registration::{
    AuthMethod, Reason, ReasonCode, Refusal, Registration, RegistrationKind,
};
use crate::server_url::ServerUrl;
use crate::time::Timestamp;
use crate::trace::TraceStep;
use crate::wire::{NoAnswer, Request, Response};

pub(super) const SERVER: &str = "https://mcp.test/public/mcp";
pub(super) const ORIGIN: &str = "https://mcp.test";
pub(super) const PATH_FORM: &str =
    "https://mcp.test/.well-known/oauth-protected-resource/public/mcp";
pub(super) const ROOT_FORM: &str = "https://mcp.test/.well-known/oauth-protected-resource";
pub(super) const ISSUER: &str = "https://as.test";
pub(super) const OAUTH_FORM: &str = "https://as.test/.well-known/oauth-authorization-server";
pub(super) const OPENID_FORM: &str = "https://as.test/.well-known/openid-configuration";
pub(super) const AUTHORIZE: &str = "https://as.test/authorize";
pub(super) const TOKEN: &str = "https://as.test/token";
pub(super) const REGISTER: &str = "https://as.test/register";
pub(super) const PUSH: &str = "https://as.test/par";
pub(super) const DOCUMENT: &str = "https://keyfob.test/client.json";
pub(super) const REDIRECT: &str = "http://127.0.0.1:15393/callback";
pub(super) const BY_NAME: &str = "http://localhost:15393/callback";
pub(super) const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub(super) type Answer = Result<Response, NoAnswer>;

pub(super) fn typed(status: u16, media_type: &'static str, body: &str) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    Ok(Response { status, headers, body: body.into() })
}

pub(super) fn reply(status: u16, body: Value) -> Answer {
    typed(status, "application/json", &body.to_string())
}

pub(super) fn page(status: u16) -> Answer {
    typed(status, "text/html", "<html></html>")
}

pub(super) fn silence() -> Answer {
    Err(NoAnswer::Unreachable("connection refused".into()))
}

pub(super) fn redirect(location: &str) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(header::LOCATION, HeaderValue::from_str(location).expect("a header"));
    Ok(Response { status: 302, headers, body: Vec::new() })
}

/// Resource metadata that names `issuers`.
pub(super) fn resource_of(resource: &str, issuers: &[&str]) -> Answer {
    reply(200, json!({"resource": resource, "authorization_servers": issuers}))
}

/// A document that lacks nothing, so that the other form is not asked.
pub(super) fn complete(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "registration_endpoint": format!("{issuer}/register"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "client_id_metadata_document_supported": true,
        "authorization_response_iss_parameter_supported": true,
    })
}

/// A document that lacks everything that it can lack.
pub(super) fn bare(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "code_challenge_methods_supported": ["S256"],
    })
}

/// Answers by URL without its query. What it does not know is a page with 404, except that every
/// sign-in page shows itself.
#[derive(Clone, Debug, Default)]
pub(super) struct World(HashMap<String, VecDeque<Answer>>);

impl World {
    /// A server at which everything works.
    pub(super) fn usual() -> Self {
        Self::default()
            .with(PATH_FORM, resource_of(SERVER, &[ISSUER]))
            .server(|_| {})
            .with(REGISTER, reply(201, json!({"client_id": "registered"})))
            .with(TOKEN, reply(200, json!({"access_token": "access", "token_type": "Bearer"})))
    }

    /// The answer from now on.
    pub(super) fn with(mut self, url: &str, answer: Answer) -> Self {
        self.0.insert(url.to_owned(), [answer].into());
        self
    }

    /// The answer after the one before has been given once.
    pub(super) fn then(mut self, url: &str, answer: Answer) -> Self {
        self.0.entry(url.to_owned()).or_default().push_back(answer);
        self
    }

    /// The complete document of the usual issuer, changed.
    pub(super) fn server(self, change: impl FnOnce(&mut Value)) -> Self {
        let mut document = complete(ISSUER);
        change(&mut document);
        self.with(OAUTH_FORM, reply(200, document))
    }

    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        let url = plain(&request.url);
        let Some(queue) = self.0.get_mut(url) else {
            return page(if url.ends_with("/authorize") { 200 } else { 404 });
        };
        match queue.len() {
            0 | 1 => queue.front().cloned().unwrap_or_else(|| page(404)),
            _ => queue.pop_front().expect("an answer"),
        }
    }
}

/// A URL without its query.
pub(super) fn plain(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

pub(super) fn query(url: &str) -> HashMap<String, String> {
    Url::parse(url).expect("a URL").query_pairs().into_owned().collect()
}

pub(super) fn form(request: &Request) -> HashMap<String, String> {
    form_urlencoded::parse(&request.body).into_owned().collect()
}

pub(super) fn list(scopes: &str) -> Vec<String> {
    crate::scope::split(scopes)
}

/// The plan of someone whose client met a bare challenge.
pub(super) fn plan() -> Plan {
    Plan {
        server: ServerUrl::parse(SERVER).expect("a server URL"),
        challenge: Some(Challenge::default()),
        refused_later: None,
        headers: HeaderMap::new(),
        issuer: None,
        chosen_issuer: None,
        own_client: None,
        scopes: Vec::new(),
        parameters: Vec::new(),
        scope_parameter: None,
        had_scopes: Vec::new(),
        had_at: None,
        document: Some(ClientDocumentUrl::parse(DOCUMENT).expect("a client id")),
        redirect_uri: REDIRECT.into(),
        redirect_uri_by_name: BY_NAME.into(),
        by_name_at: Vec::new(),
        refusals: Vec::new(),
        accepted_by: Vec::new(),
        registrations: Vec::new(),
        resource_forms: Vec::new(),
        allow_guessed_endpoints: false,
        allow_unadvertised_pkce: false,
        extensions: Default::default(),
        version: "0.0.0".into(),
    }
}

/// The plan of someone whose document the usual issuer has accepted before, so that there is no
/// preflight to count.
pub(super) fn known() -> Plan {
    Plan { accepted_by: vec![ISSUER.into()], ..plan() }
}

pub(super) fn challenged(challenge: Challenge) -> Plan {
    Plan { challenge: Some(challenge), ..plan() }
}

/// A registration of an earlier sign-in at the usual issuer.
pub(super) fn earlier() -> Registration {
    Registration {
        kind: RegistrationKind::Dcr,
        client_id: "earlier".into(),
        secret: None,
        auth_method: AuthMethod::None,
        issuer: ISSUER.into(),
        redirect_uri: REDIRECT.into(),
        scopes: None,
        registered_at: Timestamp(0),
        secret_expires_at: None,
        reason: Reason::new(ReasonCode::NotOffered),
        management: None,
    }
}

/// Fresh entropy; each number gives its own state and its own verifier.
pub(super) fn entropy(number: u8) -> Entropy {
    Entropy(std::array::from_fn(|at| if at % 32 == 0 { number } else { at as u8 }))
}

/// One sign-in walking through a world.
#[derive(Debug)]
pub(super) struct Walk {
    sign_in: SignIn,
    world: World,
    hold: Option<&'static str>,
    given: u8,
    pub(super) asked: Vec<Request>,
    pub(super) visits: Vec<Visit>,
    pub(super) trace: Vec<TraceStep>,
    /// All but the issuers that the server names.
    pub(super) memos: Vec<Memo>,
    /// Those.
    pub(super) named: Vec<String>,
    pub(super) outcome: Option<Outcome>,
}

impl Walk {
    /// Walks until the browser is wanted or it is over.
    pub(super) fn start(plan: Plan, world: World) -> Self {
        Self::start_until(plan, world, None)
    }

    /// Walks until `hold` is asked for too, and leaves that unanswered.
    pub(super) fn start_until(plan: Plan, world: World, hold: Option<&'static str>) -> Self {
        let (sign_in, next) = SignIn::start(plan, NOW, &entropy(0));
        let mut walk = Self {
            sign_in,
            world,
            hold,
            given: 0,
            asked: Vec::new(),
            visits: Vec::new(),
            trace: Vec::new(),
            memos: Vec::new(),
            named: Vec::new(),
            outcome: None,
        };
        walk.follow(next);
        walk
    }

    /// Whether anything came of `event`.
    pub(super) fn tell(&mut self, event: Event) -> bool {
        let next = self.step(event);
        self.follow(next)
    }

    fn step(&mut self, event: Event) -> Next {
        self.given += 1;
        let next = self.sign_in.step(event, NOW, &entropy(self.given));
        self.trace.extend(self.sign_in.take_trace());
        for memo in self.sign_in.take_memos() {
            match memo {
                Memo::Issuers(named) => self.named = named,
                memo => self.memos.push(memo),
            }
        }
        next
    }

    fn follow(&mut self, mut next: Next) -> bool {
        loop {
            match next {
                Next::Fetch(request) => {
                    assert!(self.asked.len() < 60, "it goes in circles: {:?}", self.asked);
                    let answer = self.world.answer(&request);
                    let is_held = self.hold == Some(plain(&request.url));
                    self.asked.push(request);
                    if is_held {
                        return true;
                    }
                    next = self.step(Event::Answer(answer));
                }
                Next::Browse(visit) => {
                    self.visits.push(visit);
                    return true;
                }
                Next::Wait => return false,
                Next::Over(outcome) => {
                    self.outcome = Some(outcome);
                    return true;
                }
            }
        }
    }

    /// The browser comes back from its last visit with `answer`.
    pub(super) fn come_back(&mut self, answer: &str) -> bool {
        let visit = self.visits.last().expect("a visit").clone();
        self.come_back_with(answer, visit.state.expose())
    }

    pub(super) fn come_back_with(&mut self, answer: &str, state: &str) -> bool {
        let text = format!("{answer}&state={state}");
        self.tell(Event::Callback(AuthorizationResponse::parse(&text).expect("a response")))
    }

    /// The person says yes at the usual issuer.
    pub(super) fn approve(&mut self) {
        self.come_back("code=the-code&iss=https://as.test");
    }

    /// The person is sent back with an error by the usual issuer.
    pub(super) fn refuse(&mut self, error: &str) {
        self.come_back(&format!("error={error}&iss=https://as.test"));
    }

    /// Everything that was asked so far, in order, without queries.
    pub(super) fn places(&self) -> Vec<&str> {
        self.asked.iter().map(|request| plain(&request.url)).collect()
    }

    pub(super) fn sent_to(&self, url: &str) -> Vec<&Request> {
        self.asked.iter().filter(|request| plain(&request.url) == url).collect()
    }

    /// Everything that was sent and opened so far, as one text.
    pub(super) fn sent(&self) -> String {
        let asked = self.asked.iter().map(|request| {
            let body = String::from_utf8_lossy(&request.body);
            format!("{} {:?} {body}\n", request.url, request.headers)
        });
        asked.chain(self.visits.iter().map(|visit| visit.url.expose().to_owned())).collect()
    }

    pub(super) fn count(&self, url: &str) -> usize {
        self.sent_to(url).len()
    }

    /// The parameters of the link that the browser was last sent to.
    pub(super) fn link(&self) -> HashMap<String, String> {
        let visit = self.visits.last();
        let visit = visit.unwrap_or_else(|| panic!("no visit, but {:?}", self.outcome));
        query(visit.url.expose())
    }

    pub(super) fn client_id(&self) -> String {
        self.link().remove("client_id").expect("a client id")
    }

    pub(super) fn registration(&self) -> &Registration {
        self.sign_in.registration().expect("a registration in use")
    }

    /// What each of the steps so far was given: state and verifier.
    pub(super) fn bindings(&self) -> Vec<Binding> {
        (0..=self.given).map(|number| Binding::new(&entropy(number))).collect()
    }

    pub(super) fn grant(&self) -> &Grant {
        match &self.outcome {
            Some(Outcome::SignedIn(grant)) => grant,
            other => panic!("it should have signed in, but {other:?}"),
        }
    }

    pub(super) fn error(&self) -> &SignInError {
        match &self.outcome {
            Some(Outcome::Failed(error)) => error,
            other => panic!("it should have failed, but {other:?}"),
        }
    }

    pub(super) fn refusals(&self) -> Vec<&Refusal> {
        self.recall(|memo| match memo {
            Memo::DocumentRefused(refusal) => Some(refusal),
            _ => None,
        })
    }

    pub(super) fn registered(&self) -> Vec<&str> {
        self.recall(|memo| match memo {
            Memo::Registered(made) => Some(made.client_id.as_str()),
            _ => None,
        })
    }

    pub(super) fn gone(&self) -> Vec<&str> {
        self.recall(|memo| match memo {
            Memo::RegistrationGone { client_id, .. } => Some(client_id.as_str()),
            _ => None,
        })
    }

    fn recall<'a, T>(&'a self, choose: impl Fn(&'a Memo) -> Option<T>) -> Vec<T> {
        self.memos.iter().filter_map(choose).collect()
    }
}
