//! A store that forgets: for a machine without a keychain, and for tests.

use std::collections::BTreeMap;

use keyfob_auth::Secret;

use super::{Lasts, VaultError, name::ProfileId, store::Store};

/// Entries in this process's memory.
#[derive(Default)]
pub(super) struct MemoryStore {
    entries: BTreeMap<String, Secret>,
}

impl Store for MemoryStore {
    fn get_raw(&mut self, name: &str) -> Result<Option<Secret>, VaultError> {
        Ok(self.entries.get(name).cloned())
    }

    fn put_raw(&mut self, name: &str, _label: &str, text: &Secret) -> Result<(), VaultError> {
        self.entries.insert(name.to_owned(), text.clone());
        Ok(())
    }

    fn delete_raw(&mut self, name: &str) -> Result<(), VaultError> {
        self.entries.remove(name);
        Ok(())
    }

    fn list(&mut self, profile: &ProfileId) -> Result<Vec<String>, VaultError> {
        let mine = |name: &&String| name.starts_with(profile.as_str());
        Ok(self.entries.keys().filter(mine).cloned().collect())
    }

    fn lasts(&mut self, _name: &str) -> Result<Lasts, VaultError> {
        Ok(Lasts::UntilExit)
    }
}
