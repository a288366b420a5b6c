//! Taking out of a text what acts on a terminal, what turns its direction, and what nobody sees.

use std::str::Chars;

/// On one line, at most `most` characters, and a mark where there were more.
pub(super) fn one_line(text: &str, most: usize) -> String {
    let mut kept = String::new();
    let mut count = 0;
    for c in Cleaned::of(text) {
        let c = if matches!(c, '\n' | '\t') { ' ' } else { c };
        if kept.is_empty() && c == ' ' {
            continue;
        }
        if count == most {
            kept.truncate(kept.trim_end().len());
            kept.push('…');
            return kept;
        }
        kept.push(c);
        count += 1;
    }
    kept.truncate(kept.trim_end().len());
    kept
}

/// With its line ends and tabs, uncut.
pub(super) fn lines(text: &str) -> String {
    Cleaned::of(text).collect()
}

/// Whether a character is not seen and so can only forge: it turns the direction of the text, ends
/// a line, joins or parts what it stands between, or is of the tags that mirror ASCII.
///
/// The joiners U+200C and U+200D are not among them: emoji and several scripts are written with
/// them.
pub(super) fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180e}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether a character joins its neighbours, or keeps them from joining.
pub(super) fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// The characters that stay. Of those that end or part lines `\n` and `\t` do.
struct Cleaned<'a> {
    rest: Chars<'a>,
    last: Option<char>,
    /// No control string ends any more, so that none is looked for: the way through a text is
    /// linear.
    has_no_end: bool,
}

impl<'a> Cleaned<'a> {
    fn of(text: &'a str) -> Self {
        Self { rest: text.chars(), last: None, has_no_end: false }
    }

    /// Skips what belongs to an escape sequence (ECMA-48 section 5.4) behind its `ESC`.
    fn skip_escape(&mut self) {
        let text = self.rest.as_str();
        match text.chars().next() {
            Some('[') => {
                self.rest.next();
                self.skip_parameters();
            }
            // OSC, DCS, SOS, PM, APC: a string up to its end.
            Some(']' | 'P' | 'X' | '^' | '_') => {
                self.rest.next();
                self.skip_string();
            }
            _ => {
                let inner = text.trim_start_matches(|c| matches!(c, ' '..='/'));
                let mut behind = inner.chars();
                if matches!(behind.next(), Some('0'..='~')) {
                    self.rest = behind;
                }
            }
        }
    }

    /// Skips the rest of a control sequence, where it is one (ECMA-48 section 5.4).
    fn skip_parameters(&mut self) {
        let text = self.rest.as_str();
        let behind = text
            .trim_start_matches(|c| matches!(c, '0'..='?'))
            .trim_start_matches(|c| matches!(c, ' '..='/'));
        let mut behind = behind.chars();
        if matches!(behind.next(), Some('@'..='~')) {
            self.rest = behind;
        }
    }

    /// Skips a control string (ECMA-48 section 5.6) with its end, which xterm takes to be `BEL` as
    /// well. Of one without an end only the opening goes.
    fn skip_string(&mut self) {
        if self.has_no_end {
            return;
        }
        let text = self.rest.as_str();
        let end = text.char_indices().find_map(|(at, c)| match c {
            '\u{7}' | '\u{9c}' => Some(at + c.len_utf8()),
            '\u{1b}' if text[at + 1..].starts_with('\\') => Some(at + 2),
            _ => None,
        });
        match end {
            Some(end) => self.rest = text[end..].chars(),
            None => self.has_no_end = true,
        }
    }
}

impl Iterator for Cleaned<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        loop {
            let kept = match self.rest.next()? {
                '\u{1b}' => {
                    self.skip_escape();
                    continue;
                }
                '\u{9b}' => {
                    self.skip_parameters();
                    continue;
                }
                '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => {
                    self.skip_string();
                    continue;
                }
                '\r' if self.rest.as_str().starts_with('\n') => continue,
                '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
                '\t' => '\t',
                c if c.is_control() || is_hidden(c) => continue,
                // Between letters of ASCII a joiner has nothing to join.
                c if is_joiner(c) => {
                    let next = self.rest.as_str().chars().next();
                    let joins = |c: Option<char>| {
                        let is_seen = |c: char| !c.is_control() && !is_joiner(c) && !is_hidden(c);
                        c.is_some_and(|c| !c.is_ascii() && is_seen(c))
                    };
                    if !joins(self.last) || !joins(next) {
                        continue;
                    }
                    c
                }
                c => c,
            };
            self.last = Some(kept);
            return Some(kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{lines, one_line};

    #[test]
    fn a_sequence_goes_as_a_whole() {
        for (text, clean) in [
            ("\u{1b}[31;1mred\u{1b}[0m", "red"),
            ("\u{9b}31mred", "red"),
            ("a\u{1b}]52;c;aGVsbG8=\u{7}b", "ab"),
            ("a\u{1b}]8;;https://x\u{1b}\\b\u{1b}]8;;\u{1b}\\c", "abc"),
            ("a\u{9d}0;title\u{9c}b", "ab"),
            ("a\u{1b}P+q\u{1b}\\b\u{1b}_G\u{1b}\\c", "abc"),
            ("a\u{1b}(Bb\u{1b}cd\u{1b}#8e", "abde"),
            // None, or without an end: what remains is text.
            ("a\u{1b}", "a"),
            ("a\u{1b}[", "a"),
            ("a\u{1b}]52;c;x", "a52;c;x"),
            ("\u{1b}\u{1b}[31mx", "x"),
        ] {
            assert_eq!(one_line(text, 100), clean, "{text:?}");
        }
    }

    #[test]
    fn what_nobody_sees_goes_and_joiners_stay_where_they_join() {
        assert_eq!(one_line("pay\u{200b}pal\u{feff}\u{ad}\u{2060}\u{e0041}\u{61c}", 99), "paypal");
        assert_eq!(one_line("a\u{200d}b\u{200c}", 99), "ab");
        let family = "👩\u{200d}👧 می\u{200c}خواهم";
        assert_eq!(one_line(family, 99), family);
    }

    #[test]
    fn lines_stay_lines_where_they_may() {
        let text = " a\r\nb\rc\u{2028}d\u{85}\te\u{8}";
        assert_eq!(one_line(text, 99), "a b c d  e");
        assert_eq!(lines(text), " a\nb\nc\nd\n\te");
    }

    #[test]
    fn a_text_of_openings_alone_is_gone_through_once() {
        let text = "\u{1b}]".repeat(500_000);
        let started = std::time::Instant::now();
        assert_eq!(one_line(&text, 10), "");
        assert!(started.elapsed().as_secs() < 5, "it was looked through for each opening");
    }
}
