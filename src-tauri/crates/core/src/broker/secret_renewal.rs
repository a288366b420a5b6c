//! Renewing one client secret (RFC 7592 section 2.2).

use std::time::Duration;

use keyfob_auth::dcr::{self, RegistrationError};
use keyfob_auth::grant::{Grant, decode_registration, encode_registration};
use keyfob_auth::reach::Reach;
use keyfob_auth::registration::Registration;
use keyfob_auth::trace::{Step, TraceStep};

use super::turn::Turn;
use crate::clock;
use crate::fetch::Fetch;
use crate::vault::{EntryId, Vault, VaultError};

#[cfg(test)]
mod tests;

/// How a renewal ended.
#[derive(Debug)]
pub(super) enum End {
    /// A later secret; it is in the vault unless the vault failed.
    Renewed {
        /// The registration with it.
        registration: Box<Registration>,
        /// Why it could not be saved.
        unsaved: Option<VaultError>,
        /// For the trace.
        line: TraceStep,
    },
    /// It could not be told; the secret in use stays.
    NotNow {
        /// When the server wants to be asked again.
        retry_after: Option<Duration>,
        /// For the trace.
        line: TraceStep,
    },
    /// The server does not do it.
    Hopeless {
        /// For the trace.
        line: TraceStep,
    },
}

/// A grant that was made with the registration.
pub(super) struct User {
    pub(super) grant: Grant,
    pub(super) entry: EntryId,
    pub(super) turn: Turn,
    pub(super) epoch: u64,
}

/// The same registration with the later secret; why it is of its kind is the grant's own story.
pub(super) fn with_secret_of(own: &Registration, later: &Registration) -> Registration {
    Registration { reason: own.reason.clone(), ..later.clone() }
}

/// Renews one secret. What comes of it is in the vault, in the registration first and then in every
/// grant made with it, before anyone uses it.
pub(super) async fn renew(
    known: Registration,
    users: Vec<User>,
    entry: EntryId,
    vault: Vault,
    fetch: Fetch,
) -> End {
    let started = clock::now();
    let line =
        move |said: String| TraceStep::new(clock::now(), Step::Registration, said).since(started);
    let later = |said: String| End::NotNow {
        retry_after: None,
        line: line(said).decision("the client secret is not renewed now").warn(),
    };
    let stored = match vault.get(&entry).await {
        Ok(stored) => stored.and_then(|text| decode_registration(&text).ok()),
        Err(error) => return later(error.to_string()),
    };
    // Another client has taken its place there since: then it is in the grants alone.
    let stored = stored.filter(|stored| stored.is_same_client(&known));
    let is_stored = stored.is_some();
    let before = stored.filter(|stored| stored.is_later_than(&known)).unwrap_or(known.clone());
    let is_renewed =
        before.is_later_than(&known) && before.renew_secret_at().is_none_or(|at| clock::now() < at);
    let (renewed, line) = if is_renewed {
        let line = line("client secret taken from the keychain".to_owned());
        (before, line.decision("it was renewed before"))
    } else {
        // Once the server has answered, the old secret may be dead: the new one must find its place.
        if is_stored && let Err(error) = vault.put(&entry, encode_registration(&before)).await {
            return later(error.to_string());
        }
        let hopeless = |said: String| End::Hopeless {
            line: line(said).decision("the client secret cannot be renewed").warn(),
        };
        let (Some(request), Some(management)) = (dcr::update(&before), &before.management) else {
            return hopeless("no way to renew it".to_owned());
        };
        let target = management.uri.clone();
        let mut reach = Reach::Public;
        for User { grant, .. } in &users {
            reach = reach.max(fetch.reach(grant.reach, &grant.server).await);
        }
        let response = match fetch.send(request, reach).await {
            Ok(response) => response,
            Err(cause) => return later(cause.to_string()),
        };
        match dcr::updated(&response, &before, clock::now()) {
            Ok(renewed) => {
                let until = renewed.secret_expires_at.map(clock::rfc3339);
                let until = until.map_or("without an end".to_owned(), |at| format!("until {at}"));
                let line = line("client secret renewed".to_owned());
                (renewed, line.target(&target).decision(until).info())
            }
            Err(RegistrationError::NotNow { status, retry_after }) => {
                let retry_after = retry_after.map(Duration::from_secs);
                let line = line(format!("HTTP {status}")).target(&target);
                let line = line.decision("the client secret is not renewed now").warn();
                return End::NotNow { retry_after, line };
            }
            Err(
                cause @ (RegistrationError::Closed { .. }
                | RegistrationError::Refused { .. }
                | RegistrationError::Unusable(_)),
            ) => return hopeless(cause.to_string()),
        }
    };
    let unsaved = save(&renewed, is_stored.then_some(&entry), &users, &vault).await;
    let line = match &unsaved {
        Some(error) => line.decision("kept in memory").reason(error.to_string()).warn(),
        None => line,
    };
    End::Renewed { registration: Box::new(renewed), unsaved, line }
}

/// The registration's own entry comes first: from there a grant that was not reached any more takes
/// the secret at the next start.
async fn save(
    renewed: &Registration,
    entry: Option<&EntryId>,
    users: &[User],
    vault: &Vault,
) -> Option<VaultError> {
    let mut unsaved = None;
    if let Some(entry) = entry {
        unsaved = vault.put(entry, encode_registration(renewed)).await.err();
    }
    for User { grant, entry, turn, epoch } in users {
        // A sign-in or sign-out that has come in between has written, or will.
        let Some(_writing) = turn.write(*epoch).await else { continue };
        let registration = with_secret_of(&grant.registration, renewed);
        let grant = Grant { registration, ..grant.clone() };
        unsaved = vault.put(entry, grant.encode()).await.err().or(unsaved);
    }
    unsaved
}
