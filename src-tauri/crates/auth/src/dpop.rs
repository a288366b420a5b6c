//! Proofs of possession (RFC 9449): a token that is bound to a key is of no use without the key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, Method};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::authorize::Entropy;
use crate::error_code::ErrorCode;
use crate::jwt::{SigningKey, token_id};
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::wire::{Request, Response};

/// The header that carries a proof (RFC 9449 section 4.1).
pub const HEADER: &str = "dpop";

/// The header in which a server hands out a nonce (RFC 9449 section 8).
pub const NONCE_HEADER: &str = "dpop-nonce";

/// The authentication scheme of a bound token (RFC 9449 section 7.1).
pub const SCHEME: &str = "DPoP";

/// The longest nonce that is sent back.
const LONGEST_NONCE: usize = 1024;

/// What a proof is about.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// The method of the request.
    pub method: &'a Method,
    /// Its URL; query and fragment stay out of the proof (RFC 9449 section 4.2).
    pub url: &'a str,
    /// `ath` of the access token that goes along, from [`token_hash`].
    pub token_hash: Option<&'a str>,
    /// The nonce that the server handed out last.
    pub nonce: Option<&'a str>,
}

impl Proof<'_> {
    /// The proof as a header. It is good for this one request: each needs its own, also one that is
    /// sent again.
    pub fn sign(self, key: &SigningKey, now: Timestamp, entropy: &Entropy) -> Option<HeaderValue> {
        let place = self.url.split(['?', '#']).next().unwrap_or_default();
        let mut claims = json!({
            "jti": token_id(entropy),
            "htm": self.method.as_str(),
            "htu": place,
            "iat": now.0 / 1000,
        });
        for (name, value) in [("ath", self.token_hash), ("nonce", self.nonce)] {
            if let Some(value) = value {
                claims[name] = Value::from(value);
            }
        }
        let header = json!({ "typ": "dpop+jwt", "jwk": key.public_jwk() });
        let mut value = HeaderValue::from_str(&key.sign(header, &claims)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Adds a proof to a token request, in place of one that it may have.
pub fn add(
    request: &mut Request,
    key: &SigningKey,
    nonce: Option<&str>,
    now: Timestamp,
    entropy: &Entropy,
) -> Option<()> {
    let proof = Proof { method: &request.method, url: &request.url, token_hash: None, nonce };
    let value = proof.sign(key, now, entropy)?;
    request.headers.insert(HEADER, value);
    Some(())
}

/// `ath`: the hash of an access token (RFC 9449 section 4.2).
pub fn token_hash(token: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token.expose().as_bytes()))
}

/// The nonce that an answer hands out; it is for the next request to the same server.
pub fn nonce(response: &http::HeaderMap) -> Option<String> {
    let nonce = response.get(NONCE_HEADER)?.to_str().ok()?;
    // RFC 9449 section 8.1: NQCHAR.
    let is_fit = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    let is_nonce = (1..=LONGEST_NONCE).contains(&nonce.len()) && nonce.bytes().all(is_fit);
    is_nonce.then(|| nonce.to_owned())
}

/// The nonce without which a token endpoint does not answer (RFC 9449 section 8).
pub fn wanted_nonce(response: &Response) -> Option<String> {
    let body = response.json_object().filter(|_| matches!(response.status, 400 | 401))?;
    let error = body.get("error").and_then(Value::as_str).map(ErrorCode::parse)?;
    nonce(&response.headers).filter(|_| error == ErrorCode::UseDpopNonce)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method};
    use serde_json::json;

    use super::{Proof, add, nonce, token_hash, wanted_nonce};
    use crate::jwt::SigningKey;
    use crate::jwt::tests::{entropy, verified};
    use crate::secret::Secret;
    use crate::time::Timestamp;
    use crate::wire::{Request, Response};

    const NOW: Timestamp = Timestamp(1_800_000_000_500);

    fn key() -> SigningKey {
        SigningKey::generate(&entropy(1)).expect("a key")
    }

    #[test]
    fn a_proof_is_about_one_request_and_shows_the_public_key_alone() {
        let proof = Proof {
            method: &Method::POST,
            url: "https://h/mcp?a=b#c",
            token_hash: Some("hash"),
            nonce: Some("n"),
        };
        let value = proof.sign(&key(), NOW, &entropy(2)).expect("a header");
        assert!(value.is_sensitive());
        let (header, mut claims) = verified(value.to_str().expect("text"), &key().public_jwk());
        let public = key().public_jwk();
        assert_eq!(header, json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public }));
        let jti = claims["jti"].take();
        assert!(jti.as_str().is_some_and(|id| id.len() >= 16));
        let expected = json!({
            "jti": null, "htm": "POST", "htu": "https://h/mcp", "iat": 1_800_000_000,
            "ath": "hash", "nonce": "n",
        });
        assert_eq!(claims, expected);
    }

    #[test]
    fn each_request_has_its_own_and_never_two() {
        let mut request = Request::get_json("https://a/token");
        add(&mut request, &key(), None, NOW, &entropy(2)).expect("added");
        let first = request.headers["dpop"].clone();
        add(&mut request, &key(), Some("n"), NOW, &entropy(3)).expect("added");
        assert_eq!(request.headers.get_all("dpop").iter().count(), 1);
        assert_ne!(request.headers["dpop"], first);
        let (_, claims) = verified(first.to_str().expect("text"), &key().public_jwk());
        assert_eq!((claims.get("ath"), claims.get("nonce")), (None, None));
        assert_eq!(claims["htm"], "GET");
    }

    #[test]
    fn the_hash_of_a_token_is_that_of_the_rfc() {
        let token = Secret::new("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
        assert_eq!(token_hash(&token), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    }

    #[test]
    fn only_a_demand_for_a_nonce_that_brings_one_is_heeded() {
        let answer = |status, error: &str, nonce: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(nonce) = nonce {
                headers.insert("dpop-nonce", HeaderValue::from_static(nonce));
            }
            Response { status, headers, body: json!({ "error": error }).to_string().into() }
        };
        let wanted = |status, error, nonce| wanted_nonce(&answer(status, error, nonce));
        assert_eq!(wanted(400, "use_dpop_nonce", Some("n1")).as_deref(), Some("n1"));
        assert_eq!(wanted(401, "use_dpop_nonce", Some("n1")).as_deref(), Some("n1"));
        assert_eq!(wanted(400, "use_dpop_nonce", None), None);
        assert_eq!(wanted(400, "use_dpop_nonce", Some("two words")), None);
        assert_eq!(wanted(400, "invalid_grant", Some("n1")), None);
        assert_eq!(wanted(200, "use_dpop_nonce", Some("n1")), None);
        assert_eq!(nonce(&HeaderMap::new()), None);
    }
}
