//! The vault: where grants live, in the OS keychain.
//!
//! # What it promises
//!
//! - A text is in the OS keychain or nowhere: never in a plain file. [`Vault::memory`] keeps it in
//!   this process only, for a machine without a keychain.
//! - [`Vault::put`] returns `Ok` only when the text has been read back. A crash at any point leaves
//!   the old text or the new one readable.
//! - No call waits longer than its deadline for the keychain, whatever prompt it has open, and none
//!   blocks a worker of the async runtime. A process with a prompt open exits at once.
//! - No call costs another one its deadline: it counts from when the keychain begins with a call,
//!   a text has at most 96 kB, and what takes too long makes way. A call waits for the others for
//!   at most 30 s, and for 5 s where the keychain does nothing at all.
//! - Locked is said only of a keychain that is: one that is slow has [`VaultError::TimedOut`].
//! - Nothing is remembered about a failure: each call asks the keychain anew, so a keychain that
//!   was locked, absent or restarted works as soon as it can.
//! - Other programs may use the keychain at the same time. An entry that one of them takes away in
//!   the middle of a call is looked for again, a few times; that is no failure.
//! - [`Vault::sweep`] deletes only parts that their own, readable head disowns.
//!
//! # What is stored
//!
//! Service `dev.keyfob`, account `<profile>.<kind>.<id>`, and `<account>#<generation>.<part>` for
//! the parts of a text that does not fit in 2048 bytes. All of it ASCII JSON; see `split.rs` for
//! its form. On Linux the item's label is `Keyfob: <kind>`; on Windows the target is
//! `dev.keyfob/<account>` with persistence *Local*, so that it does not roam in a domain.

mod code;
mod entry;
mod error;
mod lock_probe;
mod memory;
mod name;
mod os;
mod platform;
mod refusal;
mod split;
mod store;
mod thread;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod crowd;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use keyfob_auth::Secret;

pub use error::{Damage, Failure, Missing, VaultError};
pub use name::{BadName, EntryId, EntryKind, ProfileId};

use lock_probe::LockProbe;
use memory::MemoryStore;
use name::{Account, PartName};
use os::KeychainStore;
use store::Store;
use thread::VaultThread;

/// How long the keychain may take for a call, from when it begins with it. Longer than a healthy one
/// ever takes; shorter than a person takes to answer its prompt.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// How long entries last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// Until they are deleted.
    UntilDeleted,
    /// Until the person logs out: the default keychain is the Secret Service's `session`
    /// collection. Everything works, and everyone must sign in again tomorrow: say so.
    UntilLogout,
    /// Until this process ends.
    UntilExit,
}

/// What a sweep has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Parts that were deleted.
    pub removed: usize,
    /// Parts without a head that can be read. They are left alone.
    pub unclear: usize,
}

/// One profile's entries in the keychain. Cheap to clone; the clones share one thread, which does
/// one call after the other.
///
/// The calls need tokio's time driver. A call whose future is dropped is not begun, or is brought
/// to its end without its caller; where another waits, it makes way at its next step. To write or sweep is for the broker only, which holds the
/// profile's lock: of two writers of one entry, one wins.
#[derive(Clone)]
pub struct Vault {
    profile: ProfileId,
    keeper: Arc<Keeper>,
}

enum Keeper {
    Thread(VaultThread, LockProbe),
    /// Memory needs no thread, and no deadline either (a test's paused clock would jump to it).
    Here(Mutex<MemoryStore>),
}

impl Vault {
    /// The OS keychain. It is opened by the first call.
    pub fn keychain(profile: ProfileId) -> Self {
        Self::keychain_within(profile, DEADLINE)
    }

    /// The OS keychain, with another deadline than [`DEADLINE`] for each call.
    pub fn keychain_within(profile: ProfileId, deadline: Duration) -> Self {
        let open = Box::new(|| Box::new(KeychainStore::new()) as Box<dyn Store>);
        let probe = LockProbe::new(platform::is_locked);
        let keeper = Arc::new(Keeper::Thread(VaultThread::new(open, deadline), probe));
        Self { profile, keeper }
    }

    /// This process's memory: what is put here is gone when the process ends.
    pub fn memory() -> Self {
        let keeper = Arc::new(Keeper::Here(Mutex::default()));
        Self { profile: ProfileId::from_bytes([0; 8]), keeper }
    }

    #[cfg(test)]
    fn over(profile: ProfileId, thread: VaultThread) -> Self {
        let probe = LockProbe::new(|| None);
        Self { profile, keeper: Arc::new(Keeper::Thread(thread, probe)) }
    }

    /// Whether it is this process's memory only.
    pub fn is_memory(&self) -> bool {
        matches!(&*self.keeper, Keeper::Here(_))
    }

    /// Keeps a text under an entry, in place of the one before. `Ok` means that it has been read
    /// back.
    ///
    /// # Errors
    ///
    /// Any [`VaultError`]. After [`VaultError::TimedOut`] the text may still be written, later;
    /// after any other the old text is still there, unless the error is [`Failure::ReadBack`].
    pub async fn put(&self, id: &EntryId, text: Secret) -> Result<(), VaultError> {
        let account = Account::of(&self.profile, id);
        self.call(move |store| entry::put(store, &account, &text)).await
    }

    /// The text of an entry; `None` when there is none.
    ///
    /// # Errors
    ///
    /// Any [`VaultError`]; [`VaultError::Corrupt`] when there is something that cannot be trusted.
    pub async fn get(&self, id: &EntryId) -> Result<Option<Secret>, VaultError> {
        let account = Account::of(&self.profile, id);
        self.call(move |store| entry::get(store, &account)).await
    }

    /// Deletes an entry with all that ever belonged to it. `Ok` when there is none.
    ///
    /// # Errors
    ///
    /// Any [`VaultError`] but [`VaultError::Corrupt`]. A delete that was cut short has deleted
    /// the text, or nothing.
    pub async fn delete(&self, id: &EntryId) -> Result<(), VaultError> {
        let account = Account::of(&self.profile, id);
        self.call(move |store| entry::delete(store, &account)).await
    }

    /// Deletes what crashes have left behind: this profile's parts whose own head names another
    /// generation. For the broker, when it starts.
    ///
    /// # Errors
    ///
    /// Any [`VaultError`]; some parts may have been deleted by then.
    pub async fn sweep(&self) -> Result<Swept, VaultError> {
        let profile = self.profile.clone();
        let names = self.call(move |store| store.list(&profile)).await?;
        let mut heads = BTreeMap::<String, Vec<String>>::new();
        for name in names {
            if let Some(part) = PartName::parse(&name) {
                heads.entry(part.head.to_owned()).or_default().push(name);
            }
        }
        let mut swept = Swept::default();
        // One call each: a sweep of many must not keep the others from the keychain.
        for (head, parts) in heads {
            let account = Account::found(&self.profile, &head);
            let one = self.call(move |store| entry::sweep(store, &account, &parts)).await?;
            swept.removed += one.removed;
            swept.unclear += one.unclear;
        }
        Ok(swept)
    }

    /// Tests the keychain: writes, reads and deletes an entry made for it. Says how long entries
    /// last.
    ///
    /// # Errors
    ///
    /// Any [`VaultError`]: what the next `put` would come to as well.
    pub async fn check(&self) -> Result<Lasts, VaultError> {
        let account = Account::of_check(&self.profile);
        self.call(move |store| entry::check(store, &account)).await
    }

    async fn call<T, W>(&self, work: W) -> Result<T, VaultError>
    where
        W: FnOnce(&mut dyn Store) -> Result<T, VaultError> + Send + 'static,
        T: Send + 'static,
    {
        match &*self.keeper {
            Keeper::Thread(thread, probe) => match thread.call(work).await {
                // It may wait for somebody to unlock it, or be slow.
                Err(VaultError::TimedOut) if probe.is_locked().await => Err(VaultError::Locked),
                done => done,
            },
            Keeper::Here(store) => work(&mut *store.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &*self.keeper {
            Keeper::Thread(..) => "keychain",
            Keeper::Here(_) => "memory",
        };
        f.debug_struct("Vault").field("profile", &self.profile).field("place", &place).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vault over a keychain that does not answer, and says of itself what it is.
    fn stuck(ask: fn() -> Option<bool>) -> Vault {
        let open = || -> Box<dyn Store> {
            std::thread::sleep(Duration::from_secs(2));
            Box::<MemoryStore>::default()
        };
        let thread = VaultThread::new(Box::new(open), Duration::from_millis(50));
        let profile = ProfileId::from_bytes([1; 8]);
        Vault { profile, keeper: Arc::new(Keeper::Thread(thread, LockProbe::new(ask))) }
    }

    /// attack-B4: only what waits for a person is said to be locked.
    #[tokio::test]
    async fn a_keychain_that_is_slow_is_not_called_locked() {
        let id = EntryId::new(EntryKind::Grant, "a").unwrap();
        for (ask, told) in [
            ((|| Some(true)) as fn() -> Option<bool>, VaultError::Locked),
            (|| Some(false), VaultError::TimedOut),
            (|| None, VaultError::TimedOut),
        ] {
            assert_eq!(stuck(ask).get(&id).await.err(), Some(told));
        }
    }
}
