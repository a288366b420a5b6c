//! Where the three keychains differ.

pub(super) use here::{CAN_REOPEN, everything, is_locked, lasts, modifiers, name_of, open};

/// What all of Keyfob's entries are filed under.
pub(super) const SERVICE: &str = "dev.keyfob";

/// The Secret Service.
#[cfg(not(any(windows, target_os = "macos")))]
mod here {
    use std::{collections::HashMap, sync::Arc};

    use keyring_core::{CredentialStore, Entry, Error, Result};
    use secret_service::EncryptionType;
    use secret_service::blocking::SecretService;
    use zbus_secret_service_keyring_store::{Store, cred::Wrapper};

    use super::{
        super::{Lasts, name::ProfileId},
        SERVICE,
    };

    /// A service can be restarted, or appear, while we run.
    pub(in super::super) const CAN_REOPEN: bool = true;

    /// Where the Secret Service keeps what it forgets at logout.
    const SESSION_COLLECTION: &str = "/org/freedesktop/secrets/collection/session/";

    /// Opens a new connection.
    pub(in super::super) fn open() -> Result<Arc<CredentialStore>> {
        let store: Arc<CredentialStore> = Store::new()?;
        Ok(store)
    }

    /// Whether the default keychain is locked, asked over a connection of its own, which a prompt
    /// that is open elsewhere does not hold up.
    pub(in super::super) fn is_locked() -> Option<bool> {
        let service = SecretService::connect(EncryptionType::Plain).ok()?;
        service.get_default_collection().ok()?.is_locked().ok()
    }

    /// `target` would name a collection here: never set it.
    pub(in super::super) fn modifiers(_: &str, label: &str) -> Vec<(&'static str, String)> {
        vec![("label", label.to_owned())]
    }

    /// How to search for a profile's entries. (All of ours: attributes match as a whole only.)
    pub(in super::super) fn everything(_: &ProfileId) -> (&'static str, String) {
        ("service", SERVICE.to_owned())
    }

    /// The account string of an entry that was found.
    pub(in super::super) fn name_of(found: &Entry) -> Result<Option<String>> {
        match found.get_attributes()?.remove("username") {
            Some(name) => Ok(Some(name)),
            None => Ok(found.get_specifiers().map(|(_, name)| name)),
        }
    }

    /// How long an entry will last: it depends on the collection that it has come into.
    pub(in super::super) fn lasts(store: &CredentialStore, name: &str) -> Result<Lasts> {
        let spec = HashMap::from([("service", SERVICE), ("username", name)]);
        let found = store.search(&spec)?;
        if found.is_empty() {
            return Err(Error::NoEntry);
        }
        let durable = found.iter().any(|entry| {
            let item = entry.as_any().downcast_ref::<Wrapper>();
            !item.is_some_and(|item| item.get_path().starts_with(SESSION_COLLECTION))
        });
        Ok(if durable { Lasts::UntilDeleted } else { Lasts::UntilLogout })
    }
}

/// The login keychain.
#[cfg(target_os = "macos")]
mod here {
    use std::sync::Arc;

    use keyring_core::{CredentialStore, Entry, Error, Result};

    use super::{
        super::{Lasts, name::ProfileId},
        SERVICE,
    };

    /// There is no connection that could go stale.
    pub(in super::super) const CAN_REOPEN: bool = false;

    /// `keyring` has opened it, which cannot fail here.
    pub(in super::super) fn open() -> Result<Arc<CredentialStore>> {
        keyring_core::get_default_store().ok_or(Error::NoDefaultStore)
    }

    /// Only a call that may open a prompt would tell.
    pub(in super::super) fn is_locked() -> Option<bool> {
        None
    }

    /// The store knows none that we need.
    pub(in super::super) fn modifiers(_: &str, _: &str) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// How to search for a profile's entries. (All of ours: it matches as a whole only.)
    pub(in super::super) fn everything(_: &ProfileId) -> (&'static str, String) {
        ("service", SERVICE.to_owned())
    }

    /// The account string of an entry that was found. (Its attributes would cost a read of its
    /// text, and with that perhaps a prompt.)
    pub(in super::super) fn name_of(found: &Entry) -> Result<Option<String>> {
        Ok(found.get_specifiers().map(|(_, name)| name))
    }

    pub(in super::super) fn lasts(_: &CredentialStore, _: &str) -> Result<Lasts> {
        Ok(Lasts::UntilDeleted)
    }
}

/// The Credential Manager.
#[cfg(windows)]
mod here {
    use std::sync::Arc;

    use keyring_core::{CredentialStore, Entry, Error, Result};

    use super::{
        super::{Lasts, name::ProfileId},
        SERVICE,
    };

    /// There is no connection that could go stale.
    pub(in super::super) const CAN_REOPEN: bool = false;

    /// `keyring` has opened it, which cannot fail here.
    pub(in super::super) fn open() -> Result<Arc<CredentialStore>> {
        keyring_core::get_default_store().ok_or(Error::NoDefaultStore)
    }

    /// It is open for as long as its person is logged in.
    pub(in super::super) fn is_locked() -> Option<bool> {
        Some(false)
    }

    /// The target is the entry's key here. The default, `<user>.<service>`, is the same for
    /// different pairs; the default persistence, *Enterprise*, roams in a domain.
    pub(in super::super) fn modifiers(name: &str, _: &str) -> Vec<(&'static str, String)> {
        vec![("target", format!("{SERVICE}/{name}")), ("persistence", "Local".to_owned())]
    }

    /// How to search for a profile's entries: a regular expression for targets.
    pub(in super::super) fn everything(profile: &ProfileId) -> (&'static str, String) {
        ("pattern", format!("^{}/{}\\.", SERVICE.replace('.', "\\."), profile.as_str()))
    }

    /// The account string of an entry that was found.
    pub(in super::super) fn name_of(found: &Entry) -> Result<Option<String>> {
        let attributes = found.get_attributes()?;
        let name = attributes.get("target_name").and_then(|target| target.strip_prefix(SERVICE));
        Ok(name.and_then(|name| name.strip_prefix('/')).map(str::to_owned))
    }

    pub(in super::super) fn lasts(_: &CredentialStore, _: &str) -> Result<Lasts> {
        Ok(Lasts::UntilDeleted)
    }
}
