//! What a person changes about a server on the list.

use keyfob_auth::Secret;
use keyfob_auth::authorize::AuthorizationResponse;
use keyfob_auth::client_document::{ClientDocumentUrl, redirect_uri, redirect_uri_by_name};
use keyfob_auth::flow::SignInWay;
use url::Url;

use super::at_provider::provider_id;
use super::client_document;
use super::controller::{Controller, registration_id};
use super::pause::Pause;
use crate::clock;
use crate::gateway::callbacks::Arrival;
use crate::problem::{Code, Problem};
use crate::server::{Event, Kind, State};
use crate::vault::EntryKind;

impl Controller {
    /// Turns a server on or off.
    pub(super) fn turn(&mut self, name: &str, on: bool) -> Result<(), Problem> {
        let id = self.id_of(name)?;
        self.config.change(name, |server| server.enabled = on)?;
        let Some(slot) = self.slots.get_mut(&id) else { return Ok(()) };
        slot.config.enabled = on;
        slot.last_failure = None;
        self.step(&id, if on { Event::TurnedOn } else { Event::TurnedOff });
        if let Some(slot) = self.slots.get(&id).filter(|_| !on) {
            slot.seat.end_streams();
        }
        Ok(())
    }

    /// Uses another client document from now on; without one, what came with this build.
    pub(super) fn use_document(&mut self, url: Option<&ClientDocumentUrl>) -> Result<(), Problem> {
        self.config.set_client_metadata_url(url.map(ClientDocumentUrl::as_str))?;
        self.document = client_document(&self.config)?;
        Ok(())
    }

    /// Asks a server again that could not be reached, or the keychain that did not answer.
    pub(super) fn retry_now(&mut self, name: &str) -> Result<(), Problem> {
        let id = self.id_of(name)?;
        let Some(slot) = self.slots.get_mut(&id) else { return Ok(()) };
        slot.pause = Pause::none();
        match (&slot.state, slot.grant.is_some()) {
            (State::VaultBlocked(_), true) => slot.vault_again_at = Some(clock::now()),
            (State::VaultBlocked(_), false) => self.step(&id, Event::TurnedOn),
            (State::Offline(_), _) => self.probe(&id),
            _ => {}
        }
        Ok(())
    }

    /// Uses a client that the person has registered at the provider; its secret is in the vault
    /// already.
    pub(super) fn use_own_client(
        &mut self,
        name: &str,
        client_id: &str,
        secret: Option<Secret>,
    ) -> Result<(), Problem> {
        let id = self.id_of(name)?;
        let client_id = Some(client_id.to_owned());
        self.config.change(name, |server| server.client_id.clone_from(&client_id))?;
        if secret.is_none() {
            self.forget_entry(EntryKind::ClientSecret, &id);
        }
        // It was the key of another client.
        self.forget_entry(EntryKind::ClientKey, &id);
        // Who enters a client anew means it for the service that is there now.
        self.remembered.server(&id).own_client_at = None;
        self.remembered.save();
        let Some(slot) = self.slots.get_mut(&id) else { return Ok(()) };
        slot.config.client_id = client_id;
        slot.own_secret = secret;
        slot.extension_secrets.client_key = None;
        slot.last_failure = None;
        Ok(())
    }

    /// Forgets how Keyfob is known at this server's sign-in service, so that the next sign-in
    /// begins at the top of the ladder. A dynamic registration is not used again; a client
    /// document keeps its URL and is tried out anew; a client of the user's own is given up, where
    /// there is a way to sign in without one; at an identity provider the person is asked again.
    pub(super) fn forget_registration(&mut self, name: &str) -> Result<(), Problem> {
        let id = self.id_of(name)?;
        let own = self.config.server(name).filter(|server| server.client_id.is_some());
        let gives_up = own.is_some_and(|server| server.extensions.sign_in == SignInWay::Browser);
        if gives_up {
            self.config.change(name, |server| server.client_id = None)?;
            self.forget_entry(EntryKind::ClientSecret, &id);
            self.forget_entry(EntryKind::ClientKey, &id);
        }
        let at_provider =
            self.slots.get(&id).and_then(|slot| provider_id(self.extensions_set(slot)));
        if let Some(provider) = at_provider {
            self.remembered.facts.providers.retain(|known| *known != provider);
            self.forget_entry(EntryKind::IdpGrant, &provider);
        }
        let Some(slot) = self.slots.get_mut(&id) else { return Ok(()) };
        if gives_up {
            slot.config.client_id = None;
            slot.own_secret = None;
            slot.extension_secrets.client_key = None;
        }
        let facts = self.remembered.server(&id);
        let known = facts.known_as.take();
        let dynamic = facts.registration.take();
        facts.own_client_at = None;
        facts.chosen_issuer = None;
        facts.by_name_at.clear();
        facts.resource_forms.clear();
        facts.without_resource_at.clear();
        let known = slot
            .grant
            .as_ref()
            .map(|grant| grant.registration.issuer.clone())
            .or_else(|| known.map(|known| known.issuer.into()));
        let facts = &mut self.remembered.facts;
        if let Some(issuer) = known {
            let port = self.gateway.port;
            let names = [redirect_uri(port), redirect_uri_by_name(port)]
                .map(|redirect_uri| registration_id(&issuer, &redirect_uri));
            facts
                .registrations
                .retain(|known| !names.contains(known) && Some(known) != dynamic.as_ref());
            facts.refusals.retain(|refusal| refusal.issuer != issuer);
            facts.accepted.retain(|(accepted, _)| *accepted != issuer);
        }
        self.remembered.save();
        Ok(())
    }

    /// The address that the browser was sent to, pasted by the person: it came back on a machine
    /// where nothing listens for it.
    pub(super) fn paste(&self, name: &str, address: &str) -> Result<(), Problem> {
        let id = self.id_of(name)?;
        let foreign = || {
            let redirect_uri = redirect_uri(self.gateway.port);
            Problem::new(Code::NotAwaited).with("server", name).with("redirect_uri", redirect_uri)
        };
        let is_waiting =
            self.slots.get(&id).is_some_and(|slot| slot.state.kind() == Kind::SigningIn);
        let url = Url::parse(address.trim()).map_err(|_| foreign())?;
        let query = url.query().filter(|_| is_waiting).ok_or_else(foreign)?;
        AuthorizationResponse::parse(query).map_err(|_| foreign())?;
        let authority = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(_), None) | (None, _) => return Err(foreign()),
        };
        match self.gateway.callbacks.arrive(query, &authority) {
            Arrival::Accepted { .. } => Ok(()),
            Arrival::NotAwaited => Err(foreign()),
        }
    }
}
