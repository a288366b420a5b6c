//! One entry in a store: written, read and deleted so that a crash between any two steps leaves
//! the old text or the new one readable, and never a part without a head that disowns it.

use keyfob_auth::Secret;

use super::{
    Damage, Failure, Lasts, Swept, VaultError,
    name::{Account, PartName},
    split::{self, Body, Head},
    store::Store,
};

/// A reader beside a writer (another process) looks this often before it calls an entry damaged.
const LOOKS: usize = 3;

/// The text of an entry; `None` when there is none.
pub(super) fn get(store: &mut dyn Store, account: &Account) -> Result<Option<Secret>, VaultError> {
    let mut looks = 1;
    loop {
        let Some(head) = look(store, account)? else { return Ok(None) };
        let generation = head.generation;
        match text_of(store, account, head) {
            Err(VaultError::Corrupt { what }) => {
                // A writer may have replaced the generation that was being read.
                let now = look(store, account)?.map(|head| head.generation);
                if now == Some(generation) || looks == LOOKS {
                    return Err(what.into());
                }
                looks += 1;
            }
            done => return done,
        }
    }
}

/// Replaces an entry's text: the new generation's parts, the head, then the old parts go.
pub(super) fn put(
    store: &mut dyn Store,
    account: &Account,
    text: &Secret,
) -> Result<(), VaultError> {
    let old = old_parts(store, account)?;
    let generation = old.newest.map_or(1, |newest| newest.wrapping_add(1));
    let new = split::encode(&account.profile, generation, text)
        .ok_or_else(|| VaultError::failed(Failure::TooLong))?;
    if !new.parts.is_empty() && !old.headed {
        let nothing = split::nothing(&account.profile, 0);
        put_and_read_back(store, account, &account.name, &nothing)?;
    }
    for (index, part) in new.parts.iter().enumerate() {
        put_and_read_back(store, account, &account.part(generation, index), part)?;
    }
    put_and_read_back(store, account, &account.name, &new.head)?;
    for name in old.names {
        // The new text is safe by now, so this is no failure of the put; the sweep comes by.
        if let Err(error) = store.delete_raw(&name) {
            tracing::warn!(%error, "an old part stays in the keychain until the next sweep");
            break;
        }
    }
    Ok(())
}

/// Deletes an entry and every part of it, of whatever generation.
pub(super) fn delete(store: &mut dyn Store, account: &Account) -> Result<(), VaultError> {
    let parts = parts_found(store, account)?;
    if let Some(newest) = newest(&parts) {
        let nothing = split::nothing(&account.profile, newest);
        put_and_read_back(store, account, &account.name, &nothing)?;
    }
    for name in &parts {
        store.delete_raw(name)?;
    }
    store.delete_raw(&account.name)
}

/// Writes, reads and deletes an entry of its own, long enough to be split.
pub(super) fn check(store: &mut dyn Store, account: &Account) -> Result<Lasts, VaultError> {
    let probe = Secret::new("keyfob".repeat(500));
    put(store, account, &probe)?;
    let read = get(store, account);
    let lasts = store.lasts(&account.name);
    delete(store, account)?;
    if read? == Some(probe) { lasts } else { Err(VaultError::failed(Failure::ReadBack)) }
}

/// Deletes those of an entry's parts that its own head disowns. Without a head that can be read,
/// nothing is an orphan.
pub(super) fn sweep(
    store: &mut dyn Store,
    account: &Account,
    parts: &[String],
) -> Result<Swept, VaultError> {
    let head = match look(store, account) {
        Ok(Some(head)) => head,
        Ok(None) | Err(VaultError::Corrupt { .. }) => {
            return Ok(Swept { removed: 0, unclear: parts.len() });
        }
        Err(error) => return Err(error),
    };
    let orphan = |name: &&String| {
        PartName::parse(name).is_some_and(|part| {
            part.head == account.name
                && (part.generation != head.generation || part.index >= head.parts())
        })
    };
    let mut swept = Swept::default();
    for name in parts.iter().filter(orphan) {
        store.delete_raw(name)?;
        swept.removed += 1;
    }
    if matches!(head.body, Body::Nothing) {
        store.delete_raw(&account.name)?;
    }
    Ok(swept)
}

fn look(store: &mut dyn Store, account: &Account) -> Result<Option<Head>, VaultError> {
    let Some(raw) = store.get_raw(&account.name)? else { return Ok(None) };
    Ok(Some(split::read_head(&account.profile, &raw)?))
}

fn text_of(
    store: &mut dyn Store,
    account: &Account,
    head: Head,
) -> Result<Option<Secret>, VaultError> {
    let (count, sha256) = match head.body {
        Body::Nothing => return Ok(None),
        Body::Here(text) => return Ok(Some(text)),
        Body::Parts { count, sha256 } => (count, sha256),
    };
    let mut parts = Vec::with_capacity(count);
    for index in 0..count {
        let raw = store.get_raw(&account.part(head.generation, index))?.ok_or(Damage::Part)?;
        parts.push(split::read_part(&account.profile, head.generation, index, &raw)?);
    }
    Ok(Some(split::join(&parts, &sha256)?))
}

/// What a put replaces.
struct Old {
    /// Whether there is a head that can be read.
    headed: bool,
    /// The newest generation that is known of.
    newest: Option<u64>,
    /// Its parts.
    names: Vec<String>,
}

fn old_parts(store: &mut dyn Store, account: &Account) -> Result<Old, VaultError> {
    match look(store, account) {
        Ok(Some(head)) => {
            let name = |index| account.part(head.generation, index);
            let names = (0..head.parts()).map(name).collect();
            Ok(Old { headed: true, newest: Some(head.generation), names })
        }
        Ok(None) => Ok(Old { headed: false, newest: None, names: Vec::new() }),
        // A head that cannot be read says nothing about its parts: look for them.
        Err(VaultError::Corrupt { .. }) => {
            let names = parts_found(store, account)?;
            Ok(Old { headed: false, newest: newest(&names), names })
        }
        Err(error) => Err(error),
    }
}

fn parts_found(store: &mut dyn Store, account: &Account) -> Result<Vec<String>, VaultError> {
    let mut names = store.list(&account.profile)?;
    names.retain(|name| PartName::parse(name).is_some_and(|part| part.head == account.name));
    Ok(names)
}

fn newest(parts: &[String]) -> Option<u64> {
    parts.iter().filter_map(|name| Some(PartName::parse(name)?.generation)).max()
}

fn put_and_read_back(
    store: &mut dyn Store,
    account: &Account,
    name: &str,
    text: &Secret,
) -> Result<(), VaultError> {
    store.put_raw(name, &account.label, text)?;
    if store.get_raw(name)?.as_ref() == Some(text) {
        Ok(())
    } else {
        Err(VaultError::failed(Failure::ReadBack))
    }
}
