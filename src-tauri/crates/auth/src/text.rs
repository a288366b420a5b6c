//! Text from a server, made fit to be shown to a person.

/// Longest server-supplied text that is shown, in characters.
pub const LONGEST_SHOWN: usize = 200;

/// Drops control and bidirectional formatting characters and cuts to [`LONGEST_SHOWN`].
///
/// What remains is still the server's word, never ours: it is shown as a quotation.
pub fn shown(text: &str) -> String {
    let mut kept: String = text
        .chars()
        .map(|c| if c == '\n' || c == '\t' { ' ' } else { c })
        .filter(|c| !c.is_control() && !is_bidi_control(*c))
        .take(LONGEST_SHOWN + 1)
        .collect();
    if kept.chars().count() > LONGEST_SHOWN {
        kept.pop();
        kept.push('…');
    }
    kept.trim().to_owned()
}

/// The part of a URL that may be shown and logged: scheme, host and path, no query, no fragment.
pub fn without_query(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    shown(&url[..end])
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_SHOWN, shown, without_query};

    #[test]
    fn control_and_bidi_characters_go() {
        assert_eq!(shown("a\u{202e}b\u{7}c\nd"), "abc d");
    }

    #[test]
    fn long_text_is_cut_with_a_mark() {
        let cut = shown(&"x".repeat(LONGEST_SHOWN * 2));
        assert!(cut.chars().count() <= LONGEST_SHOWN + 1 && cut.ends_with('…'), "{cut}");
    }

    #[test]
    fn a_query_is_never_shown() {
        assert_eq!(without_query("https://h/p?key=1#f"), "https://h/p");
    }
}
