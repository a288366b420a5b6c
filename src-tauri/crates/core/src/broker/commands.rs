//! What the broker does for a person.

use keyfob_auth::ServerUrl;
use tokio::sync::{mpsc, oneshot};

use super::begin::Wanted;
use super::command::{Answer, Command, NewSecrets};
use super::controller::{Controller, set_headers};
use super::sign_in::Wish;
use super::slot::{Awaits, Waiter};
use crate::config::ServerConfig;
use crate::extensions::Extensions;
use crate::gateway::seat::Lease;
use crate::identity;
use crate::problem::{Code, Problem};
use crate::server::State;
use crate::view::{Progress, ServerView, TraceView};

impl Controller {
    pub(super) fn command(&mut self, command: Command) {
        let is_loading = self.slots.values().any(|slot| slot.is_loading);
        if is_loading && command.wants_states() {
            return self.deferred.push(command);
        }
        match command {
            Command::Add { server, secrets, answer } => {
                let _ = answer.send(self.add(server, secrets));
            }
            Command::List { answer } => {
                let servers = self.config.servers.iter();
                let slots = servers.filter_map(|server| self.slots.get(&server.id));
                let _ = answer.send(Ok(slots.map(|slot| self.view(slot)).collect()));
            }
            Command::Status { name, answer } => {
                let _ = answer.send(self.status(&name));
            }
            Command::Find { like, answer } => {
                let url = ServerUrl::parse(&like.url).map(|url| url.as_str().to_owned());
                let found = self.config.servers.iter().find(|server| {
                    url.as_ref() == Ok(&server.url)
                        && (like.issuer.is_none() || like.issuer == server.issuer)
                        && (like.client_id.is_none() || like.client_id == server.client_id)
                        && (like.scopes.is_empty() || like.scopes == server.scopes)
                        && (like.extensions == Extensions::default()
                            || like.extensions == server.extensions)
                });
                let _ = answer.send(Ok(found.map(|server| server.name.clone())));
            }
            Command::Trace { name, answer } => {
                let _ = answer.send(self.id_of(&name).map(|id| {
                    self.remembered.server(&id).trace.iter().map(TraceView::from).collect()
                }));
            }
            Command::Connect { name, issuer, browser, window, progress, answer } => {
                let wanted = Wanted { issuer, browser, window, by_person: true };
                self.connect(&name, wanted, progress, answer);
            }
            Command::Watch { name, browser, watcher, answer } => {
                let watched = self.id_of(&name).map(|id| {
                    if let Some(slot) = self.slots.get_mut(&id) {
                        slot.browser = browser;
                        slot.watcher = watcher;
                        slot.held_failure = None;
                        slot.last_failure = None;
                    }
                });
                let _ = answer.send(watched);
            }
            Command::Wish { name, wish, answer } => {
                let wished = self.id_of(&name).map(|id| {
                    let under_way = self.slots.get(&id).and_then(|slot| slot.sign_in.as_ref());
                    if let Some(under_way) = under_way {
                        let _ = under_way.wishes.send(wish);
                    }
                });
                let _ = answer.send(wished);
            }
            Command::Leave { name } => self.leave(&name),
            Command::Refresh { name, answer } => self.refresh_now(&name, answer),
            Command::HoldsSecrets { name, answer } => {
                let _ = answer.send(self.id_of(&name).map(|id| self.holds_secrets(&id)));
            }
            Command::SignOut { name, is_final, answer } => self.sign_out(&name, is_final, answer),
            Command::Note { name, lines } => {
                if let Ok(id) = self.id_of(&name) {
                    self.trace(&id, lines);
                    self.remembered.save();
                }
            }
            Command::MakeKey { client, name, terms, answer } => {
                let _ = answer.send(self.make_key(&client, &name, terms));
            }
            Command::RotateKeys { client, answer } => {
                let _ = answer.send(self.rotate_keys(client.as_deref()));
            }
            Command::RevokeKeys { client, digest, answer } => {
                let gone = self.revoke_keys(|key| {
                    client.as_ref().is_some_and(|client| *client == key.client)
                        || digest.as_ref().is_some_and(|digest| *digest == key.sha256)
                });
                let _ = answer.send(match client {
                    Some(client) if gone == 0 => {
                        Err(Problem::new(Code::UnknownClient).with("name", client))
                    }
                    _ => Ok(gone),
                });
            }
            Command::RevokeKeysFor { client, name, answer } => {
                let revoked = self.id_of(&name).map(|id| {
                    self.revoke_keys(|key| key.client == client && key.server == id);
                });
                let _ = answer.send(revoked);
            }
            Command::RevokeKnownKeys { answer } => {
                let until = self.remembered.facts.port_was_taken_until;
                self.revoke_keys(|key| until.is_some_and(|until| key.made_at <= until));
                let _ = answer.send(Ok(()));
            }
            Command::KeepKeys { answer } => {
                self.keep_keys();
                let _ = answer.send(Ok(()));
            }
            Command::Clients { answer } => {
                let _ = answer.send(Ok(self.clients()));
            }
            Command::LastFailure { name, answer } => {
                let _ = answer.send(
                    self.id_of(&name)
                        .map(|id| self.slots.get(&id).and_then(|slot| slot.last_failure.clone())),
                );
            }
            Command::Id { name, answer } => {
                let _ = answer.send(self.id_of(&name));
            }
            Command::Snapshot { answer } => {
                let _ = answer.send(Ok(self.snapshot()));
            }
            Command::Details { name, answer } => {
                let _ = answer.send(self.details(&name));
            }
            Command::LookAt { url, answer } => self.look_at(&url, answer),
            Command::Link { name, answer } => {
                let _ = answer.send(self.link(&name));
            }
            Command::Paste { name, address, answer } => {
                let _ = answer.send(self.paste(&name, &address));
            }
            Command::Identity { answer } => {
                let _ = answer.send(Ok(self.identity()));
            }
            Command::CheckDocument { url, answer } => {
                let fetch = self.fetch.clone();
                tokio::spawn(async move {
                    let _ = answer.send(identity::check(&url, &fetch).await);
                });
            }
            Command::UseDocument { url, answer } => {
                let _ = answer.send(self.use_document(url.as_ref()));
            }
            Command::Standing { name, answer } => {
                let _ = answer.send(self.standing(&name));
            }
            Command::Edit { name, edited, answer } => self.edit(&name, *edited, answer),
            Command::Turn { name, on, answer } => {
                let _ = answer.send(self.turn(&name, on));
            }
            Command::Retry { name, answer } => {
                let _ = answer.send(self.retry_now(&name));
            }
            Command::UseOwnClient { name, client_id, secret, answer } => {
                let _ = answer.send(self.use_own_client(&name, &client_id, secret));
            }
            Command::ForgetRegistration { name, answer } => {
                let _ = answer.send(self.forget_registration(&name));
            }
            Command::AcceptService { name, issuer, answer } => {
                let _ = answer.send(self.accept_service(&name, &issuer));
            }
            Command::NotBegun { name, problem } => {
                let id = self.id_of(&name).ok();
                if let Some(slot) = id.and_then(|id| self.slots.get_mut(&id)) {
                    slot.last_failure = Some(problem);
                }
            }
            Command::ToolsSeen { name, count } => {
                if let Ok(id) = self.id_of(&name)
                    && self.remembered.server(&id).tools != Some(count)
                {
                    self.remembered.server(&id).tools = Some(count);
                    self.remembered.save();
                }
            }
            // The loop ends on it before it comes here.
            Command::Stop { reply } => {
                let _ = reply.send(());
            }
        }
    }

    fn add(&mut self, server: ServerConfig, secrets: NewSecrets) -> Result<ServerView, Problem> {
        if self.config.server(&server.name).is_some() {
            return Err(Problem::new(Code::NameTaken).with("name", server.name));
        }
        let id = server.id.clone();
        self.config.add(server.clone())?;
        self.seat(server);
        let Some(slot) = self.slots.get_mut(&id) else {
            return Err(Problem::internal("the server has no slot"));
        };
        set_headers(slot, &secrets.headers);
        slot.own_secret = secrets.client;
        slot.extension_secrets = secrets.extensions;
        let Some(slot) = self.slots.get(&id) else {
            return Err(Problem::internal("the server has no slot"));
        };
        Ok(self.view(slot))
    }

    fn status(&self, name: &str) -> Result<ServerView, Problem> {
        let id = self.id_of(name)?;
        let slot =
            self.slots.get(&id).ok_or_else(|| Problem::internal("the server has no slot"))?;
        Ok(self.view(slot))
    }

    fn connect(
        &mut self,
        name: &str,
        wanted: Wanted,
        progress: mpsc::UnboundedSender<Progress>,
        answer: Answer<ServerView>,
    ) {
        let id = match self.id_of(name) {
            Ok(id) => id,
            Err(problem) => {
                let _ = answer.send(Err(problem));
                return;
            }
        };
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if let State::Off(_) = slot.state {
            let _ = answer.send(Err(slot.problem(Code::ServerOff)));
            return;
        }
        slot.held_failure = None;
        self.begin_sign_in(&id, wanted);
        let Some(slot) = self.slots.get_mut(&id) else { return };
        match slot.sign_in.as_mut() {
            Some(under_way) => {
                for told in &under_way.told {
                    let _ = progress.send(told.clone());
                }
                under_way.watchers.push(progress);
                under_way.ends.push(answer);
            }
            None => {
                let _ = answer.send(Err(Problem::internal("the sign-in could not begin")));
            }
        }
    }

    /// Someone who waited for a sign-in has gone; with the last of them it ends.
    fn leave(&mut self, name: &str) {
        let Ok(id) = self.id_of(name) else { return };
        let under_way = self.slots.get_mut(&id).and_then(|slot| slot.sign_in.as_mut());
        let Some(under_way) = under_way else { return };
        under_way.ends.retain(|end| !end.is_closed());
        under_way.watchers.retain(|watcher| !watcher.is_closed());
        if under_way.ends.is_empty() && under_way.watchers.is_empty() {
            let _ = under_way.wishes.send(Wish::Cancel);
        }
    }

    fn refresh_now(&mut self, name: &str, answer: Answer<ServerView>) {
        let found = self.id_of(name).and_then(|id| {
            let slot = self.slots.get(&id).ok_or_else(|| Problem::internal("no slot"))?;
            match slot.grant.as_deref() {
                Some(grant) if grant.can_renew() => Ok(id),
                Some(_) => Err(slot.problem(Code::GrantExpired)),
                None => Err(slot.problem(Code::SignInNeeded)),
            }
        });
        let id = match found {
            Ok(id) => id,
            Err(problem) => {
                let _ = answer.send(Err(problem));
                return;
            }
        };
        let generation = self.slots.get(&id).map_or(0, |slot| slot.generation);
        self.begin_refresh(&id);
        // The answer waits like a request of a client does, then looks at what came of it.
        let (reply, settled) = oneshot::channel();
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.waiters.push(Waiter { holds: false, awaits: Awaits::Renewal(generation), reply });
        }
        let (commands, name) = (self.commands.clone(), name.to_owned());
        tokio::spawn(async move {
            let came = match settled.await {
                Ok(Ok(Lease::Bearer(bearer))) if bearer.generation > generation => {
                    let (status, viewed) = oneshot::channel();
                    let _ = commands.send(Command::Status { name, answer: status });
                    viewed.await.unwrap_or_else(|_| Err(Problem::new(Code::Offline)))
                }
                Ok(Err(problem)) => Err(problem),
                Ok(Ok(_)) | Err(_) => Err(Problem::new(Code::Offline).with("server", &name)),
            };
            let _ = answer.send(came);
        });
    }
}
