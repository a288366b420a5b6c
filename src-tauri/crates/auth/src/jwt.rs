//! Keys of our own and the JSON Web Tokens that they sign (RFC 7515, RFC 7518 section 3.4).
//!
//! There is one algorithm, ES256. Its signatures are deterministic (RFC 6979), so that signing
//! needs no randomness.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::SecretKey;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{self, Signature};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::authorize::Entropy;
use crate::secret::Secret;

/// The name of the one algorithm (RFC 7518 section 3.1).
pub const ALGORITHM: &str = "ES256";

/// A private key for ES256. Like a [`Secret`] it has neither `Display` nor `Serialize`, and is
/// wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(ecdsa::SigningKey);

/// A text that is no key that we can sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no private key for ES256 (PEM, curve P-256)")]
pub struct BadKey;

impl SigningKey {
    /// Reads a PEM file as `openssl` writes it: PKCS #8 or SEC 1.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn from_pem(pem: &Secret) -> Result<Self, BadKey> {
        let key = SecretKey::from_pem(pem.expose().trim()).map_err(|_| BadKey)?;
        Ok(Self(key.into()))
    }

    /// Makes a key out of fresh entropy. `None` does not happen: one hash in 2^32 is no key, and
    /// there are eight of them.
    pub fn generate(entropy: &Entropy) -> Option<Self> {
        (0..8u8).find_map(|count| {
            let bytes = derive(b"keyfob signing key", count, entropy);
            ecdsa::SigningKey::from_slice(&bytes).ok().map(Self)
        })
    }

    /// The text for the vault.
    pub fn encode(&self) -> Secret {
        Secret::new(URL_SAFE_NO_PAD.encode(self.0.to_bytes()))
    }

    /// Reads it back.
    ///
    /// # Errors
    /// When it is none.
    pub fn decode(text: &Secret) -> Result<Self, BadKey> {
        let bytes = URL_SAFE_NO_PAD.decode(text.expose()).map_err(|_| BadKey)?;
        ecdsa::SigningKey::from_slice(&bytes).map(Self).map_err(|_| BadKey)
    }

    /// The public half as a JSON Web Key (RFC 7517, RFC 7518 section 6.2.1).
    pub fn public_jwk(&self) -> Value {
        let point = self.0.verifying_key().to_sec1_point(false);
        let member = |bytes: Option<&[u8]>| URL_SAFE_NO_PAD.encode(bytes.unwrap_or_default());
        let (x, y) = (point.x().map(|x| &x[..]), point.y().map(|y| &y[..]));
        json!({ "kty": "EC", "crv": "P-256", "x": member(x), "y": member(y) })
    }

    /// A signed token in its compact form (RFC 7515 section 3.1). `header` says what it is; the
    /// algorithm is added.
    pub fn sign(&self, mut header: Value, claims: &Value) -> String {
        header["alg"] = json!(ALGORITHM);
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature: Signature = self.0.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[signing key]")
    }
}

/// A `jti` (RFC 7519 section 4.1.7): 128 bits that tell nothing of the entropy they come from,
/// since it may make a key as well.
pub fn token_id(entropy: &Entropy) -> String {
    URL_SAFE_NO_PAD.encode(&derive(b"keyfob jti", 0, entropy)[..16])
}

fn derive(purpose: &[u8], count: u8, entropy: &Entropy) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(purpose);
    hash.update([0, count]);
    hash.update(entropy.0);
    hash.finalize().into()
}

/// The claims of a token, its signature unchecked: for one that came over TLS from who made it, or
/// to be told and not believed.
pub(crate) fn claims(token: &str) -> Option<serde_json::Map<String, Value>> {
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&payload).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use p256::ecdsa::signature::Verifier;
    use p256::ecdsa::{Signature, VerifyingKey};
    use serde_json::{Value, json};

    use super::{SigningKey, token_id};
    use crate::authorize::Entropy;
    use crate::secret::Secret;

    /// A key that `openssl` made for these tests and that opens nothing.
    pub(crate) const PEM: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgfJ7sEbKqZOLlBj39
A/Q/M//wDULAritAIRGaUXhTinyhRANCAATa411zUKbbIEFadYbHUARY99OTV5P1
CWIP5wQU/Hhf5OeRj63Gewef7m/W+97JGo7HPDnxdB7v8w47hOuHx4xd
-----END PRIVATE KEY-----
";

    const SEC1: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIHye7BGyqmTi5QY9/QP0PzP/8A1CwK4rQCERmlF4U4p8oAoGCCqGSM49
AwEHoUQDQgAE2uNdc1Cm2yBBWnWGx1AEWPfTk1eT9QliD+cEFPx4X+TnkY+txnsH
n+5v1vveyRqOxzw58XQe7/MOO4Trh8eMXQ==
-----END EC PRIVATE KEY-----
";

    /// Header and claims of a token whose signature holds for the given public key.
    pub(crate) fn verified(token: &str, jwk: &Value) -> (Value, Value) {
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url");
        let [header, claims, signature] =
            <[&str; 3]>::try_from(token.split('.').collect::<Vec<_>>()).expect("three parts");
        let member = |name: &str| decode(jwk[name].as_str().expect("a coordinate"));
        let point = [vec![4], member("x"), member("y")].concat();
        let key = VerifyingKey::from_sec1_bytes(&point).expect("a public key");
        let signature = Signature::from_slice(&decode(signature)).expect("a signature");
        key.verify(format!("{header}.{claims}").as_bytes(), &signature).expect("it holds");
        let json = |text: &str| serde_json::from_slice(&decode(text)).expect("JSON");
        (json(header), json(claims))
    }

    pub(crate) fn entropy(seed: u8) -> Entropy {
        Entropy([seed; 64])
    }

    #[test]
    fn a_key_is_read_from_both_forms_that_openssl_writes() {
        let key = SigningKey::from_pem(&Secret::new(PEM)).expect("a key");
        assert_eq!(SigningKey::from_pem(&Secret::new(SEC1)).expect("a key"), key);
        assert_eq!(SigningKey::from_pem(&Secret::new(PEM.trim())).expect("a key"), key);
        let rsa = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        for bad in ["", "secret", rsa] {
            assert!(SigningKey::from_pem(&Secret::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_it_signs_holds_and_is_the_same_each_time() {
        let key = SigningKey::generate(&entropy(7)).expect("a key");
        let sign = || key.sign(json!({ "typ": "x" }), &json!({ "a": 1 }));
        assert_eq!(sign(), sign());
        let (header, claims) = verified(&sign(), &key.public_jwk());
        assert_eq!(header, json!({ "typ": "x", "alg": "ES256" }));
        assert_eq!(claims, json!({ "a": 1 }));
        assert_eq!(key.public_jwk().as_object().map(serde_json::Map::len), Some(4), "no d");
    }

    #[test]
    fn fresh_entropy_makes_another_key_and_another_id_and_the_vault_gives_it_back() {
        let key = SigningKey::generate(&entropy(1)).expect("a key");
        assert_ne!(SigningKey::generate(&entropy(2)).expect("a key"), key);
        assert_ne!(token_id(&entropy(1)), token_id(&entropy(2)));
        assert_eq!(SigningKey::decode(&key.encode()), Ok(key));
        assert!(SigningKey::decode(&Secret::new("AAAA")).is_err());
    }

    #[test]
    fn debug_shows_nothing_of_it() {
        let key = SigningKey::generate(&entropy(1)).expect("a key");
        assert_eq!(format!("{:?}", Some(&key)), "Some([signing key])");
    }
}
