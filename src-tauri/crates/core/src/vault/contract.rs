//! What every store must do for the vault, run against memory, `keyring_core`'s mock and, when
//! `KEYFOB_TEST_KEYCHAIN=1`, the real keychain of this session.

use std::time::Duration;

use keyfob_auth::Secret;
use tokio::runtime::Runtime;

use super::{
    Damage, EntryId, EntryKind, Lasts, ProfileId, Swept, Vault, VaultError,
    memory::MemoryStore,
    name::{Account, PartName},
    os::KeychainStore,
    split::LONGEST_TEXT,
    store::Store,
    thread::VaultThread,
};

type Make = fn() -> Box<dyn Store>;

fn memory() -> Box<dyn Store> {
    Box::<MemoryStore>::default()
}

fn mock() -> Box<dyn Store> {
    Box::new(KeychainStore::over(keyring_core::mock::Store::new().unwrap()))
}

fn keychain() -> Box<dyn Store> {
    Box::new(KeychainStore::new())
}

/// Whether the harness has promised a real, unlocked keychain.
pub(super) fn keychain_promised() -> bool {
    std::env::var("KEYFOB_TEST_KEYCHAIN").is_ok_and(|value| value == "1")
}

pub(super) fn random_profile() -> ProfileId {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    ProfileId::from_bytes(bytes)
}

fn grant(id: &str) -> EntryId {
    EntryId::new(EntryKind::Grant, id).unwrap()
}

/// A text as a caller writes it, of about this many bytes.
fn text(seed: &str, len: usize) -> Secret {
    Secret::new(format!(r#"{{"seed":"{seed}","note":"ü","token":"{}"}}"#, "t".repeat(len)))
}

fn vault(profile: &ProfileId, make: Make) -> Vault {
    let thread = VaultThread::new(Box::new(make), Duration::from_secs(30));
    Vault::over(profile.clone(), thread)
}

/// Looks past the vault at what is stored.
async fn raw_names(vault: &Vault, profile: &ProfileId) -> Vec<String> {
    let profile = profile.clone();
    let mut names = vault.call(move |store| store.list(&profile)).await.unwrap();
    names.sort();
    names
}

async fn raw_put(vault: &Vault, name: String, raw: &'static str) {
    let put = move |store: &mut dyn Store| store.put_raw(&name, "Keyfob: test", &Secret::new(raw));
    vault.call(put).await.unwrap();
}

async fn contract(make: Make, expected: Lasts) {
    let profile = random_profile();
    let vault = vault(&profile, make);
    assert_eq!(vault.check().await, Ok(expected));
    assert_eq!(raw_names(&vault, &profile).await, Vec::<String>::new(), "the check leaves nothing");
    texts_come_back(&vault, &profile).await;
    profiles_are_apart(&vault, &profile).await;
    damage_is_found_and_cured(&vault, &profile).await;
    orphans_are_swept(&vault, &profile).await;
    assert_eq!(raw_names(&vault, &profile).await, Vec::<String>::new());
}

async fn texts_come_back(vault: &Vault, profile: &ProfileId) {
    let id = grant("linear");
    assert_eq!(vault.get(&id).await, Ok(None));
    assert_eq!(vault.delete(&id).await, Ok(()), "absent is deleted");
    // Within one entry, at the edge, split; then shorter again, then in one entry again.
    for len in [0, 10, 1900, 1990, 2100, 9000, 5000, 20_000, 2, 3000] {
        let text = text("a", len);
        assert_eq!(vault.put(&id, text.clone()).await, Ok(()), "{len}");
        assert!(vault.get(&id).await == Ok(Some(text)), "{len}");
        let names = raw_names(vault, profile).await;
        let parts: Vec<_> = names.iter().filter_map(|name| PartName::parse(name)).collect();
        let generations = parts.iter().map(|part| part.generation).collect::<Vec<_>>();
        assert!(generations.iter().all(|one| *one == generations[0]), "{len}: {names:?}");
        assert_eq!(names.len(), parts.len() + 1, "one head: {names:?}");
    }
    let other = EntryId::new(EntryKind::Headers, "linear").unwrap();
    assert_eq!(vault.get(&other).await, Ok(None), "kinds are apart");
    vault.put(&other, Secret::new("")).await.unwrap();
    assert!(vault.get(&other).await == Ok(Some(Secret::new(""))), "an empty text is a text");
    assert_eq!(vault.sweep().await, Ok(Swept::default()));
    vault.delete(&id).await.unwrap();
    assert_eq!(vault.get(&id).await, Ok(None));
    vault.delete(&other).await.unwrap();
}

async fn profiles_are_apart(vault: &Vault, profile: &ProfileId) {
    let other_profile = random_profile();
    let other = Vault { profile: other_profile.clone(), keeper: vault.keeper.clone() };
    let id = grant("shared");
    vault.put(&id, text("mine", 4000)).await.unwrap();
    assert_eq!(other.get(&id).await, Ok(None));
    assert_eq!(raw_names(&other, &other_profile).await, Vec::<String>::new());
    assert_eq!(other.sweep().await, Ok(Swept::default()));
    other.delete(&id).await.unwrap();
    assert!(vault.get(&id).await == Ok(Some(text("mine", 4000))));
    // An entry that was copied under another profile's name is not taken for that profile's.
    let raw = r#"{"v":1,"profile":"0000000000000000","gen":1,"text":"{}"}"#;
    raw_put(vault, Account::of(profile, &grant("copied")).name, raw).await;
    let foreign = Err(VaultError::Corrupt { what: Damage::Profile });
    assert_eq!(vault.get(&grant("copied")).await, foreign);
    vault.delete(&grant("copied")).await.unwrap();
    vault.delete(&id).await.unwrap();
}

async fn damage_is_found_and_cured(vault: &Vault, profile: &ProfileId) {
    let id = grant("damaged");
    let account = Account::of(profile, &id);
    vault.put(&id, text("old", 5000)).await.unwrap();
    let part = account.part(1, 1);
    vault.call(move |store| store.delete_raw(&part)).await.unwrap();
    assert_eq!(vault.get(&id).await, Err(VaultError::Corrupt { what: Damage::Part }));
    vault.put(&id, text("new", 5000)).await.unwrap();
    assert!(vault.get(&id).await == Ok(Some(text("new", 5000))));
    // A head that cannot be read: a sweep keeps its parts, a put replaces them.
    raw_put(vault, account.name.clone(), "gone wrong").await;
    assert_eq!(vault.get(&id).await, Err(VaultError::Corrupt { what: Damage::Form }));
    assert_eq!(vault.sweep().await, Ok(Swept { removed: 0, unclear: 3 }));
    vault.put(&id, text("newer", 3000)).await.unwrap();
    assert!(vault.get(&id).await == Ok(Some(text("newer", 3000))));
    assert_eq!(raw_names(vault, profile).await.len(), 3, "a head and two parts");
    raw_put(vault, account.name.clone(), r#"{"v":2,"what":"ever"}"#).await;
    assert_eq!(vault.get(&id).await, Err(VaultError::Corrupt { what: Damage::Version }));
    vault.delete(&id).await.unwrap();
    assert_eq!(vault.get(&id).await, Ok(None));
}

async fn orphans_are_swept(vault: &Vault, profile: &ProfileId) {
    let (split, whole) = (grant("split"), grant("whole"));
    vault.put(&split, text("a", 5000)).await.unwrap();
    vault.put(&whole, text("b", 10)).await.unwrap();
    let kept = raw_names(vault, profile).await;
    for orphan in [
        Account::of(profile, &split).part(2, 0),
        Account::of(profile, &split).part(1, 3),
        Account::of(profile, &whole).part(1, 0),
    ] {
        raw_put(vault, orphan, "left behind").await;
    }
    // Without a head nothing says that a part is not wanted.
    raw_put(vault, Account::of(profile, &grant("headless")).part(1, 0), "left alone").await;
    assert_eq!(vault.sweep().await, Ok(Swept { removed: 3, unclear: 1 }));
    assert!(vault.get(&split).await == Ok(Some(text("a", 5000))));
    assert!(vault.get(&whole).await == Ok(Some(text("b", 10))));
    vault.delete(&grant("headless")).await.unwrap();
    assert_eq!(raw_names(vault, profile).await, kept);
    vault.delete(&split).await.unwrap();
    vault.delete(&whole).await.unwrap();
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    contract(memory, Lasts::UntilExit).await;
}

#[tokio::test]
async fn the_mock_keeps_the_contract() {
    contract(mock, Lasts::UntilExit).await;
}

#[tokio::test]
async fn the_keychain_keeps_the_contract() {
    if keychain_promised() {
        contract(keychain, Lasts::UntilDeleted).await;
    }
}

#[test]
fn a_call_from_a_single_threaded_runtime_is_answered() {
    if keychain_promised() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let vault = Vault::keychain(random_profile());
        assert_eq!(runtime.block_on(vault.check()), Ok(Lasts::UntilDeleted));
    }
}

#[test]
fn without_a_keychain_the_answer_is_absent_and_quick() {
    // In a process of its own: the environment is shared, and `keyring` tries once per process.
    const CHILD: &str = "KEYFOB_TEST_NO_KEYCHAIN_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let vault = Vault::keychain(random_profile());
        let runtime = Runtime::new().unwrap();
        for _ in 0..2 {
            let answer = runtime.block_on(vault.get(&grant("any")));
            assert!(matches!(answer, Err(VaultError::Absent { .. })), "{answer:?}");
        }
        return;
    }
    if cfg!(any(windows, target_os = "macos")) {
        return;
    }
    let name = std::thread::current().name().unwrap().to_owned();
    let begun = std::time::Instant::now();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name])
        .env(CHILD, "1")
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(begun.elapsed() < Duration::from_secs(3), "took {:?}", begun.elapsed());
}

/// attack-B4: the longest text there may be, with the deadline of the product, and another beside
/// it.
#[tokio::test]
async fn the_longest_text_holds_nobody_up() {
    if !keychain_promised() {
        return;
    }
    let vault = Vault::keychain(random_profile());
    let (long, short) = (Secret::new("t".repeat(LONGEST_TEXT - 200)), text("b", 10));
    let begun = std::time::Instant::now();
    let (long_id, short_id) = (grant("long"), grant("short"));
    let both = tokio::join!(vault.put(&long_id, long.clone()), vault.put(&short_id, short.clone()));
    println!("{LONGEST_TEXT} bytes are kept after {:?}", begun.elapsed());
    assert_eq!(both, (Ok(()), Ok(())));
    assert!(vault.get(&long_id).await == Ok(Some(long)));
    assert!(vault.get(&short_id).await == Ok(Some(short)));
    for id in [long_id, short_id] {
        assert_eq!(vault.delete(&id).await, Ok(()));
    }
    if cfg!(target_os = "linux") {
        assert_eq!(super::platform::is_locked(), Some(false));
    }
}

#[tokio::test(start_paused = true)]
async fn memory_answers_whatever_the_clock_does() {
    let vault = Vault::memory();
    let clone = vault.clone();
    vault.put(&grant("a"), text("a", 9000)).await.unwrap();
    assert!(clone.get(&grant("a")).await == Ok(Some(text("a", 9000))));
    assert_eq!(vault.check().await, Ok(Lasts::UntilExit));
    assert_eq!(
        vault.put(&grant("a"), text("a", 140_000)).await,
        Err(VaultError::failed(super::Failure::TooLong))
    );
    assert!(!format!("{vault:?}").contains("ttt"));
}
