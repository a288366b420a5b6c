//! Why the vault could not do what it was asked, by what the caller can do about it.

use super::split::LONGEST_TEXT;

/// Why a call on the vault failed. No variant holds a secret or a text of the keychain's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// There is no keychain to talk to. Keep the text in memory for this run and say so; a later
    /// call looks again and works once there is one.
    #[error("there is no keychain: {why}")]
    Absent {
        /// What is missing.
        why: Missing,
    },
    /// The keychain is locked, and was not unlocked when it asked. Ask the person to unlock it,
    /// then call again. A call may open the keychain's own prompt, so do not repeat it by timer.
    #[error("the keychain is locked")]
    Locked,
    /// The keychain does not let this program in. Only the person can change that.
    #[error("the keychain does not let Keyfob in")]
    Denied,
    /// The keychain has not answered in time, or not to those before: it is slow, or waits for a
    /// person at a prompt that cannot be seen from here. What was to be written or deleted may
    /// still be, later: call again with the newest text.
    #[error("the keychain has not answered in time")]
    TimedOut,
    /// The entry is there and cannot be trusted. The sign-in that made it must be repeated; a
    /// `put` or a `delete` of the entry cures it.
    #[error("what the keychain holds is damaged: {what}")]
    Corrupt {
        /// What is wrong with it.
        what: Damage,
    },
    /// The keychain takes no more. Free some room.
    #[error("the keychain is full")]
    Full,
    /// Something else; `code` is for a bug report.
    #[error("the keychain failed: {kind}{}{code}", if code.is_empty() { "" } else { ": " })]
    Failed {
        /// Which step failed.
        kind: Failure,
        /// The name that the OS or its library gives to the error (a D-Bus error name, an OS
        /// status, an error's variant); empty only when the keychain has not said anything.
        code: String,
    },
}

/// What a machine without a keychain lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Missing {
    /// No session bus (Linux): not a desktop session, or `DBUS_SESSION_BUS_ADDRESS` is unset.
    #[error("no D-Bus session bus")]
    Bus,
    /// Nothing on the session bus provides a Secret Service (Linux).
    #[error("no Secret Service on the session bus")]
    Service,
    /// There is a keychain service without a default keychain (WSL, a broken profile).
    #[error("no default keychain")]
    Default,
    /// This logon session has no credentials of its own (Windows services, some SSH sessions).
    #[error("this logon session has no credential store")]
    Session,
    /// The operating system has no keychain that Keyfob knows.
    #[error("no keychain is known for this operating system")]
    Support,
}

/// How an entry is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// It is not what the vault writes.
    #[error("an entry is not one that Keyfob has written")]
    Form,
    /// A later version of Keyfob has written it.
    #[error("an entry was written by a later version of Keyfob")]
    Version,
    /// It names another profile.
    #[error("an entry belongs to another profile")]
    Profile,
    /// A part is missing.
    #[error("a part of an entry is missing")]
    Part,
    /// The parts do not make the text that the head names.
    #[error("the parts of an entry do not fit together")]
    Digest,
    /// The keychain holds the same entry more than once, with different texts.
    #[error("an entry is there more than once")]
    Copies,
}

/// Which step failed, for a [`VaultError::Failed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The keychain's own call.
    #[error("its call failed")]
    Call,
    /// What was read back was not what had been written.
    #[error("what was read back is not what was written")]
    ReadBack,
    /// The text is longer than the vault takes.
    #[error("the text is longer than the {} kB that one entry may have", LONGEST_TEXT >> 10)]
    TooLong,
    /// The thread that talks to the keychain could not be started or has crashed.
    #[error("its thread failed")]
    Thread,
}

impl VaultError {
    pub(super) fn failed(kind: Failure) -> Self {
        Self::Failed { kind, code: String::new() }
    }
}

impl From<Damage> for VaultError {
    fn from(what: Damage) -> Self {
        Self::Corrupt { what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_cause() {
        let absent = VaultError::Absent { why: Missing::Bus };
        assert_eq!(absent.to_string(), "there is no keychain: no D-Bus session bus");
        let plain = VaultError::failed(Failure::ReadBack);
        assert_eq!(
            plain.to_string(),
            "the keychain failed: what was read back is not what was written"
        );
        let coded = VaultError::Failed { kind: Failure::Call, code: "org.example.Bad".to_owned() };
        assert_eq!(coded.to_string(), "the keychain failed: its call failed: org.example.Bad");
    }
}
