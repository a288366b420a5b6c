//! Where the control socket is.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::paths::{self, Paths};

/// Longest socket path that every Unix takes, in bytes, without its final zero.
const LONGEST: usize = 103;

/// The socket of a profile; in a folder of its own below the temporary folder where the usual
/// path would be too long.
pub fn path(of: &Paths) -> PathBuf {
    let usual = of.run.join("control.sock");
    if usual.as_os_str().len() <= LONGEST {
        return usual;
    }
    let digest = Sha256::digest(of.run.as_os_str().as_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let user = rustix::process::geteuid().as_raw();
    std::env::temp_dir().join(format!("keyfob-{user}")).join(name)
}

/// Makes the socket's folder and checks that it is ours alone.
///
/// # Errors
/// When it cannot be made, or belongs to somebody else.
pub fn prepare(of: &Paths) -> io::Result<PathBuf> {
    use std::os::unix::fs::MetadataExt;

    let path = path(of);
    let folder = path.parent().unwrap_or(&of.run);
    paths::create_private(folder)?;
    let metadata = std::fs::symlink_metadata(folder)?;
    let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if !metadata.is_dir() || !is_ours || metadata.mode() & 0o077 != 0 {
        let said = format!("{} is not a folder that only you can enter", folder.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, said));
    }
    Ok(path)
}
