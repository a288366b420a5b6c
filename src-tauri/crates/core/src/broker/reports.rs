//! What the broker does when a task comes back.

use std::time::Duration;

use keyfob_auth::client_document::redirect_uri;
use keyfob_auth::flow::{Memo, SignInError};
use keyfob_auth::grant::{Grant, encode_registration};
use keyfob_auth::metadata::MOST_ENTRIES;
use keyfob_auth::registration::RegistrationKind;
use keyfob_auth::text::Shown;
use keyfob_auth::trace::{TraceStep, Weight};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::controller::{Controller, entry, registration_id, set_headers};
use super::load::Kept;
use super::pause::Pause;
use super::report::{Probe, Report, ServerReport};
use super::{refresh, sign_in, sign_out, vault_problem};
use crate::clock;
use crate::problem::{Code, Problem};
use crate::server::{Event, LastSaid};
use crate::vault::{EntryKind, VaultError};
use crate::view::{Progress, RegistrationView, TraceView};

/// When a token that could not be saved is tried again.
pub(super) const SAVE_AGAIN: Duration = Duration::from_secs(10);

/// When a keychain that was too slow to be read is read again.
const READ_AGAIN: Duration = Duration::from_secs(30);

/// First and longest pause after a refresh that could not be made.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// So many refusals in a row without an error code (Supabase answers a dead client with 422 and a
/// message) mean that only a new sign-in can help.
const MOST_UNCLEAR: u32 = 3;

impl Controller {
    pub(super) fn report(&mut self, report: Report) {
        let Report { server: id, report } = report;
        // What comes back for a server that was removed meanwhile concerns nobody, but for a client
        // secret: other servers may use it.
        let is_shared = matches!(report, ServerReport::SecretRenewed(..));
        if !is_shared && !self.slots.contains_key(&id) {
            if let ServerReport::RefreshEnded(_, end) = report {
                if let refresh::End::Renewed { grant, .. } = end {
                    let fetch = self.fetch.clone();
                    tokio::spawn(async move { sign_out::revoke(&grant, &fetch).await });
                }
                // Others may have waited for it with the client secret that they share.
                self.look_after_secrets();
            }
            return;
        }
        match report {
            ServerReport::Loaded(loaded) => self.loaded(&id, loaded),
            ServerReport::Probed(probe) => self.probed(&id, probe),
            ServerReport::Trace(lines) => self.trace(&id, lines),
            ServerReport::Memos(memos) => self.remember(&id, memos),
            ServerReport::Progress(progress) => self.progress(&id, progress),
            ServerReport::SignInEnded(end) => self.sign_in_ended(&id, end),
            ServerReport::RefreshEnded(epoch, end) => self.refresh_ended(&id, epoch, end),
            ServerReport::SecretRenewed(name, end) => self.secret_renewed(&name, end),
            ServerReport::Saved(is_saved) => self.saved(&id, is_saved),
            ServerReport::BrowserFailed(cause) => self.browser_failed(&id, &cause),
        }
    }

    fn loaded(&mut self, id: &str, loaded: Result<Kept, Problem>) {
        let facts = self.remembered.server(id);
        let has_worked = facts.has_worked;
        let last = facts.last.or(self.only_looks.then_some(LastSaid::SignIn));
        let Some(slot) = self.slots.get_mut(id) else { return };
        slot.is_loading = false;
        let event = match loaded {
            Ok(kept) => {
                set_headers(slot, &kept.headers);
                slot.own_secret = kept.secret;
                // An ID token for this run is kept nowhere else.
                slot.extension_secrets = kept.extensions.or(&slot.extension_secrets);
                match kept.grant {
                    // A grant is never sent to another server than its own.
                    Some(grant) if grant.server == slot.config.url => {
                        slot.hold(grant);
                        Event::GrantFound
                    }
                    Some(_) | None => Event::GrantAbsent { has_worked, last },
                }
            }
            // Where there is no keychain and never was a sign-in, there is nothing to wait for.
            Err(problem) if problem.code == Code::VaultAbsent && !has_worked => {
                slot.last_failure = Some(problem);
                Event::GrantAbsent { has_worked, last }
            }
            Err(problem) => {
                warn!(server = %slot.config.name, %problem, "the keychain could not be read");
                // A locked one is not asked by itself: that would open its prompt.
                let is_slow = problem.code == Code::VaultSlow;
                slot.vault_again_at = is_slow.then(|| clock::now().plus(READ_AGAIN));
                slot.last_failure = Some(problem);
                Event::VaultFailed
            }
        };
        self.step(id, event);
        for command in std::mem::take(&mut self.deferred) {
            self.command(command);
        }
    }

    fn probed(&mut self, id: &str, probe: Probe) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let event = match probe {
            Probe::Open => {
                slot.last_failure = None;
                self.remembered.server(id).last = Some(LastSaid::Open);
                self.remembered.save();
                Event::Answered
            }
            // What it challenged with is not kept: a sign-in asks again.
            Probe::Challenged => {
                self.remembered.server(id).last = Some(LastSaid::SignIn);
                self.remembered.save();
                Event::Challenged
            }
            Probe::Unreachable => {
                Event::Unreachable { retry_at: clock::now().plus(Duration::from_secs(30)) }
            }
            Probe::Unusable(problem) => {
                warn!(server = %slot.config.name, %problem, "not usable");
                slot.last_failure = Some(problem);
                Event::Unreachable { retry_at: clock::now().plus(LONGEST_PAUSE) }
            }
        };
        self.step(id, event);
    }

    pub(super) fn trace(&mut self, id: &str, lines: Vec<TraceStep>) {
        let name = self.slots.get(id).map_or("", |slot| slot.config.name.as_str()).to_owned();
        for line in &lines {
            let TraceStep { step, target, result, decision, reason, .. } = line;
            let (target, decision, reason) =
                (target.as_deref(), decision.as_deref(), reason.as_deref());
            match line.weight {
                Weight::Warn => warn!(server = %name, ?step, target, %result, decision, reason),
                Weight::Info => info!(server = %name, ?step, target, %result, decision, reason),
                Weight::Detail => debug!(server = %name, ?step, target, %result, decision, reason),
            }
            self.progress(id, Progress::Trace { line: TraceView::from(line) });
        }
        self.remembered.server(id).extend_trace(lines);
    }

    fn progress(&mut self, id: &str, progress: Progress) {
        let under_way = self.slots.get_mut(id).and_then(|slot| slot.sign_in.as_mut());
        if let Some(under_way) = under_way {
            under_way.watchers.retain(|watcher| watcher.send(progress.clone()).is_ok());
            under_way.told.push(progress);
        }
    }

    fn remember(&mut self, id: &str, memos: Vec<Memo>) {
        for memo in memos {
            match memo {
                Memo::Registered(registration) => {
                    let name = registration_id(&registration.issuer, &registration.redirect_uri);
                    let known = &mut self.remembered.facts.registrations;
                    if !known.contains(&name) {
                        known.push(name.clone());
                    }
                    let (vault, text) = (self.vault.clone(), encode_registration(&registration));
                    tokio::spawn(async move {
                        let Ok(entry) = entry(EntryKind::Registration, &name) else { return };
                        if let Err(error) = vault.put(&entry, text).await {
                            warn!(%error, "a registration could not be kept");
                        }
                    });
                }
                // The new one, where it comes to one, takes its place in the vault.
                Memo::RegistrationGone { issuer, client_id, redirect_uri } => {
                    let client_id = Shown::identifier(&client_id);
                    info!(%issuer, %client_id, "the registration is gone");
                    let name = registration_id(&issuer, &redirect_uri);
                    self.remembered.facts.registrations.retain(|known| *known != name);
                }
                Memo::DocumentRefused(refusal) => {
                    let facts = &mut self.remembered.facts;
                    let is_same = |issuer: &str, document: &str| {
                        issuer == refusal.issuer && document == refusal.document
                    };
                    facts.refusals.retain(|known| !is_same(&known.issuer, &known.document));
                    facts.accepted.retain(|(issuer, document)| !is_same(issuer, document));
                    facts.refusals.push(refusal);
                }
                Memo::DocumentAccepted(issuer) => {
                    let Some(document) = self.document.as_ref() else { continue };
                    let accepted = (issuer, document.as_str().to_owned());
                    let facts = &mut self.remembered.facts;
                    facts.refusals.retain(|known| known.issuer != accepted.0);
                    if !facts.accepted.contains(&accepted) {
                        facts.accepted.push(accepted);
                    }
                }
                Memo::DocumentDoubted(issuer) => {
                    self.remembered.facts.accepted.retain(|(accepted, _)| *accepted != issuer);
                }
                Memo::ResourceForm { issuer, form } => {
                    self.remembered.server(id).resource_forms.insert(issuer, form);
                }
                Memo::Issuers(mut issuers) => {
                    issuers.truncate(MOST_ENTRIES);
                    self.remembered.server(id).issuers = issuers;
                }
                Memo::ProviderGrant(_) => self.remember_provider(id, true),
                Memo::ProviderGrantGone => self.remember_provider(id, false),
                Memo::NameWorks(issuer) => {
                    let facts = self.remembered.server(id);
                    if !facts.by_name_at.contains(&issuer) {
                        facts.by_name_at.push(issuer);
                    }
                }
            }
        }
        self.remembered.save();
    }

    fn sign_in_ended(&mut self, id: &str, end: sign_in::End) {
        let redirect_uri = redirect_uri(self.gateway.port);
        let Some(slot) = self.slots.get_mut(id) else { return };
        slot.challenge = None;
        let under_way = slot.sign_in.take();
        let name = slot.config.name.clone();
        let failed = |problem: Problem| (Event::SignInFailed, Some(problem));
        let end = match end {
            // It was signed out of, or changed, while the keychain took the grant; whoever did that
            // finds it there and ends it.
            sign_in::End::SignedIn { epoch, .. } if epoch != slot.turn.epoch() => {
                sign_in::End::Failed(SignInError::Cancelled)
            }
            end => end,
        };
        let (event, problem) = match end {
            sign_in::End::Open => {
                let facts = self.remembered.server(id);
                facts.last = Some(LastSaid::Open);
                facts.refused_later = None;
                (Event::Answered, None)
            }
            sign_in::End::SignedIn { grant, .. } => {
                let registration =
                    registration_id(&grant.registration.issuer, &grant.registration.redirect_uri);
                let known_as = RegistrationView::from(&grant.registration);
                let issuer = grant.registration.issuer.clone();
                let is_dynamic = grant.registration.kind == RegistrationKind::Dcr;
                let own = (grant.registration.kind == RegistrationKind::PreRegistered).then(|| {
                    (grant.registration.client_id.clone(), grant.registration.issuer.clone())
                });
                let client = |grant: &Grant| {
                    (grant.registration.issuer.clone(), grant.registration.client_id.clone())
                };
                // Of another client or service, the old one is of no more use to anybody.
                if let Some(old) = slot.grant.take().filter(|old| client(old) != client(&grant)) {
                    let fetch = self.fetch.clone();
                    tokio::spawn(async move { sign_out::revoke(&old, &fetch).await });
                }
                slot.hold(grant);
                slot.signed_in_at = Some(Instant::now());
                // What the old grant had to wait for is over with it.
                slot.pause = Pause::none();
                slot.failures = 0;
                slot.unclear = 0;
                slot.is_unsaved = false;
                slot.challenge = None;
                let facts = self.remembered.server(id);
                facts.has_worked = true;
                facts.chosen_issuer = Some(issuer);
                facts.known_as = Some(known_as);
                facts.registration = is_dynamic.then_some(registration);
                facts.own_client_at = own.or(facts.own_client_at.take());
                facts.last = Some(LastSaid::SignIn);
                (Event::SignedIn, None)
            }
            sign_in::End::Failed(error) => {
                failed(Problem::from_sign_in(&error, &name, &slot.config.url, &redirect_uri))
            }
            sign_in::End::NotKept(problem) => failed(problem),
        };
        slot.failed_at = problem.is_some().then(Instant::now);
        slot.last_failure.clone_from(&problem);
        slot.held_failure.clone_from(&problem);
        self.remembered.save();
        let is_out_of_reach = problem.as_ref().is_some_and(|problem| {
            matches!(problem.code, Code::Unreachable | Code::TlsUntrusted | Code::NotMcp)
        });
        if is_out_of_reach {
            self.step(id, Event::Unreachable { retry_at: clock::now().plus(LONGEST_PAUSE) });
        }
        self.step(id, event);
        let Some(under_way) = under_way else { return };
        let answer = match (problem, self.slots.get(id)) {
            (Some(problem), _) => Err(problem),
            (None, Some(slot)) => Ok(self.view(slot)),
            (None, None) => Err(Problem::internal("the server is gone")),
        };
        for end in under_way.ends {
            let _ = end.send(answer.clone());
        }
    }

    pub(super) fn refresh_ended(&mut self, id: &str, epoch: u64, end: refresh::End) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        slot.is_refreshing = false;
        if slot.turn.epoch() != epoch {
            self.too_late(id, end);
            return self.look_after_secrets();
        }
        let end = match end {
            refresh::End::Dead { is_client_gone: true, line } => {
                match self.secret_refused(id, line) {
                    None => return,
                    Some(line) => refresh::End::Dead { is_client_gone: true, line },
                }
            }
            end => end,
        };
        let Some(slot) = self.slots.get_mut(id) else { return };
        let now = clock::now();
        let (line, events) = match end {
            refresh::End::Renewed { grant, unsaved, line } => {
                slot.hold(grant);
                slot.failures = 0;
                slot.unclear = 0;
                slot.pause = Pause::none();
                slot.is_unsaved = unsaved.is_some();
                slot.vault_again_at = match &unsaved {
                    // Asking a locked keychain again would only open its prompt again.
                    None | Some(VaultError::Locked | VaultError::Denied) => None,
                    Some(_) => Some(now.plus(SAVE_AGAIN)),
                };
                if let Some(error) = &unsaved {
                    slot.last_failure = Some(vault_problem(error));
                }
                let events = match unsaved {
                    None => vec![Event::Renewed],
                    Some(_) => vec![Event::Renewed, Event::VaultFailed],
                };
                (line, events)
            }
            refresh::End::Dead { is_client_gone, line } => {
                let ended = slot.grant.take();
                let registration = ended.as_ref().map(|grant| grant.registration.clone());
                if let (Some(ended), Ok(entry)) = (ended, entry(EntryKind::Grant, id)) {
                    let vault = self.vault.clone();
                    tokio::spawn(async move { refresh::forget(&vault, &entry, &ended).await });
                }
                if let Some(registration) = registration.filter(|_| is_client_gone) {
                    let name = registration_id(&registration.issuer, &registration.redirect_uri);
                    self.remembered.facts.registrations.retain(|known| *known != name);
                    self.forget_entry(EntryKind::Registration, &name);
                }
                (line, vec![Event::Refused])
            }
            refresh::End::NotNow { retry_after, is_unclear, line } => {
                let doubled = FIRST_PAUSE * 2u32.saturating_pow(slot.failures.min(10));
                slot.failures = slot.failures.saturating_add(1);
                let pause = retry_after.unwrap_or(doubled).min(LONGEST_PAUSE);
                slot.pause = Pause::of(pause);
                let still_serves = slot.refused != Some(slot.generation)
                    && slot.grant.as_ref().is_some_and(|grant| !grant.has_ended(now));
                slot.unclear = if is_unclear { slot.unclear.saturating_add(1) } else { 0 };
                // The old token serves to its end.
                let event = if still_serves {
                    Event::Renewed
                } else if slot.unclear >= MOST_UNCLEAR {
                    // Nobody says what is wrong, and waiting has not helped. What there is stays
                    // in the vault, in case it was the service's own fault.
                    Event::Refused
                } else {
                    Event::Unreachable { retry_at: now.plus(pause) }
                };
                (line, vec![event])
            }
        };
        self.trace(id, vec![line]);
        for event in events {
            self.step(id, event);
        }
        self.look_after_secrets();
        self.remembered.save();
    }

    /// A refresh ended after a sign-in or sign-out: its tokens are of no use to anyone.
    fn too_late(&mut self, id: &str, end: refresh::End) {
        if let refresh::End::Renewed { grant, .. } = end
            && self.slots.get(id).is_some_and(|slot| slot.grant.is_none())
        {
            let fetch = self.fetch.clone();
            tokio::spawn(async move { sign_out::revoke(&grant, &fetch).await });
        }
        if let Some(slot) = self.slots.get_mut(id) {
            slot.settle();
        }
    }

    fn saved(&mut self, id: &str, is_saved: bool) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        slot.is_unsaved = !is_saved;
        slot.vault_again_at = (!is_saved).then(|| clock::now().plus(LONGEST_PAUSE));
        if is_saved {
            slot.last_failure.take_if(|problem| problem.is_of_vault());
            self.step(id, Event::Renewed);
        }
    }

    /// Without a browser the link is for whoever watches; where nobody does, it is over.
    fn browser_failed(&mut self, id: &str, cause: &str) {
        let Some(slot) = self.slots.get(id) else { return };
        warn!(server = %slot.config.name, %cause, "no browser");
        if let Some(under_way) = slot.sign_in.as_ref().filter(|u| u.watchers.is_empty()) {
            let _ = under_way.wishes.send(sign_in::Wish::NoBrowser);
        }
    }

    /// Deletes an entry of the vault, in its own time.
    pub(super) fn forget_entry(&self, kind: EntryKind, id: &str) {
        let (vault, Ok(entry)) = (self.vault.clone(), entry(kind, id)) else { return };
        tokio::spawn(async move {
            if let Err(error) = vault.delete(&entry).await {
                warn!(%error, "an entry of the keychain could not be deleted");
            }
        });
    }
}
