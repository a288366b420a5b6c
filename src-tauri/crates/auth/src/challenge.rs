//! `WWW-Authenticate` (RFC 9110 section 11.6.1, RFC 6750 section 3, RFC 9728 section 5.1).

use http_auth::parser::ChallengeParser;

use crate::text::Untrusted;

/// How much of one challenge is kept, in bytes.
const MOST_KEPT: usize = 4096;

/// The longest header that is looked at, in bytes, and how many challenges.
const LONGEST_HEADER: usize = 16 * 1024;
const MOST_CHALLENGES: usize = 20;

/// The parameters of a challenge that a sign-in uses. Parameters beyond 4 kB are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// Where the protected resource metadata is (RFC 9728 section 5.1).
    pub resource_metadata: Option<Untrusted>,
    /// The scopes wanted for this request, space-separated (RFC 6750 section 3).
    pub scope: Option<Untrusted>,
    /// `invalid_token`, `insufficient_scope` … (RFC 6750 section 3.1).
    pub error: Option<Untrusted>,
    /// The realm; some servers put their issuer here.
    pub realm: Option<Untrusted>,
}

impl Challenge {
    /// Whether more scopes are wanted (RFC 6750 section 3.1).
    pub fn wants_scope(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.raw() == "insufficient_scope")
    }
}

/// The challenge to act on: the first `Bearer` or `DPoP` one that names its metadata, else the
/// first `Bearer` one. `None` when there is no such challenge.
///
/// `headers` are all values of `WWW-Authenticate`, in order. A header that breaks the grammar gets
/// a second, tolerant look, since one bad challenge must not hide a good one.
pub fn select<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<Challenge> {
    let mut bearers = Vec::new();
    for header in headers.into_iter().take(MOST_CHALLENGES) {
        let header = header.get(..LONGEST_HEADER).unwrap_or(header);
        match strict(header) {
            Some(found) => bearers.extend(found),
            None => bearers.extend(tolerant(header)),
        }
    }
    let named = bearers.iter().position(|c| c.resource_metadata.is_some());
    match named {
        Some(at) => Some(bearers.swap_remove(at)),
        None => bearers.into_iter().next(),
    }
}

fn strict(header: &str) -> Option<Vec<Challenge>> {
    let mut found = Vec::new();
    for challenge in ChallengeParser::new(header) {
        let challenge = challenge.ok()?;
        if is_token_scheme(challenge.scheme) {
            let mut parsed = Challenge::default();
            for (name, value) in &challenge.params {
                parsed.set(name, value.to_unescaped());
            }
            found.push(parsed);
            if found.len() == MOST_CHALLENGES {
                break;
            }
        }
    }
    Some(found)
}

/// Looks for `Bearer` and then for known parameters, whatever stands between them.
fn tolerant(header: &str) -> Option<Challenge> {
    let lower = header.to_ascii_lowercase();
    let at = word(&lower, "bearer")?;
    let rest = &header[at + "bearer".len()..];
    let mut parsed = Challenge::default();
    for name in ["resource_metadata", "scope", "error", "realm"] {
        if let Some(value) = parameter(rest, name) {
            parsed.set(name, value);
        }
    }
    Some(parsed)
}

fn parameter(text: &str, name: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let mut from = 0;
    loop {
        let at = from + word(&lower[from..], name)?;
        let after = text[at + name.len()..].trim_start();
        from = at + name.len();
        let Some(value) = after.strip_prefix('=') else { continue };
        let value = value.trim_start();
        return Some(match value.strip_prefix('"') {
            Some(quoted) => unescape(quoted),
            None => value.split([',', ' ', '\t']).next().unwrap_or_default().to_owned(),
        });
    }
}

fn unescape(quoted: &str) -> String {
    let mut text = String::new();
    let mut escaped = false;
    for c in quoted.chars() {
        match (escaped, c) {
            (false, '"') => break,
            (false, '\\') => escaped = true,
            (_, c) => {
                text.push(c);
                escaped = false;
            }
        }
    }
    text
}

/// Where `word` stands in `text` with nothing of a token on either side.
fn word(text: &str, word: &str) -> Option<usize> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        !text[..*at].ends_with(is_token) && !text[at + word.len()..].starts_with(is_token)
    })
}

fn is_token_scheme(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("dpop")
}

impl Challenge {
    fn set(&mut self, name: &str, mut value: String) {
        let fields = [&self.resource_metadata, &self.scope, &self.error, &self.realm];
        let kept: usize = fields.into_iter().flatten().map(|field| field.raw().len()).sum();
        let slot = match name.to_ascii_lowercase().as_str() {
            "resource_metadata" => &mut self.resource_metadata,
            "scope" => &mut self.scope,
            "error" => &mut self.error,
            "realm" => &mut self.realm,
            _ => return,
        };
        if slot.is_some() {
            return;
        }
        let room = MOST_KEPT.saturating_sub(kept);
        if value.len() > room {
            // A list is of use as far as it goes, anything else only whole.
            let whole = match name.eq_ignore_ascii_case("scope") {
                true => value.get(..=room).and_then(|head| head.rfind(' ')).unwrap_or(0),
                false => 0,
            };
            value.truncate(whole);
        }
        if !value.is_empty() {
            *slot = Some(Untrusted::new(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Challenge, LONGEST_HEADER, MOST_KEPT, select};
    use crate::text::Untrusted;

    fn metadata(headers: &[&str]) -> Option<String> {
        select(headers.iter().copied())
            .and_then(|c| c.resource_metadata)
            .map(|url| url.raw().to_owned())
    }

    #[test]
    fn one_bearer_with_everything() {
        let found = select([
            r#"Bearer resource_metadata="https://h/.well-known/x", scope="a b", error="invalid_token""#,
        ]);
        assert_eq!(
            found,
            Some(Challenge {
                resource_metadata: Some(Untrusted::new("https://h/.well-known/x")),
                scope: Some(Untrusted::new("a b")),
                error: Some(Untrusted::new("invalid_token")),
                realm: None,
            })
        );
    }

    #[test]
    fn other_schemes_first_in_one_header_or_several() {
        let one = r#"Negotiate, Basic realm="x, Bearer", BEARER Resource_Metadata="https://h/m""#;
        assert_eq!(metadata(&[one]).as_deref(), Some("https://h/m"));
        let several = ["Basic realm=\"x\"", r#"bearer resource_metadata="https://h/m""#];
        assert_eq!(metadata(&several).as_deref(), Some("https://h/m"));
    }

    #[test]
    fn the_bearer_that_names_its_metadata_wins() {
        let found = metadata(&["Bearer realm=\"a\"", r#"Bearer resource_metadata="https://h/m""#]);
        assert_eq!(found.as_deref(), Some("https://h/m"));
    }

    #[test]
    fn a_bare_bearer_is_a_challenge() {
        assert_eq!(select(["Bearer"]), Some(Challenge::default()));
    }

    #[test]
    fn a_broken_neighbour_does_not_hide_the_metadata() {
        let broken =
            r#"Negotiate YII==, Bearer realm=ünü, resource_metadata="https://h/m", scope=a"#;
        let found = select([broken]).expect("a Bearer challenge");
        assert_eq!(found.resource_metadata, Some(Untrusted::new("https://h/m")));
        assert_eq!(found.scope, Some(Untrusted::new("a")));
    }

    #[test]
    fn quoted_escapes_are_undone() {
        let found = select([r#"Bearer realm="a\"b,c", scope="x""#]).expect("a Bearer challenge");
        assert_eq!(found.realm, Some(Untrusted::new("a\"b,c")));
    }

    #[test]
    fn no_bearer_no_challenge() {
        assert_eq!(select(["Basic realm=\"Bearer\"", "Negotiate"]), None);
        assert_eq!(select(["https://example.com/login"]), None);
    }

    #[test]
    fn a_challenge_is_kept_up_to_4_kb() {
        let scopes = "read ".repeat(2000);
        let realm = "r".repeat(3000);
        let header = format!(r#"Bearer realm="{realm}", scope="{scopes}", error="invalid_token""#);
        let found = select([header.as_str()]).expect("a challenge");
        let scope = found.scope.as_ref().expect("as much of the list as fits").raw();
        assert!(scope.split(' ').all(|scope| scope == "read"), "a scope was cut");
        assert!((1000..=MOST_KEPT - realm.len()).contains(&scope.len()), "{}", scope.len());
        let long = "x".repeat(MOST_KEPT + 1);
        let header = format!(r#"Bearer resource_metadata="https://h/{long}", realm="{long}""#);
        assert_eq!(select([header.as_str()]), Some(Challenge::default()), "of use only whole");
        let late = format!("{} Bearer realm=\"x\"", "Basic, ".repeat(LONGEST_HEADER));
        assert_eq!(select([late.as_str()]), None);
    }

    proptest! {
        #[test]
        fn any_header_is_survived(text in "\\PC{0,200}", more in "[ -~]{0,200}") {
            let _ = select([text.as_str(), more.as_str()]);
        }
    }
}
