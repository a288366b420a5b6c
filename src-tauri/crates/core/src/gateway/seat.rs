//! What the gateway knows of each server, without asking anyone: where it is, what to send along,
//! who may use it. The broker writes, the hot path only reads.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use http::{HeaderMap, HeaderValue};
use keyfob_auth::challenge::Challenge;
use keyfob_auth::dpop;
use keyfob_auth::grant::Grant;
use keyfob_auth::{ServerUrl, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};

use super::bound::Bound;
use crate::client_key;
use crate::clock;
use crate::problem::Problem;
use crate::remembered::KeyDigest;

/// What a request to a server may carry now.
#[derive(Clone, Debug)]
pub enum Lease {
    /// Nothing of ours.
    Bare,
    /// An access token.
    Bearer(Bearer),
    /// It cannot be used now; this is what to say.
    Trouble(Arc<Problem>),
}

impl Lease {
    /// Whether it says the same: the same kind, token or trouble.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bare, Self::Bare) => true,
            (Self::Bearer(one), Self::Bearer(other)) => one.generation == other.generation,
            (Self::Trouble(one), Self::Trouble(other)) => one == other,
            (Self::Bare | Self::Bearer(_) | Self::Trouble(_), _) => false,
        }
    }
}

/// An access token as a header.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// The value of `Authorization`, marked sensitive.
    pub value: HeaderValue,
    /// Counts the tokens of this server; a refusal of an older one is no refusal.
    pub generation: u64,
    /// When it should be renewed before use, where it can be.
    pub renew_at: Option<Timestamp>,
    /// The key that it is bound to, where it is.
    pub bound: Option<Arc<Bound>>,
}

impl Bearer {
    /// The lease for a grant. `None` when its token cannot stand in a header, which parsing has
    /// ruled out.
    pub fn of(grant: &Grant, generation: u64) -> Option<Self> {
        let scheme = if grant.dpop_key.is_some() { dpop::SCHEME } else { "Bearer" };
        let mut value =
            HeaderValue::from_str(&format!("{scheme} {}", grant.access.expose())).ok()?;
        value.set_sensitive(true);
        let renew_at = grant.renew_at().filter(|_| grant.can_renew());
        Some(Self { value, generation, renew_at, bound: Bound::of(grant) })
    }
}

/// Is done when what is under way with a server has to end.
pub type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One server as the gateway sees it.
#[derive(Debug)]
pub struct Seat {
    /// The server's id.
    pub id: String,
    /// Its name, the first segment of its local path.
    pub name: String,
    /// Where it is.
    pub upstream: ServerUrl,
    /// The user's own headers.
    pub headers: RwLock<HeaderMap>,
    nonce: RwLock<Option<String>>,
    lease: watch::Sender<Lease>,
    ends: watch::Sender<()>,
    has_answered: AtomicBool,
}

impl Seat {
    /// A seat that has been told nothing yet.
    pub fn new(id: String, name: String, upstream: ServerUrl) -> Self {
        let lease = watch::Sender::new(Lease::Bare);
        let has_answered = AtomicBool::new(false);
        Self {
            id,
            name,
            upstream,
            headers: RwLock::default(),
            nonce: RwLock::default(),
            lease,
            ends: watch::Sender::new(()),
            has_answered,
        }
    }

    /// What a request may carry now.
    pub fn lease(&self) -> Lease {
        self.lease.borrow().clone()
    }

    /// Follows it.
    pub fn watch(&self) -> watch::Receiver<Lease> {
        self.lease.subscribe()
    }

    /// Sets it.
    pub fn set_lease(&self, lease: Lease) {
        self.has_answered.store(false, Ordering::Relaxed);
        self.lease.send_replace(lease);
    }

    /// Ends all that is under way with the server: what was sent with its grant must not go on
    /// without it.
    pub fn end_streams(&self) {
        self.ends.send_replace(());
    }

    /// The end of what is under way from now on.
    pub fn end(&self) -> End {
        let mut ends = self.ends.subscribe();
        Box::pin(async move {
            // Without its seat a server is gone, too.
            let _ = ends.changed().await;
        })
    }

    /// The nonce that the server handed out last, for proofs of possession.
    pub fn nonce(&self) -> Option<String> {
        self.nonce.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the nonce of an answer. Whether it is another one than `sent`, so that the request
    /// may be sent once more with it.
    pub fn keep_nonce(&self, answer: &HeaderMap, sent: Option<&str>) -> bool {
        let Some(nonce) = dpop::nonce(answer).filter(|nonce| Some(nonce.as_str()) != sent) else {
            return false;
        };
        *self.nonce.write().unwrap_or_else(PoisonError::into_inner) = Some(nonce);
        true
    }

    /// Whether this is the first answer since the lease was set, which is news to the broker.
    pub fn is_first_answer(&self) -> bool {
        !self.has_answered.swap(true, Ordering::Relaxed)
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The client that the key was made for.
    pub client: String,
    /// Whether its requests wait while a sign-in is started for them.
    pub holds: bool,
}

/// All seats and keys.
#[derive(Debug, Default)]
pub struct Seats {
    by_name: RwLock<HashMap<String, Arc<Seat>>>,
    keys: RwLock<HashMap<String, Vec<Key>>>,
}

#[derive(Debug)]
struct Key {
    digest: KeyDigest,
    holds: bool,
    /// Milliseconds since the Unix epoch; 0 where it has not been used.
    last_used: AtomicU64,
    revocation: Revocation,
}

impl AsRef<KeyDigest> for Key {
    fn as_ref(&self) -> &KeyDigest {
        &self.digest
    }
}

/// Why a key does not open a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRefused {
    /// It is none for this server.
    Unknown,
    /// It was one until then.
    Ended {
        /// The client that it was made for.
        client: String,
        /// When it ended.
        at: Timestamp,
    },
}

/// Whether a key has been revoked, known to all who have let it in.
#[derive(Clone, Debug, Default)]
pub struct Revocation(Arc<AtomicBool>);

impl Revocation {
    /// Whether it has.
    pub fn is_revoked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// It is from now on.
    pub fn revoke(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl PartialEq for Revocation {
    /// Whether it is the same key's.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Revocation {}

impl Seats {
    /// The seat of that name.
    pub fn get(&self, name: &str) -> Option<Arc<Seat>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Adds or replaces one.
    pub fn insert(&self, seat: Arc<Seat>) {
        let mut seats = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        seats.insert(seat.name.clone(), seat);
    }

    /// Puts one in the place of the seat of that name; its keys stay.
    pub fn replace(&self, name: &str, seat: Arc<Seat>) {
        let mut seats = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        seats.remove(name);
        seats.insert(seat.name.clone(), seat);
    }

    /// Takes one away, with its keys.
    pub fn remove(&self, name: &str) {
        let mut seats = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(seat) = seats.remove(name) {
            let keys = self.keys.write().unwrap_or_else(PoisonError::into_inner).remove(&seat.id);
            keys.iter().flatten().for_each(|key| key.revocation.revoke());
        }
    }

    /// Lets a key in.
    pub fn admit(&self, digest: KeyDigest, holds: bool) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let last_used = AtomicU64::new(digest.last_used_at.unwrap_or_default().0);
        let key = Key { digest, holds, last_used, revocation: Revocation::default() };
        keys.entry(key.digest.server.clone()).or_default().push(key);
    }

    /// Lets the keys no longer in for which `is_gone` holds.
    pub fn revoke(&self, is_gone: impl Fn(&KeyDigest) -> bool) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        for list in keys.values_mut() {
            for key in list.extract_if(.., |key| is_gone(&key.digest)) {
                key.revocation.revoke();
            }
        }
    }

    /// Whose key this is, for this server, and whether it has been revoked since. It counts as used
    /// now.
    ///
    /// # Errors
    /// When it does not open the server.
    pub fn caller(
        &self,
        server: &str,
        presented: &str,
    ) -> Result<(Caller, Revocation), KeyRefused> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let list = keys.get(server).map(Vec::as_slice).unwrap_or_default();
        let found = client_key::find(list, server, presented).ok_or(KeyRefused::Unknown)?;
        let (client, now) = (found.digest.client.clone(), clock::now());
        match found.digest.expires_at {
            Some(at) if found.digest.has_ended(now) => Err(KeyRefused::Ended { client, at }),
            Some(_) | None => {
                found.last_used.store(now.0, Ordering::Relaxed);
                Ok((Caller { client, holds: found.holds }, found.revocation.clone()))
            }
        }
    }

    /// When the next key ends.
    pub fn next_end(&self) -> Option<Timestamp> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let lasting = keys.values().flatten().filter(|key| !key.revocation.is_revoked());
        lasting.filter_map(|key| key.digest.expires_at).min()
    }

    /// Ends the keys whose time is over. They stay known, so that a client is told what became of
    /// its key.
    pub fn end_expired(&self, now: Timestamp) {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let ended = keys.values().flatten().filter(|key| key.digest.has_ended(now));
        ended.for_each(|key| key.revocation.revoke());
    }

    /// When a key was used last.
    pub fn last_use(&self, digest: &KeyDigest) -> Option<Timestamp> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let mut list = keys.get(&digest.server)?.iter();
        let key = list.find(|key| key.digest.sha256 == digest.sha256)?;
        Some(key.last_used.load(Ordering::Relaxed)).filter(|at| *at > 0).map(Timestamp)
    }
}

/// Where the broker answers the gateway.
pub type Reply = oneshot::Sender<Result<Lease, Problem>>;

/// What the gateway asks of the broker or tells it. Everything with a reply may take as long as a
/// refresh or a sign-in takes.
#[derive(Debug)]
pub enum Ask {
    /// A lease that can be used, where the present one cannot.
    Lease {
        /// The server.
        server: String,
        /// Whether to start a sign-in where one is needed.
        holds: bool,
        /// Where to answer.
        reply: Reply,
    },
    /// The server answered 401.
    Refused {
        /// The server.
        server: String,
        /// Which token it refused; `None` when there was none.
        generation: Option<u64>,
        /// Whether this request was refused with a renewed token before.
        is_second: bool,
        /// What it said.
        challenge: Option<Challenge>,
        /// Whether to start a sign-in where one is needed.
        holds: bool,
        /// Where to answer.
        reply: Reply,
    },
    /// The server answered 403 `insufficient_scope`.
    ScopeWanted {
        /// The server.
        server: String,
        /// Which token had too little.
        generation: Option<u64>,
        /// What it said.
        challenge: Challenge,
        /// Whether to start a sign-in at once.
        holds: bool,
        /// Where to answer.
        reply: Reply,
    },
    /// The server answered as servers do that are content.
    Answered {
        /// The server.
        server: String,
        /// With which token; `None` when there was none.
        generation: Option<u64>,
    },
    /// The server could not be reached.
    Unreachable {
        /// The server.
        server: String,
    },
}

/// The way to the broker.
pub type Broker = mpsc::UnboundedSender<Ask>;

#[cfg(test)]
mod tests {
    use keyfob_auth::Timestamp;

    use super::{KeyRefused, Seats};
    use crate::{client_key, clock};

    #[test]
    fn a_key_with_an_end_opens_until_then_and_says_so_afterwards() {
        let (seats, now) = (Seats::default(), clock::now());
        let end = now.plus(std::time::Duration::from_secs(3600));
        let (good, digest) = client_key::make("zed", "s", now, Some(end)).expect("a key");
        assert_eq!(seats.last_use(&digest), None);
        seats.admit(digest.clone(), true);
        assert_eq!(seats.last_use(&digest), None, "it has not been used");
        let (caller, _) = seats.caller("s", good.expose()).expect("it is good");
        assert!(caller.client == "zed" && caller.holds);
        assert!(seats.last_use(&digest) >= Some(now));
        let at = now.minus(std::time::Duration::from_secs(1));
        let (ended, digest) = client_key::make("zed", "s", Timestamp(1), Some(at)).expect("a key");
        seats.admit(digest.clone(), false);
        let refused = seats.caller("s", ended.expose()).expect_err("it has ended");
        assert_eq!(refused, KeyRefused::Ended { client: "zed".into(), at });
        assert_eq!(seats.last_use(&digest), None, "a refusal is no use");
        assert_eq!(seats.next_end(), Some(at), "it has ended and nobody has been told");
        seats.end_expired(now);
        assert_eq!(seats.next_end(), Some(end));
        let (_, key) = seats.caller("s", good.expose()).expect("it is good");
        assert!(!key.is_revoked());
        seats.end_expired(end);
        assert!(key.is_revoked() && seats.next_end().is_none());
        assert_eq!(seats.caller("s", "kf_wrong"), Err(KeyRefused::Unknown));
        assert_eq!(seats.caller("other", good.expose()), Err(KeyRefused::Unknown));
    }
}
