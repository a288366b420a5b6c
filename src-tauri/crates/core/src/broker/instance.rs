//! The lock that makes one process the broker. The kernel holds it, so a crash leaves nothing.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::paths;
use crate::problem::{Code, Problem};

/// The lock; it is given up when this is dropped.
#[derive(Debug)]
pub struct Instance {
    _held: File,
}

impl Instance {
    /// Takes the lock of a profile.
    ///
    /// # Errors
    /// `already-running` when somebody else holds it.
    pub fn take(folder: &Path) -> Result<Self, Problem> {
        paths::create_private(folder).map_err(Problem::internal)?;
        let file = folder.join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut open = options
            .open(&file)
            .map_err(|error| Problem::internal(format_args!("{}: {error}", file.display())))?;
        match open.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = open.read_to_string(&mut holder);
                return Err(Problem::new(Code::AlreadyRunning).with("pid", holder.trim()));
            }
            Err(TryLockError::Error(error)) => return Err(Problem::internal(error)),
        }
        let written = open
            .set_len(0)
            .and_then(|()| open.rewind())
            .and_then(|()| open.write_all(std::process::id().to_string().as_bytes()));
        written.map_err(Problem::internal)?;
        Ok(Self { _held: open })
    }
}

#[cfg(test)]
mod tests {
    use super::Instance;
    use crate::problem::Code;

    #[test]
    fn the_second_is_told_who_is_first_and_may_have_it_afterwards() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Instance::take(folder.path()).expect("the lock");
        let refused = Instance::take(folder.path()).expect_err("taken");
        assert_eq!(refused.code, Code::AlreadyRunning);
        assert_eq!(refused.params["pid"], std::process::id().to_string());
        drop(first);
        assert!(Instance::take(folder.path()).is_ok());
    }
}
