//! The keychain of the harness, looked at from the outside.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use zbus::Proxy;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value};

use crate::random::secret;
use crate::world::Keyfob;

/// Fails unless the keychain that was promised is there and works.
pub fn demand_keychain() {
    assert_eq!(
        std::env::var("KEYFOB_TEST_KEYCHAIN").as_deref(),
        Ok("1"),
        "these tests need the harness: it starts a Secret Service and sets KEYFOB_TEST_KEYCHAIN=1"
    );
    let value = secret("probe-");
    let stored = Command::new("sh")
        .args([
            "-c",
            "printf %s \"$1\" | secret-tool store --label=probe keyfob-probe \"$1\"",
            "sh",
        ])
        .arg(&value)
        .status();
    let found = Command::new("secret-tool").args(["lookup", "keyfob-probe", &value]).output();
    Command::new("secret-tool").args(["clear", "keyfob-probe", &value]).status().ok();
    let found = found.map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    assert!(
        stored.is_ok_and(|s| s.success()) && found.is_ok_and(|f| f == value),
        "KEYFOB_TEST_KEYCHAIN=1 promises a keychain, but secret-tool cannot use it"
    );
}

/// What `secret-tool` knows of us: attributes and secrets. Other processes use the keychain at the
/// same time: an item that goes while it is listed ends the listing early, and what an incomplete
/// one lacks proves nothing.
pub fn contents() -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut said = String::new();
    for _ in 0..50 {
        let output = Command::new("secret-tool")
            .args(["search", "--all", "--unlock", "service", "dev.keyfob"])
            .output()
            .expect("secret-tool runs");
        said = text(&output.stderr);
        if output.status.success() && !said.contains("No such secret item") {
            return text(&output.stdout) + &said;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("secret-tool could not list the keychain: {said}");
}

/// The kinds of entry that the keychain holds of this home, in order.
pub fn kinds(keyfob: &Keyfob) -> Vec<String> {
    let file = keyfob.home().join("state/remembered.json");
    let facts: serde_json::Value =
        serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("JSON");
    let profile = facts["profile"].as_str().expect("a profile").to_owned();
    let listed = contents();
    let accounts = listed.lines().filter(|line| line.starts_with("attribute."));
    let own = accounts.filter_map(|line| line.split(&format!("{profile}.")).nth(1));
    // A long text lies in parts beside its head.
    let mut kinds: Vec<String> = own
        .filter(|rest| !rest.contains('#'))
        .map(|rest| rest.split('.').next().unwrap_or_default().to_owned())
        .collect();
    kinds.sort();
    kinds
}

const PASSWORD: &[u8] = b"of the session";
const SECRETS: &str = "org.freedesktop.secrets";
const SECRETS_PATH: &str = "/org/freedesktop/secrets";
const COLLECTION: &str = "/org/freedesktop/secrets/collection/login";

/// A session bus with a Secret Service of its own, for what must not happen to the others'.
pub struct Session {
    home: TempDir,
    bus: Child,
    address: String,
}

impl Session {
    /// Starts both; the keychain is unlocked.
    pub fn start() -> Self {
        let home = tempfile::Builder::new().prefix("kf-").tempdir().expect("a temp folder");
        let mut command = Command::new("dbus-daemon");
        command.args(["--session", "--nofork", "--print-address=1"]).stdout(Stdio::piped());
        let mut bus = in_home(&mut command, home.path()).spawn().expect("dbus-daemon runs");
        let mut address = String::new();
        let stdout = bus.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut address).expect("an address");
        let this = Self { home, bus, address: address.trim().to_owned() };
        let mut daemon = this
            .command("gnome-keyring-daemon")
            .args(["--unlock", "--components=secrets"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("gnome-keyring-daemon runs");
        let mut stdin = daemon.stdin.take().expect("piped");
        stdin.write_all(PASSWORD).expect("it reads");
        drop(stdin);
        assert!(daemon.wait().expect("a child").success(), "not unlocked");
        let probe = this.command("secret-tool").args(["lookup", "keyfob-probe", "1"]).output();
        let said = probe.map(|o| String::from_utf8_lossy(&o.stderr).into_owned());
        assert!(said.as_ref().is_ok_and(String::is_empty), "no keychain: {said:?}");
        this
    }

    /// Puts a home into this session.
    pub fn under(&self, keyfob: &mut Keyfob) {
        keyfob.set_env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        keyfob.set_env("XDG_RUNTIME_DIR", &self.home.path().display().to_string());
    }

    /// Locks the keychain. Nobody is there to answer a prompt.
    pub async fn lock(&self) {
        let service = self.service("org.freedesktop.Secret.Service").await;
        let all: Vec<ObjectPath<'_>> = vec![COLLECTION.try_into().expect("a path")];
        let (locked, _prompt): (Vec<OwnedObjectPath>, OwnedObjectPath) =
            service.call("Lock", &(all,)).await.expect("gnome-keyring answers");
        assert_eq!(locked.len(), 1, "not locked");
    }

    /// Unlocks it, as a person does who answers the prompt.
    pub async fn unlock(&self) {
        let service = self.service("org.freedesktop.Secret.Service").await;
        let (_, session): (OwnedValue, OwnedObjectPath) = service
            .call("OpenSession", &("plain", Value::from("")))
            .await
            .expect("gnome-keyring answers");
        let collection: ObjectPath<'_> = COLLECTION.try_into().expect("a path");
        let password = (session, Vec::<u8>::new(), PASSWORD, "text/plain");
        let inside = "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface";
        let service = Proxy::new(service.connection(), SECRETS, SECRETS_PATH, inside)
            .await
            .expect("gnome-keyring");
        let unlocked: Result<(), _> =
            service.call("UnlockWithMasterPassword", &(collection, password)).await;
        unlocked.expect("gnome-keyring unlocks");
    }

    /// Lets the keychain do nothing until this is dropped, as one that is overloaded.
    pub async fn pause(&self) -> Paused {
        let service = self.service("org.freedesktop.Secret.Service").await;
        let bus = zbus::fdo::DBusProxy::new(service.connection()).await.expect("the bus");
        let name = SECRETS.try_into().expect("a name");
        let pid = bus.get_connection_unix_process_id(name).await.expect("it has a process");
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, Signal::STOP).expect("it can be stopped");
        Paused(pid)
    }

    async fn service(&self, interface: &'static str) -> Proxy<'static> {
        let address = self.address.as_str();
        let bus = zbus::connection::Builder::address(address).expect("an address").build().await;
        let bus = bus.expect("the bus");
        Proxy::new(&bus, SECRETS, SECRETS_PATH, interface).await.expect("gnome-keyring")
    }

    /// Deletes what Keyfob keeps, as a person could.
    pub fn clear(&self) {
        let mut command = self.command("secret-tool");
        let status = command.args(["clear", "service", "dev.keyfob"]).status();
        assert!(status.is_ok_and(|s| s.success()), "not deleted");
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        in_home(&mut command, self.home.path()).env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        command
    }
}

/// A keychain that does nothing; see [`Session::pause`].
pub struct Paused(Pid);

impl Drop for Paused {
    fn drop(&mut self) {
        kill_process(self.0, Signal::CONT).ok();
    }
}

fn in_home<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    for gone in ["DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"] {
        command.env_remove(gone);
    }
    for name in ["HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
        command.env(name, home);
    }
    command
}

impl Drop for Session {
    fn drop(&mut self) {
        // Its services end with their bus.
        self.bus.kill().ok();
        self.bus.wait().ok();
    }
}
