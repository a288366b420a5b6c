//! The one task that owns everything. It awaits nothing slow: what takes time runs as a task and
//! comes back as a report, so that serving one server never blocks another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keyfob_auth::client_document::ClientDocumentUrl;
use keyfob_auth::{Secret, ServerUrl, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Defaults;
use super::at_provider::Turns;
use super::client_secrets::ClientSecrets;
use super::command::Command;
use super::keys::USES_SAVED;
use super::report::{Report, ServerReport};
use super::sign_in::{self};
use super::slot::{Slot, own_headers};
use crate::browser::Browser;
use crate::clock;
use crate::config::{Config, ServerConfig};
use crate::fetch::Fetch;
use crate::gateway::Gateway;
use crate::gateway::seat::{Ask, Seat};
use crate::problem::{Code, Problem};
use crate::remembered::Remembered;
use crate::server::{Effect, Event, State};
use crate::vault::{EntryId, EntryKind, Vault};
use crate::view::{Seen, ServerView};

/// How long the disk may take at the end.
pub(super) const LAST_SAVE: Duration = Duration::from_secs(10);

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
    /// For servers that say nothing of their own.
    pub(super) defaults: Defaults,
    /// Who uses the person's grant at an identity provider.
    pub(super) provider_turns: BTreeMap<String, Turns>,
    /// How many ask the vault at a time.
    pub(super) loads: Arc<tokio::sync::Semaphore>,
    pub(super) reports: mpsc::UnboundedSender<Report>,
    pub(super) commands: mpsc::UnboundedSender<Command>,
    /// What waits until the keychain has told what it holds.
    pub(super) deferred: Vec<Command>,
    /// What goes on with the secrets of dynamic registrations.
    pub(super) secrets: ClientSecrets,
    /// Counts the changes of what is shown.
    pub(super) changes: watch::Sender<u64>,
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
        let mut saving_uses = tokio::time::interval_at(Instant::now() + USES_SAVED, USES_SAVED);
        loop {
            let retry = self.next_retry();
            tokio::select! {
                Some(ask) = asks.recv() => {
                    self.ask(ask);
                    self.announce();
                }
                Some(report) = reports.recv() => {
                    self.report(report);
                    self.announce();
                }
                command = commands.recv() => match command {
                    Some(Command::Stop { reply }) => {
                        self.finish_secrets().await;
                        while let Ok(report) = reports.try_recv() {
                            self.report(report);
                        }
                        self.save_unsaved().await;
                        let _ = reply.send(());
                        return;
                    }
                    Some(command) => {
                        let only_looks = command.only_looks();
                        self.command(command);
                        if !only_looks {
                            self.announce();
                        }
                    }
                    None => return,
                },
                _ = saving_uses.tick() => self.save_key_uses(),
                () = sleep_until(retry) => {
                    self.retry();
                    self.announce();
                }
            }
        }
    }

    /// Says that what is shown may have changed.
    fn announce(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
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
            failure: slot.last_failure.as_ref().map(|problem| problem.code),
            is_ending: self.secret_end(slot).is_some(),
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
            State::Offline(state) if self.probes => Some(state.retry_at),
            _ => None,
        });
        let saves = self.slots.values().filter_map(|slot| slot.vault_again_at);
        let key_end = self.gateway.seats.next_end();
        retries.chain(saves).chain(self.next_secret()).chain(key_end).min()
    }

    /// Does what is due: asks servers again that could not be reached, ends keys.
    fn retry(&mut self) {
        let now = clock::now();
        self.gateway.end_expired_keys(now);
        let due: Vec<String> = self
            .slots
            .iter_mut()
            .filter_map(|(id, slot)| match &mut slot.state {
                State::Offline(state) if state.retry_at <= now => {
                    // Until the probe has told.
                    state.retry_at = now.plus(Duration::from_secs(600));
                    Some(id.clone())
                }
                _ => None,
            })
            .collect();
        for id in due {
            self.probe(&id);
        }
        self.ask_vault_again(now);
        self.look_after_secrets();
    }

    /// Tries again to save what could not be saved, and to read what could not be read.
    fn ask_vault_again(&mut self, now: Timestamp) {
        let mut unread = Vec::new();
        for (id, slot) in &mut self.slots {
            if slot.vault_again_at.is_none_or(|at| at > now) {
                continue;
            }
            slot.vault_again_at = None;
            if slot.grant.is_none() && matches!(slot.state, State::VaultBlocked(_)) {
                unread.push(id.clone());
            }
            let (Some(grant), Ok(entry)) = (&slot.grant, entry(EntryKind::Grant, id)) else {
                continue;
            };
            let (vault, reports, server) = (self.vault.clone(), self.reports.clone(), id.clone());
            let (turn, epoch, text) = (slot.turn.clone(), slot.turn.epoch(), grant.encode());
            tokio::spawn(async move {
                let Some(_writing) = turn.write(epoch).await else { return };
                let is_saved = vault.put(&entry, text).await.is_ok();
                let _ = reports.send(Report { server, report: ServerReport::Saved(is_saved) });
            });
        }
        for id in unread {
            self.step(&id, Event::TurnedOn);
        }
    }

    /// A last try to save what could not be saved.
    async fn save_unsaved(&mut self) {
        self.note_key_uses();
        self.remembered.save();
        if tokio::time::timeout(LAST_SAVE, self.remembered.saved().wait()).await.is_err() {
            tracing::warn!("what was learnt last could not be written in time");
        }
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
pub(super) fn registration_id(issuer: &str, redirect_uri: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(issuer.as_bytes());
    hash.update([0]);
    hash.update(redirect_uri.as_bytes());
    hash.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect()
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
