//! Keeps other programs out of the memory of this process, which holds tokens.

#[cfg(unix)]
use rustix::process::{Resource, getrlimit, setrlimit};

/// The variable that, set to `1`, leaves this process open to debuggers and profilers.
pub const DEBUGGABLE_VARIABLE: &str = "KEYFOB_DEBUGGABLE";

/// The limit of core dumps that was found here.
#[cfg(unix)]
static FOUND: std::sync::OnceLock<rustix::process::Rlimit> = std::sync::OnceLock::new();

/// From now on nothing of this process goes into a core dump, and on Linux no other program of the
/// same user can read its memory or its environment (`PR_SET_DUMPABLE`). To be called before
/// anything secret is there, unless [`DEBUGGABLE_VARIABLE`] is set.
pub fn seal() {
    if std::env::var_os(DEBUGGABLE_VARIABLE).is_some_and(|value| value == "1") {
        tracing::warn!("{DEBUGGABLE_VARIABLE} is set: other programs can read this one's memory");
        return;
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            tracing::warn!(%error, "other programs can read this one's memory");
        }
    }
    #[cfg(unix)]
    {
        let mut limit = *FOUND.get_or_init(|| getrlimit(Resource::Core));
        limit.current = Some(0);
        if let Err(error) = setrlimit(Resource::Core, limit) {
            tracing::warn!(%error, "a crash may leave a core dump");
        }
    }
}

/// Lets a program that was started from here leave core dumps as it could without Keyfob; what we
/// keep out of ours is not in its memory.
#[cfg(target_os = "linux")]
pub fn unseal_child(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    if let (Some(pid), Some(found)) = (pid, FOUND.get()) {
        // It may have ended already.
        let _ = rustix::process::prlimit(Some(pid), Resource::Core, *found);
    }
}
