//! What the vault holds of a server, read when the broker begins with it.

use keyfob_auth::Secret;
use keyfob_auth::grant::{Grant, decode_registration};
use keyfob_auth::registration::Registration;

use super::controller::{Controller, entry, registration_id};
use super::report::{Report, ServerReport};
use super::secret_renewal::with_secret_of;
use super::vault_problem;
use crate::extensions::ExtensionSecrets;
use crate::problem::Problem;
use crate::vault::{EntryId, EntryKind, Vault};

/// What is in the vault of one server.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) grant: Option<Box<Grant>>,
    pub(super) secret: Option<Secret>,
    pub(super) extensions: ExtensionSecrets,
    pub(super) headers: Vec<(String, Secret)>,
}

impl Controller {
    /// Asks the vault for what it holds of a server.
    pub(super) fn load(&mut self, id: &str) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        slot.is_loading = true;
        slot.publish();
        let (vault, reports, id) = (self.vault.clone(), self.reports.clone(), id.to_owned());
        let has_headers = !slot.config.headers.is_empty();
        let has_secret = slot.config.client_id.is_some();
        let has_idp = slot.config.extensions.idp_client_id.is_some();
        let loads = self.loads.clone();
        tokio::spawn(async move {
            // The vault has one thread; who waits for it in a crowd would only run out of time.
            let _turn = loads.acquire().await;
            let loaded = load(&vault, &id, has_secret, has_idp, has_headers).await;
            let _ = reports.send(Report { server: id, report: ServerReport::Loaded(loaded) });
        });
    }
}

async fn load(
    vault: &Vault,
    id: &str,
    has_secret: bool,
    has_idp: bool,
    has_headers: bool,
) -> Result<Kept, Problem> {
    let get =
        async |kind| vault.get(&entry(kind, id)?).await.map_err(|error| vault_problem(&error));
    let grant = get(EntryKind::Grant).await?;
    let secret = if has_secret { get(EntryKind::ClientSecret).await? } else { None };
    let client_key = if has_secret { get(EntryKind::ClientKey).await? } else { None };
    let idp_client_secret = if has_idp { get(EntryKind::IdpSecret).await? } else { None };
    let extensions = ExtensionSecrets { client_key, idp_client_secret, idp_id_token: None };
    let headers = if has_headers { get(EntryKind::Headers).await? } else { None };
    let mut grant = grant.and_then(|text| Grant::decode(&text).ok()).map(Box::new);
    // A renewal of the client secret may have been cut off between its entry and the grant's.
    if let Some(registration) = grant.as_mut().map(|grant| &mut grant.registration)
        && registration.can_renew_secret()
    {
        let id = registration_id(&registration.issuer, &registration.redirect_uri);
        let later = vault.get(&entry(EntryKind::Registration, &id)?).await;
        let later = later.map_err(|error| vault_problem(&error))?;
        let later = later.and_then(|text| decode_registration(&text).ok());
        if let Some(later) = later.filter(|later| later.is_later_than(registration)) {
            *registration = with_secret_of(registration, &later);
        }
    }
    let headers = headers
        .and_then(|text| serde_json::from_str::<Vec<(String, String)>>(text.expose()).ok())
        .unwrap_or_default();
    let headers = headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
    Ok(Kept { grant, secret, extensions, headers })
}

pub(super) async fn load_registrations(vault: &Vault, ids: &[String]) -> Vec<Registration> {
    let mut found = Vec::new();
    for id in ids {
        let Ok(entry) = EntryId::new(EntryKind::Registration, id.clone()) else { continue };
        match vault.get(&entry).await {
            Ok(Some(text)) => found.extend(decode_registration(&text).ok()),
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "a registration could not be read");
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use keyfob_auth::grant::{Grant, encode_registration};
    use keyfob_auth::registration::{
        AuthMethod, Management, Reason, ReasonCode, Registration, RegistrationKind,
    };
    use keyfob_auth::{Secret, Timestamp};

    use super::load;
    use crate::broker::controller::{entry, registration_id};
    use crate::vault::{EntryKind, Vault};

    /// A crash between the entry of a registration and that of a grant made with it.
    #[tokio::test]
    async fn a_grant_takes_the_later_secret_of_its_registration_and_of_no_other() {
        let made = |client_id: &str, secret: &str, renewed_at| Registration {
            kind: RegistrationKind::Dcr,
            client_id: client_id.into(),
            secret: Some(Secret::new(secret)),
            auth_method: AuthMethod::ClientSecretBasic,
            issuer: "https://a".into(),
            redirect_uri: "http://127.0.0.1:1/callback".into(),
            scopes: None,
            registered_at: Timestamp(0),
            secret_expires_at: Some(Timestamp(9)),
            reason: Reason::new(ReasonCode::NotOffered),
            management: Some(Management {
                uri: "https://a/register/c".into(),
                token: Secret::new("manage"),
                registered: Some(Secret::new("{}")),
                renewed_at,
            }),
        };
        let grant = Grant {
            registration: made("c", "of the grant", Some(Timestamp(5))),
            server: "https://h/mcp".into(),
            resource: None,
            token_endpoint: "https://a/token".into(),
            revocation_endpoint: None,
            requested_scopes: Vec::new(),
            scopes: Vec::new(),
            account: None,
            access: Secret::new("access"),
            refresh: None,
            issued_at: Timestamp(0),
            expires_at: None,
            dpop_key: None,
            way: Default::default(),
            reach: None,
        };
        let name = registration_id("https://a", "http://127.0.0.1:1/callback");
        for (stored, expected) in [
            (made("c", "later", Some(Timestamp(6))), "later"),
            (made("c", "earlier", None), "of the grant"),
            (made("d", "of another", Some(Timestamp(6))), "of the grant"),
        ] {
            let vault = Vault::memory();
            let at = |kind, id: &str| entry(kind, id).expect("an entry");
            vault.put(&at(EntryKind::Grant, "s"), grant.encode()).await.expect("put");
            let registration = at(EntryKind::Registration, &name);
            vault.put(&registration, encode_registration(&stored)).await.expect("put");
            let kept = load(&vault, "s", false, false, false).await.expect("loaded");
            let loaded = kept.grant.expect("a grant").registration.secret.expect("a secret");
            assert_eq!(loaded.expose(), expected);
        }
    }
}
