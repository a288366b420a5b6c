//! Changing a server that is on the list. What does not concern the sign-in keeps it; what would
//! hand its grant to another server, service or client ends it, and only where that is wished.

use std::sync::Arc;

use keyfob_auth::Secret;
use keyfob_auth::trace::{Step, TraceStep};
use tokio::sync::oneshot;

use super::command::{Answer, Command, Ended};
use super::controller::{Controller, entry, set_headers};
use super::new_server::{self, usage};
use super::sign_out::Ending;
use super::{Handle, vault_problem};
use crate::clock;
use crate::config::{self, ServerConfig};
use crate::control::protocol::{ServerChange, Setting};
use crate::extensions;
use crate::gateway::seat::{Lease, Seat};
use crate::problem::{Code, Problem};
use crate::server::State;
use crate::vault::EntryKind;
use crate::view::{Edit, TraceView};

/// What there is before a change.
#[derive(Clone, Debug)]
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
    /// What there was.
    standing: Standing,
    /// What is wanted from now on. Another address is another server, with an id of its own:
    /// nothing that is still under way for the one before can reach it.
    config: ServerConfig,
    /// Whether a grant from before must not be used any more.
    ends_sign_in: bool,
    /// All headers of the user's own, where they change.
    headers: Option<Vec<(String, Secret)>>,
    /// Another secret of the user's own client.
    client_secret: Option<Secret>,
}

/// Tells of the end of what a change ends.
pub type Ends = oneshot::Receiver<Result<Ended, Problem>>;

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
    let was = new_server::checked_url(&before.url)?;
    let url = change.url.as_deref().map(new_server::checked_url).transpose()?;
    let url = url.filter(|url| url.as_str() != was.as_str());
    if let Some(url) = &url {
        config.id = config::new_id()?;
        url.as_str().clone_into(&mut config.url);
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
    if let Some(stray) = change.no_headers.iter().find(|name| is_named(name, &change.headers)) {
        return Err(usage(format_args!(
            "the header {stray} is both to be sent and not to be sent"
        )));
    }
    // Their values were meant for whom they were given for.
    let is_elsewhere = url.as_ref().is_some_and(|url| url.origin() != was.origin());
    if let Some(kept) = config.headers.iter().find(|name| !is_named(name, &change.headers))
        && is_elsewhere
    {
        return Err(usage(format_args!(
            "the header {kept} was meant for {}; give its value anew (--header {kept}) or leave it \
             out (--no-header {kept})",
            was.origin()
        )));
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
        ends_sign_in: url.is_some() || is_other_client || is_other_issuer,
        standing: standing.clone(),
        config,
        headers: None,
        client_secret: change.client_secret.clone(),
    })
}

fn is_named(name: &str, headers: &[(String, Secret)]) -> bool {
    headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
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
        let edited = edited(&standing, &change)?;
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
        // Whoever hangs up from here on must not leave half of it behind.
        let (handle, name) = (self.clone(), name.to_owned());
        let editing = tokio::spawn(async move { handle.make(&name, edited, &change).await });
        editing.await.unwrap_or_else(|_| Err(Problem::internal("the change came to nothing")))
    }

    async fn make(
        &self,
        name: &str,
        mut edited: Edited,
        change: &ServerChange,
    ) -> Result<Edit, Problem> {
        let (id, new_name) = (edited.config.id.clone(), edited.config.name.clone());
        let ends_sign_in = edited.ends_sign_in && edited.standing.signed_in_at.is_some();
        let kept = self.write_secrets(&mut edited, change).await?;
        let asked = name.to_owned();
        let ending = match self
            .ask(|answer| Command::Edit { name: asked, edited: Box::new(edited), answer })
            .await
        {
            Ok(ending) => ending,
            Err(problem) => {
                self.put_back(&id, kept).await;
                return Err(problem);
            }
        };
        let lines = match ending.await {
            Ok(Ok(ended)) => ended.lines,
            // It is changed all the same.
            Ok(Err(problem)) => {
                let said = "what the keychain held of it could not be deleted";
                let line = TraceStep::new(clock::now(), Step::SignOut, said);
                vec![TraceView::from(&line.reason(problem.message))]
            }
            Err(_) => Vec::new(),
        };
        let looked_up = new_name.clone();
        let server = self.ask(|answer| Command::Status { name: looked_up, answer }).await?;
        let server = self.looked_at(server).await?;
        Ok(Edit { server, lines, is_renamed: new_name != name, ends_sign_in })
    }

    /// Writes what is secret about a change, and gives what was there before it.
    async fn write_secrets(
        &self,
        edited: &mut Edited,
        change: &ServerChange,
    ) -> Result<Kept, Problem> {
        let before = &edited.standing.config;
        let (old, new) = (before.id.clone(), edited.config.id.clone());
        let mut texts = Vec::new();
        let is_same_client = edited.config.client_id == before.client_id;
        if old != new {
            texts.push((EntryKind::IdpSecret, self.kept(EntryKind::IdpSecret, &old).await?));
            if is_same_client {
                let kinds = [EntryKind::ClientSecret, EntryKind::ClientKey];
                for kind in kinds {
                    texts.push((kind, self.kept(kind, &old).await?));
                }
            }
        }
        if let Some(secret) = edited.client_secret.clone() {
            texts.retain(|(kind, _)| *kind != EntryKind::ClientSecret);
            texts.push((EntryKind::ClientSecret, Some(secret)));
        }
        if old != new || !change.headers.is_empty() || !change.no_headers.is_empty() {
            let pairs = other_headers(self.kept(EntryKind::Headers, &old).await?.as_ref(), change);
            let text: Vec<_> = pairs.iter().map(|(n, v)| (n, v.expose())).collect();
            let text = serde_json::to_string(&text).map_err(Problem::internal)?;
            texts.push((EntryKind::Headers, (!pairs.is_empty()).then(|| Secret::new(text))));
            edited.headers = Some(pairs);
        }
        let mut kept = Kept::new();
        for (kind, text) in texts {
            match self.exchange(kind, &new, text).await {
                Ok(before) => kept.push((kind, before)),
                Err(problem) => {
                    self.put_back(&new, kept).await;
                    return Err(problem);
                }
            }
        }
        Ok(kept)
    }

    async fn kept(&self, kind: EntryKind, id: &str) -> Result<Option<Secret>, Problem> {
        self.vault().get(&entry(kind, id)?).await.map_err(|error| vault_problem(&error))
    }

    /// Writes an entry, or deletes it, and gives what was there.
    async fn exchange(
        &self,
        kind: EntryKind,
        id: &str,
        text: Option<Secret>,
    ) -> Result<Option<Secret>, Problem> {
        let before = self.kept(kind, id).await?;
        match text {
            Some(text) => self.keep(kind, id, text).await?,
            None if before.is_some() => {
                let deleted = self.vault().delete(&entry(kind, id)?).await;
                deleted.map_err(|error| vault_problem(&error))?;
            }
            None => {}
        }
        Ok(before)
    }

    /// The vault as it was before a change that came to nothing.
    async fn put_back(&self, id: &str, kept: Kept) {
        for (kind, before) in kept {
            if let Err(problem) = self.exchange(kind, id, before).await {
                tracing::warn!(%problem, "the keychain keeps what was not wanted in the end");
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
        let known =
            worked.map(|facts| facts.known_as.as_ref().map(|known| known.issuer.to_string()));
        let signed_in_at = grant
            .map(|grant| grant.registration.issuer.clone())
            .or_else(|| known.map(Option::unwrap_or_default));
        Ok(Standing { config, taken, signed_in_at })
    }

    /// Makes a change. Answers when it is made, with what tells of the end of what it ends.
    pub(super) fn edit(&mut self, name: &str, edited: Edited, answer: Answer<Ends>) {
        let _ = answer.send(self.make(name, edited));
    }

    fn make(&mut self, name: &str, edited: Edited) -> Result<Ends, Problem> {
        let Edited { standing, config, ends_sign_in, headers, client_secret } = edited;
        let now = self.standing(name)?;
        if now.config != standing.config || now.signed_in_at != standing.signed_in_at {
            return Err(usage(format_args!("{name} has changed meanwhile; try again")));
        }
        if config.name != name && self.config.server(&config.name).is_some() {
            return Err(Problem::new(Code::NameTaken).with("name", &config.name));
        }
        self.config.change(name, |server| *server = config.clone())?;
        let before = standing.config;
        let (answer, ends) = oneshot::channel();
        if config.id != before.id {
            self.replace(&before, config, answer);
            return Ok(ends);
        }
        let id = config.id.clone();
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.config = config;
        }
        if ends_sign_in {
            let new_name = self.slots.get(&id).map(|slot| slot.config.name.clone());
            self.end(&id, &new_name.unwrap_or_default(), Ending::SignedOut, answer);
        } else {
            let _ = answer.send(Ok(Ended::default()));
        }
        self.forget_what_was_of(&before, client_secret.is_some());
        let Some(slot) = self.slots.get_mut(&id) else { return Ok(ends) };
        slot.last_failure = None;
        slot.held_failure = None;
        if let Some(secret) = client_secret {
            slot.own_secret = Some(secret);
        }
        if let Some(headers) = headers {
            set_headers(slot, &headers);
        }
        if slot.config.name != before.name {
            self.rename(&id, &before.name);
        }
        Ok(ends)
    }

    /// Puts a server at another address in the place of one. Who may use it stays; all else begins
    /// anew.
    fn replace(&mut self, before: &ServerConfig, config: ServerConfig, answer: Answer<Ended>) {
        self.note_key_uses();
        for key in &mut self.remembered.facts.keys {
            if key.server == before.id {
                key.server.clone_from(&config.id);
            }
        }
        let facts = self.remembered.facts.servers.get(&before.id);
        // Whom the user's own client belongs to does not change with the server's address.
        let is_same_client = config.client_id == before.client_id;
        let own_client_at = facts.and_then(|f| f.own_client_at.clone()).filter(|_| is_same_client);
        self.end(&before.id, &before.name, Ending::Replaced, answer);
        self.remembered.server(&config.id).own_client_at = own_client_at;
        self.remembered.save();
        self.seat(config);
    }

    /// What was learnt of a server, or kept for it, as it was before a change.
    fn forget_what_was_of(&mut self, before: &ServerConfig, has_new_secret: bool) {
        let Some(slot) = self.slots.get_mut(&before.id) else { return };
        let facts = self.remembered.facts.servers.entry(before.id.clone()).or_default();
        if slot.config.issuer != before.issuer {
            facts.chosen_issuer = None;
            facts.accepted_services.clear();
        }
        if slot.config.client_id != before.client_id {
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

    /// Puts a server where its new name says. Whoever still holds its old seat hears that there is
    /// none of that name.
    fn rename(&mut self, id: &str, before: &str) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let (name, upstream) = (slot.config.name.clone(), slot.seat.upstream.clone());
        let seat = Arc::new(Seat::new(id.to_owned(), name, upstream));
        let headers = slot.seat.headers.read().map(|headers| headers.clone());
        if let (Ok(headers), Ok(mut new)) = (headers, seat.headers.write()) {
            *new = headers;
        }
        let old = std::mem::replace(&mut slot.seat, seat.clone());
        let problem = Problem::new(Code::UnknownServer).with("name", before);
        old.set_lease(Lease::Trouble(Arc::new(problem)));
        // Nothing would end them later: the server has another seat now.
        old.end_streams();
        self.gateway.seats.replace(before, seat);
        slot.publish();
    }
}
