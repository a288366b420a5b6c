//! When client secrets that end (RFC 7591 section 3.2.1) are renewed, and who waits for it. There is
//! one renewal of a registration at a time, whoever uses it; while it goes on, no grant made with it
//! is refreshed, so that nothing else writes what it writes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use keyfob_auth::Timestamp;
use keyfob_auth::registration::Registration;
use keyfob_auth::trace::{Step, TraceStep};
use tokio::task::JoinHandle;

use super::controller::{Controller, entry, registration_id};
use super::pause::Pause;
use super::refresh;
use super::report::{Report, ServerReport};
use super::reports::SAVE_AGAIN;
use super::secret_renewal::{End, User, renew, with_secret_of};
use super::slot::Slot;
use crate::clock;
use crate::vault::EntryKind;

/// Shortest time between two renewals of one secret that nobody waits for: servers may give out very
/// short lives.
const SHORTEST_PAUSE: Duration = Duration::from_secs(60);

/// First and longest pause after a renewal that could not be made.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// How long the broker's end waits for a renewal under way: the old secret may be dead already, and
/// the new one nowhere but on its way.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// What goes on with the secrets of dynamic registrations, by issuer and client id.
#[derive(Default)]
pub(super) struct ClientSecrets {
    under_way: BTreeMap<String, JoinHandle<()>>,
    /// To be renewed when no refresh with them is in flight any more.
    wanted: BTreeSet<String>,
    pauses: BTreeMap<String, Pause>,
    /// How often in a row it could not be made.
    failures: BTreeMap<String, u32>,
    /// The server does not renew them, whatever it promised.
    hopeless: BTreeSet<String>,
    /// Servers whose person has been told that a secret ends, each with the client.
    told: BTreeSet<(String, String)>,
}

impl Controller {
    /// When the next secret is to be renewed, or its person to be told.
    pub(super) fn next_secret(&self) -> Option<Timestamp> {
        if !self.probes {
            return None;
        }
        let times = self.slots.iter().filter_map(|(id, slot)| {
            let (name, registration) = used(slot)?;
            let is_free = !self.secrets.under_way.contains_key(&name)
                && !self.secrets.wanted.contains(&name)
                && !self.secrets.hopeless.contains(&name);
            let renewed_at = registration
                .renew_secret_at()
                .filter(|_| is_free)
                .map(|at| at.max(clock::now().plus(self.secrets.pause_of(&name))));
            let told_at = self.person_needed_from(&name, registration);
            let is_told = self.secrets.told.contains(&(id.clone(), name));
            renewed_at.or(told_at.filter(|_| !is_told))
        });
        times.min()
    }

    /// From when on a secret needs a person.
    fn person_needed_from(&self, name: &str, registration: &Registration) -> Option<Timestamp> {
        if self.secrets.hopeless.contains(name) {
            return registration.renew_secret_at();
        }
        registration.person_needed_from()
    }

    /// When a secret ends that only the person can replace, once that is near.
    pub(super) fn secret_end(&self, slot: &Slot) -> Option<Timestamp> {
        let (name, registration) = used(slot)?;
        let from = self.person_needed_from(&name, registration)?;
        registration.secret_expires_at.filter(|_| clock::now() >= from)
    }

    /// Renews the secrets that are due, and tells whom only the person can help.
    pub(super) fn look_after_secrets(&mut self) {
        for name in std::mem::take(&mut self.secrets.wanted) {
            self.renew_secret(&name);
        }
        // A broker that is over in a moment begins nothing that nobody has asked for.
        if !self.probes {
            return;
        }
        let now = clock::now();
        let (mut due, mut ending) = (Vec::new(), Vec::new());
        for (id, slot) in &self.slots {
            let Some((name, registration)) = used(slot) else { continue };
            if self.secrets.is_due(&name, registration, now) {
                due.push(name);
            } else if let Some(end) = self.secret_end(slot) {
                ending.push(((id.clone(), name), registration.issuer.clone(), end));
            }
        }
        for name in due {
            self.renew_secret(&name);
        }
        for (told, issuer, end) in ending {
            let id = told.0.clone();
            if !self.secrets.told.insert(told) {
                continue;
            }
            let line = TraceStep::new(now, Step::Registration, "the client secret ends soon")
                .target(&issuer)
                .decision(format!("sign in again before {}", clock::rfc3339(end)))
                .reason("the sign-in service does not let Keyfob renew it")
                .warn();
            self.trace(&id, vec![line]);
            self.remembered.save();
        }
    }

    /// Whether a refresh has to wait for a secret, which is then renewed.
    pub(super) fn renews_secret_first(&mut self, id: &str) -> bool {
        let Some((name, registration)) = self.slots.get(id).and_then(used) else { return false };
        let is_due = self.secrets.is_due(&name, registration, clock::now());
        let is_begun =
            self.secrets.under_way.contains_key(&name) || self.secrets.wanted.contains(&name);
        if !is_due && !is_begun {
            return false;
        }
        self.await_secret(id, name);
        true
    }

    /// A refresh was refused for its client, though the server gave the means to renew the secret:
    /// that is done first. Gives the refusal back where it has been done already, or is hopeless.
    pub(super) fn secret_refused(&mut self, id: &str, line: TraceStep) -> Option<TraceStep> {
        let Some(slot) = self.slots.get(id) else { return Some(line) };
        let Some((name, registration)) = used(slot) else { return Some(line) };
        let can_renew = registration.can_renew_secret() && !self.secrets.hopeless.contains(&name);
        if !can_renew || slot.was_secret_refused {
            return Some(line);
        }
        let line = line.decision("renewing the client secret first");
        let line = line.reason("it may have ended, and the server gave the means");
        self.trace(id, vec![line]);
        let pause = self.secrets.pause_of(&name);
        if self.secrets.failures.contains_key(&name) && !pause.is_zero() {
            self.not_refreshed(id, pause);
            return None;
        }
        if let Some(slot) = self.slots.get_mut(id) {
            slot.was_secret_refused = true;
        }
        self.await_secret(id, name);
        None
    }

    /// The secret in use is refused, and there is no other yet.
    fn not_refreshed(&mut self, id: &str, pause: Duration) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        slot.was_secret_refused = false;
        let epoch = slot.turn.epoch();
        let line = TraceStep::new(clock::now(), Step::Refresh, "not asked")
            .decision("later again")
            .reason("the client secret could not be renewed yet");
        let retry_after = Some(pause);
        let end = refresh::End::NotNow { retry_after, is_unclear: false, line };
        self.refresh_ended(id, epoch, end);
    }

    fn await_secret(&mut self, id: &str, name: String) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.is_refreshing = true;
            slot.awaits_secret = Some((name.clone(), slot.turn.epoch()));
        }
        self.renew_secret(&name);
    }

    /// Begins a renewal, unless one is under way; where a refresh with the secret is in flight,
    /// when that has ended.
    fn renew_secret(&mut self, name: &str) {
        if self.secrets.under_way.contains_key(name) {
            return;
        }
        let users: Vec<_> = self.slots.iter().filter(|(_, slot)| uses(slot, name)).collect();
        if users.iter().any(|(_, slot)| slot.is_refreshing && slot.awaits_secret.is_none()) {
            self.secrets.wanted.insert(name.to_owned());
            return;
        }
        let first =
            users.first().and_then(|(id, slot)| Some(((*id).clone(), used(slot)?.1.clone())));
        let Some((first, registration)) = first else {
            // Whoever waited for it has signed out since.
            self.awaiting(name);
            return;
        };
        let users = users.into_iter().filter_map(|(id, slot)| {
            let grant = (**slot.grant.as_ref()?).clone();
            let (entry, turn) = (entry(EntryKind::Grant, id).ok()?, slot.turn.clone());
            Some(User { grant, entry, epoch: turn.epoch(), turn })
        });
        let users: Vec<User> = users.collect();
        let id = registration_id(&registration.issuer, &registration.redirect_uri);
        let Ok(entry) = entry(EntryKind::Registration, &id) else { return };
        let work = renew(registration, users, entry, self.vault.clone(), self.fetch.clone());
        self.secrets.wanted.remove(name);
        let (reports, reported) = (self.reports.clone(), name.to_owned());
        let task = tokio::spawn(async move {
            let report = ServerReport::SecretRenewed(reported, work.await);
            let _ = reports.send(Report { server: first, report });
        });
        self.secrets.under_way.insert(name.to_owned(), task);
    }

    /// A renewal has ended: whoever waited goes on.
    pub(super) fn secret_renewed(&mut self, name: &str, end: End) {
        self.secrets.under_way.remove(name);
        let (line, pause) = match end {
            End::Renewed { registration, unsaved, line } => {
                self.secrets.failures.remove(name);
                self.secrets.pauses.insert(name.to_owned(), Pause::of(SHORTEST_PAUSE));
                for slot in self.slots.values_mut() {
                    slot.take_secret(&registration, unsaved.is_some());
                }
                (line, None)
            }
            End::NotNow { retry_after, line } => {
                let failures = self.secrets.failures.entry(name.to_owned()).or_default();
                let doubled = FIRST_PAUSE * 2u32.saturating_pow((*failures).min(10));
                *failures = failures.saturating_add(1);
                let pause = retry_after.unwrap_or(doubled).min(LONGEST_PAUSE);
                self.secrets.pauses.insert(name.to_owned(), Pause::of(pause));
                (line, Some(pause))
            }
            End::Hopeless { line } => {
                self.secrets.hopeless.insert(name.to_owned());
                (line, None)
            }
        };
        let users: Vec<String> = self
            .slots
            .iter()
            .filter(|(_, slot)| uses(slot, name))
            .map(|(id, _)| id.clone())
            .collect();
        for id in &users {
            self.trace(id, vec![line.clone()]);
        }
        for (id, was_refused) in self.awaiting(name) {
            match pause.filter(|_| was_refused) {
                Some(pause) => self.not_refreshed(&id, pause),
                None => self.send_refresh(&id),
            }
        }
        self.look_after_secrets();
        self.remembered.save();
    }

    /// The servers whose refresh has waited for this secret, and whether the one before was refused.
    /// A sign-in or sign-out has made the refresh of others needless.
    fn awaiting(&mut self, name: &str) -> Vec<(String, bool)> {
        let mut awaiting = Vec::new();
        for (id, slot) in &mut self.slots {
            let Some((_, epoch)) = slot.awaits_secret.take_if(|(awaited, _)| awaited == name)
            else {
                continue;
            };
            if slot.turn.epoch() == epoch {
                awaiting.push((id.clone(), slot.was_secret_refused));
            } else {
                slot.is_refreshing = false;
                slot.settle();
            }
        }
        awaiting
    }

    /// Waits a little for the renewals under way.
    pub(super) async fn finish_secrets(&mut self) {
        let under_way = std::mem::take(&mut self.secrets.under_way);
        let all = async {
            for (_, task) in under_way {
                let _ = task.await;
            }
        };
        let _ = tokio::time::timeout(LAST_WAIT, all).await;
    }
}

impl ClientSecrets {
    fn is_due(&self, name: &str, registration: &Registration, now: Timestamp) -> bool {
        registration.renew_secret_at().is_some_and(|at| now >= at)
            && !self.hopeless.contains(name)
            && self.pause_of(name).is_zero()
    }

    fn pause_of(&self, name: &str) -> Duration {
        self.pauses.get(name).map_or(Duration::ZERO, Pause::left)
    }
}

impl Slot {
    /// Takes over a later secret of the client that its grant was made with.
    fn take_secret(&mut self, renewed: &Registration, is_unsaved: bool) {
        let Some(grant) = self.grant.as_mut() else { return };
        if !renewed.is_later_than(&grant.registration) {
            return;
        }
        grant.registration = with_secret_of(&grant.registration, renewed);
        if is_unsaved {
            self.is_unsaved = true;
            self.vault_again_at = Some(clock::now().plus(SAVE_AGAIN));
        }
    }
}

/// The registration that a server's grant was made with, where it has a secret that ends; with its
/// name here.
fn used(slot: &Slot) -> Option<(String, &Registration)> {
    let registration = &slot.grant.as_ref()?.registration;
    registration.secret_expires_at?;
    registration.secret.as_ref()?;
    Some((format!("{} {}", registration.issuer, registration.client_id), registration))
}

fn uses(slot: &Slot, name: &str) -> bool {
    used(slot).is_some_and(|(used, _)| used == name)
}
