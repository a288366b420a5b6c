//! Ending a grant at its server (RFC 7009, RFC 7592). Best effort: what could not be done is said.

use keyfob_auth::client_assertion;
use keyfob_auth::dcr;
use keyfob_auth::grant::Grant;
use keyfob_auth::registration::Registration;
use keyfob_auth::token::{self, TokenKind};
use keyfob_auth::trace::{Step, TraceStep};

use crate::clock;
use crate::fetch::Fetch;
use crate::reach::Reach;

/// Revokes a grant's tokens, the refresh token first.
pub async fn revoke(grant: &Grant, fetch: &Fetch) -> Vec<TraceStep> {
    let Some(endpoint) = &grant.revocation_endpoint else {
        let line = TraceStep::new(clock::now(), Step::SignOut, "no way to revoke")
            .target(&grant.registration.issuer)
            .decision("forgotten here")
            .reason("the sign-in service offers no revocation; its tokens run out by themselves");
        return vec![line];
    };
    let reach = reach(endpoint).await;
    let mut lines = Vec::new();
    let tokens =
        [(grant.refresh.as_ref(), TokenKind::Refresh), (Some(&grant.access), TokenKind::Access)];
    for (token, kind) in tokens {
        let Some(token) = token else { continue };
        let request = token::revoke(&grant.registration, endpoint, token, kind);
        let signed = request.zip(clock::entropy().ok()).and_then(|(mut request, entropy)| {
            client_assertion::add(&mut request, &grant.registration, clock::now(), &entropy)?;
            Some(request)
        });
        let Some(request) = signed else { continue };
        let started = clock::now();
        let said = match fetch.send(request, reach).await {
            Ok(response) if response.status == 200 => "revoked".to_owned(),
            Ok(response) => format!("HTTP {}", response.status),
            Err(cause) => cause.to_string(),
        };
        let what = match kind {
            TokenKind::Access => "access token",
            TokenKind::Refresh => "refresh token",
        };
        let line = TraceStep::new(clock::now(), Step::SignOut, said)
            .target(endpoint)
            .decision(format!("{what} forgotten here"))
            .since(started);
        lines.push(line);
    }
    lines
}

/// Deletes a dynamic registration, where the server gave the means.
pub async fn unregister(registration: &Registration, fetch: &Fetch) -> Option<TraceStep> {
    let management = registration.management.as_ref()?;
    let request = dcr::delete(management)?;
    let started = clock::now();
    let said = match fetch.send(request, reach(&management.uri).await).await {
        Ok(response) if matches!(response.status, 200 | 204 | 404) => {
            "registration deleted".to_owned()
        }
        Ok(response) => format!("HTTP {}", response.status),
        Err(cause) => cause.to_string(),
    };
    let line =
        TraceStep::new(clock::now(), Step::SignOut, said).target(&management.uri).since(started);
    Some(line)
}

/// These URLs come from a grant or registration that was made with the address rule in force.
pub(super) async fn reach(url: &str) -> Reach {
    match url::Url::parse(url) {
        Ok(url) => Reach::of_url(&url).await,
        Err(_) => Reach::Public,
    }
}
