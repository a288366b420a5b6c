//! What the window and the tray are shown.

use std::sync::Arc;

use keyfob_auth::client_document::Listing;
use keyfob_auth::flow::{Next, Outcome, SignIn, SignInError, Survey, Way};
use keyfob_auth::registration::ReasonCode;
use keyfob_auth::{Secret, ServerUrl, client_document, flow};

use super::BUILT_IN_DOCUMENT;
use super::command::Answer;
use super::controller::Controller;
use super::new_server;
use super::slot::Slot;
use crate::clock;
use crate::config::ServerConfig;
use crate::control::protocol::NewServer;
use crate::fetch::Fetch;
use crate::gateway::seat::Seat;
use crate::locale;
use crate::problem::{Code, Problem};
use crate::server::{Kind, State};
use crate::site;
use crate::typed::Typed;
use crate::view::page::{
    Badge, BadgeKind, Details, Entry, Found, FoundSignIn, Identity, Row, Snapshot, TrayPresence,
    Waiting,
};
use crate::view::{Progress, RegistrationView, ServerView, TraceView, shown};

impl Controller {
    /// Everything that the list shows. Of the tray the broker knows nothing.
    pub(super) fn snapshot(&self) -> Snapshot {
        let slots = self.config.servers.iter().filter_map(|server| self.slots.get(&server.id));
        Snapshot {
            servers: slots.map(|slot| self.row(slot)).collect(),
            trouble: None,
            redirect_uris: vec![client_document::redirect_uri(self.gateway.port)],
            has_document: self.document.is_some(),
            keeps_in_memory: self.vault.is_memory(),
            clients_to_rotate: self.clients_to_rotate(),
            tray: TrayPresence::Looking,
        }
    }

    fn row(&self, slot: &Slot) -> Row {
        let ServerView { name, url, state, level, text, account, registration, .. } =
            self.view(slot);
        let retry_at = match &slot.state {
            State::Offline(offline) => Some(clock::rfc3339(offline.retry_at)),
            _ => None,
        };
        let facts = self.remembered.facts.servers.get(&slot.config.id);
        let known = registration.or_else(|| facts.and_then(|facts| facts.known_as.clone()));
        Row::new(
            (name, url),
            (state, level, text),
            account,
            retry_at,
            badge(slot, known.as_ref()),
            slot.sign_in.as_ref().map(|under_way| waiting(&under_way.told)),
            slot.last_failure.clone(),
        )
    }

    /// One server with all that is known of it.
    pub(super) fn details(&self, name: &str) -> Result<Details, Problem> {
        let id = self.id_of(name)?;
        let slot = self.slots.get(&id).ok_or_else(|| Problem::internal("no slot"))?;
        let view = self.view(slot);
        let facts = self.remembered.facts.servers.get(&id);
        let grant = slot.grant.as_deref();
        let wanted = match &slot.state {
            State::NeedsScope(state) => state.wanted.clone(),
            _ => Vec::new(),
        };
        Ok(Details {
            row: self.row(slot),
            address: view.address,
            scopes: view.scopes,
            wanted: shown(&wanted),
            tools: view.tools,
            refreshed_at: grant.map(|grant| clock::rfc3339(grant.issued_at)),
            renews_at: grant
                .filter(|grant| grant.can_renew())
                .and_then(|grant| grant.renew_at())
                .map(clock::rfc3339),
            expires_at: view.expires_at,
            registration: view
                .registration
                .or_else(|| facts.and_then(|facts| facts.known_as.clone())),
            own_client_id: slot.config.client_id.clone(),
            services: facts
                .map(|facts| shown(&facts.issuers))
                .filter(|all| all.len() > 1)
                .unwrap_or_default(),
            entry: Entry {
                issuer: slot.config.issuer.clone(),
                scopes: slot.config.scopes.clone(),
                headers: slot.config.headers.clone(),
                allow_guessed_endpoints: slot.config.allow_guessed_endpoints,
            },
            keys: self.keys_of(&id),
            trace: facts.map(|f| f.trace.iter().map(TraceView::from).collect()).unwrap_or_default(),
        })
    }

    /// How Keyfob is known where CIMD is taken.
    pub(super) fn identity(&self) -> Identity {
        let set = self.config.settings.client_metadata_url.as_ref();
        let redirect_uri = client_document::redirect_uri(self.gateway.port);
        Identity {
            url: self.document.as_ref().map(|url| url.as_str().to_owned()),
            is_set: set.is_some_and(|url| !url.is_empty()),
            built_in: BUILT_IN_DOCUMENT.filter(|url| !url.is_empty()).map(str::to_owned),
            is_port_listed: client_document::listing(&redirect_uri) == Listing::Exact,
        }
    }

    /// The link that a sign-in waits behind.
    pub(super) fn link(&self, name: &str) -> Result<Secret, Problem> {
        let id = self.id_of(name)?;
        let told = self.slots.get(&id).and_then(|slot| slot.sign_in.as_ref()).map(|u| &u.told);
        let link = told.into_iter().flatten().rev().find_map(|progress| match progress {
            Progress::Link { link, .. } => Some(Secret::new(link.clone())),
            Progress::Trace { .. } | Progress::Notice { .. } => None,
        });
        link.ok_or_else(|| Problem::new(Code::SignInNeeded).with("server", name))
    }

    /// Finds out what is at an address, in its own time.
    pub(super) fn look_at(&self, url: &str, answer: Answer<Found>) {
        let new = NewServer { url: url.to_owned(), ..NewServer::default() };
        let is_taken = |name: &str| self.config.server(name).is_some();
        let server = match new_server::checked(&new, is_taken) {
            Ok(server) if self.gateway.is_own_address(&server.url) => {
                let _ = answer.send(Err(new_server::is_own_address(&server.url)));
                return;
            }
            Ok(server) => server,
            Err(problem) => {
                let _ = answer.send(Err(problem));
                return;
            }
        };
        let servers = self.config.servers.iter();
        let known_as = servers.filter(|s| s.url == server.url).map(|s| s.name.clone()).collect();
        let Some(plan) = self.plan_for_new(&server) else {
            let _ = answer.send(Err(Problem::internal("no plan")));
            return;
        };
        let fetch = self.fetch.clone();
        tokio::spawn(async move {
            let redirect_uri = plan.redirect_uri.clone();
            let found = survey(plan, &fetch).await.map_err(|error| {
                Problem::from_sign_in(&error, &server.name, &server.url, &redirect_uri)
            });
            let found = found.map(|survey| Found {
                sign_in: survey.map(|survey| found_sign_in(survey, &server.url)),
                url: server.url,
                name: server.name,
                known_as,
            });
            let _ = answer.send(found);
        });
    }

    fn plan_for_new(&self, server: &ServerConfig) -> Option<flow::Plan> {
        let upstream = ServerUrl::parse(&server.url).ok()?;
        let seat = Arc::new(Seat::new(server.id.clone(), server.name.clone(), upstream));
        self.plan(&Slot::new(server.clone(), seat, State::start(true).0))
    }
}

fn badge(slot: &Slot, known: Option<&RegistrationView>) -> Option<Badge> {
    if slot.state.kind() == Kind::Open {
        return Some(Badge::new(
            BadgeKind::NoSignIn,
            locale::text("badges", "no-sign-in-why").into(),
        ));
    }
    if let Some(known) = known {
        return Some(Badge::new(BadgeKind::from(known.kind), known.reason.text.clone()));
    }
    slot.config.client_id.as_ref()?;
    Some(Badge::new(BadgeKind::OwnClient, locale::text("badges", "own-client-why").into()))
}

fn waiting(told: &[Progress]) -> Waiting {
    let link = told.iter().rev().find_map(|progress| match progress {
        Progress::Link { until, is_opened, .. } => Some((until.clone(), *is_opened)),
        Progress::Trace { .. } | Progress::Notice { .. } => None,
    });
    let step = told.iter().rev().find_map(|progress| match progress {
        Progress::Trace { line } => Some(line.clone()),
        Progress::Link { .. } | Progress::Notice { .. } => None,
    });
    let notice = told.iter().rev().find_map(|progress| match progress {
        Progress::Notice { text } => Some(text.clone()),
        Progress::Link { .. } | Progress::Trace { .. } => None,
    });
    let (until, is_opened) = link.map_or((None, false), |(until, opened)| (Some(until), opened));
    Waiting { until, is_opened, step, notice }
}

fn found_sign_in(survey: Survey, server: &str) -> FoundSignIn {
    let way = match survey.way {
        Way::OwnClient => Some(BadgeKind::OwnClient),
        Way::Document => Some(BadgeKind::Cimd),
        Way::Dynamic => Some(BadgeKind::Dcr),
        Way::Ask => None,
    };
    let why = match (survey.way, survey.reason) {
        (Way::OwnClient, _) => "own-client",
        (Way::Document, _) => "cimd",
        (Way::Dynamic, ReasonCode::NoDocument) => "dcr-no-document",
        (Way::Dynamic, ReasonCode::Refused) => "dcr-refused",
        (Way::Dynamic, ReasonCode::NoPublicClients) => "dcr-no-public-clients",
        (Way::Dynamic, _) => "dcr",
        (Way::Ask, ReasonCode::NoDocument) => "ask-no-document",
        (Way::Ask, _) => "ask",
    };
    FoundSignIn {
        notice: site::notice(server, &survey.issuer),
        issuer: keyfob_auth::text::without_query(&survey.issuer),
        way,
        why: locale::text("found", why),
        scopes: shown(&survey.scopes),
    }
}

/// Asks as a sign-in would, up to the point where something would be registered or opened.
async fn survey(plan: flow::Plan, fetch: &Fetch) -> Result<Option<Survey>, SignInError> {
    let no_randomness = || SignInError::Browser { cause: "no randomness".into() };
    let mut typed = Typed::default();
    typed.add(plan.server.url(), None);
    let entropy = clock::entropy().map_err(|_| no_randomness())?;
    let (mut flow, mut next) = SignIn::survey(plan, clock::now(), &entropy);
    loop {
        let request = match next {
            Next::Fetch(request) => request,
            Next::Over(Outcome::Open) => return Ok(None),
            Next::Over(Outcome::Surveyed(survey)) => return Ok(Some(*survey)),
            Next::Over(Outcome::Failed(error)) => return Err(error),
            Next::Over(Outcome::SignedIn(_)) | Next::Browse(_) | Next::Wait => {
                return Err(SignInError::Cancelled);
            }
        };
        let answer = fetch.ask(request, &mut typed).await;
        let entropy = clock::entropy().map_err(|_| no_randomness())?;
        next = flow.step(flow::Event::Answer(answer), clock::now(), &entropy);
    }
}
