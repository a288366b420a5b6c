//! What a platform's error is called: the one thing of what it says that is passed on.
//!
//! An error's `Debug` has its variants' names and its number, and after them words that may hold
//! anything. The names are read from the outside in, up to the first of those words.

/// What the Secret Service's errors begin with: the variants of `secret_service::Error`.
const SECRET_SERVICE: [&str; 9] = [
    "Crypto",
    "Zbus",
    "ZbusFdo",
    "Zvariant",
    "Locked",
    "NoResult",
    "Prompt",
    "PromptDisconnected",
    "Unavailable",
];

/// The D-Bus error's name, the platform's number, or the names of the library's variants; empty
/// when it says none of them.
pub(super) fn code(debug: &str) -> String {
    let (variants, rest) = variants(debug);
    match variants.as_slice() {
        [.., "OwnedErrorName"] => {
            let in_name = |char: &char| char.is_ascii_alphanumeric() || matches!(char, '.' | '_');
            return rest.chars().skip_while(|char| *char == '"').take_while(in_name).collect();
        }
        // The standard errors: a property's are always told in this form.
        ["ZbusFdo", name] | [.., "FDO", name] if *name != "ZBus" => return standard(name),
        _ => {}
    }
    number(debug).unwrap_or_else(|| match variants.first() {
        Some(outermost) if SECRET_SERVICE.contains(outermost) => variants.join("."),
        _ => String::new(),
    })
}

/// The variants' names, from the outside in, and what comes after them.
fn variants(debug: &str) -> (Vec<&str>, &str) {
    let (mut names, mut rest) = (Vec::new(), debug);
    loop {
        let end = rest.find(|char: char| !char.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if !name.starts_with(|char: char| char.is_ascii_uppercase()) {
            return (names, rest);
        }
        if let Some(inner) = after.strip_prefix('(') {
            names.push(name);
            rest = inner;
        } else if after.is_empty() || after.starts_with(')') {
            names.push(name);
            return (names, after);
        } else {
            return (names, rest);
        }
    }
}

/// The D-Bus name of a variant of `zbus::fdo::Error`.
fn standard(variant: &str) -> String {
    match variant.strip_prefix("Spawn") {
        Some(step) => format!("org.freedesktop.DBus.Error.Spawn.{step}"),
        None => format!("org.freedesktop.DBus.Error.{variant}"),
    }
}

fn number(debug: &str) -> Option<String> {
    let in_number = |char: &char| char.is_ascii_digit() || *char == '-';
    let numbers =
        [("Error { code: ", "OSStatus"), ("PlatformError(", "Win32"), ("Os { code: ", "errno")];
    numbers.into_iter().find_map(|(sign, name)| {
        let (_, after) = debug.split_once(sign)?;
        let number: String = after.chars().take_while(in_number).collect();
        Some(format!("{name} {number}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_called_by_its_name() {
        let cases = [
            (
                r#"Zbus(MethodError(OwnedErrorName("org.freedesktop.Secret.Error.NoSession"), None, Msg { }))"#,
                "org.freedesktop.Secret.Error.NoSession",
            ),
            (
                r#"ZbusFdo(ZBus(MethodError(OwnedErrorName("org.gnome.keyring.Error.Denied"), None, Msg { })))"#,
                "org.gnome.keyring.Error.Denied",
            ),
            // Names within the words are not the error's.
            (
                r#"ZbusFdo(UnknownMethod("No such interface “org.freedesktop.DBus.Properties” on object"))"#,
                "org.freedesktop.DBus.Error.UnknownMethod",
            ),
            (r#"Zbus(FDO(AccessDenied("no")))"#, "org.freedesktop.DBus.Error.AccessDenied"),
            (r#"ZbusFdo(SpawnChildExited("1"))"#, "org.freedesktop.DBus.Error.Spawn.ChildExited"),
            (r#"ZbusFdo(ZBus(Handshake("hunter2")))"#, "ZbusFdo.ZBus.Handshake"),
            (r#"Zbus(InputOutput(Os { code: 32, kind: BrokenPipe, message: "x" }))"#, "errno 32"),
            (r#"Zbus(InputOutput(Custom { kind: BrokenPipe, error: "x" }))"#, "Zbus.InputOutput"),
            ("Zbus(InvalidReply)", "Zbus.InvalidReply"),
            (r#"Crypto("message decryption failed")"#, "Crypto"),
            ("PromptDisconnected", "PromptDisconnected"),
            ("Error { code: -128, message: \"cancelled\" }", "OSStatus -128"),
            ("PlatformError(1312)", "Win32 1312"),
        ];
        for (debug, name) in cases {
            assert_eq!(code(debug), name, "{debug}");
        }
    }

    #[test]
    fn words_are_no_name() {
        for debug in ["", "hunter2", "Hunter2", "\"hunter2\"", "Hunter2(\"x\")", "(", "Failed(("] {
            assert_eq!(code(debug), "", "{debug}");
        }
        assert_eq!(code("Zbus(MethodError(\"hunter2\"))"), "Zbus.MethodError");
    }
}
