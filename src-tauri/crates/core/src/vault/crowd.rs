//! Several vaults at one real keychain, each with a profile and a connection of its own: what one
//! of them does is no failure of another's. Needs the keychain that `KEYFOB_TEST_KEYCHAIN=1`
//! promises.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use keyfob_auth::Secret;
use tokio::{runtime::Runtime, task::JoinSet};

use super::{
    EntryId, EntryKind, Lasts, Vault,
    contract::{keychain_promised, random_profile},
    os::KeychainStore,
    store::Store,
    thread::VaultThread,
};

/// How many use the keychain at the same time.
const CROWD: usize = 5;

/// How often each of them does all that a vault can do.
const ROUNDS: usize = 4;

/// Longer than a call takes in the crowd of a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// All that a vault can do, over and over; every answer must be the one that it has alone.
async fn hammer(vault: Vault) {
    let id = |id: &str| EntryId::new(EntryKind::Grant, id).unwrap();
    let (long, short) = (id("long"), id("short"));
    for round in 0..ROUNDS {
        assert_eq!(vault.check().await, Ok(Lasts::UntilDeleted), "check {round}");
        for (id, len) in [(&long, 5000), (&short, 10), (&long, 2500)] {
            let text = Secret::new(format!("{round}{}", "t".repeat(len)));
            assert_eq!(vault.put(id, text.clone()).await, Ok(()), "put {len}, {round}");
            let found = vault.get(id).await;
            assert!(found == Ok(Some(text)), "get {len}, {round}: {:?}", found.err());
        }
        let swept = vault.sweep().await;
        assert_eq!(swept, Ok(super::Swept::default()), "sweep {round}");
        for id in [&long, &short] {
            assert_eq!(vault.delete(id).await, Ok(()), "delete {round}");
            assert_eq!(vault.get(id).await, Ok(None), "get what was deleted {round}");
        }
    }
}

#[tokio::test]
async fn vaults_with_connections_of_their_own_do_not_disturb_each_other() {
    if !keychain_promised() {
        return;
    }
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let open = Box::new(|| Box::new(KeychainStore::apart()) as Box<dyn Store>);
        crowd.spawn(hammer(Vault::over(random_profile(), VaultThread::new(open, PATIENCE))));
    }
    while let Some(done) = crowd.join_next().await {
        done.unwrap();
    }
}

#[test]
fn processes_do_not_disturb_each_other() {
    const MEMBER: &str = "KEYFOB_TEST_CROWD_MEMBER";
    if !keychain_promised() {
        return;
    }
    if std::env::var_os(MEMBER).is_some() {
        let vault = Vault::keychain_within(random_profile(), PATIENCE);
        Runtime::new().unwrap().block_on(hammer(vault));
        return;
    }
    let name = std::thread::current().name().unwrap().to_owned();
    let member = || {
        let mut member = Command::new(std::env::current_exe().unwrap());
        member.args(["--exact", &name]).env(MEMBER, "1").stdout(Stdio::piped()).spawn().unwrap()
    };
    let members: Vec<Child> = (0..CROWD).map(|_| member()).collect();
    let begun = Instant::now();
    for member in members {
        let output = member.wait_with_output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "after {:?}: {printed}", begun.elapsed());
        assert!(printed.contains("1 passed"), "{printed}");
    }
}
