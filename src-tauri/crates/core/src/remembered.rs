//! What Keyfob has learnt and keeps between runs; nothing in it is a secret.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use keyfob_auth::Timestamp;
use keyfob_auth::challenge::Challenge;
use keyfob_auth::flow::ResourceForm;
use keyfob_auth::registration::Refusal;
use keyfob_auth::trace::TraceStep;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::paths;
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
        let Challenge { resource_metadata, scope, realm, error: _ } = from.clone();
        Self { resource_metadata, scope, realm }
    }
}

impl From<KeptChallenge> for Challenge {
    fn from(kept: KeptChallenge) -> Self {
        let KeptChallenge { resource_metadata, scope, realm } = kept;
        Self { resource_metadata, scope, realm, error: None }
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
    file: Option<PathBuf>,
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
        let remembered = Self { file: Some(file), facts };
        remembered.save();
        Ok(remembered)
    }

    /// Facts that are kept nowhere.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn unsaved() -> Result<Self, Problem> {
        let profile = clock::random_hex(8).map_err(Problem::internal)?;
        Ok(Self { file: None, facts: Facts { profile, ..Facts::default() } })
    }

    /// Writes them down. A failure is logged and no more: everything here can be learnt again.
    pub fn save(&self) {
        let Some(file) = &self.file else { return };
        let written = serde_json::to_vec_pretty(&self.facts)
            .map_err(std::io::Error::other)
            .and_then(|content| paths::write_private(file, &content));
        if let Err(error) = written {
            tracing::warn!(file = %file.display(), %error, "cannot be written");
        }
    }

    /// What is known of a server.
    pub fn server(&mut self, id: &str) -> &mut ServerFacts {
        self.facts.servers.entry(id.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Remembered;

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
