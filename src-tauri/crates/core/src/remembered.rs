//! What Keyfob has learnt and keeps between runs; nothing in it is a secret.

mod saving;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use keyfob_auth::Timestamp;
use keyfob_auth::challenge::Challenge;
use keyfob_auth::flow::ResourceForm;
use keyfob_auth::registration::Refusal;
use keyfob_auth::text::Untrusted;
use keyfob_auth::trace::TraceStep;
use serde::{Deserialize, Serialize};

pub use self::saving::Saved;
use self::saving::Saving;
use crate::clock;
use crate::problem::Problem;
use crate::server::LastSaid;
use crate::vault::ProfileId;
use crate::view::RegistrationView;

/// Longest trace that is kept of one server, in lines.
const LONGEST_TRACE: usize = 200;

/// The kept form.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// This profile's id in the keychain.
    pub profile: String,
    /// Issuers that refused our document.
    pub refusals: Vec<Refusal>,
    /// Issuers that accepted it, with the document's URL.
    pub accepted: Vec<(String, String)>,
    /// Client keys, as digests.
    pub keys: Vec<KeyDigest>,
    /// Another program had our port when it was tried last.
    pub port_is_taken: bool,
    /// Until when another program may have had our port, and been sent the keys of then.
    pub port_was_taken_until: Option<Timestamp>,
    /// Ids of the dynamic registrations in the vault.
    pub registrations: Vec<String>,
    /// Ids of the grants at identity providers in the vault.
    pub providers: Vec<String>,
    /// What is known of each server, by its id.
    pub servers: BTreeMap<String, ServerFacts>,
}

/// A client key that was given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDigest {
    /// The client it was made for.
    pub client: String,
    /// The server's id.
    pub server: String,
    /// SHA-256 of the key, in hexadecimal.
    pub sha256: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it ends; absent where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was used last, as far as it has been written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
}

impl KeyDigest {
    /// For how long it is good, where it ends.
    pub fn lifetime(&self) -> Option<Duration> {
        self.expires_at.map(|end| end.since(self.made_at))
    }

    /// Whether it is good no more.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

impl AsRef<Self> for KeyDigest {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Facts {
    /// Whether another program may have been sent this key: it was given out before ours had the
    /// port back.
    pub fn may_be_known(&self, key: &KeyDigest) -> bool {
        self.port_was_taken_until.is_some_and(|until| key.made_at <= until)
    }

    /// Notes that another program has our port. Whether that is news.
    pub fn lose_port(&mut self) -> bool {
        // Without a key there is nothing that could be seen.
        let is_news = !self.port_is_taken && !self.keys.is_empty();
        self.port_is_taken |= is_news;
        is_news
    }

    /// Notes that the port is ours. Whether it was another's before.
    pub fn regain_port(&mut self, now: Timestamp) -> bool {
        let was_taken = std::mem::take(&mut self.port_is_taken);
        if was_taken {
            self.port_was_taken_until = Some(now);
        }
        was_taken
    }
}

/// What is known of one server.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerFacts {
    /// A sign-in has worked before, so its loss is red.
    pub has_worked: bool,
    /// What it said when it was last asked without a token.
    pub last: Option<LastSaid>,
    /// What a client's request met there, for a server that answers the first one freely.
    pub refused_later: Option<KeptChallenge>,
    /// The dynamic registration in the vault that its sign-ins use.
    pub registration: Option<String>,
    /// How we were known there at the last sign-in, to be shown when its grant is gone.
    pub known_as: Option<RegistrationView>,
    /// How many tools it listed last.
    pub tools: Option<u32>,
    /// The issuers that it names, in its order.
    pub issuers: Vec<String>,
    /// The issuer that its last sign-in ended at.
    pub chosen_issuer: Option<String>,
    /// The sign-in services of other servers that the person lets this one use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accepted_services: Vec<String>,
    /// The user's own client that has signed in there, and the issuer that it belongs to.
    pub own_client_at: Option<(String, String)>,
    /// Issuers that want no resource indicator for it, as an older form of this file has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without_resource_at: Vec<String>,
    /// In which form issuers want its resource indicator.
    pub resource_forms: BTreeMap<String, ResourceForm>,
    /// Issuers that take our redirect URI by name only.
    pub by_name_at: Vec<String>,
    /// The steps of its last sign-in and what came after.
    pub trace: Vec<TraceStep>,
}

/// A challenge, as far as a later sign-in needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptChallenge {
    /// Where the metadata is.
    pub resource_metadata: Option<String>,
    /// What was wanted.
    pub scope: Option<String>,
    /// The realm.
    pub realm: Option<String>,
}

impl From<&Challenge> for KeptChallenge {
    fn from(from: &Challenge) -> Self {
        // It is sent back as it came.
        let kept = |text: &Option<Untrusted>| text.as_ref().map(|text| text.raw().to_owned());
        let Challenge { resource_metadata, scope, realm, error: _ } = from;
        Self { resource_metadata: kept(resource_metadata), scope: kept(scope), realm: kept(realm) }
    }
}

impl From<KeptChallenge> for Challenge {
    fn from(kept: KeptChallenge) -> Self {
        let KeptChallenge { resource_metadata, scope, realm } = kept;
        Self {
            resource_metadata: resource_metadata.map(Untrusted::new),
            scope: scope.map(Untrusted::new),
            realm: realm.map(Untrusted::new),
            error: None,
        }
    }
}

impl ServerFacts {
    /// In which form issuers want its resource indicator.
    pub fn resource_forms(&self) -> Vec<(String, ResourceForm)> {
        let new = self.resource_forms.iter().map(|(issuer, form)| (issuer.clone(), *form));
        let old = self.without_resource_at.iter();
        new.chain(old.map(|issuer| (issuer.clone(), ResourceForm::Absent))).collect()
    }

    /// Adds lines to the trace, dropping the oldest beyond a bound.
    pub fn extend_trace(&mut self, lines: impl IntoIterator<Item = TraceStep>) {
        self.trace.extend(lines);
        let excess = self.trace.len().saturating_sub(LONGEST_TRACE);
        self.trace.drain(..excess);
    }
}

/// The facts and their file.
#[derive(Debug)]
pub struct Remembered {
    saving: Option<Saving>,
    /// The facts.
    pub facts: Facts,
}

impl Remembered {
    /// Reads the file; a file that cannot be understood is set aside under another name, so that
    /// nothing is lost and nothing stands in the way.
    ///
    /// # Errors
    /// When the system gives no randomness for a new profile's id.
    pub fn load(folder: &Path) -> Result<Self, Problem> {
        let file = folder.join("remembered.json");
        let mut facts = match fs::read(&file) {
            Ok(content) => serde_json::from_slice(&content).unwrap_or_else(|_| {
                tracing::warn!(file = %file.display(), "cannot be understood, set aside");
                let _ = fs::rename(&file, file.with_extension("json.bad"));
                Facts::default()
            }),
            Err(_) => Facts::default(),
        };
        if ProfileId::new(facts.profile.clone()).is_err() {
            facts.profile = clock::random_hex(8).map_err(Problem::internal)?;
        }
        // Under a profile's id its grants are looked for: it is on the disk before anything is.
        if let Some(content) = content(&facts) {
            saving::write(&file, &content);
        }
        Ok(Self { saving: Some(Saving::to(file)), facts })
    }

    /// The facts as they stand in the file, for who only looks.
    pub fn look(folder: &Path) -> Facts {
        let content = fs::read(folder.join("remembered.json")).unwrap_or_default();
        serde_json::from_slice(&content).unwrap_or_default()
    }

    /// Facts that are kept nowhere.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn unsaved() -> Result<Self, Problem> {
        let profile = clock::random_hex(8).map_err(Problem::internal)?;
        Ok(Self { saving: None, facts: Facts { profile, ..Facts::default() } })
    }

    /// Has them written down, and does not wait for the disk.
    pub fn save(&self) {
        if let (Some(saving), Some(content)) = (&self.saving, content(&self.facts)) {
            saving.hand_over(content);
        }
    }

    /// What is on its way to the disk, for whoever has to wait for it.
    pub fn saved(&self) -> Saved {
        self.saving.as_ref().map_or_else(Saved::nowhere, Saving::saved)
    }

    /// What is known of a server.
    pub fn server(&mut self, id: &str) -> &mut ServerFacts {
        self.facts.servers.entry(id.to_owned()).or_default()
    }
}

/// The file's content.
fn content(facts: &Facts) -> Option<Vec<u8>> {
    let written = serde_json::to_vec_pretty(facts);
    written.inspect_err(|error| tracing::warn!(%error, "cannot be written down")).ok()
}

#[cfg(test)]
mod tests {
    use keyfob_auth::Timestamp;

    use super::{Facts, KeyDigest, Remembered};
    use crate::client_key;

    /// A key as it was written down before keys had an end and a last use.
    #[test]
    fn an_older_file_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = r#"{"profile":"0011223344556677","keys":
            [{"client":"cursor","server":"s","sha256":"00","made_at":7}]}"#;
        std::fs::write(folder.path().join("remembered.json"), text).expect("written");
        let facts = Remembered::load(folder.path()).expect("facts").facts;
        let key = KeyDigest {
            client: "cursor".into(),
            server: "s".into(),
            sha256: "00".into(),
            made_at: Timestamp(7),
            expires_at: None,
            last_used_at: None,
        };
        assert_eq!(facts.keys, [key]);
        assert!(!facts.port_is_taken && facts.port_was_taken_until.is_none());
    }

    #[test]
    fn keys_from_before_the_port_came_back_may_be_known_and_later_ones_not() {
        let key = |at| client_key::make("c", "s", Timestamp(at), None).expect("a key").1;
        let mut facts = Facts::default();
        assert!(!facts.lose_port(), "nobody has a key");
        facts.keys = vec![key(10)];
        assert!(!facts.regain_port(Timestamp(20)), "it was never another's");
        assert!(!facts.may_be_known(&facts.keys[0]));
        assert!(facts.lose_port() && !facts.lose_port(), "it is written down once");
        facts.keys.push(key(25));
        assert!(facts.regain_port(Timestamp(30)) && !facts.regain_port(Timestamp(40)));
        facts.keys.push(key(35));
        let known: Vec<bool> = facts.keys.iter().map(|key| facts.may_be_known(key)).collect();
        assert_eq!(known, [true, true, false]);
    }

    #[test]
    fn a_profile_keeps_its_id_and_a_broken_file_is_set_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Remembered::load(folder.path()).expect("facts").facts.profile;
        assert_eq!(Remembered::load(folder.path()).expect("facts").facts.profile, first);
        std::fs::write(folder.path().join("remembered.json"), "{").expect("written");
        assert_ne!(Remembered::load(folder.path()).expect("facts").facts.profile, first);
        let aside = std::fs::read_to_string(folder.path().join("remembered.json.bad"));
        assert_eq!(aside.expect("a file"), "{");
    }
}
