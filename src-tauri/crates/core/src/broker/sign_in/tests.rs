use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use keyfob_auth::challenge::Challenge;
use keyfob_auth::client_document::{redirect_uri, redirect_uri_by_name};
use keyfob_auth::flow::{OwnClient, Plan, SignInError};
use keyfob_auth::{Secret, ServerUrl};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;
use url::Url;

use super::{End, Task, WINDOW};
use crate::broker::controller::entry;
use crate::broker::report::{Report, ServerReport};
use crate::broker::scripted::{Scripted, described};
use crate::broker::turn::Turn;
use crate::browser::Browser;
use crate::fetch::Fetch;
use crate::gateway::callbacks::{Arrival, Callbacks};
use crate::typed::Typed;
use crate::vault::{EntryKind, Vault};
use crate::view::Progress;

const PORT: u16 = 15393;

fn plan(origin: &str) -> Plan {
    Plan {
        server: ServerUrl::parse(&format!("{origin}/mcp")).expect("a server URL"),
        challenge: Some(Challenge::default()),
        refused_later: None,
        headers: HeaderMap::new(),
        issuer: None,
        chosen_issuer: None,
        own_client: Some(OwnClient { client_id: "own".into(), secret: None, issuer: None }),
        scopes: Vec::new(),
        parameters: Vec::new(),
        scope_parameter: None,
        had_scopes: Vec::new(),
        had_at: None,
        document: None,
        redirect_uri: redirect_uri(PORT),
        redirect_uri_by_name: redirect_uri_by_name(PORT),
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

/// A sign-in that has come as far as the browser.
struct AtTheBrowser {
    callbacks: Arc<Callbacks>,
    reports: mpsc::UnboundedReceiver<Report>,
    /// Of the link that the browser was sent to.
    link: HashMap<String, String>,
    /// Holds the other end of the person's wishes.
    _wishing: mpsc::UnboundedSender<super::Wish>,
    _service: Scripted,
}

impl AtTheBrowser {
    async fn of_a_usual_server() -> Self {
        let service = Scripted::start(|request, origin| match described(request, origin) {
            Some(body) => (200, body),
            None if request.line == "POST /token" => {
                (200, json!({"access_token": "access", "token_type": "Bearer"}))
            }
            None => (404, json!({})),
        })
        .await;
        let callbacks = Arc::new(Callbacks::default());
        let (report, reports) = mpsc::unbounded_channel();
        let (wishing, wishes) = mpsc::unbounded_channel();
        let plan = plan(&service.origin);
        let mut typed = Typed::default();
        typed.add(plan.server.url(), None);
        let task = Task {
            typed,
            shared: Default::default(),
            may_visit: true,
            at_provider: None,
            provider_turns: Default::default(),
            server: "id".into(),
            name: "name".into(),
            plan,
            deadline: Instant::now() + WINDOW,
            browser: Browser::None,
            origin: format!("http://127.0.0.1:{PORT}"),
            fetch: Fetch::new(None).expect("clients"),
            ca_file: None,
            callbacks: callbacks.clone(),
            vault: Vault::memory(),
            entry: entry(EntryKind::Grant, "id").expect("an entry"),
            turn: Turn::default(),
            epoch: 0,
            reports: report,
            wishing: wishing.clone(),
            wishes,
        };
        tokio::spawn(task.run());
        let link = HashMap::new();
        let mut there = Self { callbacks, reports, link, _wishing: wishing, _service: service };
        let link = there
            .told(|report| match report {
                ServerReport::Progress(Progress::Link { link, .. }) => Some(link),
                _ => None,
            })
            .await;
        let link = Url::parse(&link).expect("a link");
        there.link = link.query_pairs().into_owned().collect();
        there
    }

    async fn told<T>(&mut self, wanted: impl Fn(ServerReport) -> Option<T>) -> T {
        loop {
            let report = self.reports.recv().await.expect("a report").report;
            if let Some(found) = wanted(report) {
                return found;
            }
        }
    }

    async fn ended(&mut self) -> End {
        self.told(|report| match report {
            ServerReport::SignInEnded(end) => Some(end),
            _ => None,
        })
        .await
    }

    fn is_awaited(&self) -> bool {
        self.callbacks.awaits(&Secret::new(self.link["state"].as_str()))
    }

    fn come_back(&self) -> Arrival {
        let query = format!("code=c&state={}", self.link["state"]);
        self.callbacks.arrive(&query, &format!("127.0.0.1:{PORT}"))
    }
}

/// A browser may be back before we have looked up.
#[tokio::test]
async fn a_browser_that_comes_back_at_once_is_awaited_already() {
    let mut sign_in = AtTheBrowser::of_a_usual_server().await;
    assert!(matches!(sign_in.come_back(), Arrival::Accepted { .. }));
    assert!(matches!(sign_in.ended().await, End::SignedIn { .. }));
}

/// A6c: somebody who takes eight minutes is waited for.
#[tokio::test]
async fn a_person_who_takes_eight_minutes_is_waited_for() {
    let mut sign_in = AtTheBrowser::of_a_usual_server().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(8 * 60)).await;
    tokio::time::resume();
    assert!(sign_in.is_awaited());
    assert!(matches!(sign_in.come_back(), Arrival::Accepted { .. }));
    assert!(matches!(sign_in.ended().await, End::SignedIn { .. }));
}

#[tokio::test]
async fn after_ten_minutes_it_is_over_and_nothing_is_awaited_any_more() {
    let mut sign_in = AtTheBrowser::of_a_usual_server().await;
    tokio::time::pause();
    let began = Instant::now();
    let end = sign_in.ended().await;
    assert!(matches!(end, End::Failed(SignInError::TimedOut)), "{end:?}");
    let took = Instant::now() - began;
    assert!(took > Duration::from_secs(590) && took <= Duration::from_secs(601), "{took:?}");
    assert!(!sign_in.is_awaited());
    assert!(matches!(sign_in.come_back(), Arrival::NotAwaited));
}
