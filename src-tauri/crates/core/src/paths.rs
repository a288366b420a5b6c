//! Where things are kept. Nothing in these folders is a secret.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use directories::ProjectDirs;

/// The variable that puts everything under one folder.
pub const HOME_VARIABLE: &str = "KEYFOB_HOME";

/// The folders of one profile.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Settings and the list of servers.
    pub config: PathBuf,
    /// What was learnt: profile id, client keys (hashed), refusals, traces.
    pub state: PathBuf,
    /// Lock and control socket.
    pub run: PathBuf,
}

impl Paths {
    /// From [`HOME_VARIABLE`], else from the system's conventions.
    ///
    /// # Errors
    /// When there is no home folder.
    pub fn from_environment() -> io::Result<Self> {
        if let Some(home) = std::env::var_os(HOME_VARIABLE).filter(|home| !home.is_empty()) {
            return Ok(Self::under(&std::path::absolute(home)?));
        }
        let dirs = ProjectDirs::from("dev", "", "keyfob")
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no home folder"))?;
        let state = dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned();
        let run = dirs.runtime_dir().map_or_else(|| state.join("run"), Path::to_owned);
        Ok(Self { config: dirs.config_dir().to_owned(), state, run })
    }

    /// All folders under one.
    pub fn under(home: &Path) -> Self {
        Self { config: home.join("config"), state: home.join("state"), run: home.join("run") }
    }

    /// Makes the folders, for their owner alone.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn create(&self) -> io::Result<()> {
        for folder in [&self.config, &self.state, &self.run] {
            create_private(folder)?;
        }
        Ok(())
    }

    /// The settings file.
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }
}

/// Makes a folder that only its owner can enter. An existing folder keeps its mode.
///
/// # Errors
/// When it cannot be made.
pub fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Writes a file whole or not at all, readable by its owner alone.
///
/// # Errors
/// When it cannot be written; the old content is then still there.
pub fn write_private(file: &Path, content: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    create_private(folder)?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{:016x}", u64::from_ne_bytes(random)));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&temporary).and_then(|mut open| {
        open.write_all(content)?;
        open.sync_all()
    });
    let moved = written.and_then(|()| fs::rename(&temporary, file));
    if moved.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    moved
}
