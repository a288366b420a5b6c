//! A crash after any raw operation leaves the old text or the new one, and a sweep cleans up.

use keyfob_auth::Secret;

use super::{
    EntryId, EntryKind, Failure, Lasts, ProfileId, VaultError, entry,
    memory::MemoryStore,
    name::{Account, PartName},
    store::Store,
};

/// Passes this many writes and deletes on; after that, nothing works any more.
struct Crashing<'a> {
    store: &'a mut MemoryStore,
    left: usize,
    crashed: bool,
}

impl Crashing<'_> {
    fn step(&mut self) -> Result<(), VaultError> {
        self.crashed |= self.left == 0;
        if self.crashed {
            return Err(VaultError::failed(Failure::Call));
        }
        self.left -= 1;
        Ok(())
    }
}

impl Store for Crashing<'_> {
    fn get_raw(&mut self, name: &str) -> Result<Option<Secret>, VaultError> {
        self.step()?;
        self.store.get_raw(name)
    }

    fn put_raw(&mut self, name: &str, label: &str, text: &Secret) -> Result<(), VaultError> {
        self.step()?;
        self.store.put_raw(name, label, text)
    }

    fn delete_raw(&mut self, name: &str) -> Result<(), VaultError> {
        self.step()?;
        self.store.delete_raw(name)
    }

    fn list(&mut self, profile: &ProfileId) -> Result<Vec<String>, VaultError> {
        self.step()?;
        self.store.list(profile)
    }

    fn lasts(&mut self, name: &str) -> Result<Lasts, VaultError> {
        self.step()?;
        self.store.lasts(name)
    }
}

fn account(id: &str) -> Account {
    let id = EntryId::new(EntryKind::Grant, id).unwrap();
    Account::of(&ProfileId::from_bytes([9; 8]), &id)
}

fn text(char: char, len: usize) -> Secret {
    Secret::new(String::from_iter(std::iter::repeat_n(char, len)))
}

/// Sweeps as the vault does.
fn sweep(store: &mut MemoryStore) {
    let profile = ProfileId::from_bytes([9; 8]);
    let names = store.list(&profile).unwrap();
    for name in &names {
        if let Some(part) = PartName::parse(name) {
            entry::sweep(store, &Account::found(&profile, part.head), &names).unwrap();
        }
    }
}

/// No part is left that a head does not want.
fn assert_clean(store: &mut MemoryStore, context: &str) {
    let names = store.list(&ProfileId::from_bytes([9; 8])).unwrap();
    let mut wanted = vec![account("a").name, account("bystander").name];
    for one in ["a", "bystander"] {
        let Some(raw) = store.get_raw(&account(one).name).unwrap() else { continue };
        let head = super::split::read_head(&account(one).profile, &raw).unwrap();
        wanted.extend((0..head.parts()).map(|index| account(one).part(head.generation, index)));
    }
    assert!(names.iter().all(|name| wanted.contains(name)), "{context}: {names:?}");
}

/// Runs `change` with a crash after each number of raw operations, until it comes through.
fn crash_everywhere(
    old: Option<&Secret>,
    new: Option<&Secret>,
    change: impl Fn(&mut dyn Store) -> Result<(), VaultError>,
) {
    for left in 0.. {
        assert!(left < 500, "the change never ends");
        let mut store = MemoryStore::default();
        let bystander = text('b', 5000);
        entry::put(&mut store, &account("bystander"), &bystander).unwrap();
        if let Some(old) = old {
            entry::put(&mut store, &account("a"), &text('x', 2500)).unwrap();
            entry::put(&mut store, &account("a"), old).unwrap();
        }
        let mut crashing = Crashing { store: &mut store, left, crashed: false };
        let done = change(&mut crashing).is_ok();
        let crashed = crashing.crashed;
        let context = format!("crash after {left}, done: {done}");

        let found = entry::get(&mut store, &account("a")).unwrap();
        assert!(found.as_ref() == new || (!done && found.as_ref() == old), "{context}");
        sweep(&mut store);
        assert_clean(&mut store, &context);
        assert!(entry::get(&mut store, &account("a")).unwrap() == found, "{context}: swept");
        let unharmed = entry::get(&mut store, &account("bystander")).unwrap();
        assert!(unharmed == Some(bystander), "{context}: a bystander");

        // What a crash leaves behind is no hindrance, swept or not.
        entry::put(&mut store, &account("a"), &text('z', 3000)).unwrap();
        assert!(entry::get(&mut store, &account("a")).unwrap() == Some(text('z', 3000)));
        entry::delete(&mut store, &account("a")).unwrap();
        assert!(entry::get(&mut store, &account("a")).unwrap().is_none());
        assert_eq!(store.list(&account("a").profile).unwrap().len(), 4, "{context}: all is gone");
        if done && !crashed {
            return;
        }
    }
}

#[test]
fn a_put_that_crashes_leaves_the_old_text_or_the_new_one() {
    let lens = [1, 3000, 9000];
    for new in lens {
        let new = text('n', new);
        let put = |store: &mut dyn Store| entry::put(store, &account("a"), &new);
        crash_everywhere(None, Some(&new), put);
        for old in lens {
            crash_everywhere(Some(&text('o', old)), Some(&new), put);
        }
    }
}

#[test]
fn a_put_after_a_crash_without_a_sweep_does_not_mix_generations() {
    let new = text('n', 3000);
    let put = |store: &mut dyn Store| {
        // A longer text crashed before its head: its last parts have the next generation's number.
        let long = super::split::encode(&account("a").profile, 3, &text('l', 9000)).unwrap();
        for (index, part) in long.parts.iter().enumerate() {
            store.put_raw(&account("a").part(3, index), "", part)?;
        }
        assert_eq!(long.parts.len(), 5);
        entry::put(store, &account("a"), &new)
    };
    crash_everywhere(Some(&text('o', 3000)), Some(&new), put);
}

#[test]
fn a_delete_that_crashes_has_deleted_the_text_or_nothing() {
    for old in [1, 3000, 9000] {
        let delete = |store: &mut dyn Store| entry::delete(store, &account("a"));
        crash_everywhere(Some(&text('o', old)), None, delete);
    }
}

#[test]
fn a_store_that_loses_what_it_takes_is_found_out() {
    struct Forgetful(MemoryStore);
    impl Store for Forgetful {
        fn get_raw(&mut self, name: &str) -> Result<Option<Secret>, VaultError> {
            self.0.get_raw(name)
        }
        fn put_raw(&mut self, _: &str, _: &str, _: &Secret) -> Result<(), VaultError> {
            Ok(())
        }
        fn delete_raw(&mut self, name: &str) -> Result<(), VaultError> {
            self.0.delete_raw(name)
        }
        fn list(&mut self, profile: &ProfileId) -> Result<Vec<String>, VaultError> {
            self.0.list(profile)
        }
        fn lasts(&mut self, name: &str) -> Result<Lasts, VaultError> {
            self.0.lasts(name)
        }
    }
    let put = entry::put(&mut Forgetful(MemoryStore::default()), &account("a"), &text('n', 10));
    assert_eq!(put, Err(VaultError::failed(Failure::ReadBack)));
}
