//! From `keyring_core`'s errors to what the caller can do.
//!
//! By variant. The payloads of `BadEncoding` and `BadDataFormat` are the secret itself and are
//! dropped unseen. Of what the platform says only the error's name is kept (see [`super::code`]).

use keyring_core::{Error, error::PlatformError};

use super::{Damage, Failure, Missing, VaultError, code::code};

/// What an error of the keychain's means for the caller.
pub(super) fn refused(error: &Error) -> VaultError {
    match error {
        Error::PlatformFailure(source) | Error::NoStorageAccess(source) => {
            let text = said(source);
            known(&text).unwrap_or_else(|| match error {
                Error::NoStorageAccess(_) => VaultError::Locked,
                _ => failed(match code(&text).as_str() {
                    "" => "PlatformFailure",
                    code => code,
                }),
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

/// Whether an entry was taken away, by another process, between the search that found it and the
/// call that was to use it. It says nothing about an entry of the same name: search again.
pub(super) fn has_vanished(error: &Error) -> bool {
    // GLib's D-Bus, and with it gnome-keyring, has the last one for every call on such an object.
    const VANISHED: [&str; 3] = [
        "org.freedesktop.Secret.Error.NoSuchObject",
        "org.freedesktop.DBus.Error.UnknownObject",
        "org.freedesktop.DBus.Error.UnknownMethod",
    ];
    match error {
        Error::PlatformFailure(source) => VANISHED.contains(&code(&said(source)).as_str()),
        _ => false,
    }
}

/// Whether a new connection may mend it.
pub(super) fn may_be_stale(error: &Error) -> bool {
    let known = [VaultError::Locked, VaultError::Denied, VaultError::Full, VaultError::TimedOut];
    matches!(error, Error::PlatformFailure(_))
        && !has_vanished(error)
        && !known.contains(&refused(error))
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

    /// What a call that D-Bus has answered with this error prints as.
    fn method(name: &str) -> &'static str {
        format!("Zbus(MethodError(OwnedErrorName(\"{name}\"), Some(\"…\"), Msg {{ }}))").leak()
    }

    #[test]
    fn what_the_platforms_say_is_understood() {
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
                failed("org.freedesktop.Secret.Error.NoSession"),
            ),
            ("ZbusFdo(AccessDenied(\"no\"))", VaultError::Denied),
            ("Crypto(\"hunter2\")", failed("Crypto")),
            ("hunter2", failed("PlatformFailure")),
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
        let stale = |name| may_be_stale(&failure(method(name)));
        assert!(stale("org.freedesktop.Secret.Error.NoSession"));
        assert!(stale("org.freedesktop.DBus.Error.ServiceUnknown"));
        assert!(!stale("org.freedesktop.Secret.Error.IsLocked"));
        assert!(!stale("org.freedesktop.Secret.Error.NoSuchObject"));
        assert!(!may_be_stale(&Error::NoStorageAccess(Box::new(Says("Prompt")))));
        for vanished in [
            method("org.freedesktop.Secret.Error.NoSuchObject"),
            method("org.freedesktop.DBus.Error.UnknownMethod"),
            "ZbusFdo(UnknownMethod(\"Object does not exist at path “/…/login/47”\"))",
            "ZbusFdo(UnknownMethod(\"No such interface “org.freedesktop.DBus.Properties”\"))",
        ] {
            assert!(has_vanished(&failure(vanished)), "{vanished}");
        }
        assert!(!has_vanished(&Error::NoEntry));
        assert!(!has_vanished(&failure(method("org.freedesktop.Secret.Error.NoSession"))));
    }
}
