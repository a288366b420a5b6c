//! The words that a person reads, out of the one locale file. The page reads the same file.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::problem::Code;

/// The wording of a problem.
#[derive(Debug, Deserialize)]
pub(crate) struct Wording {
    pub(crate) message: String,
    pub(crate) remedy: String,
}

#[derive(Debug, Default, Deserialize)]
struct Locale {
    problems: BTreeMap<Code, Wording>,
    /// Words that Rust says, by section and key.
    spoken: BTreeMap<String, BTreeMap<String, String>>,
}

static LOCALE: LazyLock<Locale> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../ui/locales/en.json")).unwrap_or_default()
});

/// The wording of every problem.
pub(crate) fn problems() -> &'static BTreeMap<Code, Wording> {
    &LOCALE.problems
}

/// A text of the section `spoken`; its key, where the file lacks it.
pub fn text(section: &str, key: &str) -> String {
    let found = LOCALE.spoken.get(section).and_then(|section| section.get(key));
    found.cloned().unwrap_or_else(|| key.to_owned())
}

/// A text with what is filled in for `{name}`.
pub fn filled(section: &str, key: &str, params: &[(&str, &str)]) -> String {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    fill(&text(section, key), &params.collect())
}

/// Fills in each `{name}` once; what is filled in is not looked at again.
pub(crate) fn fill<T: Deref<Target = str>>(wording: &str, params: &BTreeMap<String, T>) -> String {
    let mut text = String::with_capacity(wording.len());
    let mut rest = wording;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            rest = after;
            break;
        };
        text.push_str(params.get(name).map_or("", |value| value));
        rest = behind;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::{LOCALE, filled, text};

    #[test]
    fn what_rust_says_is_in_the_file() {
        assert!(!LOCALE.spoken.is_empty(), "the locale file did not parse");
        assert_eq!(text("states", "off"), "Off");
        assert_eq!(filled("states", "connected-tools", &[("count", "3")]), "Connected · 3 tools");
        assert_eq!(text("states", "no-such-key"), "no-such-key");
    }
}
