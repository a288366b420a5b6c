//! Client keys: the local credentials with which one client uses one server through the gateway.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyfob_auth::{Secret, Timestamp};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::problem::Problem;
use crate::remembered::KeyDigest;

/// What every key begins with, so that a leaked one can be recognised.
pub const PREFIX: &str = "kf_";

/// Makes a key of 256 random bits, and the digest that is kept of it.
///
/// # Errors
/// When the system gives no randomness.
pub fn make(client: &str, server: &str, now: Timestamp) -> Result<(Secret, KeyDigest), Problem> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(Problem::internal)?;
    let key = Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)));
    let digest = KeyDigest {
        client: client.to_owned(),
        server: server.to_owned(),
        sha256: digest(key.expose()),
        made_at: now,
    };
    Ok((key, digest))
}

/// Whose key this is, for this server. Every digest is compared, each in constant time.
pub fn find<'a>(
    keys: impl IntoIterator<Item = &'a KeyDigest>,
    server: &str,
    presented: &str,
) -> Option<&'a KeyDigest> {
    let presented = digest(presented);
    let mut found = None;
    for key in keys {
        let is_same: bool = key.sha256.as_bytes().ct_eq(presented.as_bytes()).into();
        if is_same && key.server == server {
            found = Some(key);
        }
    }
    found
}

fn digest(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use keyfob_auth::Timestamp;

    use super::{PREFIX, find, make};

    #[test]
    fn a_key_opens_its_own_server_and_no_other() {
        let (key, digest) = make("cursor", "s1", Timestamp(1)).expect("a key");
        let (_, other) = make("zed", "s2", Timestamp(1)).expect("a key");
        assert!(key.expose().starts_with(PREFIX) && key.expose().len() > 40);
        assert!(!digest.sha256.contains(key.expose()));
        let keys = [other, digest];
        assert_eq!(find(&keys, "s1", key.expose()).map(|k| k.client.as_str()), Some("cursor"));
        assert_eq!(find(&keys, "s2", key.expose()), None);
        assert_eq!(find(&keys, "s1", "kf_wrong"), None);
    }
}
