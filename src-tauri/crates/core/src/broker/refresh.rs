//! Renewing one access token. There is one refresh per grant at a time, whoever asks.

use std::time::Duration;

use keyfob_auth::dpop;
use keyfob_auth::error_code::ErrorCode;
use keyfob_auth::grant::Grant;
use keyfob_auth::registration::RegistrationKind;
use keyfob_auth::token::{self, TokenError};
use keyfob_auth::trace::{Step, TraceStep};
use keyfob_auth::wire::NoAnswer;

use super::turn::Turn;
use crate::clock;
use crate::fetch::Fetch;
use crate::vault::{EntryId, Vault, VaultError};

/// How often, and how long after each other, it is looked for what another process has stored.
const LOOKS: u32 = 3;
const LOOK: Duration = Duration::from_millis(100);

/// How it ended.
#[derive(Debug)]
pub(super) enum End {
    /// A new token; it is in the vault unless the vault failed.
    Renewed {
        /// The grant with it.
        grant: Box<Grant>,
        /// Why it could not be saved.
        unsaved: Option<VaultError>,
        /// For the trace.
        line: TraceStep,
    },
    /// The grant is dead.
    Dead {
        /// The registration is, too.
        is_client_gone: bool,
        /// For the trace.
        line: TraceStep,
    },
    /// It could not be told; nothing is lost.
    NotNow {
        /// When the server wants to be asked again.
        retry_after: Option<Duration>,
        /// It was a refusal by its status, without the error code that would say of what.
        is_unclear: bool,
        /// For the trace.
        line: TraceStep,
    },
}

/// Renews a grant's access token and saves the result before anyone may use it.
pub(super) async fn refresh(mut grant: Box<Grant>, fetch: Fetch, kept: Kept) -> End {
    let started = clock::now();
    let line =
        move |result: String| TraceStep::new(clock::now(), Step::Refresh, result).since(started);
    // At a strict service a refresh token that is used twice ends the grant for everybody.
    if let Some(mut stored) = kept.by_another(&grant).await
        && stored.issued_at > grant.issued_at
    {
        if !stored.is_stale(clock::now()) {
            let line = line("renewed by another process".to_owned())
                .decision("using what was stored meanwhile");
            return End::Renewed { grant: stored, unsaved: None, line };
        }
        if stored.registration.kind == RegistrationKind::PreRegistered
            && stored.registration.client_id == grant.registration.client_id
        {
            // It may have been changed since either grant was made.
            stored.registration.secret = grant.registration.secret.take();
        }
        grant = stored;
    }
    let target = grant.token_endpoint.clone();
    if !grant.can_renew() {
        let line = line("there is no refresh token".to_owned()).decision("sign in again").warn();
        return End::Dead { is_client_gone: false, line };
    }
    let reach = fetch.reach(grant.reach, &grant.server).await;
    let later = |cause: String| {
        let line = line(cause).target(&target).decision("later again").warn();
        End::NotNow { retry_after: None, is_unclear: false, line }
    };
    let mut nonce = None;
    let mut departs = false;
    let parsed = loop {
        let entropy = match clock::entropy() {
            Ok(entropy) => entropy,
            Err(error) => return later(error.to_string()),
        };
        let Some(request) = grant.renewal(nonce.as_deref(), clock::now(), &entropy) else {
            let line = line("its token endpoint cannot be used".to_owned()).warn();
            return End::Dead { is_client_gone: false, line };
        };
        let response = match fetch.send(request, reach).await {
            Ok(response) => response,
            Err(cause @ NoAnswer::Forbidden(_)) => {
                let line = line(cause.to_string()).target(&target).decision("later again");
                let line = line.reason("it did not when you signed in").warn();
                return End::NotNow { retry_after: None, is_unclear: false, line };
            }
            Err(cause) => return later(cause.to_string()),
        };
        // RFC 9449 section 8: once more with the nonce, once.
        if let Some(wanted) = dpop::wanted_nonce(&response)
            && nonce.is_none()
            && grant.dpop_key.is_some()
        {
            nonce = Some(wanted);
            continue;
        }
        match token::parse_as(grant.token_type(), &response, clock::now()) {
            // Some take a resource indicator at the sign-in and not here.
            Err(TokenError::Refused {
                error: ErrorCode::InvalidTarget | ErrorCode::InvalidRequest,
                ..
            }) if grant.resource.is_some() => {
                grant.resource = None;
                departs = true;
            }
            parsed => break parsed,
        }
    };
    match parsed {
        Ok(tokens) => {
            let mut renewed = grant;
            let odd_scopes = tokens.odd_scopes;
            renewed.renew(tokens);
            let unsaved = kept.save(&renewed).await;
            let mut line = line("renewed".to_owned()).target(&target);
            if odd_scopes > 0 {
                line = line.reason(format!("{odd_scopes} odd scopes left out"));
            }
            if departs {
                line = line
                    .decision("without a resource indicator from now on")
                    .reason("the service refuses it; this departs from the MCP specification")
                    .warn();
            }
            if let Some(error) = &unsaved {
                line = line.decision("kept in memory").reason(error.to_string()).warn();
            }
            End::Renewed { grant: renewed, unsaved, line }
        }
        Err(TokenError::Refused { error, .. }) if error.ends_grant() => {
            let said = line(error.to_string()).target(&target);
            match kept.soon_by_another(&grant).await {
                Some(stored) => {
                    let line = said.decision("using what was stored meanwhile");
                    End::Renewed { grant: stored, unsaved: None, line }
                }
                None => End::Dead {
                    is_client_gone: false,
                    line: said
                        .decision("sign in again")
                        .reason("the sign-in service ended it")
                        .warn(),
                },
            }
        }
        Err(TokenError::Refused {
            error: error @ (ErrorCode::InvalidClient | ErrorCode::UnauthorizedClient),
            ..
        }) => {
            let said = line(error.to_string()).target(&target).warn();
            match grant.registration.kind {
                // The service may merely have failed to fetch our document.
                RegistrationKind::Cimd => {
                    let line = said.decision("later again");
                    End::NotNow { retry_after: None, is_unclear: false, line }
                }
                RegistrationKind::Dcr => End::Dead {
                    is_client_gone: true,
                    line: said.decision("sign in again").reason("the registration is gone"),
                },
                RegistrationKind::PreRegistered => End::Dead {
                    is_client_gone: false,
                    line: said.decision("sign in again").reason("your own client is refused"),
                },
            }
        }
        Err(TokenError::NotNow { status, retry_after }) => End::NotNow {
            retry_after: retry_after.map(Duration::from_secs),
            is_unclear: matches!(status, 400 | 401 | 403 | 422),
            line: line(format!("HTTP {status}")).target(&target).decision("later again").warn(),
        },
        Err(cause @ (TokenError::Refused { .. } | TokenError::Unusable(_))) => End::NotNow {
            retry_after: None,
            is_unclear: false,
            line: line(cause.to_string()).target(&target).decision("later again").warn(),
        },
    }
}

/// Where the grant is kept.
pub(super) struct Kept {
    pub(super) vault: Vault,
    pub(super) entry: EntryId,
    pub(super) turn: Turn,
    pub(super) epoch: u64,
}

impl Kept {
    /// Saves a rotated token, unless another sign-in or a sign-out has come in between; once more
    /// where the first try did not get through.
    async fn save(&self, grant: &Grant) -> Option<VaultError> {
        let _writing = self.turn.write(self.epoch).await?;
        let first = self.vault.put(&self.entry, grant.encode()).await.err()?;
        match first {
            // Asking again would only open a second prompt.
            VaultError::Locked | VaultError::Denied | VaultError::TimedOut => Some(first),
            _ => self.vault.put(&self.entry, grant.encode()).await.err(),
        }
    }

    /// The same a little later as well: whoever was quicker has the answer before it is stored.
    async fn soon_by_another(&self, used: &Grant) -> Option<Box<Grant>> {
        for _ in 0..LOOKS {
            if let Some(stored) = self.by_another(used).await {
                return Some(stored);
            }
            tokio::time::sleep(LOOK).await;
        }
        self.by_another(used).await
    }

    /// Another process may have refreshed with the same token: a loser must not erase the winner.
    async fn by_another(&self, used: &Grant) -> Option<Box<Grant>> {
        let stored = Grant::decode(&self.vault.get(&self.entry).await.ok()??).ok()?;
        let is_news = stored.server == used.server && stored.refresh != used.refresh;
        is_news.then(|| Box::new(stored))
    }
}

/// Deletes a grant that has ended, unless another process has stored one since: that is as good as
/// ours was.
pub(super) async fn forget(vault: &Vault, entry: &EntryId, ended: &Grant) {
    let stored = match vault.get(entry).await {
        Ok(Some(text)) => Grant::decode(&text).ok(),
        Ok(None) | Err(_) => None,
    };
    if stored.is_some_and(|stored| stored.issued_at > ended.issued_at) {
        return;
    }
    if let Err(error) = vault.delete(entry).await {
        tracing::warn!(%error, "an entry of the keychain could not be deleted");
    }
}

#[cfg(test)]
mod tests {
    use keyfob_auth::grant::Grant;
    use keyfob_auth::registration::{
        AuthMethod, Reason, ReasonCode, Registration, RegistrationKind,
    };
    use keyfob_auth::{Secret, Timestamp};
    use serde_json::json;

    use super::{End, Kept, forget, refresh};
    use crate::broker::controller::entry;
    use crate::broker::scripted::Scripted;
    use crate::broker::turn::Turn;
    use crate::fetch::Fetch;
    use crate::vault::{EntryKind, Vault};

    fn grant(origin: &str, refresh: &str) -> Grant {
        Grant {
            registration: Registration {
                kind: RegistrationKind::Cimd,
                client_id: "https://keyfob.example/client.json".into(),
                secret: None,
                auth_method: AuthMethod::None,
                issuer: origin.into(),
                redirect_uri: "http://127.0.0.1:15393/callback".into(),
                scopes: None,
                registered_at: Timestamp(0),
                secret_expires_at: None,
                reason: Reason::new(ReasonCode::OfferedAndAccepted),
                management: None,
            },
            server: format!("{origin}/mcp"),
            resource: None,
            token_endpoint: format!("{origin}/token"),
            revocation_endpoint: None,
            requested_scopes: Vec::new(),
            scopes: Vec::new(),
            account: None,
            access: Secret::new(format!("access of {refresh}")),
            refresh: Some(Secret::new(refresh)),
            issued_at: Timestamp(0),
            expires_at: Some(Timestamp(1)),
            dpop_key: None,
            way: Default::default(),
            reach: None,
        }
    }

    /// spec 3.10-2b: another process has used the refresh token, and has put what it got into the
    /// vault: the loser takes it from there, and erases nothing.
    #[tokio::test]
    async fn a_token_that_another_process_has_used_is_looked_for_in_the_vault() {
        let service = Scripted::start(|_, _| (400, json!({"error": "invalid_grant"}))).await;
        let ours = grant(&service.origin, "used");
        for (stored, is_saved_by_another) in [("theirs", true), ("used", false)] {
            let kept = Kept {
                vault: Vault::memory(),
                entry: entry(EntryKind::Grant, "id").expect("an entry"),
                turn: Turn::default(),
                epoch: 0,
            };
            let (vault, at) = (kept.vault.clone(), kept.entry.clone());
            vault.put(&at, grant(&service.origin, stored).encode()).await.expect("put");
            let fetch = Fetch::new(None).expect("clients");
            match refresh(Box::new(ours.clone()), fetch, kept).await {
                End::Renewed { grant, unsaved: None, .. } if is_saved_by_another => {
                    assert_eq!(grant.access.expose(), "access of theirs");
                }
                End::Dead { is_client_gone: false, .. } if !is_saved_by_another => {}
                end => panic!("{stored}: {end:?}"),
            }
            let left = vault.get(&at).await.expect("a vault").expect("a grant");
            let left = Grant::decode(&left).expect("ours").refresh.expect("a token");
            assert_eq!(left.expose(), stored, "a loser erases nothing");
        }
        let asked = service.came("POST /token");
        assert_eq!(asked.len(), 2, "once each time");
        assert!(asked.iter().all(|asked| asked.body.contains("refresh_token=used")));
    }

    /// 6.2-59: the loser must not erase the winner.
    #[tokio::test]
    async fn only_what_has_ended_is_deleted() {
        let vault = Vault::memory();
        let entry = entry(EntryKind::Grant, "s").expect("a name");
        let ended = grant("https://as.example", "used");
        let newer = Grant { issued_at: Timestamp(2), ..grant("https://as.example", "newer") };
        vault.put(&entry, newer.encode()).await.expect("kept");
        forget(&vault, &entry, &ended).await;
        assert!(vault.get(&entry).await.expect("readable").is_some(), "another's was deleted");
        vault.put(&entry, ended.encode()).await.expect("kept");
        forget(&vault, &entry, &ended).await;
        assert!(vault.get(&entry).await.expect("readable").is_none());
    }
}
