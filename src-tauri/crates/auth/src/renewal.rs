//! How a grant gets a new access token without its person.

use crate::authorize::Entropy;
use crate::client_assertion;
use crate::dpop;
use crate::flow::SignInWay;
use crate::grant::Grant;
use crate::time::Timestamp;
use crate::token::{self, TokenType};
use crate::wire::Request;

impl Grant {
    /// Whether there is a way to renew it. Without one it lasts as long as its access token.
    pub fn can_renew(&self) -> bool {
        match self.way {
            SignInWay::Browser | SignInWay::Enterprise => self.refresh.is_some(),
            SignInWay::ClientCredentials => true,
        }
    }

    /// What its tokens are good for by themselves.
    pub fn token_type(&self) -> TokenType {
        if self.dpop_key.is_some() { TokenType::Dpop } else { TokenType::Bearer }
    }

    /// The request that renews it, with all that must be new each time that it is sent. `nonce` is
    /// what the endpoint has asked for (RFC 9449 section 8). `None` when there is no way, or its
    /// endpoint is no URL.
    pub fn renewal(
        &self,
        nonce: Option<&str>,
        now: Timestamp,
        entropy: &Entropy,
    ) -> Option<Request> {
        let (endpoint, resource) = (&self.token_endpoint, self.resource.as_deref());
        let mut request = match (&self.refresh, self.way) {
            (Some(refresh), SignInWay::Browser | SignInWay::Enterprise) => {
                token::refresh(&self.registration, endpoint, refresh, resource)?
            }
            (None, SignInWay::Browser | SignInWay::Enterprise) => return None,
            // RFC 6749 section 4.4.3: a refresh token should not be there, and is not needed.
            (_, SignInWay::ClientCredentials) => {
                let scopes = &self.requested_scopes;
                token::client_credentials(&self.registration, endpoint, scopes, resource)?
            }
        };
        client_assertion::add(&mut request, &self.registration, now, entropy)?;
        if let Some(key) = &self.dpop_key {
            dpop::add(&mut request, key, nonce, now, entropy)?;
        }
        Some(request)
    }
}
