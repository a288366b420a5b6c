//! The OS keychain as a store, through `keyring` and `keyring_core`.

use std::{collections::HashMap, sync::Arc};

use keyfob_auth::Secret;
use keyring_core::{CredentialPersistence, CredentialStore, Entry, Error};

use super::{
    Damage, Lasts, Missing, VaultError,
    name::ProfileId,
    platform,
    refusal::{is_gone, may_be_stale, refused},
    store::Store,
};

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

    /// Does it, and once more over a new connection if the keychain seems to have gone away: a
    /// keychain service that was restarted does not know the old connection's session.
    fn with<T>(
        &mut self,
        action: impl Fn(&CredentialStore) -> keyring_core::Result<T>,
    ) -> Result<T, VaultError> {
        match action(&*self.open()?) {
            Ok(done) => Ok(done),
            Err(error) if platform::CAN_REOPEN && may_be_stale(&error) => {
                self.open = None;
                let again = action(&*self.open()?);
                again.map_err(|error| {
                    self.open = None;
                    refused(&error)
                })
            }
            Err(error) => Err(refused(&error)),
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
            Err(error) if is_gone(&error) => Ok(Vec::new()),
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
            Err(error) if is_gone(&error) => Ok(()),
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
                    Err(error) if is_gone(&error) => {}
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
