//! What a person, or a program for them, asks of the broker.

use std::time::Duration;

use keyfob_auth::client_document::ClientDocumentUrl;
use keyfob_auth::trace::TraceStep;
use keyfob_auth::{Secret, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::edit::{Edited, Ends, Standing};
use super::keys::KeyTerms;
use super::sign_in::Wish;
use crate::browser::Browser;
use crate::config::ServerConfig;
use crate::control::protocol::NewServer;
use crate::extensions::ExtensionSecrets;
use crate::problem::Problem;
use crate::view::page::{Details, Found, Identity, Snapshot};
use crate::view::{ClientView, Progress, ServerView, TraceView};

/// Where the answer goes.
pub type Answer<T> = oneshot::Sender<Result<T, Problem>>;

/// A client key, told once.
#[derive(Debug)]
pub struct ClientKey {
    /// The client that it was made for.
    pub client: String,
    /// The server's name.
    pub server: String,
    /// The key.
    pub key: Secret,
    /// SHA-256 of the key, by which it can be taken back.
    pub digest: String,
    /// The gateway's origin.
    pub origin: String,
    /// Whether its server was put on the list for it.
    pub is_new_server: bool,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// What was done when a server was signed out or removed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ended {
    /// Line by line, what could and could not be done.
    pub lines: Vec<TraceView>,
}

/// A command. Each answers once.
#[expect(missing_docs, reason = "the fields repeat the words of the control channel")]
pub enum Command {
    /// Puts a server on the list; its secrets are in the vault already.
    Add { server: ServerConfig, secrets: NewSecrets, answer: Answer<ServerView> },
    /// All servers.
    List { answer: Answer<Vec<ServerView>> },
    /// One server.
    Status { name: String, answer: Answer<ServerView> },
    /// A server with that URL that fits whatever else is asked for, where there is one.
    Find { like: NewServer, answer: Answer<Option<String>> },
    /// Its trace.
    Trace { name: String, answer: Answer<Vec<TraceView>> },
    /// Signs in.
    Connect {
        name: String,
        issuer: Option<String>,
        browser: Option<Browser>,
        window: Duration,
        progress: mpsc::UnboundedSender<Progress>,
        answer: Answer<ServerView>,
    },
    /// Watches the sign-ins that held requests start, with this browser.
    Watch {
        name: String,
        browser: Option<Browser>,
        watcher: Option<mpsc::UnboundedSender<Progress>>,
        answer: Answer<()>,
    },
    /// Someone who waited for a sign-in has gone.
    Leave { name: String },
    /// The person wishes something during a sign-in.
    Wish { name: String, wish: Wish, answer: Answer<()> },
    /// Renews the access token.
    Refresh { name: String, answer: Answer<ServerView> },
    /// Whether the vault may hold something of it.
    HoldsSecrets { name: String, answer: Answer<bool> },
    /// Forgets the grant and says what there is to revoke.
    SignOut { name: String, is_final: bool, answer: Answer<Ended> },
    /// Something for the trace of a server.
    Note { name: String, lines: Vec<TraceStep> },
    /// Makes a client key.
    MakeKey { client: String, name: String, terms: KeyTerms, answer: Answer<ClientKey> },
    /// Makes new keys in place of those of a client, or of all.
    RotateKeys { client: Option<String>, answer: Answer<Vec<ClientKey>> },
    /// Takes back the keys of a client, or one key.
    RevokeKeys { client: Option<String>, digest: Option<String>, answer: Answer<usize> },
    /// Takes back the keys of a client for one server.
    RevokeKeysFor { client: String, name: String, answer: Answer<()> },
    /// Takes back the keys that another program may have been sent.
    RevokeKnownKeys { answer: Answer<()> },
    /// Keeps the keys that another program may have been sent.
    KeepKeys { answer: Answer<()> },
    /// All clients with lasting keys.
    Clients { answer: Answer<Vec<ClientView>> },
    /// How the last sign-in to a server failed, if it did.
    LastFailure { name: String, answer: Answer<Option<Problem>> },
    /// The id of a server, which names its entries in the vault.
    Id { name: String, answer: Answer<String> },
    /// Everything that the window's list shows.
    Snapshot { answer: Answer<Snapshot> },
    /// One server with all that is known of it.
    Details { name: String, answer: Answer<Details> },
    /// What is at an address.
    LookAt { url: String, answer: Answer<Found> },
    /// The real link of the sign-in under way.
    Link { name: String, answer: Answer<Secret> },
    /// The address that the browser was sent to, pasted by the person.
    Paste { name: String, address: String, answer: Answer<()> },
    /// How Keyfob is known where CIMD is taken.
    Identity { answer: Answer<Identity> },
    /// Compares a published client document with ours.
    CheckDocument { url: ClientDocumentUrl, answer: Answer<()> },
    /// Uses another client document, or what came with the build.
    UseDocument { url: Option<ClientDocumentUrl>, answer: Answer<()> },
    /// What there is of a server before it is changed.
    Standing { name: String, answer: Answer<Standing> },
    /// Changes a server; its secrets are in the vault already.
    Edit { name: String, edited: Box<Edited>, answer: Answer<Ends> },
    /// Turns a server on or off.
    Turn { name: String, on: bool, answer: Answer<()> },
    /// Asks again what could not be asked.
    Retry { name: String, answer: Answer<()> },
    /// Uses a client of the person's own; its secret is in the vault already.
    UseOwnClient { name: String, client_id: String, secret: Option<Secret>, answer: Answer<()> },
    /// Forgets how Keyfob is known there.
    ForgetRegistration { name: String, answer: Answer<()> },
    /// The person lets a server use the sign-in service of another one.
    AcceptService { name: String, issuer: String, answer: Answer<()> },
    /// A sign-in could not even begin.
    NotBegun { name: String, problem: Problem },
    /// A list of tools was seen.
    ToolsSeen { name: String, count: u32 },
    /// The end.
    Stop { reply: oneshot::Sender<()> },
}

impl Command {
    /// Whether it shows or changes what the keychain has not told yet.
    pub(super) fn wants_states(&self) -> bool {
        matches!(
            self,
            Self::List { .. }
                | Self::Status { .. }
                | Self::Connect { .. }
                | Self::Refresh { .. }
                | Self::SignOut { .. }
                | Self::Standing { .. }
                | Self::Snapshot { .. }
                | Self::Details { .. }
        )
    }

    /// Whether it only looks.
    pub(super) fn only_looks(&self) -> bool {
        matches!(
            self,
            Self::List { .. }
                | Self::Status { .. }
                | Self::Find { .. }
                | Self::Trace { .. }
                | Self::HoldsSecrets { .. }
                | Self::Clients { .. }
                | Self::LastFailure { .. }
                | Self::Id { .. }
                | Self::Standing { .. }
                | Self::Identity { .. }
                | Self::CheckDocument { .. }
                | Self::Snapshot { .. }
                | Self::Details { .. }
                | Self::LookAt { .. }
                | Self::Link { .. }
        )
    }
}

/// Secrets of a new server, for use at once.
#[derive(Debug, Default)]
pub struct NewSecrets {
    /// The client secret.
    pub client: Option<Secret>,
    /// For the extensions.
    pub extensions: ExtensionSecrets,
    /// Header values.
    pub headers: Vec<(String, Secret)>,
}
