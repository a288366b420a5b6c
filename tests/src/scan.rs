//! Searches for what must not be there, and the markers that prove that a search can see.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// All command lines of this machine, collected until it is dropped.
pub struct Arguments {
    seen: Arc<Mutex<BTreeSet<String>>>,
    stop: Arc<AtomicBool>,
}

impl Arguments {
    /// Starts to collect.
    pub fn watch() -> Self {
        let seen: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (into, until) = (Arc::clone(&seen), Arc::clone(&stop));
        std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
                    if let Ok(line) = std::fs::read(process.path().join("cmdline")) {
                        let line = String::from_utf8_lossy(&line).replace('\0', " ");
                        into.lock().expect("lines").insert(line);
                    }
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { seen, stop }
    }

    /// Did this stand in a command line?
    pub fn contain(&self, text: &str) -> bool {
        self.seen.lock().expect("lines").iter().any(|line| line.contains(text))
    }
}

impl Drop for Arguments {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A process whose command line holds a marker; it ends when dropped.
pub struct Planted(Child);

impl Planted {
    /// Starts it, and waits until a watcher can have seen it.
    pub fn start(marker: &str) -> Self {
        let mut command = Command::new("sleep");
        let child = command.arg0(marker).arg("30").stdin(Stdio::null()).spawn();
        std::thread::sleep(Duration::from_millis(200));
        Self(child.expect("sleep runs"))
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The name of the file that holds this text, if one does.
pub fn holder<'a>(files: &'a [(String, Vec<u8>)], text: &str) -> Option<&'a str> {
    let found = files
        .iter()
        .find(|(_, bytes)| bytes.windows(text.len()).any(|window| window == text.as_bytes()));
    found.map(|(name, _)| name.as_str())
}

/// The most memory that a process has had at once, in bytes.
pub fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    peak.expect("the kernel says it") * 1024
}

/// How often a text stands in the memory of another process that it can write to.
pub fn times_in_memory(pid: u32, text: &str) -> usize {
    use std::os::unix::fs::FileExt;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("it runs");
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).expect("it may be looked into");
    let mut times = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (start, end) = line.split(' ').next().and_then(|r| r.split_once('-')).expect("a range");
        let number = |hex: &str| u64::from_str_radix(hex, 16).expect("an address");
        let (start, end) = (number(start), number(end));
        let mut bytes = vec![0; usize::try_from(end - start).expect("a size")];
        // What is gone meanwhile cannot be read, nor can a few mappings of the kernel's.
        let Ok(read) = memory.read_at(&mut bytes, start) else { continue };
        let found = bytes[..read].windows(text.len()).filter(|one| *one == text.as_bytes());
        times += found.count();
    }
    times
}
