//! Signing out and removing a server: the grant is gone from here at once, and ended at its service
//! (RFC 7009, RFC 7592) in its own time. Best effort: what could not be done is said.

use std::sync::Arc;

use keyfob_auth::client_assertion;
use keyfob_auth::dcr;
use keyfob_auth::grant::{Grant, decode_registration};
use keyfob_auth::reach::Reach;
use keyfob_auth::registration::Registration;
use keyfob_auth::token::{self, TokenKind};
use keyfob_auth::trace::{Step, TraceStep};

use super::command::{Answer, Command, Ended};
use super::controller::{Controller, entry, set_headers};
use super::vault_problem;
use crate::clock;
use crate::fetch::Fetch;
use crate::gateway::seat::Lease;
use crate::problem::{Code, Problem};
use crate::server::Event;
use crate::vault::{EntryKind, Vault};
use crate::view::TraceView;

/// What ends with a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The sign-in; the server stays.
    SignedOut,
    /// The server, in whose place another one stands from now on.
    Replaced,
    /// The server.
    Removed,
}

impl Controller {
    pub(super) fn holds_secrets(&self, id: &str) -> bool {
        let has_worked =
            self.remembered.facts.servers.get(id).is_some_and(|facts| facts.has_worked);
        self.slots.get(id).is_some_and(|slot| {
            has_worked
                || slot.grant.is_some()
                || !slot.config.headers.is_empty()
                || slot.config.client_id.is_some()
        })
    }

    /// Signs out of a server, and with `is_final` takes it off the list.
    pub(super) fn sign_out(&mut self, name: &str, is_final: bool, answer: Answer<Ended>) {
        let id = match self.id_of(name) {
            Ok(id) => id,
            Err(problem) => {
                let _ = answer.send(Err(problem));
                return;
            }
        };
        // First what can fail, so that a failure has changed nothing.
        if is_final && let Err(problem) = self.config.remove(name) {
            let _ = answer.send(Err(problem));
            return;
        }
        let what = if is_final { Ending::Removed } else { Ending::SignedOut };
        self.end(&id, name, what, answer);
    }

    /// Ends a grant. What is to be revoked is revoked in its own time; the grant is gone from here
    /// at once.
    pub(super) fn end(&mut self, id: &str, name: &str, what: Ending, answer: Answer<Ended>) {
        let id = id.to_owned();
        let holds_secrets = self.holds_secrets(&id);
        let is_final = what != Ending::SignedOut;
        let registration = if is_final { self.own_registration(&id) } else { None };
        let provider = if what == Ending::Removed { self.own_provider(&id) } else { None };
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let grant = slot.grant.take();
        let (turn, server) = (slot.turn.clone(), slot.config.url.clone());
        turn.advance();
        slot.generation += 1;
        slot.last_failure = None;
        slot.held_failure = None;
        let facts = self.remembered.server(&id);
        facts.has_worked = false;
        facts.known_as = None;
        facts.tools = None;
        self.step(&id, Event::SignedOut);
        let seat = self.slots.get(&id).map(|slot| slot.seat.clone());
        let mut gone = vec![(EntryKind::Grant, id.clone())];
        if is_final {
            gone.push((EntryKind::ClientSecret, id.clone()));
            gone.push((EntryKind::ClientKey, id.clone()));
            gone.push((EntryKind::IdpSecret, id.clone()));
            gone.push((EntryKind::Headers, id.clone()));
            self.forget_server(&id, name);
            if let Some(provider) = &provider {
                self.remembered.facts.providers.retain(|known| known != provider);
            }
            if let Some(entry) = &registration {
                self.remembered.facts.registrations.retain(|known| known != entry);
            }
        }
        // Only now: what ends asks its seat what to say.
        if let Some(seat) = seat {
            seat.end_streams();
        }
        self.remembered.save();
        let (vault, fetch, commands) =
            (self.vault.clone(), self.fetch.clone(), self.commands.clone());
        let name = name.to_owned();
        tokio::spawn(async move {
            // Whoever is writing the grant finishes first; nobody begins after that.
            let _writing = turn.write(turn.epoch()).await;
            let mut lines = Vec::new();
            // Of a server that was off all the time the grant has not been read yet.
            let grant = match grant {
                Some(grant) => Some(grant),
                None => kept(&vault, &id).await,
            };
            if let Some(grant) = &grant {
                lines.extend(revoke(grant, &fetch).await);
            }
            if let Some(id) = registration
                && let Ok(entry) = entry(EntryKind::Registration, &id)
                && let Ok(Some(text)) = vault.get(&entry).await
                && let Ok(stored) = decode_registration(&text)
            {
                let kept = grant.as_ref().and_then(|grant| grant.reach);
                lines.extend(unregister(&stored, kept, &server, &fetch).await);
                gone.push((EntryKind::Registration, id));
            }
            if let Some(id) = provider
                && let Ok(entry) = entry(EntryKind::IdpGrant, &id)
            {
                if let Ok(Some(text)) = vault.get(&entry).await
                    && let Ok(grant) = Grant::decode(&text)
                {
                    lines.extend(revoke(&grant, &fetch).await);
                }
                gone.push((EntryKind::IdpGrant, id));
            }
            let mut failure = None;
            for (kind, id) in gone {
                let Ok(entry) = entry(kind, &id) else { continue };
                if let Err(error) = vault.delete(&entry).await {
                    failure = Some(vault_problem(&error));
                }
            }
            let shown = lines.iter().map(TraceView::from).collect();
            let _ = commands.send(Command::Note { name, lines });
            let _ = answer.send(match failure {
                Some(problem) if holds_secrets => Err(problem),
                Some(_) | None => Ok(Ended { lines: shown }),
            });
        });
    }

    /// Takes a server out of everything but the vault.
    fn forget_server(&mut self, id: &str, name: &str) {
        if let Some(slot) = self.slots.get(id) {
            // A connection that still holds the seat must not be able to use it.
            let problem = Problem::new(Code::UnknownServer).with("name", name);
            slot.seat.set_lease(Lease::Trouble(Arc::new(problem)));
            set_headers(slot, &[]);
        }
        self.gateway.seats.remove(name);
        self.slots.remove(id);
        self.remembered.facts.servers.remove(id);
        self.remembered.facts.keys.retain(|key| key.server != id);
    }

    /// The dynamic registration that a server's sign-ins use, where no other server's do.
    fn own_registration(&self, id: &str) -> Option<String> {
        let servers = &self.remembered.facts.servers;
        let name = servers.get(id)?.registration.clone()?;
        let is_shared = servers
            .iter()
            .any(|(other, facts)| other != id && facts.registration.as_ref() == Some(&name));
        (!is_shared).then_some(name)
    }
}

/// The grant in the vault.
async fn kept(vault: &Vault, id: &str) -> Option<Box<Grant>> {
    let entry = entry(EntryKind::Grant, id).ok()?;
    let text = vault.get(&entry).await.ok()??;
    Grant::decode(&text).ok().map(Box::new)
}

/// Revokes a grant's tokens, the refresh token first.
pub async fn revoke(grant: &Grant, fetch: &Fetch) -> Vec<TraceStep> {
    let Some(endpoint) = &grant.revocation_endpoint else {
        let line = TraceStep::new(clock::now(), Step::SignOut, "no way to revoke")
            .target(&grant.registration.issuer)
            .decision("forgotten here")
            .reason("the sign-in service offers no revocation; its tokens run out by themselves");
        return vec![line];
    };
    let reach = fetch.reach(grant.reach, &grant.server).await;
    let mut lines = Vec::new();
    let tokens =
        [(grant.refresh.as_ref(), TokenKind::Refresh), (Some(&grant.access), TokenKind::Access)];
    for (token, kind) in tokens {
        let Some(token) = token else { continue };
        let request = token::revoke(&grant.registration, endpoint, token, kind);
        let signed = request.zip(clock::entropy().ok()).and_then(|(mut request, entropy)| {
            client_assertion::add(&mut request, &grant.registration, clock::now(), &entropy)?;
            Some(request)
        });
        let Some(request) = signed else { continue };
        let started = clock::now();
        let said = match fetch.send(request, reach).await {
            Ok(response) if response.status == 200 => "revoked".to_owned(),
            Ok(response) => format!("HTTP {}", response.status),
            Err(cause) => cause.to_string(),
        };
        let what = match kind {
            TokenKind::Access => "access token",
            TokenKind::Refresh => "refresh token",
        };
        let line = TraceStep::new(clock::now(), Step::SignOut, said)
            .target(endpoint)
            .decision(format!("{what} forgotten here"))
            .since(started);
        lines.push(line);
    }
    lines
}

/// Deletes a dynamic registration, where the server gave the means. What it names may reach as far
/// as `kept` says, which a grant for `server` holds that was made with it.
pub async fn unregister(
    registration: &Registration,
    kept: Option<Reach>,
    server: &str,
    fetch: &Fetch,
) -> Option<TraceStep> {
    let management = registration.management.as_ref()?;
    let request = dcr::delete(management)?;
    let started = clock::now();
    let reach = fetch.reach(kept, server).await;
    let said = match fetch.send(request, reach).await {
        Ok(response) if matches!(response.status, 200 | 204 | 404) => {
            "registration deleted".to_owned()
        }
        Ok(response) => format!("HTTP {}", response.status),
        Err(cause) => cause.to_string(),
    };
    let line =
        TraceStep::new(clock::now(), Step::SignOut, said).target(&management.uri).since(started);
    Some(line)
}
