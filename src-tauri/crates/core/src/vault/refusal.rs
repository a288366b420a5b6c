//! From `keyring_core`'s errors to what the caller can do.
//!
//! By variant. The payloads of `BadEncoding` and `BadDataFormat` are the secret itself and are
//! dropped unseen. What the platform says is looked through for names and numbers that are known
//! to be harmless, and dropped as well.

use keyring_core::{Error, error::PlatformError};

use super::{Damage, Failure, Missing, VaultError};

/// What an error of the keychain's means for the caller.
pub(super) fn refused(error: &Error) -> VaultError {
    match error {
        Error::PlatformFailure(source) | Error::NoStorageAccess(source) => {
            let text = said(source);
            known(&text).unwrap_or_else(|| match error {
                Error::NoStorageAccess(_) => VaultError::Locked,
                _ => VaultError::Failed { kind: Failure::Call, code: code(&text) },
            })
        }
        Error::NoDefaultStore => VaultError::Absent { why: Missing::Support },
        Error::BadEncoding(_) | Error::BadDataFormat(..) => Damage::Form.into(),
        Error::Ambiguous(_) => Damage::Copies.into(),
        Error::NoEntry => failed("NoEntry"),
        Error::BadStoreFormat(_) => failed("BadStoreFormat"),
        Error::TooLong(..) => failed("TooLong"),
        Error::Invalid(..) => failed("Invalid"),
        Error::NotSupportedByStore(_) => failed("NotSupportedByStore"),
        _ => failed("unknown"),
    }
}

/// Whether it says no more than that the entry is not there, or not any more.
pub(super) fn is_gone(error: &Error) -> bool {
    const GONE: [&str; 2] =
        ["org.freedesktop.Secret.Error.NoSuchObject", "org.freedesktop.DBus.Error.UnknownObject"];
    match error {
        Error::NoEntry => true,
        Error::PlatformFailure(source) => GONE.contains(&code(&said(source)).as_str()),
        _ => false,
    }
}

/// Whether a new connection may mend it.
pub(super) fn may_be_stale(error: &Error) -> bool {
    let known = [VaultError::Locked, VaultError::Denied, VaultError::Full, VaultError::TimedOut];
    matches!(error, Error::PlatformFailure(_)) && !known.contains(&refused(error))
}

fn failed(code: &str) -> VaultError {
    VaultError::Failed { kind: Failure::Call, code: code.to_owned() }
}

/// Each platform's own words: an error's `Debug` has its variant's name or its number.
fn said(source: &PlatformError) -> String {
    format!("{source:?}")
}

/// What is known of what the platforms say.
fn known(text: &str) -> Option<VaultError> {
    const SERVICE: VaultError = VaultError::Absent { why: Missing::Service };
    const DEFAULT: VaultError = VaultError::Absent { why: Missing::Default };
    match text {
        // The Secret Service: variants of `secret_service::Error`. A prompt that is dismissed, by
        // a person or for want of a screen, leaves the keychain locked.
        "Locked" | "Prompt" => return Some(VaultError::Locked),
        "NoResult" => return Some(DEFAULT),
        "Unavailable" => return Some(VaultError::Absent { why: Missing::Bus }),
        _ => {}
    }
    let meaning = match code(text).as_str() {
        "org.freedesktop.Secret.Error.IsLocked" => VaultError::Locked,
        "org.freedesktop.DBus.Error.AccessDenied" => VaultError::Denied,
        "org.freedesktop.DBus.Error.ServiceUnknown"
        | "org.freedesktop.DBus.Error.NameHasNoOwner" => SERVICE,
        name if name.starts_with("org.freedesktop.DBus.Error.Spawn.") => SERVICE,
        "org.freedesktop.DBus.Error.TimedOut" | "org.freedesktop.DBus.Error.NoReply" => {
            VaultError::TimedOut
        }
        // ENOENT and ECONNREFUSED: the bus's socket.
        "errno 2" | "errno 111" => VaultError::Absent { why: Missing::Bus },
        // macOS, SecBase.h: errSecUserCanceled, errSecAuthFailed, errSecReadOnly;
        // errSecInteractionNotAllowed; errSecNotAvailable, errSecNoSuchKeychain,
        // errSecInvalidKeychain.
        "OSStatus -128" | "OSStatus -25293" | "OSStatus -25292" => VaultError::Denied,
        "OSStatus -25308" => VaultError::Locked,
        "OSStatus -25291" | "OSStatus -25294" | "OSStatus -25295" => DEFAULT,
        // Windows: ERROR_ACCESS_DENIED, _DISK_FULL, _NOT_ENOUGH_QUOTA, _NO_SUCH_LOGON_SESSION.
        "Win32 5" => VaultError::Denied,
        "Win32 112" | "Win32 1816" => VaultError::Full,
        "Win32 1312" => VaultError::Absent { why: Missing::Session },
        _ if text.contains("No space left on device") => VaultError::Full,
        _ => return None,
    };
    Some(meaning)
}

/// The D-Bus error's name, or the platform's number; nothing else of what was said.
fn code(text: &str) -> String {
    let in_name = |char: &char| char.is_ascii_alphanumeric() || matches!(char, '.' | '_');
    let in_number = |char: &char| char.is_ascii_digit() || *char == '-';
    if let Some(at) = text.find("org.freedesktop.") {
        return text[at..].chars().take_while(in_name).collect();
    }
    let numbers =
        [("Error { code: ", "OSStatus"), ("PlatformError(", "Win32"), ("Os { code: ", "errno")];
    for (sign, name) in numbers {
        if let Some(at) = text.find(sign) {
            let number: String = text[at + sign.len()..].chars().take_while(in_number).collect();
            return format!("{name} {number}");
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prints as a platform's error does.
    struct Says(&'static str);

    impl std::fmt::Debug for Says {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::fmt::Display for Says {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("said differently")
        }
    }

    impl std::error::Error for Says {}

    fn failure(text: &'static str) -> Error {
        Error::PlatformFailure(Box::new(Says(text)))
    }

    #[test]
    fn what_the_platforms_say_is_understood() {
        let method = |name: &str| -> &'static str {
            format!("Zbus(MethodError(OwnedErrorName(\"{name}\"), Some(\"…\"), Msg {{ }}))").leak()
        };
        let absent = |why| VaultError::Absent { why };
        let cases = [
            ("Prompt", VaultError::Locked),
            ("Locked", VaultError::Locked),
            ("NoResult", absent(Missing::Default)),
            ("Unavailable", absent(Missing::Bus)),
            (method("org.freedesktop.Secret.Error.IsLocked"), VaultError::Locked),
            (method("org.freedesktop.DBus.Error.ServiceUnknown"), absent(Missing::Service)),
            (method("org.freedesktop.DBus.Error.Spawn.ChildExited"), absent(Missing::Service)),
            (method("org.freedesktop.DBus.Error.NoReply"), VaultError::TimedOut),
            (
                "Zbus(InputOutput(Os { code: 111, kind: ConnectionRefused, message: \"no\" }))",
                absent(Missing::Bus),
            ),
            ("Error { code: -128, message: \"cancelled\" }", VaultError::Denied),
            ("Error { code: -25308 }", VaultError::Locked),
            ("PlatformError(1312)", absent(Missing::Session)),
            (
                method("org.freedesktop.Secret.Error.NoSession"),
                VaultError::Failed {
                    kind: Failure::Call,
                    code: "org.freedesktop.Secret.Error.NoSession".to_owned(),
                },
            ),
            ("hunter2", VaultError::failed(Failure::Call)),
        ];
        for (text, meaning) in cases {
            assert_eq!(refused(&failure(text)), meaning, "{text}");
        }
        let access = Error::NoStorageAccess(Box::new(Says("something new")));
        assert_eq!(refused(&access), VaultError::Locked);
    }

    #[test]
    fn a_payload_is_never_passed_on() {
        let secret = b"hunter2".to_vec();
        let errors = [
            Error::BadEncoding(secret.clone()),
            Error::BadDataFormat(secret, Box::new(Says("hunter2"))),
            failure("Zbus(MethodError(\"hunter2\"))"),
            Error::BadStoreFormat("hunter2".to_owned()),
            Error::Invalid("hunter2".to_owned(), "hunter2".to_owned()),
            Error::TooLong("hunter2".to_owned(), 1),
            Error::NotSupportedByStore("hunter2".to_owned()),
        ];
        for error in errors {
            let shown = format!("{:?} {}", refused(&error), refused(&error));
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn only_what_may_be_mended_is_tried_again() {
        assert!(may_be_stale(&failure("org.freedesktop.Secret.Error.NoSession")));
        assert!(may_be_stale(&failure("org.freedesktop.DBus.Error.ServiceUnknown")));
        assert!(!may_be_stale(&failure("org.freedesktop.Secret.Error.IsLocked")));
        assert!(!may_be_stale(&Error::NoStorageAccess(Box::new(Says("Prompt")))));
        assert!(is_gone(&failure("org.freedesktop.Secret.Error.NoSuchObject")));
        assert!(is_gone(&Error::NoEntry));
        assert!(!is_gone(&failure("org.freedesktop.Secret.Error.NoSession")));
    }
}
