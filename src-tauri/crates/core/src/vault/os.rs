//! The OS keychain as a store, through `keyring` and `keyring_core`.

use std::{collections::HashMap, sync::Arc, thread, time::Duration};

use keyfob_auth::Secret;
use keyring_core::{CredentialPersistence, CredentialStore, Entry, Error};

use super::{
    Damage, Lasts, Missing, VaultError,
    name::ProfileId,
    platform,
    refusal::{has_vanished, may_be_stale, refused},
    store::Store,
};

/// No call is tried more often than this.
const TRIES: u32 = 3;

/// How long a call that is tried again waits before, so that another process can get done with
/// what came between.
const PAUSE: Duration = Duration::from_millis(20);

/// The OS keychain. Opened when it is first needed, and again when it has gone away.
pub(super) struct KeychainStore {
    open: Option<Arc<CredentialStore>>,
    /// Whether `keyring` has had its one attempt to open the platform's store.
    tried: bool,
    /// Whether the store takes the platform's modifiers (`keyring_core`'s mock takes none).
    modifiers: bool,
}

impl KeychainStore {
    pub(super) fn new() -> Self {
        Self { open: None, tried: false, modifiers: true }
    }

    /// A store that is open already and knows no modifiers: `keyring_core`'s mock.
    #[cfg(test)]
    pub(super) fn over(store: Arc<CredentialStore>) -> Self {
        Self { open: Some(store), tried: true, modifiers: false }
    }

    /// A store with a connection of its own, as another process has one.
    #[cfg(test)]
    pub(super) fn apart() -> Self {
        Self { open: None, tried: true, modifiers: true }
    }

    fn open(&mut self) -> Result<Arc<CredentialStore>, VaultError> {
        if let Some(open) = &self.open {
            return Ok(Arc::clone(open));
        }
        let first = !std::mem::replace(&mut self.tried, true);
        // `keyring` tries once per process and keeps its failure for ever. A keychain that has
        // appeared or was restarted since then is opened without it.
        let opened = if first && keyring::Entry::store_status().is_ok() {
            keyring_core::get_default_store().ok_or(Error::NoDefaultStore)
        } else {
            platform::open()
        };
        let open = opened.map_err(|error| match refused(&error) {
            VaultError::Failed { .. } => VaultError::Absent { why: Missing::Service },
            known => known,
        })?;
        self.open = Some(Arc::clone(&open));
        Ok(open)
    }

    /// Does it, and again if that may help: when an entry has vanished in the middle of it, or,
    /// over a new connection, if the keychain seems to have gone away: a keychain service that was
    /// restarted does not know the old connection's session.
    fn with<T>(
        &mut self,
        action: impl Fn(&CredentialStore) -> keyring_core::Result<T>,
    ) -> Result<T, VaultError> {
        let mut tries = 1;
        loop {
            let error = match action(&*self.open()?) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let stale = platform::CAN_REOPEN && may_be_stale(&error);
            if stale {
                self.open = None;
            }
            if tries == TRIES || !(stale || has_vanished(&error)) {
                return Err(refused(&error));
            }
            tracing::debug!(error = %refused(&error), "the keychain is asked again");
            thread::sleep(PAUSE);
            tries += 1;
        }
    }

    fn with_entry<T>(
        &mut self,
        name: &str,
        label: &str,
        action: impl Fn(&Entry) -> keyring_core::Result<T>,
    ) -> Result<T, VaultError> {
        let mut modifiers = platform::modifiers(name, label);
        if !self.modifiers {
            modifiers.clear();
        }
        let modifiers: HashMap<&str, &str> =
            modifiers.iter().map(|(key, value)| (*key, value.as_str())).collect();
        self.with(|store| action(&store.build(platform::SERVICE, name, Some(&modifiers))?))
    }
}

impl Store for KeychainStore {
    fn get_raw(&mut self, name: &str) -> Result<Option<Secret>, VaultError> {
        let copies = self.with_entry(name, "Keyfob", |entry| match entry.get_secret() {
            Ok(text) => Ok(vec![text]),
            Err(Error::Ambiguous(copies)) => copies.iter().map(Entry::get_secret).collect(),
            Err(Error::NoEntry) => Ok(Vec::new()),
            Err(error) => Err(error),
        })?;
        let mut texts = copies
            .into_iter()
            // The error would hold the bytes.
            .map(|bytes| String::from_utf8(bytes).map(Secret::new).map_err(|_| Damage::Form))
            .collect::<Result<Vec<_>, _>>()?;
        let first = texts.pop();
        if texts.iter().all(|text| Some(text) == first.as_ref()) {
            Ok(first)
        } else {
            Err(Damage::Copies.into())
        }
    }

    fn put_raw(&mut self, name: &str, label: &str, text: &Secret) -> Result<(), VaultError> {
        let bytes = text.expose().as_bytes();
        self.with_entry(name, label, |entry| match entry.set_secret(bytes) {
            Err(Error::Ambiguous(copies)) => {
                copies.iter().try_for_each(|copy| copy.set_secret(bytes))
            }
            done => done,
        })
    }

    fn delete_raw(&mut self, name: &str) -> Result<(), VaultError> {
        let absent_is_fine = |done| match done {
            Err(Error::NoEntry) => Ok(()),
            done => done,
        };
        self.with_entry(name, "Keyfob", |entry| match entry.delete_credential() {
            Err(Error::Ambiguous(copies)) => {
                copies.iter().try_for_each(|copy| absent_is_fine(copy.delete_credential()))
            }
            done => absent_is_fine(done),
        })
    }

    fn list(&mut self, profile: &ProfileId) -> Result<Vec<String>, VaultError> {
        let (key, pattern) = platform::everything(profile);
        let mut names = self.with(|store| {
            let found = store.search(&HashMap::from([(key, pattern.as_str())]))?;
            let mut names = Vec::with_capacity(found.len());
            for entry in &found {
                match platform::name_of(entry) {
                    Ok(name) => names.extend(name),
                    // Other profiles' entries come and go meanwhile.
                    Err(error) if has_vanished(&error) => {}
                    Err(Error::NoEntry) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(names)
        })?;
        let prefix = format!("{}.", profile.as_str());
        names.retain(|name| name.starts_with(&prefix));
        Ok(names)
    }

    fn lasts(&mut self, name: &str) -> Result<Lasts, VaultError> {
        self.with(|store| match store.persistence() {
            CredentialPersistence::EntryOnly | CredentialPersistence::ProcessOnly => {
                Ok(Lasts::UntilExit)
            }
            CredentialPersistence::UntilLogout | CredentialPersistence::UntilReboot => {
                Ok(Lasts::UntilLogout)
            }
            _ => platform::lasts(store, name),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Prints as a call on an entry that was taken away.
    #[derive(Debug, thiserror::Error)]
    #[error("said differently")]
    enum Vanished {
        ZbusFdo(Told),
    }

    #[derive(Debug)]
    enum Told {
        UnknownMethod,
    }

    fn vanished() -> Error {
        Error::PlatformFailure(Box::new(Vanished::ZbusFdo(Told::UnknownMethod)))
    }

    /// What comes of a call that fails this often, and how often it is tried.
    fn tried(failures: u32, failure: fn() -> Error) -> (Result<(), VaultError>, u32) {
        let tries = Cell::new(0);
        let mut store = KeychainStore::over(keyring_core::mock::Store::new().unwrap());
        let done = store.with(|_| {
            tries.set(tries.get() + 1);
            if tries.get() > failures { Ok(()) } else { Err(failure()) }
        });
        (done, tries.get())
    }

    #[test]
    fn what_vanished_is_looked_for_again_a_few_times() {
        assert_eq!(tried(1, vanished), (Ok(()), 2));
        assert_eq!(tried(2, vanished), (Ok(()), 3));
        let (refused, tries) = tried(u32::MAX, vanished);
        let code = "org.freedesktop.DBus.Error.UnknownMethod".to_owned();
        assert_eq!(refused, Err(VaultError::Failed { kind: crate::vault::Failure::Call, code }));
        assert_eq!(tries, TRIES);
    }

    #[test]
    fn what_is_certain_is_not_tried_again() {
        let locked = || Error::NoStorageAccess("Prompt".into());
        assert_eq!(tried(1, locked), (Err(VaultError::Locked), 1));
        assert_eq!(tried(1, || Error::NoEntry).1, 1);
    }
}
