//! Secrets out of the environment. Whoever starts Keyfob may name variables that hold some; they
//! are for Keyfob and for none of the programs that it starts.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use keyfob_auth::Secret;

/// Tells a command under `keyfob exec` its local address, key included.
pub const URL_VARIABLE: &str = "KEYFOB_URL";

/// Tells a command under `keyfob exec` its client key.
pub const KEY_VARIABLE: &str = "KEYFOB_KEY";

/// The variables that a secret was looked for in. Like the environment itself they are the
/// process's: whichever part of it starts a program has to know them.
static NAMED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The secret in a variable, which is withheld from other programs from now on; `None` when it holds
/// none.
pub fn secret(variable: &str) -> Option<Secret> {
    NAMED.lock().unwrap_or_else(PoisonError::into_inner).insert(variable.to_owned());
    let text = Secret::new(std::env::var(variable).ok()?);
    Some(text).filter(|text| !text.is_empty())
}

/// Keeps all secrets out of what a command inherits: the variables that were named, and the client
/// key of a `keyfob exec` that this process may run under.
pub fn withhold_secrets(command: &mut Command) {
    for variable in NAMED.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        // Such a name cannot be in an environment, and would be an error of the start.
        if !variable.is_empty() && !variable.contains(['=', '\0']) {
            command.env_remove(variable);
        }
    }
    command.env_remove(URL_VARIABLE).env_remove(KEY_VARIABLE);
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{secret, withhold_secrets};

    #[test]
    fn what_was_named_is_not_inherited_whatever_it_holds() {
        assert!(secret("KEYFOB_TEST_NO_SUCH_SECRET").is_none());
        assert!(secret("").is_none() && secret("A=B").is_none() && secret("A\0B").is_none());
        let mut command = Command::new("true");
        command.env("KEYFOB_TEST_NO_SUCH_SECRET", "x").env("KEPT", "x").env("KEYFOB_KEY", "kf_x");
        withhold_secrets(&mut command);
        let left: Vec<_> = command.get_envs().filter(|(_, value)| value.is_some()).collect();
        assert_eq!(left, [("KEPT".as_ref(), Some("x".as_ref()))]);
    }
}
