//! Text from outside: a type of its own, which only its cleaned form can leave.
//!
//! What has a grammar of its own (URLs, client ids, scopes, tokens) is held to it where it comes
//! in. Everything else that a server says is [`Untrusted`]; what is made for people holds
//! [`Shown`], and there is no way from the one to the other but through cleaning.

mod cleaning;

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest quotation of what somebody else said, in characters.
pub const LONGEST_QUOTATION: usize = 200;

/// Longest sentence of ours with quotations in it, in characters.
const LONGEST_SENTENCE: usize = 600;

/// Longest client id, scope or URL that is shown, in characters. What is longer is not used.
const LONGEST_IDENTIFIER: usize = 16 * 1024;

/// Text as it came from a server, a page or a file that others can write.
///
/// It has no `Deref` and no `AsRef`; `Display`, `Debug` and `Serialize` give its cleaned form, cut
/// to [`LONGEST_QUOTATION`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Untrusted(String);

impl Untrusted {
    /// Takes what came.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What came, byte for byte: to be compared, to be checked against a grammar, or to be sent
    /// back to whom it came from. Never to be shown.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// The cleaned form, on one line and cut: still the server's word, and shown as a quotation.
    pub fn shown(&self) -> Shown {
        Shown::quotation(&self.0)
    }

    /// The cleaned form with its line ends and tabs, uncut: for a terminal of its own.
    pub fn lines(&self) -> String {
        lines(&self.0)
    }
}

impl From<&str> for Untrusted {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Untrusted {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown().fmt(f)
    }
}

impl fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown(), f)
    }
}

impl Serialize for Untrusted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shown().serialize(serializer)
    }
}

/// Text that is fit to be shown to a person: one line, without anything that acts on a terminal,
/// that turns the direction of the text, or that nobody sees. It is cut, with a mark.
///
/// It can be made only by cleaning, also where it is read back from a file.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Shown(String);

impl Shown {
    /// What somebody else said, cut to [`LONGEST_QUOTATION`].
    pub fn quotation(text: &str) -> Self {
        Self(cleaning::one_line(text, LONGEST_QUOTATION))
    }

    /// A client id, a scope or a URL, which is of use only whole.
    pub fn identifier(text: &str) -> Self {
        Self(cleaning::one_line(text, LONGEST_IDENTIFIER))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Words of ours, which may hold quotations.
impl From<&str> for Shown {
    fn from(text: &str) -> Self {
        Self(cleaning::one_line(text, LONGEST_SENTENCE))
    }
}

impl From<String> for Shown {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&String> for Shown {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Shown> for Shown {
    fn from(text: &Shown) -> Self {
        text.clone()
    }
}

impl From<&Untrusted> for Shown {
    fn from(text: &Untrusted) -> Self {
        text.shown()
    }
}

impl From<Shown> for String {
    fn from(text: Shown) -> Self {
        text.0
    }
}

impl Deref for Shown {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Shown {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<String> for Shown {
    fn eq(&self, other: &String) -> bool {
        self.0 == *other
    }
}

impl PartialEq<&str> for Shown {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::identifier(&String::deserialize(deserializer)?))
    }
}

/// The part of a URL that may be shown and logged: scheme, host and path, no query, no fragment.
pub fn without_query(url: &str) -> Shown {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    Shown::quotation(&url[..end])
}

/// The text cleaned, with its line ends and tabs, uncut.
pub fn lines(text: &str) -> String {
    cleaning::lines(text)
}

/// Whether a text holds a character that acts or is not seen, and so has no place in an identifier
/// or a URL.
pub fn has_hidden(text: &str) -> bool {
    text.chars().any(|c| c.is_control() || cleaning::is_hidden(c) || cleaning::is_joiner(c))
}

/// JSON with every character that acts or is not seen written as an escape: the same meaning, and
/// nothing for a terminal to act on. `json` must be JSON text, where such characters stand in
/// strings alone.
pub fn escaped_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        let is_structure = matches!(c, '\n' | '\r' | '\t');
        if is_structure || !(c.is_control() || cleaning::is_hidden(c)) {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            text.push_str(&format!("\\u{unit:04x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{LONGEST_QUOTATION, Shown, Untrusted, escaped_json, has_hidden, without_query};

    fn shown(text: &str) -> String {
        Untrusted::new(text).shown().to_string()
    }

    #[test]
    fn whatever_way_a_text_leaves_it_is_cleaned() {
        let raw = "a\u{202e}b\u{7}c\nd\u{1b}[2J\u{1b}]52;c;aGk=\u{7}e\u{9b}31mf";
        let text = Untrusted::new(raw);
        let clean = "abc def";
        assert_eq!(text.shown(), clean);
        assert_eq!(format!("{text}"), clean);
        assert_eq!(format!("{text:?}"), format!("{clean:?}"));
        assert_eq!(serde_json::json!(text), serde_json::json!(clean));
        assert_eq!(text.raw(), raw, "what is compared is what came");
        let read: Shown = serde_json::from_str("\"x\\u001b[0my\\u2028z\"").expect("text");
        assert_eq!(read, "xy z", "a file is no way around it");
    }

    #[test]
    fn long_text_is_cut_with_a_mark() {
        let cut = shown(&"ü".repeat(LONGEST_QUOTATION * 2));
        assert_eq!(cut.chars().count(), LONGEST_QUOTATION + 1);
        assert!(cut.ends_with('…'), "{cut}");
        assert_eq!(shown(&"x".repeat(LONGEST_QUOTATION)).chars().count(), LONGEST_QUOTATION);
    }

    #[test]
    fn a_query_is_never_shown() {
        assert_eq!(without_query("https://h/p?key=1#f"), "https://h/p");
    }

    #[test]
    fn json_keeps_its_meaning_and_loses_what_acts() {
        let value = serde_json::json!({
            "a\u{9b}": "x\u{202e}\u{e0041}\u{7f}\n\u{1b}y\u{2028}ü\u{1f600}", "list": [1, "\t"],
        });
        let text = escaped_json(&serde_json::to_string_pretty(&value).expect("JSON"));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
        assert!(!has_hidden(&text.replace('\n', "")), "{text}");
        assert!(text.contains("ü😀") && text.contains("\\u202e\\udb40\\udc41\\u007f"), "{text}");
    }

    proptest! {
        #[test]
        fn nothing_that_acts_is_left_and_cleaning_twice_changes_nothing(
            text in "(\\PC|[\u{0}-\u{a0}\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2060}-\u{206f}\u{feff}]){0,60}",
        ) {
            let once = shown(&text);
            prop_assert!(!once.chars().any(|c| c.is_control()), "{once:?}");
            let is_hidden = once.contains(['\u{202e}', '\u{2028}', '\u{200b}', '\u{feff}']);
            prop_assert!(!is_hidden, "{:?}", once);
            prop_assert_eq!(shown(&once), once.clone());
            let lines = Untrusted::new(text).lines();
            let acts = lines.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
            prop_assert!(!acts, "{:?}", lines);
        }
    }
}
