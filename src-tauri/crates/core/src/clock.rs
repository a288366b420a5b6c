//! The one place that reads the clock and the system's randomness for the pure code.

use std::time::SystemTime;

use keyfob_auth::Timestamp;
use keyfob_auth::authorize::Entropy;

/// Now, by the wall clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Fresh randomness for one authorization request.
///
/// # Errors
/// When the system gives none; nothing can be signed in to then.
pub fn entropy() -> Result<Entropy, getrandom::Error> {
    let mut bytes = [0; 64];
    getrandom::fill(&mut bytes)?;
    Ok(Entropy(bytes))
}

/// `length` random bytes as lower-case hexadecimal.
///
/// # Errors
/// When the system gives none.
pub fn random_hex(length: usize) -> Result<String, getrandom::Error> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// RFC 3339 in UTC, to the second.
pub fn rfc3339(time: Timestamp) -> String {
    let seconds = i64::try_from(time.0 / 1000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |time| time.to_string())
}
