//! Changing a server that is on the list. What does not concern the sign-in keeps it; what would
//! hand its grant to another server, service or client ends it, and only where that is wished.

use std::sync::Arc;

use keyfob_auth::{Secret, ServerUrl};

use super::command::{Answer, Command, Ended};
use super::controller::{Controller, entry, set_headers};
use super::new_server::{self, usage};
use super::{Handle, vault_problem};
use crate::config::ServerConfig;
use crate::control::protocol::{ServerChange, Setting};
use crate::extensions;
use crate::gateway::seat::{Lease, Seat};
use crate::problem::{Code, Problem};
use crate::remembered::ServerFacts;
use crate::server::{Event, State};
use crate::vault::EntryKind;
use crate::view::Edit;

/// What there is before a change.
#[derive(Debug)]
pub struct Standing {
    /// What the user wants of it now.
    config: ServerConfig,
    /// The names of the others.
    taken: Vec<String>,
    /// The issuer of its grant, where it has one or may have one in the vault.
    signed_in_at: Option<String>,
}

/// A change that has been checked.
#[derive(Debug)]
pub struct Edited {
    /// What is wanted from now on.
    config: ServerConfig,
    /// Whether a grant from before must not be used any more.
    ends_sign_in: bool,
    /// All headers of the user's own, where they change.
    headers: Option<Vec<(String, Secret)>>,
    /// Another secret of the user's own client.
    client_secret: Option<Secret>,
}

/// What the vault held before a change.
type Kept = Vec<(EntryKind, Option<Secret>)>;

/// Applies a change to what there is; nothing else happens.
fn edited(standing: &Standing, change: &ServerChange) -> Result<Edited, Problem> {
    let before = &standing.config;
    let mut config = before.clone();
    if let Some(name) = change.name.as_ref().filter(|name| **name != before.name) {
        config.name =
            new_server::checked_name(name, |name| standing.taken.iter().any(|it| it == name))?;
    }
    if let Some(url) = &change.url {
        new_server::checked_url(url)?.as_str().clone_into(&mut config.url);
    }
    config.issuer = change.issuer.over(config.issuer);
    if let Some(issuer) = &config.issuer {
        new_server::check_issuer(issuer)?;
    }
    if change.client_id != Setting::Same {
        let wanted = change.client_id.over(None);
        config.client_id = new_server::checked_client_id(wanted.as_deref())?;
    }
    if change.client_secret.is_some() && config.client_id.is_none() {
        return Err(usage("a client secret needs its client id: --client-id"));
    }
    if let Some(scopes) = &change.scopes {
        config.scopes.clone_from(scopes);
    }
    for (name, setting) in &change.parameters {
        match setting.over(config.parameters.remove(name)) {
            Some(value) => drop(config.parameters.insert(name.clone(), value)),
            None if *setting == Setting::Absent && !before.parameters.contains_key(name) => {
                return Err(usage(format_args!("{} has no parameter {name}", before.name)));
            }
            None => {}
        }
    }
    config.scope_parameter = change.scope_parameter.over(config.scope_parameter);
    new_server::check_parameters(&config)?;
    for name in &change.no_headers {
        let had = config.headers.len();
        config.headers.retain(|header| !header.eq_ignore_ascii_case(name));
        if config.headers.len() == had {
            return Err(usage(format_args!("{} has no header {name}", before.name)));
        }
    }
    for (name, value) in &change.headers {
        new_server::check_header(name, value)?;
        config.headers.retain(|header| !header.eq_ignore_ascii_case(name));
        config.headers.push(name.clone());
    }
    config.allow_guessed_endpoints =
        change.allow_guessed_endpoints.unwrap_or(config.allow_guessed_endpoints);
    let is_other_client = config.client_id != before.client_id;
    extensions::check(
        &config.extensions,
        &extensions::ExtensionSecrets::default(),
        config.client_id.as_deref(),
        // Those of another client do not count.
        change.client_secret.is_some() || !is_other_client,
    )
    .map_err(usage)?;
    let is_other_issuer = config.issuer != before.issuer
        && config.issuer.is_some()
        && config.issuer != standing.signed_in_at;
    Ok(Edited {
        ends_sign_in: config.url != before.url || is_other_client || is_other_issuer,
        config,
        headers: None,
        client_secret: change.client_secret.clone(),
    })
}

impl Handle {
    /// Changes a server on the list, its secrets in the vault first.
    ///
    /// # Errors
    /// When something about the change cannot be used, or it would end the sign-in and that was
    /// not allowed; nothing has changed then.
    pub async fn edit(&self, name: &str, change: ServerChange) -> Result<Edit, Problem> {
        let asked = name.to_owned();
        let standing = self.ask(|answer| Command::Standing { name: asked, answer }).await?;
        let mut edited = edited(&standing, &change)?;
        if self.gateway().is_own_address(&edited.config.url) {
            return Err(new_server::is_own_address(&edited.config.url));
        }
        let is_signed_in = standing.signed_in_at.is_some();
        if edited.ends_sign_in && is_signed_in {
            if !change.may_sign_out {
                return Err(Problem::new(Code::EndsSignIn).with("server", name));
            }
            self.check_vault().await?;
        }
        let id = standing.config.id.clone();
        let kept = self.write_secrets(&id, &mut edited, &change).await?;
        let (asked, renamed) = (name.to_owned(), edited.config.name.clone());
        let ends_sign_in = edited.ends_sign_in && is_signed_in;
        let changed = self.ask(|answer| Command::Edit { name: asked, edited, answer }).await;
        let lines = match changed {
            Ok(ended) => ended.lines,
            Err(problem) => {
                self.put_back(&id, kept).await;
                return Err(problem);
            }
        };
        let looked_up = renamed.clone();
        let server = self.ask(|answer| Command::Status { name: looked_up, answer }).await?;
        let server = self.looked_at(server).await?;
        Ok(Edit { server, lines, is_renamed: renamed != name, ends_sign_in })
    }

    /// Writes what is secret about a change, and gives what was there before it.
    async fn write_secrets(
        &self,
        id: &str,
        edited: &mut Edited,
        change: &ServerChange,
    ) -> Result<Kept, Problem> {
        let mut kept = Kept::new();
        if let Some(secret) = edited.client_secret.clone() {
            kept.push(self.exchange(EntryKind::ClientSecret, id, |_| Ok(secret)).await?);
        }
        if change.headers.is_empty() && change.no_headers.is_empty() {
            return Ok(kept);
        }
        let headers = |before: Option<&Secret>| {
            let pairs = other_headers(before, change);
            let text: Vec<_> = pairs.iter().map(|(n, v)| (n, v.expose())).collect();
            let text = serde_json::to_string(&text).map_err(Problem::internal)?;
            edited.headers = Some(pairs);
            Ok(Secret::new(text))
        };
        match self.exchange(EntryKind::Headers, id, headers).await {
            Ok(before) => kept.push(before),
            Err(problem) => {
                self.put_back(id, kept).await;
                return Err(problem);
            }
        }
        Ok(kept)
    }

    /// Writes an entry and gives what was there.
    async fn exchange(
        &self,
        kind: EntryKind,
        id: &str,
        new: impl FnOnce(Option<&Secret>) -> Result<Secret, Problem>,
    ) -> Result<(EntryKind, Option<Secret>), Problem> {
        let before = self.vault().get(&entry(kind, id)?).await;
        let before = before.map_err(|error| vault_problem(&error))?;
        self.keep(kind, id, new(before.as_ref())?).await?;
        Ok((kind, before))
    }

    /// The vault as it was before a change that came to nothing.
    async fn put_back(&self, id: &str, kept: Kept) {
        for (kind, before) in kept {
            let Ok(entry) = entry(kind, id) else { continue };
            let put_back = match before {
                Some(text) => self.vault().put(&entry, text).await,
                None => self.vault().delete(&entry).await,
            };
            if let Err(error) = put_back {
                tracing::warn!(%error, "the keychain keeps what was not wanted in the end");
            }
        }
    }
}

/// All headers of the user's own after a change, from how they are kept before it.
fn other_headers(kept: Option<&Secret>, change: &ServerChange) -> Vec<(String, Secret)> {
    let kept = kept.and_then(|text| serde_json::from_str(text.expose()).ok());
    let kept: Vec<(String, String)> = kept.unwrap_or_default();
    let is_other = |name: &str| {
        let new = change.headers.iter().map(|(name, _)| name);
        new.chain(&change.no_headers).any(|other| other.eq_ignore_ascii_case(name))
    };
    let stay = kept.into_iter().filter(|(name, _)| !is_other(name));
    stay.map(|(name, value)| (name, Secret::new(value))).chain(change.headers.clone()).collect()
}

impl Controller {
    /// What there is before a change.
    pub(super) fn standing(&self, name: &str) -> Result<Standing, Problem> {
        let unknown = || Problem::new(Code::UnknownServer).with("name", name);
        let config = self.config.server(name).ok_or_else(unknown)?.clone();
        let others = self.config.servers.iter().filter(|server| server.id != config.id);
        let taken = others.map(|server| server.name.clone()).collect();
        let slot = self.slots.get(&config.id);
        let grant = slot.and_then(|slot| slot.grant.as_ref());
        let facts = self.remembered.facts.servers.get(&config.id);
        // Of a server that is off, or whose keychain is locked, the vault has not been asked.
        let is_unasked = slot.is_some_and(|slot| {
            slot.is_loading || matches!(slot.state, State::Off(_) | State::VaultBlocked(_))
        });
        let worked = facts.filter(|facts| is_unasked && facts.has_worked);
        let known = worked.map(|facts| facts.known_as.as_ref().map(|known| known.issuer.clone()));
        let signed_in_at = grant
            .map(|grant| grant.registration.issuer.clone())
            .or_else(|| known.map(Option::unwrap_or_default));
        Ok(Standing { config, taken, signed_in_at })
    }

    /// Makes a change; answers when what it ends has ended.
    pub(super) fn edit(&mut self, name: &str, edited: Edited, answer: Answer<Ended>) {
        let Edited { config, ends_sign_in, headers, client_secret } = edited;
        let changed = self.id_of(name).and_then(|id| {
            let is_new = config.name != name;
            if is_new && self.config.server(&config.name).is_some() {
                return Err(Problem::new(Code::NameTaken).with("name", &config.name));
            }
            self.config.change(name, |server| *server = config.clone())?;
            Ok(id)
        });
        let id = match changed {
            Ok(id) => id,
            Err(problem) => {
                let _ = answer.send(Err(problem));
                return;
            }
        };
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let before = std::mem::replace(&mut slot.config, config);
        if ends_sign_in {
            let name = slot.config.name.clone();
            self.sign_out(&name, false, answer);
        } else {
            let _ = answer.send(Ok(Ended::default()));
        }
        self.forget_what_was_of(&before, client_secret.is_some());
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.last_failure = None;
        if let Some(secret) = client_secret {
            slot.own_secret = Some(secret);
        }
        if let Some(headers) = headers {
            set_headers(slot, &headers);
        }
        let is_elsewhere = slot.config.url != before.url;
        if is_elsewhere || slot.config.name != before.name {
            self.reseat(&id);
        }
        if is_elsewhere {
            // The keychain holds nothing for it; what it wants is asked of the server itself.
            let Some(slot) = self.slots.get_mut(&id) else { return };
            slot.state = State::start(slot.config.enabled).0;
            self.step(&id, Event::GrantAbsent { has_worked: false, last: None });
        }
    }

    /// What was learnt of a server, or kept for it, as it was before a change.
    fn forget_what_was_of(&mut self, before: &ServerConfig, has_new_secret: bool) {
        let Some(slot) = self.slots.get_mut(&before.id) else { return };
        let facts = self.remembered.facts.servers.entry(before.id.clone()).or_default();
        let is_other_client = slot.config.client_id != before.client_id;
        if slot.config.url != before.url {
            slot.challenge = None;
            // The registration stays at its service, to be used again or deleted with the server.
            let registration = facts.registration.take();
            *facts = ServerFacts { registration, ..ServerFacts::default() };
        }
        if slot.config.issuer != before.issuer {
            facts.chosen_issuer = None;
        }
        if is_other_client {
            facts.own_client_at = None;
            slot.own_secret = None;
            slot.extension_secrets.client_key = None;
            if !has_new_secret {
                self.forget_entry(EntryKind::ClientSecret, &before.id);
            }
            self.forget_entry(EntryKind::ClientKey, &before.id);
        }
        self.remembered.save();
    }

    /// Puts a server where its new name or URL says. Whoever still holds its old seat hears that
    /// there is none of that name.
    fn reseat(&mut self, id: &str) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let Ok(upstream) = ServerUrl::parse(&slot.config.url) else { return };
        let seat = Arc::new(Seat::new(id.to_owned(), slot.config.name.clone(), upstream));
        let headers = slot.seat.headers.read().map(|headers| headers.clone());
        if let (Ok(headers), Ok(mut new)) = (headers, seat.headers.write()) {
            *new = headers;
        }
        let before = std::mem::replace(&mut slot.seat, seat.clone());
        let problem = Problem::new(Code::UnknownServer).with("name", &before.name);
        before.set_lease(Lease::Trouble(Arc::new(problem)));
        self.gateway.seats.replace(&before.name, seat);
        slot.publish();
    }
}
