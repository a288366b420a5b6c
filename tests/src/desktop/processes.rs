//! Processes of this desktop, and the services that a test ends and brings back.

use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{LONG, until};

/// Is there such a process, and not only what is left of it?
pub fn alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(_, state, _)| state != 'Z')
}

/// Ends it as a crash would.
pub fn end(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        kill_process(pid, Signal::KILL).ok();
    }
}

/// All processes of this name below this one.
pub(super) fn below(pid: u32, name: &str) -> Vec<u32> {
    let all: Vec<(u32, u32)> =
        pids().filter_map(|pid| stat(pid).map(|(_, _, parent)| (pid, parent))).collect();
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        found.extend(all.iter().filter(|(_, its)| *its == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.retain(|&pid| alive(pid) && is_named(pid, name));
    found
}

/// All processes of this name that belong to our display; others may have one, too.
pub fn of_display(name: &str) -> Vec<u32> {
    let display = format!("DISPLAY={}", std::env::var("DISPLAY").unwrap_or_default());
    pids()
        .filter(|&pid| alive(pid) && is_named(pid, name))
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|e| e.split(|b| *b == 0).any(|line| line == display.as_bytes()))
        })
        .collect()
}

/// Ends all processes with this text in their arguments.
pub(super) fn end_all_told(text: &str) {
    let told = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
    };
    pids().filter(told).for_each(end);
}

fn pids() -> impl Iterator<Item = u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The kernel keeps the first 15 bytes of a name.
fn is_named(pid: u32, name: &str) -> bool {
    stat(pid).is_some_and(|(found, _, _)| found == name[..name.len().min(15)])
}

/// Name, state and parent.
fn stat(pid: u32) -> Option<(String, char, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = text.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let mut fields = tail.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((name, state, fields.next()?.parse().ok()?))
}

/// A part of the desktop that may go and come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The panel with the tray.
    Panel,
    /// The notification daemon.
    Notifications,
}

impl Service {
    fn program(self) -> &'static str {
        match self {
            Self::Panel => "xfce4-panel",
            Self::Notifications => "dunst",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Panel => "org.kde.StatusNotifierWatcher",
            Self::Notifications => "org.freedesktop.Notifications",
        }
    }

    /// Brings back what a test before has ended, and clears what it has left on the screen.
    pub(super) async fn restore_all() {
        for service in [Self::Panel, Self::Notifications] {
            service.restore().await;
        }
        Command::new("dunstctl").arg("close-all").stdout(Stdio::null()).status().ok();
    }

    /// Starts it where it is not there: some are started by the bus when they are needed.
    pub async fn restore(self) {
        if of_display(self.program()).is_empty() || !self.is_there().await {
            self.start().await;
        }
    }

    /// Kills it, and waits until the bus knows.
    pub async fn kill(self) {
        let found = of_display(self.program());
        assert!(!found.is_empty(), "no {} runs here", self.program());
        found.iter().for_each(|&pid| end(pid));
        until(&format!("the end of {}", self.program()), LONG, async || {
            (!self.is_there().await).then_some(())
        })
        .await;
    }

    /// Starts it, and waits until the bus knows.
    pub async fn start(self) {
        let mut child = Command::new("setsid")
            .arg(self.program())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it is installed");
        // The desktop ends it; only what is left of it is ours to take away.
        std::thread::spawn(move || child.wait());
        until(&format!("{} on the bus", self.program()), LONG, async || {
            self.is_there().await.then_some(())
        })
        .await;
    }

    /// Does somebody own its name on the bus?
    pub async fn is_there(self) -> bool {
        let asked = async {
            let bus = zbus::Connection::session().await?;
            let bus = zbus::fdo::DBusProxy::new(&bus).await?;
            let name = self.name().try_into().map_err(zbus::Error::from)?;
            Ok::<bool, zbus::Error>(bus.name_has_owner(name).await?)
        };
        let asked = tokio::time::timeout(Duration::from_secs(5), asked).await;
        asked.is_ok_and(|answer| answer.unwrap_or(false))
    }
}
