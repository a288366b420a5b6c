//! The one task that owns everything. It awaits nothing slow: what takes time runs as a task and
//! comes back as a report, so that serving one server never blocks another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use keyfob_auth::client_document::{ClientDocumentUrl, redirect_uri};
use keyfob_auth::flow::{Next, OwnClient, Plan, SignIn, SignInError};
use keyfob_auth::grant::{Grant, decode_registration};
use keyfob_auth::registration::Registration;
use keyfob_auth::{Secret, ServerUrl, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::command::Command;
use super::report::{Probe, Report, ServerReport};
use super::sign_in::{self, Task};
use super::slot::{Slot, UnderWay, own_headers};
use super::{refresh, vault_problem};
use crate::browser::Browser;
use crate::clock;
use crate::config::{Config, ServerConfig};
use crate::fetch::Fetch;
use crate::gateway::Gateway;
use crate::gateway::seat::{Ask, Seat};
use crate::problem::{Code, Problem};
use crate::reach::Reach;
use crate::remembered::Remembered;
use crate::server::{Effect, Event, State};
use crate::vault::{EntryId, EntryKind, Vault};
use crate::view::{Seen, ServerView};

/// What the broker works with.
pub struct Controller {
    pub(super) config: Config,
    pub(super) remembered: Remembered,
    pub(super) slots: BTreeMap<String, Slot>,
    pub(super) vault: Vault,
    pub(super) fetch: Fetch,
    pub(super) ca_file: Option<std::path::PathBuf>,
    pub(super) document: Option<ClientDocumentUrl>,
    pub(super) browser: Browser,
    pub(super) gateway: Gateway,
    /// Whether servers are asked before anyone uses them.
    pub(super) probes: bool,
    /// Whether nobody can use them here, so that a server that was never asked stays so.
    pub(super) only_looks: bool,
    pub(super) reports: mpsc::UnboundedSender<Report>,
    pub(super) commands: mpsc::UnboundedSender<Command>,
    /// What waits until the keychain has told what it holds.
    pub(super) deferred: Vec<Command>,
}

/// What is in the vault of one server.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) grant: Option<Box<Grant>>,
    pub(super) secret: Option<Secret>,
    pub(super) headers: Vec<(String, Secret)>,
}

impl Controller {
    /// Runs until it is told to stop.
    pub async fn run(
        mut self,
        mut asks: mpsc::UnboundedReceiver<Ask>,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut reports: mpsc::UnboundedReceiver<Report>,
    ) {
        for server in self.config.servers.clone() {
            self.seat(server);
        }
        let vault = self.vault.clone();
        tokio::spawn(async move {
            match vault.sweep().await {
                Ok(swept) => tracing::debug!(?swept, "keychain swept"),
                Err(error) => tracing::debug!(%error, "keychain not swept"),
            }
        });
        loop {
            let retry = self.next_retry();
            tokio::select! {
                Some(ask) = asks.recv() => self.ask(ask),
                Some(report) = reports.recv() => self.report(report),
                command = commands.recv() => match command {
                    Some(Command::Stop { reply }) => {
                        self.save_unsaved().await;
                        let _ = reply.send(());
                        return;
                    }
                    Some(command) => self.command(command),
                    None => return,
                },
                () = sleep_until(retry) => self.retry(),
            }
        }
    }

    /// Gives a server its slot and begins with it.
    pub(super) fn seat(&mut self, config: ServerConfig) {
        // Every URL on the list was parsed when it was added or loaded.
        let Ok(upstream) = ServerUrl::parse(&config.url) else { return };
        let seat = Arc::new(Seat::new(config.id.clone(), config.name.clone(), upstream));
        let (state, effect) = State::start(config.enabled);
        for key in self.remembered.facts.keys.iter().filter(|key| key.server == config.id) {
            self.gateway.seats.admit(key.clone(), false);
        }
        let id = config.id.clone();
        let slot = Slot::new(config, seat.clone(), state);
        slot.publish();
        self.slots.insert(id.clone(), slot);
        self.gateway.seats.insert(seat);
        self.effect(&id, effect);
    }

    /// Steps a server's state, does what follows, and answers who waits.
    pub(super) fn step(&mut self, id: &str, event: Event) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let effect = slot.step(event);
        self.effect(id, effect);
        if let Some(slot) = self.slots.get_mut(id) {
            slot.settle();
        }
    }

    fn effect(&mut self, id: &str, effect: Option<Effect>) {
        match effect {
            None => {}
            Some(Effect::LoadGrant) => self.load(id),
            Some(Effect::Probe) => self.probe(id),
            Some(Effect::CancelSignIn) => {
                let under_way = self.slots.get(id).and_then(|slot| slot.sign_in.as_ref());
                if let Some(under_way) = under_way {
                    let _ = under_way.wishes.send(sign_in::Wish::Cancel);
                }
            }
        }
    }

    /// Asks the vault for what it holds of a server.
    pub(super) fn load(&mut self, id: &str) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        slot.is_loading = true;
        slot.publish();
        let (vault, reports, id) = (self.vault.clone(), self.reports.clone(), id.to_owned());
        let has_headers = !slot.config.headers.is_empty();
        let has_secret = slot.config.client_id.is_some();
        tokio::spawn(async move {
            let loaded = load(&vault, &id, has_secret, has_headers).await;
            let _ = reports.send(Report { server: id, report: ServerReport::Loaded(loaded) });
        });
    }

    /// Asks a server whether it wants a sign-in: the first step of one, and no more.
    fn probe(&mut self, id: &str) {
        let Some(slot) = self.slots.get(id).filter(|_| self.probes) else { return };
        let Some(plan) = self.plan(slot) else { return };
        let (fetch, reports, id) = (self.fetch.clone(), self.reports.clone(), id.to_owned());
        let name = slot.config.name.clone();
        tokio::spawn(async move {
            let probe = probe(plan, &fetch, &name).await;
            let _ = reports.send(Report { server: id, report: ServerReport::Probed(probe) });
        });
    }

    /// What a sign-in to this server is given.
    fn plan(&self, slot: &Slot) -> Option<Plan> {
        let facts = self.remembered.facts.servers.get(&slot.config.id);
        let document = self.document.as_ref().map(ClientDocumentUrl::as_str);
        let own_headers: HeaderMap =
            slot.seat.headers.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let is_step_up = matches!(slot.state, State::NeedsScope(_));
        Some(Plan {
            server: ServerUrl::parse(&slot.config.url).ok()?,
            challenge: slot.challenge.clone(),
            headers: own_headers,
            issuer: slot.config.issuer.clone(),
            own_client: slot
                .config
                .client_id
                .clone()
                .map(|client_id| OwnClient { client_id, secret: slot.own_secret.clone() }),
            scopes: slot.config.scopes.clone(),
            had_scopes: if is_step_up { slot.had_scopes() } else { Vec::new() },
            document: self.document.clone(),
            redirect_uri: redirect_uri(self.gateway.port),
            refusals: self.remembered.facts.refusals.clone(),
            accepted_by: self
                .remembered
                .facts
                .accepted
                .iter()
                .filter(|(_, url)| Some(url.as_str()) == document)
                .map(|(issuer, _)| issuer.clone())
                .collect(),
            registrations: Vec::new(),
            without_resource_at: facts.map(|f| f.without_resource_at.clone()).unwrap_or_default(),
            allow_guessed_endpoints: slot.config.allow_guessed_endpoints,
            allow_unadvertised_pkce: slot.config.allow_unadvertised_pkce,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// Begins a sign-in, unless one is under way.
    pub(super) fn begin_sign_in(&mut self, id: &str, browser: Option<Browser>, window: Duration) {
        let Some(slot) = self.slots.get(id).filter(|slot| slot.sign_in.is_none()) else { return };
        let (Some(mut plan), Ok(entry)) = (self.plan(slot), entry(EntryKind::Grant, id)) else {
            return;
        };
        let browser =
            browser.or_else(|| slot.browser.clone()).unwrap_or_else(|| self.browser.clone());
        let (wishes, wished) = mpsc::unbounded_channel();
        let registrations = self.remembered.facts.registrations.clone();
        let vault = self.vault.clone();
        let mut task = Task {
            server: id.to_owned(),
            name: slot.config.name.clone(),
            plan: plan.clone(),
            deadline: Instant::now() + window,
            browser,
            origin: self.gateway.origin(),
            fetch: self.fetch.clone(),
            ca_file: self.ca_file.clone(),
            callbacks: self.gateway.callbacks.clone(),
            vault: vault.clone(),
            entry,
            reports: self.reports.clone(),
            wishes: wished,
        };
        tokio::spawn(async move {
            plan.registrations = load_registrations(&vault, &registrations).await;
            task.plan = plan;
            task.run().await;
        });
        self.remembered.server(id).trace.clear();
        if let Some(slot) = self.slots.get_mut(id) {
            slot.sign_in =
                Some(UnderWay { wishes, watchers: Vec::new(), ends: Vec::new(), told: Vec::new() });
        }
        self.step(id, Event::SignInBegan);
    }

    /// Begins a refresh, unless one is in flight.
    pub(super) fn begin_refresh(&mut self, id: &str) {
        let Some(slot) = self.slots.get(id) else { return };
        if matches!(slot.state, State::Refreshing(_)) {
            return;
        }
        let (Some(grant), Ok(entry)) = (slot.grant.clone(), entry(EntryKind::Grant, id)) else {
            return;
        };
        let work = refresh::refresh(
            grant,
            slot.seat.upstream.url().clone(),
            self.fetch.clone(),
            self.vault.clone(),
            entry,
        );
        let (reports, server) = (self.reports.clone(), id.to_owned());
        tokio::spawn(async move {
            let report = ServerReport::RefreshEnded(work.await);
            let _ = reports.send(Report { server, report });
        });
        self.step(id, Event::RefreshBegan);
    }

    /// What is shown of a server.
    pub(super) fn view(&self, slot: &Slot) -> ServerView {
        let facts = self.remembered.facts.servers.get(&slot.config.id);
        Seen {
            name: &slot.config.name,
            url: &slot.config.url,
            address: self.gateway.address(&slot.config.name),
            state: &slot.state,
            grant: slot.grant.as_deref(),
            tools: facts.and_then(|facts| facts.tools),
        }
        .view()
    }

    /// The id of the server of that name.
    pub(super) fn id_of(&self, name: &str) -> Result<String, Problem> {
        match self.config.server(name) {
            Some(server) => Ok(server.id.clone()),
            None => Err(Problem::new(Code::UnknownServer).with("name", name)),
        }
    }

    fn next_retry(&self) -> Option<Timestamp> {
        let retries = self.slots.values().filter_map(|slot| match &slot.state {
            State::Offline(state) if !state.has_grant && self.probes => Some(state.retry_at),
            _ => None,
        });
        retries.min()
    }

    /// Asks servers again that could not be reached.
    fn retry(&mut self) {
        let now = clock::now();
        let due: Vec<String> = self
            .slots
            .iter_mut()
            .filter_map(|(id, slot)| match &mut slot.state {
                State::Offline(state) if !state.has_grant && state.retry_at <= now => {
                    state.retry_at = now.plus(Duration::from_secs(600));
                    Some(id.clone())
                }
                _ => None,
            })
            .collect();
        for id in due {
            self.probe(&id);
        }
    }

    /// A last try to save what could not be saved.
    async fn save_unsaved(&mut self) {
        self.remembered.save();
        for (id, slot) in &self.slots {
            let (true, Some(grant)) = (slot.is_unsaved, &slot.grant) else { continue };
            let Ok(entry) = entry(EntryKind::Grant, id) else { continue };
            if let Err(error) = self.vault.put(&entry, grant.encode()).await {
                tracing::warn!(server = %slot.config.name, %error, "the grant could not be saved");
            }
        }
    }
}

/// Names an entry of the vault.
pub(super) fn entry(kind: EntryKind, id: &str) -> Result<EntryId, Problem> {
    EntryId::new(kind, id).map_err(Problem::internal)
}

/// The id of a registration in the vault: there is one for each issuer and redirect URI.
pub(super) fn registration_id(registration: &Registration) -> String {
    let mut hash = Sha256::new();
    hash.update(registration.issuer.as_bytes());
    hash.update([0]);
    hash.update(registration.redirect_uri.as_bytes());
    hash.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

async fn load(
    vault: &Vault,
    id: &str,
    has_secret: bool,
    has_headers: bool,
) -> Result<Kept, Problem> {
    let get =
        async |kind| vault.get(&entry(kind, id)?).await.map_err(|error| vault_problem(&error));
    let grant = get(EntryKind::Grant).await?;
    let secret = if has_secret { get(EntryKind::ClientSecret).await? } else { None };
    let headers = if has_headers { get(EntryKind::Headers).await? } else { None };
    let grant = grant.and_then(|text| Grant::decode(&text).ok()).map(Box::new);
    let headers = headers
        .and_then(|text| serde_json::from_str::<Vec<(String, String)>>(text.expose()).ok())
        .unwrap_or_default();
    let headers = headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
    Ok(Kept { grant, secret, headers })
}

async fn load_registrations(vault: &Vault, ids: &[String]) -> Vec<Registration> {
    let mut found = Vec::new();
    for id in ids {
        let Ok(entry) = EntryId::new(EntryKind::Registration, id.clone()) else { continue };
        match vault.get(&entry).await {
            Ok(Some(text)) => found.extend(decode_registration(&text).ok()),
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "a registration could not be read");
                break;
            }
        }
    }
    found
}

async fn probe(plan: Plan, fetch: &Fetch, name: &str) -> Probe {
    let Ok(entropy) = clock::entropy() else { return Probe::Unreachable };
    let reach = Reach::of_url(plan.server.url()).await;
    let redirect_uri = plan.redirect_uri.clone();
    let (mut flow, next) = SignIn::start(plan, clock::now(), &entropy);
    let Next::Fetch(request) = next else { return Probe::Unreachable };
    let answer = fetch.send(request, reach).await;
    match flow.step(keyfob_auth::flow::Event::Answer(answer), clock::now(), &entropy) {
        Next::Over(keyfob_auth::flow::Outcome::Open) => Probe::Open,
        Next::Over(keyfob_auth::flow::Outcome::Failed(error)) => match error {
            SignInError::Unreachable { .. } | SignInError::OutOfOrder { .. } => Probe::Unreachable,
            error => Probe::Unusable(Problem::from_sign_in(&error, name, &redirect_uri)),
        },
        Next::Over(keyfob_auth::flow::Outcome::SignedIn(_)) | Next::Browse(_) | Next::Wait => {
            Probe::Unreachable
        }
        Next::Fetch(_) => Probe::Challenged,
    }
}

/// Puts the user's own headers where the relay finds them.
pub(super) fn set_headers(slot: &Slot, pairs: &[(String, Secret)]) {
    let mut headers = slot.seat.headers.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    *headers = own_headers(pairs);
}

async fn sleep_until(at: Option<Timestamp>) {
    match at {
        Some(at) => tokio::time::sleep(at.since(clock::now())).await,
        None => std::future::pending().await,
    }
}
