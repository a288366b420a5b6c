//! The client keys: who has one, when it was used, how it ends.

use std::collections::BTreeSet;
use std::time::Duration;

use keyfob_auth::Timestamp;

use super::command::ClientKey;
use super::controller::Controller;
use crate::client_key;
use crate::clock;
use crate::problem::{Code, Problem};
use crate::remembered::KeyDigest;
use crate::view::ClientView;
use crate::view::page::KeyView;

/// How often it is written down which keys were used; a crash forgets what came after.
pub(super) const USES_SAVED: Duration = Duration::from_secs(15 * 60);

/// What a new key is like.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyTerms {
    /// Whether it is remembered when the broker ends.
    pub lasts: bool,
    /// Whether its requests wait while a sign-in is started for them.
    pub holds: bool,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

impl Controller {
    pub(super) fn make_key(
        &mut self,
        client: &str,
        name: &str,
        terms: KeyTerms,
    ) -> Result<ClientKey, Problem> {
        let id = self.id_of(name)?;
        let (key, digest) = client_key::make(client, &id, clock::now(), terms.expires_at)?;
        let told = ClientKey {
            client: client.to_owned(),
            server: name.to_owned(),
            key,
            digest: digest.sha256.clone(),
            origin: self.gateway.origin(),
            is_new_server: false,
            expires_at: terms.expires_at,
        };
        self.gateway.seats.admit(digest.clone(), terms.holds);
        if terms.lasts {
            self.remembered.facts.keys.push(digest);
            self.remembered.save();
        }
        Ok(told)
    }

    /// Takes back the keys for which `is_gone` holds; says how many of those that last.
    pub(super) fn revoke_keys(&mut self, is_gone: impl Fn(&KeyDigest) -> bool) -> usize {
        self.gateway.revoke(&is_gone);
        let before = self.remembered.facts.keys.len();
        self.remembered.facts.keys.retain(|key| !is_gone(key));
        let gone = before - self.remembered.facts.keys.len();
        if gone > 0 {
            self.remembered.save();
        }
        gone
    }

    /// Makes new keys in place of those of a client, or of all. A key that ends is followed by one
    /// that lives as long.
    pub(super) fn rotate_keys(&mut self, client: Option<&str>) -> Result<Vec<ClientKey>, Problem> {
        let all = &self.remembered.facts.keys;
        let old: Vec<KeyDigest> =
            all.iter().filter(|key| client.is_none_or(|c| c == key.client)).cloned().collect();
        if let (Some(client), true) = (client, old.is_empty()) {
            return Err(Problem::new(Code::UnknownClient).with("name", client));
        }
        let pairs: BTreeSet<(&str, &str)> =
            old.iter().map(|key| (key.client.as_str(), key.server.as_str())).collect();
        let mut made = Vec::new();
        for (client, server) in pairs {
            let Some(slot) = self.slots.get(server) else { continue };
            let name = slot.config.name.clone();
            let of_pair = old.iter().filter(|key| key.client == client && key.server == server);
            let lives = of_pair.map(KeyDigest::lifetime).max_by_key(|lives| match lives {
                None => Duration::MAX,
                Some(lives) => *lives,
            });
            let expires_at = lives.flatten().map(|lives| clock::now().plus(lives));
            let terms = KeyTerms { lasts: true, holds: false, expires_at };
            made.push(self.make_key(client, &name, terms)?);
        }
        self.revoke_keys(|key| old.iter().any(|old| old.sha256 == key.sha256));
        Ok(made)
    }

    /// Takes over from the gateway when each key was used last. Whether that was news.
    pub(super) fn note_key_uses(&mut self) -> bool {
        let mut is_news = false;
        for key in &mut self.remembered.facts.keys {
            let used = self.gateway.seats.last_use(key);
            if used > key.last_used_at {
                key.last_used_at = used;
                is_news = true;
            }
        }
        is_news
    }

    /// Writes it down where there is something new.
    pub(super) fn save_key_uses(&mut self) {
        if self.note_key_uses() {
            self.remembered.save();
        }
    }

    /// All clients with lasting keys.
    pub(super) fn clients(&mut self) -> Vec<ClientView> {
        self.note_key_uses();
        let keys = self.remembered.facts.keys.iter();
        let shown = keys.filter_map(|key| {
            let slot = self.slots.get(&key.server)?;
            Some(ClientView {
                name: key.client.clone(),
                server: slot.config.name.clone(),
                made_at: clock::rfc3339(key.made_at),
                last_used_at: key.last_used_at.map(clock::rfc3339),
                expires_at: key.expires_at.map(clock::rfc3339),
                may_be_known: self.remembered.facts.may_be_known(key),
            })
        });
        shown.collect()
    }

    /// The lasting keys for one server, as the window shows them.
    pub(super) fn keys_of(&self, id: &str) -> Vec<KeyView> {
        let keys = self.remembered.facts.keys.iter().filter(|key| key.server == id);
        let shown = keys.map(|key| KeyView {
            client: key.client.clone(),
            made_at: clock::rfc3339(key.made_at),
            last_used_at: self.gateway.seats.last_use(key).map(clock::rfc3339),
            expires_at: key.expires_at.map(clock::rfc3339),
            has_ended: key.has_ended(clock::now()),
        });
        shown.collect()
    }

    /// Clients whose keys another program may have been sent.
    pub(super) fn clients_to_rotate(&self) -> Vec<String> {
        let facts = &self.remembered.facts;
        let known = facts.keys.iter().filter(|key| facts.may_be_known(key));
        known.map(|key| key.client.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Keeps all keys although another program may have been sent them: its person knows it.
    pub(super) fn keep_keys(&mut self) {
        self.remembered.facts.port_was_taken_until = None;
        self.remembered.save();
    }
}
