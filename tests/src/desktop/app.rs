//! The app as a process: started, watched and ended.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::process::{Child, Command};

use super::processes::{alive, below, end};
use super::screen::shoot;
use super::webdriver::{Driver, Session};
use super::{LONG, until};
use crate::Keyfob;
use crate::world::desktop_binary;

/// A running app. It is killed when dropped, and a picture of the screen taken before.
pub struct App {
    pid: u32,
    /// What its last picture is called.
    name: String,
    log: PathBuf,
    child: Option<Child>,
    /// Ends after the app that it has started.
    _driver: Option<Driver>,
}

impl App {
    /// Starts it as a session would, with its log in a file.
    pub(super) fn start(name: &str, keyfob: &Keyfob, arguments: &[&str]) -> Self {
        let files = Files::new(keyfob);
        let child = Command::new(&files.program)
            .args(arguments)
            .env_clear()
            .envs(keyfob.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the app starts");
        let pid = child.id().expect("it has just been started");
        Self { pid, name: name.to_owned(), log: files.log, child: Some(child), _driver: None }
    }

    /// Starts it through a WebDriver, which then holds its window.
    pub(super) async fn driven(name: &str, keyfob: &Keyfob, arguments: &[&str]) -> (Self, Session) {
        let files = Files::new(keyfob);
        let driver = Driver::start("WebKitWebDriver", keyfob.environment()).await;
        let session = driver
            .session(&serde_json::json!({"webkitgtk:browserOptions": {
                "binary": files.program, "args": arguments}}))
            .await;
        let pid = std::fs::read_to_string(&files.pid).expect("the wrapper notes it");
        let pid = pid.trim().parse().expect("a process id");
        let app =
            Self { pid, name: name.to_owned(), log: files.log, child: None, _driver: Some(driver) };
        app.says("gateway listening").await;
        (app, session)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Everything that it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has logged this; gives the line.
    pub async fn says(&self, wanted: &str) -> String {
        self.says_times(wanted, 1).await
    }

    /// Waits until it has logged this so often; gives the newest of these lines.
    pub async fn says_times(&self, wanted: &str, times: usize) -> String {
        let what = format!("{times} × {wanted:?} in the log of the app");
        until(&what, LONG, async || {
            self.log().lines().filter(|line| line.contains(wanted)).nth(times - 1).map(Into::into)
        })
        .await
    }

    /// Waits until its window was painted so often; gives the milliseconds that the last one took.
    pub async fn painted(&self, times: usize) -> u64 {
        number(&self.says_times("window painted", times).await, "ms=")
    }

    /// How often a window was painted.
    pub fn paintings(&self) -> usize {
        self.log().lines().filter(|line| line.contains("window painted")).count()
    }

    /// The processes of its pages.
    pub fn pages(&self) -> Vec<u32> {
        below(self.pid, "WebKitWebProcess")
    }

    /// Is it still there?
    pub fn is_alive(&self) -> bool {
        alive(self.pid)
    }

    /// Waits for its end; gives the exit status, where it was not started by a driver.
    pub async fn ended(&mut self, patience: Duration) -> Option<i32> {
        match &mut self.child {
            Some(child) => {
                let ended = tokio::time::timeout(patience, child.wait()).await;
                let status = ended.unwrap_or_else(|_| panic!("the app does not end"));
                status.expect("a child").code()
            }
            None => {
                let gone = async || (!alive(self.pid)).then_some(());
                until("the end of the app", patience, gone).await;
                None
            }
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if std::thread::panicking() {
            shoot(&format!("{}-failed", self.name));
            report("the app", &self.log());
        } else {
            shoot(&self.name);
        }
        if self.child.as_ref().is_none_or(|child| child.id().is_some()) {
            end(self.pid);
        }
    }
}

/// The number behind this mark in a line of the log.
pub(super) fn number(line: &str, mark: &str) -> u64 {
    let found = line.split_once(mark).and_then(|(_, rest)| {
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse().ok())
    });
    found.unwrap_or_else(|| panic!("no number behind {mark:?} in {line:?}"))
}

#[expect(clippy::print_stderr, reason = "the way to say it in a test")]
pub(super) fn report(who: &str, log: &str) {
    eprintln!("\n===== what {who} logged =====\n{log}\n===== end =====");
}

/// A program that notes its process id and log in files, whoever starts it.
struct Files {
    program: PathBuf,
    log: PathBuf,
    pid: PathBuf,
}

static STARTS: AtomicUsize = AtomicUsize::new(0);

impl Files {
    fn new(keyfob: &Keyfob) -> Self {
        let at = keyfob.scratch();
        let start = STARTS.fetch_add(1, Ordering::Relaxed);
        let named = |kind: &str| at.join(format!("app-{start}.{kind}"));
        let files = Self { program: named("sh"), log: named("log"), pid: named("pid") };
        let script = format!(
            "#!/bin/sh\necho $$ >'{}'\nexec '{}' --store keychain --log debug \"$@\" 2>'{}'\n",
            files.pid.display(),
            desktop_binary().display(),
            files.log.display()
        );
        program(&files.program, &script);
        files
    }
}

/// Writes a script that can be run.
pub(super) fn program(path: &Path, script: &str) {
    std::fs::write(path, script).expect("a script");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode).expect("a script");
}
