//! From a text to what is stored, and back. Pure.
//!
//! A text that fits is one entry: `{"v":1,"profile":…,"gen":N,"text":…}`. A longer one is a head,
//! `{"v":1,"profile":…,"gen":N,"parts":k,"sha256":…}`, and `k` parts,
//! `{"v":1,"profile":…,"gen":N,"part":i,"text":…}`. A head with neither text nor parts says that
//! there is no text now: it is written before the first parts of a new entry and after the last
//! text of a deleted one, so that no part is ever without a head that speaks about it.
//!
//! All of it is ASCII (KDE's Secret Service keeps text only) and each entry is at most
//! [`LARGEST_ENTRY`] bytes (Windows refuses 2561; the same limit everywhere, so that splitting is
//! used and tested everywhere).

use keyfob_auth::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Damage, name::ProfileId};

/// No stored entry is longer, in bytes.
pub(super) const LARGEST_ENTRY: usize = 2048;

/// What a part's text may take once it is JSON, in bytes. The rest is for the envelope.
const PART_ROOM: usize = LARGEST_ENTRY - 160;

/// No text is longer, in bytes as JSON: a longer one is no grant, and would keep the keychain from
/// everyone else.
pub(super) const LONGEST_TEXT: usize = 96 * 1024;

/// A text of more parts is damaged. (Earlier versions wrote up to this many.)
const MOST_PARTS: usize = 256;

/// The only version so far of what is stored.
const VERSION: u32 = 1;

/// A text as it is stored.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) head: Secret,
    /// None when the text is in the head.
    pub(super) parts: Vec<Secret>,
}

/// What a head says.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) generation: u64,
    pub(super) body: Body,
}

/// Where the text is.
#[derive(Debug)]
pub(super) enum Body {
    /// There is none.
    Nothing,
    /// In the head.
    Here(Secret),
    /// In this many parts of the head's generation.
    Parts { count: usize, sha256: String },
}

impl Head {
    /// How many parts of its generation it names.
    pub(super) fn parts(&self) -> usize {
        match &self.body {
            Body::Nothing | Body::Here(_) => 0,
            Body::Parts { count, .. } => *count,
        }
    }
}

/// Everything that an entry may hold. A field that is not there is not written.
#[derive(Serialize)]
struct Written<'a> {
    v: u32,
    profile: &'a str,
    r#gen: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

#[derive(Deserialize)]
struct Read {
    v: u32,
    profile: Option<String>,
    r#gen: Option<u64>,
    part: Option<usize>,
    parts: Option<usize>,
    sha256: Option<String>,
    text: Option<String>,
}

/// What is to be stored for a text; `None` when it is longer than [`LONGEST_TEXT`].
pub(super) fn encode(profile: &ProfileId, generation: u64, text: &Secret) -> Option<Encoded> {
    let head = envelope(profile, generation, |entry| entry.text = Some(text.expose()));
    if head.expose().len() <= LARGEST_ENTRY {
        return Some(Encoded { head, parts: Vec::new() });
    }
    // Each part but the last is as full as it can be, but for a character's worth.
    if head.expose().len() > LONGEST_TEXT {
        return None;
    }
    let chunks = chunks(text.expose());
    let part = |(index, chunk): (usize, &&str)| {
        envelope(profile, generation, |entry| {
            entry.part = Some(index);
            entry.text = Some(chunk);
        })
    };
    let parts = chunks.iter().enumerate().map(part).collect();
    let head = envelope(profile, generation, |entry| {
        entry.parts = Some(chunks.len());
        entry.sha256 = Some(digest(text));
    });
    Some(Encoded { head, parts })
}

/// A head that says that there is no text.
pub(super) fn nothing(profile: &ProfileId, generation: u64) -> Secret {
    envelope(profile, generation, |_| {})
}

/// Reads what is stored under an entry's own account.
pub(super) fn read_head(profile: &ProfileId, raw: &Secret) -> Result<Head, Damage> {
    let (generation, entry) = open(profile, raw)?;
    let body = match (entry.text, entry.parts, entry.sha256) {
        (None, None, None) => Body::Nothing,
        (Some(text), None, None) => Body::Here(Secret::new(text)),
        (None, Some(count), Some(sha256)) if (1..=MOST_PARTS).contains(&count) => {
            Body::Parts { count, sha256 }
        }
        _ => return Err(Damage::Form),
    };
    if entry.part.is_some() {
        return Err(Damage::Form);
    }
    Ok(Head { generation, body })
}

/// Reads one part; it must say that it is this part of this generation.
pub(super) fn read_part(
    profile: &ProfileId,
    generation: u64,
    index: usize,
    raw: &Secret,
) -> Result<Secret, Damage> {
    let (found, entry) = open(profile, raw)?;
    let text = entry.text.map(Secret::new).ok_or(Damage::Form)?;
    if found == generation && entry.part == Some(index) { Ok(text) } else { Err(Damage::Digest) }
}

/// Puts parts together again; they must make the text that the head names.
pub(super) fn join(parts: &[Secret], sha256: &str) -> Result<Secret, Damage> {
    // One allocation: a buffer that grew would leave copies behind that nobody wipes.
    let mut text = String::with_capacity(parts.iter().map(|part| part.expose().len()).sum());
    parts.iter().for_each(|part| text.push_str(part.expose()));
    let text = Secret::new(text);
    if digest(&text) == sha256 { Ok(text) } else { Err(Damage::Digest) }
}

fn open(profile: &ProfileId, raw: &Secret) -> Result<(u64, Read), Damage> {
    // The error is dropped: serde_json quotes what it did not expect.
    let entry: Read = serde_json::from_str(raw.expose()).map_err(|_| Damage::Form)?;
    if entry.v != VERSION {
        return Err(if entry.v > VERSION { Damage::Version } else { Damage::Form });
    }
    let generation = entry.r#gen.ok_or(Damage::Form)?;
    match &entry.profile {
        Some(found) if found == profile.as_str() => Ok((generation, entry)),
        Some(_) => Err(Damage::Profile),
        None => Err(Damage::Form),
    }
}

fn envelope<'a>(
    profile: &'a ProfileId,
    generation: u64,
    fill: impl FnOnce(&mut Written<'a>),
) -> Secret {
    let mut entry = Written {
        v: VERSION,
        profile: profile.as_str(),
        r#gen: generation,
        part: None,
        parts: None,
        sha256: None,
        text: None,
    };
    fill(&mut entry);
    // Strings and numbers always serialise; an empty entry would be noticed when it is read back.
    ascii(Secret::new(serde_json::to_string(&entry).unwrap_or_default()))
}

/// The same JSON with `\u` escapes for all that is not ASCII, which JSON has within strings only.
fn ascii(json: Secret) -> Secret {
    if json.expose().is_ascii() {
        return json;
    }
    let mut text = String::with_capacity(json.expose().chars().map(plain_len).sum());
    for char in json.expose().chars() {
        if char.is_ascii() {
            text.push(char);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    Secret::new(text)
}

fn plain_len(char: char) -> usize {
    if char.is_ascii() { 1 } else { 6 * char.len_utf16() }
}

/// What a character takes in an ASCII JSON string, in bytes.
fn escaped_len(char: char) -> usize {
    match char {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => plain_len(char),
    }
}

/// Cuts a text into pieces that take at most [`PART_ROOM`] as JSON.
fn chunks(text: &str) -> Vec<&str> {
    let mut chunks = Vec::new();
    let (mut start, mut room) = (0, PART_ROOM);
    for (at, char) in text.char_indices() {
        let len = escaped_len(char);
        if len > room {
            chunks.push(&text[start..at]);
            (start, room) = (at, PART_ROOM);
        }
        room -= len;
    }
    chunks.push(&text[start..]);
    chunks
}

fn digest(text: &Secret) -> String {
    Sha256::digest(text.expose()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn profile() -> ProfileId {
        ProfileId::from_bytes([0xab; 8])
    }

    /// Reads what `encode` wrote as the vault does.
    fn decode(encoded: &Encoded) -> Result<Secret, Damage> {
        let head = read_head(&profile(), &encoded.head)?;
        match head.body {
            Body::Nothing => Err(Damage::Form),
            Body::Here(text) => Ok(text),
            Body::Parts { count, sha256 } => {
                assert_eq!(count, encoded.parts.len());
                let parts: Result<Vec<_>, _> = encoded
                    .parts
                    .iter()
                    .enumerate()
                    .map(|(index, raw)| read_part(&profile(), head.generation, index, raw))
                    .collect();
                join(&parts?, &sha256)
            }
        }
    }

    fn awkward() -> impl Strategy<Value = String> {
        let char = prop_oneof![
            6 => proptest::char::range(' ', '~'),
            1 => proptest::char::any(),
            1 => prop_oneof![Just('"'), Just('\\'), Just('\0'), Just('\u{7f}'), Just('🔑')],
        ];
        proptest::collection::vec(char, 0..9000).prop_map(String::from_iter)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn every_text_comes_back(text in awkward(), generation: u64) {
            let text = Secret::new(text);
            let encoded = encode(&profile(), generation, &text).unwrap();
            for entry in encoded.parts.iter().chain([&encoded.head]) {
                prop_assert!(entry.expose().is_ascii());
                prop_assert!(entry.expose().len() <= LARGEST_ENTRY, "{}", entry.expose().len());
            }
            prop_assert!(encoded.parts.len() != 1, "one part is no split");
            prop_assert!(decode(&encoded) == Ok(text));
        }

        #[test]
        fn no_part_can_be_lost_swapped_or_changed(text in "[ -~]{6000,9000}", at in 0..3_usize) {
            let text = Secret::new(text);
            let encoded = encode(&profile(), 4, &text).unwrap();
            let mut swapped = encode(&profile(), 4, &text).unwrap();
            swapped.parts.swap(at, at + 1);
            prop_assert_eq!(decode(&swapped), Err(Damage::Digest));
            let old = encode(&profile(), 3, &text).unwrap();
            prop_assert_eq!(read_part(&profile(), 4, at, &old.parts[at]), Err(Damage::Digest));
            let Body::Parts { sha256, .. } = read_head(&profile(), &encoded.head).unwrap().body
            else { return Err(TestCaseError::fail("not split")) };
            let parts: Vec<_> = encoded.parts.iter().enumerate()
                .map(|(index, raw)| read_part(&profile(), 4, index, raw).unwrap()).collect();
            prop_assert_eq!(join(&parts[1..], &sha256), Err(Damage::Digest));
        }

        #[test]
        fn no_stored_text_makes_the_reader_panic(raw in "\\PC{0,200}") {
            let raw = Secret::new(raw);
            let _ = read_head(&profile(), &raw);
            let _ = read_part(&profile(), 1, 0, &raw);
        }
    }

    #[test]
    fn the_form_of_what_is_stored_is_fixed() {
        let short = encode(&profile(), 1, &Secret::new(r#"{"a":"ü🔑"}"#)).unwrap();
        assert_eq!(
            short.head.expose(),
            r#"{"v":1,"profile":"abababababababab","gen":1,"text":"{\"a\":\"\u00fc\ud83d\udd11\"}"}"#
        );
        let long = encode(&profile(), 7, &Secret::new("x".repeat(3000))).unwrap();
        let head = r#"{"v":1,"profile":"abababababababab","gen":7,"parts":2,"sha256":""#;
        assert!(long.head.expose().starts_with(head), "{}", long.head.expose());
        let part = r#"{"v":1,"profile":"abababababababab","gen":7,"part":1,"text":"xxx"#;
        assert!(long.parts[1].expose().starts_with(part), "{}", long.parts[1].expose());
        assert_eq!(
            nothing(&profile(), 0).expose(),
            r#"{"v":1,"profile":"abababababababab","gen":0}"#
        );
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        let cases = [
            ("", Damage::Form),
            ("hunter2", Damage::Form),
            ("{}", Damage::Form),
            (r#"{"v":2,"new":true}"#, Damage::Version),
            (r#"{"v":0,"profile":"abababababababab","gen":1,"text":"t"}"#, Damage::Form),
            (r#"{"v":1,"profile":"cdcdcdcdcdcdcdcd","gen":1,"text":"t"}"#, Damage::Profile),
            (r#"{"v":1,"gen":1,"text":"t"}"#, Damage::Form),
            (r#"{"v":1,"profile":"abababababababab","text":"t"}"#, Damage::Form),
            (r#"{"v":1,"profile":"abababababababab","gen":1,"part":0,"text":"t"}"#, Damage::Form),
            (r#"{"v":1,"profile":"abababababababab","gen":1,"parts":2}"#, Damage::Form),
            (
                r#"{"v":1,"profile":"abababababababab","gen":1,"parts":999999999,"sha256":"x"}"#,
                Damage::Form,
            ),
        ];
        for (raw, damage) in cases {
            let found = read_head(&profile(), &Secret::new(raw)).err();
            assert_eq!(found, Some(damage), "{raw}");
        }
    }

    /// attack-B4.
    #[test]
    fn a_text_without_end_is_refused() {
        let of = |length: usize| encode(&profile(), 1, &Secret::new("x".repeat(length)));
        assert_eq!(of(LONGEST_TEXT - 160).map(|encoded| encoded.parts.len()), Some(52));
        assert!(of(LONGEST_TEXT).is_none());
        assert!(encode(&profile(), 1, &Secret::new("\0".repeat(LONGEST_TEXT / 6))).is_none());
    }

    /// What earlier versions have written stays readable.
    #[test]
    fn an_entry_of_more_parts_than_are_written_now_is_read() {
        let head = |parts| {
            let raw = format!(
                r#"{{"v":1,"profile":"{}","gen":1,"parts":{parts},"sha256":""}}"#,
                profile().as_str()
            );
            read_head(&profile(), &Secret::new(raw)).map(|head| head.parts())
        };
        assert_eq!(head(256), Ok(256));
        assert_eq!(head(257), Err(Damage::Form));
    }
}
