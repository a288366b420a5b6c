//! The person's grant at a company's identity provider. All servers for which that provider vouches
//! share it, and it is renewed at each use, so one sign-in at a time holds it.

use std::sync::Arc;

use keyfob_auth::flow::{Memo, Plan, SignInWay};
use keyfob_auth::grant::Grant;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tracing::warn;

use super::controller::{Controller, entry, registration_id};
use super::slot::Slot;
use super::vault_problem;
use crate::extensions::Extensions;
use crate::problem::Problem;
use crate::vault::{EntryId, EntryKind, Vault};

/// Whose turn it is to use the grant at one provider; with the grant itself where the vault did not
/// take it, since the one before it there is used up.
pub(super) type Turns = Arc<Mutex<Option<Box<Grant>>>>;

/// What a sign-in holds of it.
pub(super) struct AtProvider {
    vault: Vault,
    entry: EntryId,
    turns: Turns,
    /// While it is there, nobody else uses the grant.
    turn: Option<OwnedMutexGuard<Option<Box<Grant>>>>,
}

impl AtProvider {
    /// Waits for its turn and gives the kept grant to the plan. `None` where the sign-in asks no
    /// provider for anything.
    ///
    /// # Errors
    /// When the vault cannot tell whether there is one.
    pub(super) async fn take(
        plan: &mut Plan,
        vault: &Vault,
        turns: Turns,
    ) -> Result<Option<Self>, Problem> {
        let is_asked = plan.extensions.way == SignInWay::Enterprise;
        let provider = plan.extensions.identity_provider.as_mut().filter(|_| is_asked);
        let Some(provider) = provider.filter(|provider| provider.id_token.is_none()) else {
            return Ok(None);
        };
        let id = registration_id(&provider.issuer, &provider.client_id);
        let entry = entry(EntryKind::IdpGrant, &id)?;
        let turn = turns.clone().lock_owned().await;
        let kept = match &*turn {
            Some(unsaved) => Some((**unsaved).clone()),
            None => {
                let kept = vault.get(&entry).await.map_err(|error| vault_problem(&error))?;
                kept.and_then(|text| Grant::decode(&text).ok())
            }
        };
        provider.grant = kept.filter(|grant| grant.server == provider.issuer).map(Box::new);
        Ok(Some(Self { vault: vault.clone(), entry, turns, turn: Some(turn) }))
    }

    /// Lets others have their turn while this sign-in waits for its person.
    pub(super) fn step_aside(&mut self) {
        self.turn = None;
    }

    /// Keeps what the sign-in has learnt before the sign-in goes on: a token that was rotated is
    /// good only once.
    pub(super) async fn keep(&mut self, memo: &Memo) {
        if !matches!(memo, Memo::ProviderGrant(_) | Memo::ProviderGrantGone) {
            return;
        }
        let mut turn = match self.turn.take() {
            Some(turn) => turn,
            None => self.turns.clone().lock_owned().await,
        };
        let (grant, kept) = match memo {
            Memo::ProviderGrant(grant) => {
                (Some(grant.clone()), self.vault.put(&self.entry, grant.encode()).await)
            }
            _ => (None, self.vault.delete(&self.entry).await),
        };
        *turn = grant.filter(|_| kept.is_err());
        self.turn = Some(turn);
        if let Err(error) = kept {
            warn!(%error, "the grant at the identity provider could not be kept");
        }
    }
}

/// The name of the grant at this provider in the vault.
pub(super) fn provider_id(set: &Extensions) -> Option<String> {
    let (issuer, client_id) = (set.idp_issuer.as_ref()?, set.idp_client_id.as_ref()?);
    (set.sign_in == SignInWay::Enterprise).then(|| registration_id(issuer, client_id))
}

impl Controller {
    /// Whether the person's grant at this server's identity provider is kept, so that nobody is
    /// needed.
    pub(super) fn is_known_at_provider(&self, slot: &Slot) -> bool {
        provider_id(self.extensions_set(slot))
            .is_some_and(|id| self.remembered.facts.providers.contains(&id))
    }

    /// Remembers whether there is one.
    pub(super) fn remember_provider(&mut self, id: &str, is_known: bool) {
        let Some(slot) = self.slots.get(id) else { return };
        let Some(provider) = provider_id(self.extensions_set(slot)) else { return };
        let providers = &mut self.remembered.facts.providers;
        providers.retain(|known| *known != provider);
        if is_known {
            providers.push(provider);
        }
    }

    /// The grant at a server's identity provider, where no other server's sign-ins use it.
    pub(super) fn own_provider(&self, id: &str) -> Option<String> {
        let provider = provider_id(self.extensions_set(self.slots.get(id)?))?;
        let others = self.slots.iter().filter(|(other, _)| *other != id);
        let is_shared = others
            .filter_map(|(_, slot)| provider_id(self.extensions_set(slot)))
            .any(|other| other == provider);
        (!is_shared && self.remembered.facts.providers.contains(&provider)).then_some(provider)
    }
}
