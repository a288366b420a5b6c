//! Where the programs under test are.

use std::path::{Path, PathBuf};

/// A program that the tests or the demo start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `keyfob`: what `KEYFOB_BIN` names, else the release build in this target folder.
    Keyfob,
    /// The desktop app: what `KEYFOB_DESKTOP_BIN` names, else the release build.
    Desktop,
    /// The scripted browser, which is built with the tests.
    Browser,
    /// The MCP client, which is built with the tests.
    Client,
}

impl Program {
    /// Where it is.
    ///
    /// # Errors
    ///
    /// Where it is not: what is missing.
    pub fn find(self) -> Result<PathBuf, String> {
        match self {
            Self::Keyfob => release("keyfob", "KEYFOB_BIN"),
            Self::Desktop => release("keyfob-desktop", "KEYFOB_DESKTOP_BIN"),
            Self::Browser => beside_us("keyfob-test-browser"),
            Self::Client => beside_us("keyfob-test-client"),
        }
    }

    fn found(self) -> PathBuf {
        self.find().unwrap_or_else(|missing| panic!("{missing}"))
    }
}

/// `keyfob`.
pub fn keyfob_binary() -> PathBuf {
    Program::Keyfob.found()
}

/// The desktop app.
pub fn desktop_binary() -> PathBuf {
    Program::Desktop.found()
}

/// The scripted browser.
pub fn browser_binary() -> PathBuf {
    Program::Browser.found()
}

/// The MCP client.
pub fn client_binary() -> PathBuf {
    Program::Client.found()
}

fn release(name: &str, variable: &str) -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os(variable) {
        let path = PathBuf::from(path);
        return match path.is_file() {
            true => Ok(path),
            false => Err(format!("{variable} names {}, where no file is", path.display())),
        };
    }
    let found = target_folders().into_iter().map(|t| t.join("release").join(name));
    found.into_iter().find(|p| p.is_file()).ok_or_else(|| {
        format!("there is no release build of {name}, and {variable} does not name one")
    })
}

fn beside_us(name: &str) -> Result<PathBuf, String> {
    let me = this_program();
    // Tests are one folder further down.
    let mut near = me.ancestors().skip(1).take(2).map(|f| f.join(name));
    near.find(|p| p.is_file()).ok_or_else(|| format!("there is no {name} beside {}", me.display()))
}

/// The target folder of this build, then the one of the environment.
fn target_folders() -> Vec<PathBuf> {
    let me = this_program();
    let marked = |folder: &&Path| folder.join("CACHEDIR.TAG").is_file();
    let own = me.ancestors().find(marked).map(Path::to_path_buf);
    let told = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    own.into_iter().chain(told).collect()
}

fn this_program() -> PathBuf {
    std::env::current_exe().expect("a path of our own")
}
