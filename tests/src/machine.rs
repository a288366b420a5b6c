//! The machine below the product: a clock that is wrong, time that passes, a name service that is
//! down.
//!
//! A small library is preloaded into every command of one home; it does what files say.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::world::Keyfob;

const SOURCE: &str = include_str!("machine/preload.c");

/// What is between the product and the system.
pub struct Machine {
    clock: PathBuf,
    passed: PathBuf,
    nameless: PathBuf,
}

impl Machine {
    /// Comes under all commands of this home from now on.
    pub fn under(keyfob: &mut Keyfob) -> Self {
        let folder = keyfob.scratch().join("bin");
        let library = folder.join("machine.so");
        let mut compiler = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-x", "c", "-o"])
            .arg(&library)
            .args(["-", "-ldl"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("the C compiler that links every Rust program");
        let mut stdin = compiler.stdin.take().expect("piped");
        stdin.write_all(SOURCE.as_bytes()).expect("it reads");
        drop(stdin);
        assert!(compiler.wait().expect("a child").success(), "preload.c does not compile");
        let this = Self {
            clock: folder.join("clock"),
            passed: folder.join("passed"),
            nameless: folder.join("nameless"),
        };
        keyfob.set_env("LD_PRELOAD", &library.display().to_string());
        keyfob.set_env("KEYFOB_TEST_CLOCK", &this.clock.display().to_string());
        keyfob.set_env("KEYFOB_TEST_PASSED", &this.passed.display().to_string());
        keyfob.set_env("KEYFOB_TEST_NAMELESS", &this.nameless.display().to_string());
        this
    }

    /// Sets the wall clock this many seconds before (or, negative, behind) the true time.
    pub fn set_clock(&self, ahead: i64) {
        tell(&self.clock, ahead);
    }

    /// So many seconds have passed since the start, beyond those that really have. Who sleeps
    /// notices when something else wakes it.
    pub fn set_passed(&self, seconds: u32) {
        tell(&self.passed, i64::from(seconds));
    }

    /// Do names lead nowhere?
    pub fn set_nameless(&self, is_nameless: bool) {
        tell(&self.nameless, i64::from(is_nameless));
    }
}

/// The file is whole whenever it is read.
fn tell(file: &Path, number: i64) {
    let next = file.with_extension("next");
    std::fs::write(&next, number.to_string()).expect("a file");
    std::fs::rename(&next, file).expect("a file");
}
