//! The product, run as a user runs it: the release binary in a home of its own.

mod binary;
mod output;
mod process;
pub mod report;
mod scene;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use tempfile::TempDir;

use crate::dochost::{Document, DocumentHost};
use crate::random::free_port;
pub use binary::{Program, browser_binary, client_binary, desktop_binary, keyfob_binary};
pub use output::Output;
pub use process::{Running, Stdin};
pub use scene::{Scene, Setup, files_below};

/// How long a command may take when the test says nothing else.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What the scripted browser does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// Presses *Allow*.
    Allow,
    /// Presses *Deny*.
    Deny,
    /// Never opens the link.
    Ignore,
}

/// Whether these tests may run programs as other users of this machine.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where grants are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// In memory.
    Memory,
    /// In the Secret Service of the session that the harness has started.
    Keychain,
}

/// The product in a home of its own. Everything that runs on this home ends when it is dropped.
pub struct Keyfob {
    root: TempDir,
    port: u16,
    told_port: bool,
    store: Store,
    environment: BTreeMap<String, String>,
    broker: Option<Running>,
    transcript: Mutex<String>,
    program: PathBuf,
    user: Option<u32>,
}

impl Keyfob {
    /// A home with nothing in it but a port.
    pub fn new(store: Store) -> Self {
        let root = tempfile::Builder::new().prefix("kf-").tempdir().expect("a temp folder");
        let mut environment: BTreeMap<String, String> = BTreeMap::new();
        for name in ["PATH", "LLVM_PROFILE_FILE"] {
            if let Ok(value) = std::env::var(name) {
                environment.insert(name.to_owned(), value);
            }
        }
        // What is written outside KEYFOB_HOME would turn up here.
        let user = root.path().join("user");
        let home = root.path().join("home");
        for folder in [&user, &home.join("config"), &root.path().join("bin")] {
            std::fs::create_dir_all(folder).expect("a temp folder");
        }
        environment.insert("HOME".to_owned(), user.display().to_string());
        environment.insert("KEYFOB_HOME".to_owned(), home.display().to_string());
        environment.insert("LANG".to_owned(), "C.UTF-8".to_owned());
        if store == Store::Keychain {
            for name in ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"] {
                if let Ok(value) = std::env::var(name) {
                    environment.insert(name.to_owned(), value);
                }
            }
        }
        let program = keyfob_binary();
        let this = Self {
            root,
            port: free_port(),
            told_port: true,
            store,
            environment,
            broker: None,
            transcript: Mutex::default(),
            program,
            user: None,
        };
        this.configure(&[]);
        this
    }

    /// The product as another user of this machine runs it, who owns the home. Only root can do
    /// that; for anybody else the user stays the same.
    pub fn of_user(mut self, user: u32) -> Self {
        if !is_root() {
            return self;
        }
        // What root has built may lie where nobody else can enter.
        let program = self.root.path().join("bin/keyfob");
        // A file that this process has open for writing cannot be run while it starts others.
        let copied = std::process::Command::new("cp").arg(&self.program).arg(&program).status();
        assert!(copied.expect("cp").success(), "{} cannot be copied", self.program.display());
        self.program = program;
        self.user = Some(user);
        self.give_home();
        self
    }

    /// The binary under test.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Gives what is in the home to the user that the product runs as.
    pub fn give_home(&self) {
        fn give(path: &Path, user: u32) {
            std::os::unix::fs::lchown(path, Some(user), Some(user)).expect("ours to give");
            let below = std::fs::read_dir(path).into_iter().flatten().flatten();
            below.for_each(|entry| give(&entry.path(), user));
        }
        if let Some(user) = self.user {
            give(self.root.path(), user);
        }
    }

    /// Lets the product choose its port.
    pub fn forget_port(&mut self) {
        self.told_port = false;
        self.configure(&[]);
    }

    /// `KEYFOB_HOME`.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// The home folder of the user, which must stay empty.
    pub fn user_home(&self) -> PathBuf {
        self.root.path().join("user")
    }

    /// A folder for files of the test.
    pub fn scratch(&self) -> &Path {
        self.root.path()
    }

    /// The port that the product was told to own.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The environment in which commands run.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// Sets a variable for all commands from now on.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Lets every command from now on have so many files open and no more.
    pub fn limit_descriptors(&mut self, most: usize) {
        let path = self.root.path().join("bin/limited");
        let script =
            format!("#!/bin/sh\nulimit -n {most}\nexec '{}' \"$@\"\n", self.program.display());
        std::fs::write(&path, script).expect("a script");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("a script");
        self.program = path;
    }

    /// Writes the settings: the port and these.
    pub fn configure(&self, settings: &[(&str, &str)]) {
        let mut text = match self.told_port {
            true => format!("port = {}\n", self.port),
            false => String::new(),
        };
        for (name, value) in settings {
            text.push_str(&format!("{name} = {}\n", serde_json::json!(value)));
        }
        std::fs::write(self.home().join("config/config.toml"), text).expect("a config file");
    }

    /// Uses this host for the product's own document: what `identity print` prints is served
    /// there byte for byte. Gives its URL.
    pub async fn publish(&self, host: &DocumentHost) -> String {
        let url = host.url("/oauth/client.json");
        let printed = self.run(&["identity", "print", "--url", &url]).await.ok();
        host.put("/oauth/client.json", Document::Bytes(printed.stdout.into_bytes()));
        self.configure(&[
            ("ca_file", &host.ca_file().display().to_string()),
            ("client_metadata_url", &url),
            ("browser", &self.browser(Visit::Allow).display().to_string()),
        ]);
        url
    }

    /// A program that does this with the link it is given, and notes the link in
    /// [`Keyfob::links`].
    pub fn browser(&self, visit: Visit) -> PathBuf {
        let (name, switch) = match visit {
            Visit::Allow => ("browser-allow", "allow"),
            Visit::Deny => ("browser-deny", "deny"),
            Visit::Ignore => ("browser-ignore", "ignore"),
        };
        let path = self.root.path().join("bin").join(name);
        let log = self.link_log();
        let script = format!(
            "#!/bin/sh\nKEYFOB_TEST_BROWSER='{switch},log={}' exec '{}' \"$1\"\n",
            log.display(),
            browser_binary().display()
        );
        if !path.exists() {
            std::fs::write(&path, script).expect("a script");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, mode).expect("a script");
        }
        path
    }

    fn link_log(&self) -> PathBuf {
        self.root.path().join("links")
    }

    /// The links that were opened, in order.
    pub fn links(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.link_log()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, Stdin::Empty, PATIENCE).await
    }

    /// Runs a command to its end, with this on stdin and this much time.
    pub async fn run_with(
        &self,
        arguments: &[&str],
        stdin: Stdin<'_>,
        patience: Duration,
    ) -> Output {
        let output = self.start(arguments, stdin).finish(patience).await;
        let mut transcript = self.transcript.lock().expect("transcript");
        transcript.push_str(&output.to_string());
        output
    }

    /// Starts a command and does not wait for it.
    pub fn start(&self, arguments: &[&str], stdin: Stdin<'_>) -> Running {
        let folder = self.root.path();
        Running::start(&self.program, arguments, &self.environment, folder, stdin, self.user)
    }

    /// Starts a program that is not the product, as this user of the machine.
    pub fn start_as(&self, user: u32, program: &Path, arguments: &[&str]) -> Running {
        let (folder, user) = (Path::new("/"), Some(user).filter(|_| is_root()));
        Running::start(program, arguments, &self.environment, folder, Stdin::Empty, user)
    }

    /// Starts a command at a terminal, where what it is told is typed. All that it prints comes on
    /// standard output.
    pub fn start_at_terminal(&self, arguments: &[&str]) -> Running {
        self.start_at_terminal_between("", arguments, "")
    }

    /// Starts a command at a terminal, with this of the shell's before it and behind it: a pipe to
    /// take one of its streams from the terminal.
    pub fn start_at_terminal_between(
        &self,
        before: &str,
        arguments: &[&str],
        behind: &str,
    ) -> Running {
        let program = self.program.display();
        let command = format!("{before} {program} {} {behind}", arguments.join(" "));
        let terminal = ["--quiet", "--flush", "--return", "--command", &command, "/dev/null"];
        let script = Path::new("script");
        let folder = self.root.path();
        Running::start(script, &terminal, &self.environment, folder, Stdin::Open, self.user)
    }

    /// Starts the headless broker and waits until it says that it is ready.
    pub async fn serve(&mut self) {
        self.serve_with(&[]).await;
    }

    /// Starts the headless broker with more options.
    pub async fn serve_with(&mut self, more: &[&str]) {
        let store = match self.store {
            Store::Memory => "memory",
            Store::Keychain => "keychain",
        };
        let mut arguments = vec!["serve", "--json", "--log", "debug", "--store", store];
        arguments.extend_from_slice(more);
        let mut broker = self.start(&arguments, Stdin::Empty);
        let line = broker.first_line(Duration::from_secs(20)).await;
        let ready: serde_json::Value = serde_json::from_str(&line)
            .unwrap_or_else(|e| panic!("the first line of serve is no JSON ({e}): {line:?}"));
        assert_eq!(ready["event"], "ready", "the first line of serve: {line}");
        let gateway = ready["gateway"].as_str().unwrap_or_default();
        let port = gateway.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        if self.told_port {
            assert_eq!(port, Some(self.port), "serve is not at the port of config.toml: {line}");
        }
        self.port = port.unwrap_or_else(|| panic!("serve names no port: {line}"));
        assert_eq!(ready["pid"].as_u64(), broker.pid().map(u64::from), "pid of serve");
        self.broker = Some(broker);
    }

    /// The running broker.
    pub fn broker(&self) -> &Running {
        self.broker.as_ref().expect("serve was not called")
    }

    /// Ends the broker with SIGTERM and waits for it.
    pub async fn stop(&mut self) -> Output {
        let broker = self.broker.take().expect("serve was not called");
        broker.terminate();
        let output = broker.finish(Duration::from_secs(10)).await;
        self.transcript.lock().expect("transcript").push_str(&output.to_string());
        output
    }

    /// Ends the broker with SIGKILL, as a crash would.
    pub async fn crash(&mut self) {
        let broker = self.broker.take().expect("serve was not called");
        broker.kill();
        broker.finish(Duration::from_secs(10)).await;
    }

    /// Everything that the product has printed so far, logs included.
    pub fn printed(&self) -> String {
        let mut all = self.transcript.lock().expect("transcript").clone();
        if let Some(broker) = &self.broker {
            all.push_str(&broker.printed());
        }
        all
    }
}

impl Drop for Keyfob {
    fn drop(&mut self) {
        report::add(&self.printed());
        // A broker that `call` or `stdio` started is nobody's child; its home gives it away.
        process::end_all_on(&self.home());
    }
}
