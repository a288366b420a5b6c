//! The small corpus of the fuzz targets, replayed: what once was of interest stays without a
//! finding. `make soak` looks for more.

#![expect(clippy::expect_used, reason = "test code")]

#[path = "../fuzz/targets.rs"]
mod targets;

use std::path::Path;

fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("a corpus").flatten() {
        let data = std::fs::read(entry.path()).expect("an input");
        target(&data);
        // And each cut short: most trouble is at an end that comes too early.
        for end in 0..data.len().min(512) {
            target(&data[..end]);
        }
        seen += 1;
    }
    assert!(seen >= 5, "only {seen} inputs in {}", folder.display());
}

#[test]
fn challenge() {
    replay("challenge", targets::challenge);
}

#[test]
fn metadata() {
    replay("metadata", targets::metadata);
}

#[test]
fn callback() {
    replay("callback", targets::callback);
}

#[test]
fn token() {
    replay("token", targets::token);
}
