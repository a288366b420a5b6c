//! The demo that cannot go on: one sentence on the screen, the rest in a file that it names.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const DEMO: &str = env!("CARGO_BIN_EXE_keyfob-demo");

/// Runs this build of the demo without a display and with this for `keyfob`.
fn demo(program: &str, keyfob: &Path, temporary: &Path) -> Output {
    Command::new(program)
        .env("KEYFOB_BIN", keyfob)
        .env("TMPDIR", temporary)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .unwrap()
}

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("kf-").tempdir().unwrap()
}

/// Its standard error, which begins with one sentence and has nothing of a journal in it.
fn said(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    let lines: Vec<_> = said.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines.len() <= 2, "{said}");
    assert!(lines[0].ends_with('.') && lines[0].len() < 250, "{said}");
    for noise in ["panicked", "=====", "\"seq\"", "RUST_BACKTRACE"] {
        assert!(!said.contains(noise), "{said}");
    }
    said
}

#[test]
fn a_program_that_is_missing_is_named_before_anything_starts() {
    let folder = folder();
    let nothing = folder.path().join("nothing");
    let output = demo(DEMO, &nothing, folder.path());
    let sentence = said(&output);
    assert!(sentence.contains(nothing.to_str().unwrap()), "{sentence}");
    assert!(sentence.contains("make demo"), "{sentence}");
    assert!(output.stdout.is_empty(), "{output:?}");
    // And the one that was forgotten once: the scripted browser.
    let alone = folder.path().join("alone");
    std::fs::create_dir(&alone).unwrap();
    let demo_alone = alone.join("keyfob-demo");
    std::fs::copy(DEMO, &demo_alone).unwrap();
    let output = demo(demo_alone.to_str().unwrap(), Path::new(DEMO), folder.path());
    let sentence = said(&output);
    assert!(sentence.contains("keyfob-test-browser"), "{sentence}");
    assert!(sentence.contains("make demo"), "{sentence}");
}

#[test]
fn what_would_explain_a_failure_is_in_a_file_that_is_named() {
    let folder = folder();
    let broken = folder.path().join("broken");
    std::fs::write(&broken, "#!/bin/sh\necho 'a line for the file' >&2\nexit 7\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&broken, mode).unwrap();
    let output = demo(DEMO, &broken, folder.path());
    let told = said(&output);
    assert!(told.contains("identity print") && !told.contains("a line for the file"), "{told}");
    let file = told.trim_end().trim_end_matches('.').rsplit(' ').next().unwrap();
    let kept = std::fs::read_to_string(file).unwrap();
    assert!(kept.contains("a line for the file"), "{kept}");
    assert!(kept.contains("the host of the client document noted"), "{kept}");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}
