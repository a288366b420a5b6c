//! A token that is bound to a key (RFC 9449): each request proves that the key is here.

use std::sync::Arc;

use http::{HeaderValue, Method};
use keyfob_auth::dpop::{self, Proof};
use keyfob_auth::grant::Grant;
use keyfob_auth::jwt::SigningKey;
use url::Url;

use crate::clock;
use crate::problem::Problem;

/// The key with what is the same in all its proofs for one token.
#[derive(Debug)]
pub struct Bound {
    key: SigningKey,
    token_hash: String,
}

impl Bound {
    /// Of a grant; `None` where its token is a bearer's.
    pub fn of(grant: &Grant) -> Option<Arc<Self>> {
        let key = grant.dpop_key.clone()?;
        Some(Arc::new(Self { key, token_hash: dpop::token_hash(&grant.access) }))
    }

    /// The proof for one request, with the nonce that its server handed out last.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn prove(
        &self,
        method: &Method,
        url: &Url,
        nonce: Option<&str>,
    ) -> Result<HeaderValue, Problem> {
        let entropy = clock::entropy().map_err(Problem::internal)?;
        let token_hash = Some(self.token_hash.as_str());
        Proof { method, url: url.as_str(), token_hash, nonce }
            .sign(&self.key, clock::now(), &entropy)
            .ok_or_else(|| Problem::internal("the proof cannot stand in a header"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, Method};
    use keyfob_auth::authorize::Entropy;
    use keyfob_auth::jwt::SigningKey;
    use keyfob_auth::{Secret, ServerUrl, dpop};
    use serde_json::Value;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::Bound;
    use crate::gateway::forward::{Inbound, forward};
    use crate::gateway::relay::{Relay, Upload};
    use crate::gateway::seat::{Ask, Bearer, Caller, Lease, Seat};

    /// The claims of each proof that a server has seen.
    type Seen = Arc<Mutex<Vec<Value>>>;

    /// A server that answers as `answer` says to the nonce of the proof and its number.
    async fn server(answer: fn(Option<&str>, usize) -> &'static str) -> (String, Seen) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
        let seen = Seen::default();
        let noted = seen.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let noted = noted.clone();
                tokio::spawn(async move {
                    let mut bytes = vec![0; 16 * 1024];
                    while let Ok(read @ 1..) = stream.read(&mut bytes).await {
                        let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
                        let header = |name: &str| {
                            let mut lines = text.lines().filter_map(|line| line.split_once(": "));
                            lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
                        };
                        assert_eq!(header("authorization"), Some("DPoP token"));
                        let proof = header("dpop").expect("a proof");
                        let claims = proof.split('.').nth(1).expect("claims");
                        let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64url");
                        let claims: Value = serde_json::from_slice(&claims).expect("JSON");
                        let number = noted.lock().expect("unpoisoned").len();
                        let said = answer(claims["nonce"].as_str(), number);
                        noted.lock().expect("unpoisoned").push(claims);
                        let _ = stream.write_all(said.as_bytes()).await;
                    }
                });
            }
        });
        (url, seen)
    }

    fn seat(url: &str) -> Arc<Seat> {
        let upstream = ServerUrl::parse(url).expect("a server URL");
        let seat = Seat::new("id".into(), "name".into(), upstream);
        let bound = Bound {
            key: SigningKey::generate(&Entropy([1; 64])).expect("a key"),
            token_hash: dpop::token_hash(&Secret::new("token")),
        };
        seat.set_lease(Lease::Bearer(Bearer {
            value: HeaderValue::from_static("DPoP token"),
            generation: 1,
            renew_at: None,
            bound: Some(Arc::new(bound)),
        }));
        Arc::new(seat)
    }

    /// Sends one request; gives its status and what was asked of the broker.
    async fn send(seat: &Arc<Seat>) -> (u16, Vec<Ask>) {
        let (broker, mut asks) = mpsc::unbounded_channel();
        let relay = Relay::new(None).expect("a relay");
        let caller = Caller { client: "test".into(), holds: false };
        let mut headers = HeaderMap::new();
        headers.insert("dpop", HeaderValue::from_static("the client's own"));
        let inbound = Inbound {
            method: Method::POST,
            headers,
            tail: String::new(),
            query: Some("a=b".into()),
            body: Upload::Whole(Bytes::from_static(b"{}")),
        };
        let sending = forward(&relay, &broker, seat, &caller, inbound);
        tokio::pin!(sending);
        let mut asked = Vec::new();
        let response = loop {
            tokio::select! {
                response = &mut sending => break response,
                Some(ask) = asks.recv() => match ask {
                    // Nobody can help: the request ends.
                    ask @ Ask::Refused { .. } => asked.push(drop_reply(ask)),
                    ask => asked.push(ask),
                },
            }
        };
        while let Ok(ask) = asks.try_recv() {
            asked.push(ask);
        }
        assert!(response.headers().get("dpop-nonce").is_none(), "it is not for the client");
        (response.status().as_u16(), asked)
    }

    fn drop_reply(ask: Ask) -> Ask {
        match ask {
            Ask::Refused { server, generation, .. } => Ask::Answered { server, generation },
            ask => ask,
        }
    }

    const WANTS_N1: &str = "HTTP/1.1 401 Unauthorized\r\ndpop-nonce: n1\r\ncontent-length: 0\r\n\
                            www-authenticate: DPoP error=\"use_dpop_nonce\"\r\n\r\n";
    const FINE_N2: &str = "HTTP/1.1 200 OK\r\ndpop-nonce: n2\r\ncontent-length: 0\r\n\r\n";
    const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

    #[tokio::test]
    async fn each_request_has_its_own_proof_with_the_nonce_that_came_last() {
        let (url, seen) = server(|nonce, _| match nonce {
            None => WANTS_N1,
            Some("n1") => FINE_N2,
            Some(_) => FINE,
        })
        .await;
        let seat = seat(&url);
        assert_eq!(send(&seat).await.0, 200);
        assert_eq!(send(&seat).await.0, 200);
        let seen = seen.lock().expect("unpoisoned").clone();
        let nonces: Vec<_> = seen.iter().map(|claims| claims["nonce"].as_str()).collect();
        assert_eq!(nonces, [None, Some("n1"), Some("n2")]);
        let ids: std::collections::HashSet<_> =
            seen.iter().map(|claims| claims["jti"].as_str().expect("an id")).collect();
        assert_eq!(ids.len(), 3);
        for claims in &seen {
            assert_eq!((&claims["htm"], &claims["htu"]), (&"POST".into(), &Value::from(&url[..])));
            assert_eq!(claims["ath"], dpop::token_hash(&Secret::new("token")));
        }
    }

    #[tokio::test]
    async fn a_server_that_wants_another_nonce_each_time_is_asked_again_once() {
        const WANTS_N2: &str = "HTTP/1.1 401 Unauthorized\r\ndpop-nonce: n2\r\n\
                                content-length: 0\r\n\r\n";
        let (url, seen) =
            server(|_, number| if number % 2 == 0 { WANTS_N1 } else { WANTS_N2 }).await;
        let (_, asked) = send(&seat(&url)).await;
        assert_eq!(seen.lock().expect("unpoisoned").len(), 2);
        assert_eq!(asked.len(), 1, "then the broker is told: {asked:?}");
    }

    #[tokio::test]
    async fn a_refusal_without_a_new_nonce_is_a_refusal_of_the_token() {
        let (url, seen) =
            server(|_, _| "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await;
        let (_, asked) = send(&seat(&url)).await;
        assert_eq!((seen.lock().expect("unpoisoned").len(), asked.len()), (1, 1));
    }
}
