//! Client keys: the local credentials with which one client uses one server through the gateway.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::tz::TimeZone;
use jiff::{Span, civil};
use keyfob_auth::{Secret, Timestamp};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::problem::{Code, Problem};
use crate::remembered::KeyDigest;

/// What every key begins with, so that a leaked one can be recognised.
pub const PREFIX: &str = "kf_";

/// Longest life that a key with an end may have, in years.
const LONGEST_LIFE: i64 = 10;

/// Makes a key of 256 random bits, and the digest that is kept of it.
///
/// # Errors
/// When the system gives no randomness.
pub fn make(
    client: &str,
    server: &str,
    now: Timestamp,
    expires_at: Option<Timestamp>,
) -> Result<(Secret, KeyDigest), Problem> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(Problem::internal)?;
    let key = Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)));
    let digest = KeyDigest {
        client: client.to_owned(),
        server: server.to_owned(),
        sha256: digest(key.expose()),
        made_at: now,
        expires_at,
        last_used_at: None,
    };
    Ok((key, digest))
}

/// Which key this is, for this server. Every digest is compared, each in constant time.
pub fn find<'a, K: AsRef<KeyDigest>>(
    keys: impl IntoIterator<Item = &'a K>,
    server: &str,
    presented: &str,
) -> Option<&'a K> {
    let presented = digest(presented);
    let mut found = None;
    for key in keys {
        let KeyDigest { sha256, server: its, .. } = key.as_ref();
        let is_same: bool = sha256.as_bytes().ct_eq(presented.as_bytes()).into();
        if is_same && its == server {
            found = Some(key);
        }
    }
    found
}

/// When a key ends, from what a person typed: a time from now on (`30d`, `12h`), a day, which it is
/// good for to its end in UTC (`2027-01-31`), or a point in time (RFC 3339).
///
/// # Errors
/// When it is none of these, or lies in the past or too far ahead.
pub fn parse_end(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    let unfit = || {
        let cause = format_args!(
            "{text} is no end of a key: give a time such as 30d or 12h, or a day such as 2027-01-31, at most {LONGEST_LIFE} years ahead"
        );
        Problem::new(Code::Usage).with("cause", cause)
    };
    let from = i64::try_from(now.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let from = from.ok_or_else(unfit)?.to_zoned(TimeZone::UTC);
    let after = |span: Span| from.checked_add(span).map(|end| end.timestamp());
    let end = text
        .parse::<jiff::Timestamp>()
        .or_else(|_| {
            let next = text.parse::<civil::Date>()?.tomorrow()?;
            Ok::<_, jiff::Error>(next.to_zoned(TimeZone::UTC)?.timestamp())
        })
        .or_else(|_| after(text.parse::<Span>()?));
    let latest = after(Span::new().years(LONGEST_LIFE)).map_err(|_| unfit())?;
    let end = end.ok().filter(|end| *end > from.timestamp() && *end <= latest);
    end.and_then(|end| u64::try_from(end.as_millisecond()).ok()).map(Timestamp).ok_or_else(unfit)
}

fn digest(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use keyfob_auth::Timestamp;

    use super::{PREFIX, find, make, parse_end};
    use crate::clock::rfc3339;

    #[test]
    fn a_key_opens_its_own_server_and_no_other() {
        let (key, digest) = make("cursor", "s1", Timestamp(1), None).expect("a key");
        let (_, other) = make("zed", "s2", Timestamp(1), None).expect("a key");
        assert!(key.expose().starts_with(PREFIX) && key.expose().len() > 40);
        assert!(!digest.sha256.contains(key.expose()));
        let keys = [other, digest];
        assert_eq!(find(&keys, "s1", key.expose()).map(|k| k.client.as_str()), Some("cursor"));
        assert_eq!(find(&keys, "s2", key.expose()), None);
        assert_eq!(find(&keys, "s1", "kf_wrong"), None);
    }

    #[test]
    fn an_end_is_a_time_from_now_or_a_day() {
        // 2026-11-25T14:17:00Z
        let now = Timestamp(1_795_616_220_000);
        for (typed, end) in [
            ("30d", "2026-12-25T14:17:00Z"),
            ("12h", "2026-11-26T02:17:00Z"),
            ("2 weeks", "2026-12-09T14:17:00Z"),
            ("2026-12-31", "2027-01-01T00:00:00Z"),
            ("2026-11-25", "2026-11-26T00:00:00Z"),
            ("2027-01-31T10:00:00+02:00", "2027-01-31T08:00:00Z"),
        ] {
            assert_eq!(parse_end(typed, now).map(rfc3339).as_deref(), Ok(end), "{typed}");
        }
        for typed in
            ["", "soon", "30", "0d", "-1d", "1d ago", "2026-11-24", "11 years", "9999-12-31"]
        {
            let said = parse_end(typed, now).expect_err(typed).message;
            assert!(said.contains("such as 30d"), "{said}");
        }
    }
}
