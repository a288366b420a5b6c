//! A running command, whose output is read as it comes.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;

use super::Output;

/// A command that runs. It is killed when dropped.
pub struct Running {
    child: Child,
    started: Instant,
    arguments: Vec<String>,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
    stdin: Option<ChildStdin>,
}

/// What a command finds on its standard input.
#[derive(Debug, Clone, Copy)]
pub enum Stdin<'a> {
    /// Nothing.
    Empty,
    /// This text, then its end.
    Text(&'a str),
    /// What [`Running::say`] says, until [`Running::hush`].
    Open,
}

impl Running {
    pub(super) fn start(
        program: &Path,
        arguments: &[&str],
        environment: &BTreeMap<String, String>,
        folder: &Path,
        stdin: Stdin<'_>,
        user: Option<u32>,
    ) -> Self {
        let mut command = Command::new(program);
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let mut child = command
            .args(arguments)
            .env_clear()
            .envs(environment)
            .current_dir(folder)
            .stdin(match stdin {
                Stdin::Empty => Stdio::null(),
                Stdin::Text(_) | Stdin::Open => Stdio::piped(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|e| panic!("{} does not start: {e}", program.display()));
        let mut readers = Vec::new();
        let stdout = Arc::default();
        let stderr = Arc::default();
        readers.push(drain(child.stdout.take().expect("piped"), &stdout));
        readers.push(drain(child.stderr.take().expect("piped"), &stderr));
        let mut held = child.stdin.take();
        if let Stdin::Text(text) = stdin
            && let Some(mut pipe) = held.take()
        {
            let text = text.to_owned();
            tokio::spawn(async move {
                // A command that wants no input closes the pipe; that is its right.
                pipe.write_all(text.as_bytes()).await.ok();
            });
        }
        let arguments = arguments.iter().map(|&a| a.to_owned()).collect();
        Self { child, started: Instant::now(), arguments, stdout, stderr, readers, stdin: held }
    }

    /// The process id.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Writes a line to its standard input.
    pub async fn say(&mut self, line: &str) {
        let pipe = self.stdin.as_mut().expect("started with an open standard input");
        pipe.write_all(format!("{line}\n").as_bytes()).await.expect("it reads");
        pipe.flush().await.expect("it reads");
    }

    /// Ends its standard input.
    pub fn hush(&mut self) {
        self.stdin = None;
    }

    /// Waits until standard output has this many lines; gives them.
    pub async fn lines(&self, count: usize, patience: Duration) -> Vec<String> {
        let end = Instant::now() + patience;
        loop {
            let text = self.stdout();
            let whole = text.rfind('\n').map_or("", |i| &text[..=i]);
            if whole.lines().count() >= count {
                return whole.lines().map(str::to_owned).collect();
            }
            assert!(Instant::now() < end, "no {count} lines in {patience:?}:\n{}", self.printed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGKILL.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, signal).ok();
        }
    }

    /// What it has printed so far.
    pub fn printed(&self) -> String {
        format!("{}{}", text(&self.stdout), text(&self.stderr))
    }

    /// Its standard output so far.
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// Its standard error so far.
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Waits for the first line of standard output.
    pub async fn first_line(&mut self, patience: Duration) -> String {
        let end = Instant::now() + patience;
        loop {
            let ended = self.child.try_wait().expect("a child");
            if let Some((line, _)) = text(&self.stdout).split_once('\n') {
                return line.to_owned();
            }
            if let Some(status) = ended {
                tokio::time::sleep(Duration::from_millis(50)).await;
                panic!("keyfob {} ended: {status}\n{}", self.arguments.join(" "), self.printed());
            }
            if Instant::now() > end {
                panic!(
                    "keyfob {} printed no line in {patience:?}\n{}",
                    self.arguments.join(" "),
                    self.printed()
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until standard error or output holds this text.
    pub async fn prints(&self, wanted: &str, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if self.printed().contains(wanted) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    /// Waits for the end; gives up, and kills, when the time is over.
    pub async fn finish(mut self, patience: Duration) -> Output {
        let status = tokio::time::timeout(patience, self.child.wait()).await;
        let late = status.is_err();
        if late {
            self.child.kill().await.ok();
        }
        let took = self.started.elapsed();
        for reader in std::mem::take(&mut self.readers) {
            // A child of the command may hold the pipe open for longer than the command lives.
            tokio::time::timeout(Duration::from_millis(500), reader).await.ok();
        }
        let status = status.ok().and_then(Result::ok);
        Output {
            arguments: std::mem::take(&mut self.arguments),
            code: status.and_then(|s| s.code()),
            signal: status.and_then(|s| s.signal()),
            late,
            stdout: text(&self.stdout),
            stderr: text(&self.stderr),
            took,
        }
    }
}

fn text(buffer: &Arc<Mutex<Vec<u8>>>) -> String {
    String::from_utf8_lossy(&buffer.lock().expect("buffer")).into_owned()
}

fn drain(
    mut pipe: impl AsyncRead + Unpin + Send + 'static,
    into: &Arc<Mutex<Vec<u8>>>,
) -> JoinHandle<()> {
    let into = Arc::clone(into);
    tokio::spawn(async move {
        let mut chunk = [0_u8; 8192];
        while let Ok(n) = pipe.read(&mut chunk).await {
            if n == 0 {
                break;
            }
            into.lock().expect("buffer").extend_from_slice(&chunk[..n]);
        }
    })
}

/// Kills every process that runs on this home: the broker that its lock names, and whatever else
/// has the home in its environment. (That of the product only root can read.)
pub(super) fn end_all_on(home: &Path) {
    let lock = std::fs::read_to_string(home.join("run/lock")).unwrap_or_default();
    let broker = lock.trim().parse().ok().and_then(Pid::from_raw).filter(|pid| is_keyfob(*pid));
    for pid in broker.into_iter().chain(pids_with(&format!("KEYFOB_HOME={}", home.display()))) {
        kill_process(pid, Signal::KILL).ok();
    }
}

/// The lock of a broker that has ended may name a process of somebody else by now.
fn is_keyfob(pid: Pid) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero()));
    name.is_ok_and(|name| name.starts_with("keyfob"))
}

fn pids_with(variable: &str) -> Vec<Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != own)
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|e| e.split(|b| *b == 0).any(|line| line == variable.as_bytes()))
        })
        .filter_map(Pid::from_raw)
        .collect()
}
