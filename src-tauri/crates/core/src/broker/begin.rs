//! What the broker begins: asking a server, a sign-in, a refresh. Each runs as a
//! task and comes back as a report.

use std::sync::PoisonError;
use std::time::Duration;

use http::HeaderMap;
use keyfob_auth::client_document::{ClientDocumentUrl, redirect_uri, redirect_uri_by_name};
use keyfob_auth::flow::{self, Next, OwnClient, Plan, SignIn, SignInError};
use keyfob_auth::registration::{AuthMethod, Registration, RegistrationKind};
use keyfob_auth::{Secret, ServerUrl};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::at_provider;
use super::controller::{Controller, entry};
use super::load::load_registrations;
use super::refresh;
use super::report::{Probe, Report, ServerReport};
use super::sign_in::{self, Task};
use super::slot::{Slot, UnderWay};
use crate::browser::Browser;
use crate::clock;
use crate::extensions::{self, ExtensionSecrets, Extensions};
use crate::fetch::Fetch;
use crate::problem::Problem;
use crate::remembered::ServerFacts;
use crate::server::{Event, State};
use crate::typed::Typed;
use crate::vault::EntryKind;

/// How a sign-in is to be made.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Where, in place of where the server says.
    pub(super) issuer: Option<String>,
    /// How the link is opened; as set, where absent.
    pub(super) browser: Option<Browser>,
    /// How long it may take.
    pub(super) window: Duration,
    /// Whether a person has asked for it. Else one that should need nobody opens no browser.
    pub(super) by_person: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { issuer: None, browser: None, window: sign_in::WINDOW, by_person: false }
    }
}

impl Controller {
    /// Asks a server whether it wants a sign-in: the first step of one, and no more.
    pub(super) fn probe(&mut self, id: &str) {
        let Some(slot) = self.slots.get(id).filter(|_| self.probes) else { return };
        let Some(plan) = self.plan(slot) else { return };
        let (fetch, reports, id) = (self.fetch.clone(), self.reports.clone(), id.to_owned());
        let name = slot.config.name.clone();
        tokio::spawn(async move {
            let probe = probe(plan, &fetch, &name).await;
            let _ = reports.send(Report { server: id, report: ServerReport::Probed(probe) });
        });
    }

    /// What a sign-in to this server is given.
    pub(super) fn plan(&self, slot: &Slot) -> Option<Plan> {
        let facts = self.remembered.facts.servers.get(&slot.config.id);
        let document = self.document.as_ref().map(ClientDocumentUrl::as_str);
        let own_headers: HeaderMap =
            slot.seat.headers.read().unwrap_or_else(PoisonError::into_inner).clone();
        let is_step_up = matches!(slot.state, State::NeedsScope(_));
        Some(Plan {
            server: ServerUrl::parse(&slot.config.url).ok()?,
            challenge: slot.challenge.clone(),
            refused_later: facts.and_then(|f| f.refused_later.clone()).map(Into::into),
            headers: own_headers,
            issuer: self.issuer(slot),
            chosen_issuer: facts.and_then(|facts| facts.chosen_issuer.clone()),
            own_client: self.own_client(slot),
            scopes: match slot.config.scopes.as_slice() {
                [] => self.defaults.scopes.clone(),
                scopes => scopes.to_vec(),
            },
            parameters: slot.config.parameters.clone().into_iter().collect(),
            scope_parameter: slot.config.scope_parameter.clone(),
            had_scopes: if is_step_up { slot.had_scopes() } else { Vec::new() },
            had_at: slot.grant.as_ref().map(|grant| grant.registration.issuer.clone()),
            document: self.document.clone(),
            redirect_uri: redirect_uri(self.gateway.port),
            redirect_uri_by_name: redirect_uri_by_name(self.gateway.port),
            by_name_at: facts.map(|f| f.by_name_at.clone()).unwrap_or_default(),
            refusals: self.remembered.facts.refusals.clone(),
            accepted_by: self
                .remembered
                .facts
                .accepted
                .iter()
                .filter(|(_, url)| Some(url.as_str()) == document)
                .map(|(issuer, _)| issuer)
                // Where the user wants no preflight, it is as if the document had been accepted.
                .chain(&self.config.settings.no_preflight)
                .cloned()
                .collect(),
            registrations: Vec::new(),
            resource_forms: facts.map(ServerFacts::resource_forms).unwrap_or_default(),
            allow_guessed_endpoints: slot.config.allow_guessed_endpoints
                || self.defaults.allow_guessed_endpoints,
            allow_unadvertised_pkce: slot.config.allow_unadvertised_pkce,
            extensions: self.extensions(slot),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    fn extensions(&self, slot: &Slot) -> flow::Extensions {
        extensions::plan(self.extensions_set(slot), self.extension_secrets(slot))
    }

    /// What is set for this server, or else for all that say nothing of their own.
    pub(super) fn extensions_set<'a>(&'a self, slot: &'a Slot) -> &'a Extensions {
        if slot.config.extensions == Extensions::default() {
            &self.defaults.extensions
        } else {
            &slot.config.extensions
        }
    }

    fn extension_secrets(&self, slot: &Slot) -> ExtensionSecrets {
        slot.extension_secrets.clone().or(&self.defaults.extension_secrets)
    }

    /// Whether a sign-in to this server needs nobody.
    pub(super) fn is_unattended(&self, slot: &Slot) -> bool {
        extensions::is_unattended(self.extensions_set(slot), &self.extension_secrets(slot))
            || self.is_known_at_provider(slot)
    }

    /// The issuer that the user has named.
    fn issuer(&self, slot: &Slot) -> Option<String> {
        slot.config.issuer.clone().or_else(|| self.defaults.issuer.clone())
    }

    fn own_client(&self, slot: &Slot) -> Option<OwnClient> {
        let (client_id, secret) = match &slot.config.client_id {
            Some(client_id) => (client_id, &slot.own_secret),
            None => (self.defaults.client_id.as_ref()?, &self.defaults.client_secret),
        };
        let facts = self.remembered.facts.servers.get(&slot.config.id);
        let belongs_to = facts.and_then(|facts| facts.own_client_at.as_ref());
        let remembered = belongs_to.filter(|(id, _)| id == client_id).map(|(_, issuer)| issuer);
        // What the user wrote counts for more than what was learnt.
        let issuer = self.issuer(slot).or_else(|| remembered.cloned());
        Some(OwnClient { client_id: client_id.clone(), secret: secret.clone(), issuer })
    }

    /// What the user typed for a sign-in to this server, whose issuer is to be `wanted`.
    fn typed(&self, slot: &Slot, wanted: Option<&str>) -> Typed {
        let mut typed = Typed::default();
        // Of a probe more is learnt than is kept.
        let kept = slot.grant.as_ref().filter(|_| slot.challenge.is_some());
        typed.add(slot.seat.upstream.url(), kept.and_then(|grant| grant.reach));
        // One of those that the server names is chosen, and not typed.
        let facts = self.remembered.facts.servers.get(&slot.config.id);
        let is_named = |issuer: &str| {
            facts.is_some_and(|facts| facts.issuers.iter().any(|named| named == issuer))
        };
        let wanted = wanted.filter(|issuer| !is_named(issuer)).map(str::to_owned);
        let issuers = [wanted, self.issuer(slot)];
        for issuer in issuers.into_iter().flatten().filter_map(|url| url::Url::parse(&url).ok()) {
            typed.add(&issuer, None);
        }
        typed
    }

    /// Begins a sign-in, unless one is under way.
    pub(super) fn begin_sign_in(&mut self, id: &str, wanted: Wanted) {
        let Wanted { issuer, browser, window, by_person } = wanted;
        let Some(slot) = self.slots.get(id).filter(|slot| slot.sign_in.is_none()) else { return };
        let (Some(mut plan), Ok(entry)) = (self.plan(slot), entry(EntryKind::Grant, id)) else {
            return;
        };
        // For this once; where it ends well, it is the one that is asked first from then on. It
        // says nothing about whom the user's own client belongs to.
        let typed = self.typed(slot, issuer.as_deref());
        // Where the server's name leads is learnt from the probe. A step-up goes on without it: a
        // probe would lose what access is wanted.
        if !typed.is_known() && !matches!(slot.state, State::NeedsScope(_)) {
            plan.challenge = None;
        }
        plan.issuer = issuer.or(plan.issuer);
        let browser =
            browser.or_else(|| slot.browser.clone()).unwrap_or_else(|| self.browser.clone());
        let (wishes, wished) = mpsc::unbounded_channel();
        let registrations = self.remembered.facts.registrations.clone();
        let provider = at_provider::provider_id(self.extensions_set(slot));
        let provider_turns = self.provider_turns.entry(provider.unwrap_or_default()).or_default();
        let provider_turns = provider_turns.clone();
        let vault = self.vault.clone();
        let mut task = Task {
            server: id.to_owned(),
            name: slot.config.name.clone(),
            plan: plan.clone(),
            typed,
            shared: self.shared_services(id),
            deadline: Instant::now() + window,
            browser,
            may_visit: by_person || !self.is_unattended(slot),
            at_provider: None,
            provider_turns,
            origin: self.gateway.origin(),
            fetch: self.fetch.clone(),
            ca_file: self.ca_file.clone(),
            callbacks: self.gateway.callbacks.clone(),
            vault: vault.clone(),
            entry,
            turn: slot.turn.clone(),
            epoch: slot.turn.epoch(),
            reports: self.reports.clone(),
            wishing: wishes.clone(),
            wishes: wished,
        };
        tokio::spawn(async move {
            plan.registrations = load_registrations(&vault, &registrations).await;
            task.plan = plan;
            task.run().await;
        });
        self.remembered.server(id).trace.clear();
        if let Some(slot) = self.slots.get_mut(id) {
            slot.last_failure = None;
            slot.sign_in = Some(UnderWay {
                wishes,
                watchers: slot.watcher.iter().cloned().collect(),
                ends: Vec::new(),
                told: Vec::new(),
            });
        }
        self.step(id, Event::SignInBegan);
    }

    /// Begins a refresh, unless one is in flight.
    pub(super) fn begin_refresh(&mut self, id: &str) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        if slot.is_refreshing || slot.grant.is_none() {
            return;
        }
        slot.is_refreshing = true;
        if !self.renews_secret_first(id) {
            self.send_refresh(id);
        }
        self.step(id, Event::RefreshBegan);
    }

    /// Sends the request of a refresh that has begun.
    pub(super) fn send_refresh(&mut self, id: &str) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let (Some(mut grant), Ok(entry)) = (slot.grant.clone(), entry(EntryKind::Grant, id)) else {
            slot.is_refreshing = false;
            return slot.settle();
        };
        let registration = &mut grant.registration;
        let (secret, key) = (&slot.own_secret, &slot.extension_secrets.client_key);
        let client_id = slot.config.client_id.as_deref();
        renew_own_secret(registration, client_id, secret.as_ref(), key.as_ref());
        let epoch = slot.turn.epoch();
        let work = refresh::refresh(
            grant,
            self.fetch.clone(),
            refresh::Kept { vault: self.vault.clone(), entry, turn: slot.turn.clone(), epoch },
        );
        let (reports, server) = (self.reports.clone(), id.to_owned());
        tokio::spawn(async move {
            let report = ServerReport::RefreshEnded(epoch, work.await);
            let _ = reports.send(Report { server, report });
        });
    }
}

/// The secret, or key, of the user's own client may have been changed since the grant was made.
fn renew_own_secret(
    registration: &mut Registration,
    client_id: Option<&str>,
    secret: Option<&Secret>,
    key: Option<&Secret>,
) {
    let credential = match registration.auth_method {
        AuthMethod::PrivateKeyJwt => key,
        AuthMethod::None | AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost => secret,
    };
    let is_own = registration.kind == RegistrationKind::PreRegistered
        && client_id == Some(registration.client_id.as_str());
    if let (true, Some(_), Some(credential)) = (is_own, &registration.secret, credential) {
        registration.secret = Some(credential.clone());
    }
}

async fn probe(plan: Plan, fetch: &Fetch, name: &str) -> Probe {
    let Ok(entropy) = clock::entropy() else { return Probe::Unreachable };
    let mut typed = Typed::default();
    typed.add(plan.server.url(), None);
    let (url, redirect_uri) = (plan.server.as_str().to_owned(), plan.redirect_uri.clone());
    let (mut flow, mut next) = SignIn::start(plan, clock::now(), &entropy);
    while flow.is_probing()
        && let Next::Fetch(request) = next
    {
        let answer = fetch.ask(request, &mut typed).await;
        next = flow.step(flow::Event::Answer(answer), clock::now(), &entropy);
    }
    match next {
        Next::Over(flow::Outcome::Open) => Probe::Open,
        Next::Over(flow::Outcome::Failed(error)) => match error {
            SignInError::Unreachable { .. } | SignInError::OutOfOrder { .. } => Probe::Unreachable,
            error => Probe::Unusable(Problem::from_sign_in(&error, name, &url, &redirect_uri)),
        },
        Next::Over(flow::Outcome::SignedIn(_) | flow::Outcome::Surveyed(_))
        | Next::Browse(_)
        | Next::Wait => Probe::Unreachable,
        Next::Fetch(_) => Probe::Challenged,
    }
}

#[cfg(test)]
mod tests {
    use keyfob_auth::registration::{
        AuthMethod, Reason, ReasonCode, Registration, RegistrationKind,
    };
    use keyfob_auth::{Secret, Timestamp};

    use super::renew_own_secret;

    /// D-20: a secret that was changed since is used at the next refresh, and no other's is.
    #[test]
    fn a_changed_secret_of_the_users_own_client_is_used_at_the_next_refresh() {
        let own = |kind, secret: Option<&str>| Registration {
            kind,
            client_id: "own".into(),
            secret: secret.map(Secret::new),
            auth_method: AuthMethod::ClientSecretBasic,
            issuer: "https://a".into(),
            redirect_uri: "http://127.0.0.1:1/callback".into(),
            scopes: None,
            registered_at: Timestamp(0),
            secret_expires_at: None,
            reason: Reason::new(ReasonCode::OwnClient),
            management: None,
        };
        let after = |mut registration: Registration, client_id: &str| {
            let (secret, key) = (Secret::new("new"), Secret::new("new key"));
            renew_own_secret(&mut registration, Some(client_id), Some(&secret), Some(&key));
            registration.secret.map(|secret| secret.expose().to_owned())
        };
        let mine = RegistrationKind::PreRegistered;
        assert_eq!(after(own(mine, Some("old")), "own").as_deref(), Some("new"));
        assert_eq!(after(own(mine, Some("old")), "another").as_deref(), Some("old"));
        assert_eq!(after(own(mine, None), "own"), None, "it was let in without");
        let signs = Registration {
            auth_method: AuthMethod::PrivateKeyJwt,
            ..own(RegistrationKind::PreRegistered, Some("old key"))
        };
        assert_eq!(after(signs, "own").as_deref(), Some("new key"), "not the secret beside it");
        let made = own(RegistrationKind::Dcr, Some("old"));
        assert_eq!(after(made, "own").as_deref(), Some("old"));
    }
}
