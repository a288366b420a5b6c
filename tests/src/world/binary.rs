//! Where the programs under test are.

use std::path::{Path, PathBuf};

/// The `keyfob` binary: `KEYFOB_BIN`, else the release build in this target folder.
pub fn keyfob_binary() -> PathBuf {
    release_binary("keyfob", "KEYFOB_BIN", "keyfob-cli")
}

/// The desktop app: `KEYFOB_DESKTOP_BIN`, else the release build in this target folder.
pub fn desktop_binary() -> PathBuf {
    release_binary("keyfob-desktop", "KEYFOB_DESKTOP_BIN", "keyfob-desktop")
}

fn release_binary(name: &str, variable: &str, package: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "{variable} names {}, where no file is", path.display());
        return path;
    }
    let found = target_folders().into_iter().map(|t| t.join("release").join(name));
    found.into_iter().find(|p| p.is_file()).unwrap_or_else(|| {
        panic!(
            "there is no release build of {name}: run `cargo build --release -p {package}`, or \
             name the binary in {variable}"
        )
    })
}

/// The scripted browser, which is built with the tests.
pub fn browser_binary() -> PathBuf {
    own_binary("keyfob-test-browser")
}

/// The MCP client, which is built with the tests.
pub fn client_binary() -> PathBuf {
    own_binary("keyfob-test-client")
}

fn own_binary(name: &str) -> PathBuf {
    let me = std::env::current_exe().expect("a path of our own");
    // Beside us; tests are one folder further down.
    let mut near = me.ancestors().skip(1).take(2).map(|f| f.join(name));
    near.find(|p| p.is_file()).unwrap_or_else(|| {
        panic!("there is no {name} beside {}: build it with --bin {name}", me.display())
    })
}

/// The target folder of this build, then the one of the environment.
fn target_folders() -> Vec<PathBuf> {
    let me = std::env::current_exe().expect("a path of our own");
    let marked = |folder: &&Path| folder.join("CACHEDIR.TAG").is_file();
    let own = me.ancestors().find(marked).map(Path::to_path_buf);
    let told = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    own.into_iter().chain(told).collect()
}
