//! The way to a broker in this process.

use std::time::Duration;

use keyfob_auth::Secret;
use tokio::sync::{mpsc, oneshot, watch};

use super::command::{Answer, ClientKey, Command, Ended, NewSecrets};
use super::controller::entry;
use super::{Host, KeyTerms, new_server, sign_in, vault_problem};
use crate::browser::Browser;
use crate::control::protocol::NewServer;
use crate::gateway::Gateway;
use crate::mcp;
use crate::problem::{Code, Problem};
use crate::remembered::Saved;
use crate::server::Kind;
use crate::vault::{EntryKind, Vault};
use crate::view::{Progress, ServerView};

/// How long a person waits to hear what a new server is, or how many tools it has.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// How long a browser may take from the redirect to the page behind it.
const PAGE_LOOK: Duration = Duration::from_secs(2);

/// How long a command waits for the disk.
const DISK: Duration = Duration::from_secs(5);

/// By how much a sign-in's own end comes before that of those who wait for it.
const JOIN_MARGIN: Duration = Duration::from_millis(500);

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    gateway: Gateway,
    vault: Vault,
    host: Host,
    changed: watch::Receiver<u64>,
    saved: Saved,
}

impl Handle {
    pub(super) fn new(
        commands: mpsc::UnboundedSender<Command>,
        gateway: Gateway,
        vault: Vault,
        host: Host,
        changed: watch::Receiver<u64>,
        saved: Saved,
    ) -> Self {
        Self { commands, gateway, vault, host, changed, saved }
    }

    /// Counts the changes of what is shown.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }

    /// The gateway.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Asks and waits for the answer, and until what was remembered with it is on the disk: a command
    /// that has ended is not undone by a crash.
    ///
    /// # Errors
    /// The broker's problem, or that it has ended.
    pub async fn ask<T>(&self, make: impl FnOnce(Answer<T>) -> Command) -> Result<T, Problem> {
        let (answer, came) = oneshot::channel();
        let ended = || Problem::internal("Keyfob is ending");
        let command = make(answer);
        let only_looks = command.only_looks();
        self.commands.send(command).map_err(|_| ended())?;
        let answer = came.await.map_err(|_| ended())?;
        if !only_looks {
            let _ = tokio::time::timeout(DISK, self.saved.wait()).await;
        }
        answer
    }

    /// Tells and does not wait.
    pub fn tell(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// Puts a server on the list, its secrets into the vault first.
    ///
    /// # Errors
    /// When something about it cannot be used; nothing has changed then.
    pub async fn add(&self, new: NewServer) -> Result<ServerView, Problem> {
        let has_name = new.name.is_some();
        loop {
            match self.try_add(new.clone()).await {
                // Somebody else was quicker with a name that nobody chose.
                Err(problem) if problem.code == Code::NameTaken && !has_name => {}
                added => return added,
            }
        }
    }

    async fn try_add(&self, new: NewServer) -> Result<ServerView, Problem> {
        let taken: Vec<String> = self
            .ask(|answer| Command::List { answer })
            .await?
            .into_iter()
            .map(|s| s.name)
            .collect();
        let server = new_server::checked(&new, |name| taken.iter().any(|known| known == name))?;
        if self.gateway.is_own_address(&server.url) {
            return Err(new_server::is_own_address(&server.url));
        }
        let id = server.id.clone();
        if let Some(secret) = &new.client_secret {
            self.keep(EntryKind::ClientSecret, &id, secret.clone()).await?;
        }
        let extensions = new.extension_secrets();
        for (kind, secret) in [
            (EntryKind::ClientKey, &extensions.client_key),
            (EntryKind::IdpSecret, &extensions.idp_client_secret),
        ] {
            if let Some(secret) = secret {
                self.keep(kind, &id, secret.clone()).await?;
            }
        }
        if !new.headers.is_empty() {
            let pairs: Vec<_> = new.headers.iter().map(|(n, v)| (n, v.expose())).collect();
            let text = serde_json::to_string(&pairs).map_err(Problem::internal)?;
            self.keep(EntryKind::Headers, &id, Secret::new(text)).await?;
        }
        let secrets = NewSecrets { client: new.client_secret, extensions, headers: new.headers };
        let added = self.ask(|answer| Command::Add { server, secrets, answer }).await;
        if added.is_err() {
            for kind in [
                EntryKind::ClientSecret,
                EntryKind::ClientKey,
                EntryKind::IdpSecret,
                EntryKind::Headers,
            ] {
                if let Ok(entry) = entry(kind, &id) {
                    let _ = self.vault.delete(&entry).await;
                }
            }
        }
        added
    }

    /// Waits a little for what a new server says, so that its person is told what it is.
    pub(super) async fn looked_at(&self, mut server: ServerView) -> Result<ServerView, Problem> {
        let deadline = tokio::time::Instant::now() + FIRST_LOOK;
        while server.state == Kind::Probing && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let name = server.name.clone();
            server = self.ask(|answer| Command::Status { name, answer }).await?;
        }
        Ok(server)
    }

    /// Signs in and waits for the end.
    ///
    /// # Errors
    /// Why nothing came of it.
    pub async fn connect(
        &self,
        name: &str,
        browser: Option<Browser>,
        window: Option<Duration>,
        progress: mpsc::UnboundedSender<Progress>,
    ) -> Result<ServerView, Problem> {
        self.connect_at(name, None, browser, window, progress).await
    }

    /// The same at an authorization server of the person's choice.
    ///
    /// # Errors
    /// When its issuer is no https URL, or nothing came of it.
    pub async fn connect_at(
        &self,
        name: &str,
        issuer: Option<String>,
        browser: Option<Browser>,
        window: Option<Duration>,
        progress: mpsc::UnboundedSender<Progress>,
    ) -> Result<ServerView, Problem> {
        if let Some(issuer) = &issuer {
            new_server::check_issuer(issuer)?;
        }
        // A sign-in whose grant could not be kept would be a person's time wasted.
        if let Err(problem) = self.check_vault().await {
            self.tell(Command::NotBegun { name: name.to_owned(), problem: problem.clone() });
            return Err(problem);
        }
        let connecting = name.to_owned();
        let window = window.unwrap_or(sign_in::WINDOW).min(sign_in::WINDOW);
        let asked = self.ask(|answer| Command::Connect {
            name: connecting,
            issuer,
            browser,
            window,
            progress,
            answer,
        });
        // Whoever joins a sign-in under way has a window of their own.
        let Ok(connected) = tokio::time::timeout(window + JOIN_MARGIN, asked).await else {
            self.tell(Command::Leave { name: name.to_owned() });
            return Err(Problem::new(Code::CallbackTimeout).with("server", name));
        };
        let connected = connected?;
        let name = name.to_owned();
        match tokio::time::timeout(FIRST_LOOK, self.count_tools(&name)).await {
            Ok(Ok(())) => self.ask(|answer| Command::Status { name, answer }).await,
            Ok(Err(_)) | Err(_) => Ok(connected),
        }
    }

    /// Lists a server's tools for the first time; how many there are is shown from then on.
    async fn count_tools(&self, name: &str) -> Result<(), Problem> {
        mcp::Session::open(self, name).await?.tools().await.map(drop)
    }

    /// Ends a server's grant, and with `is_final` its place on the list.
    ///
    /// # Errors
    /// When the keychain cannot be asked although it may hold something; nothing has changed then.
    pub async fn end(&self, name: &str, is_final: bool) -> Result<Ended, Problem> {
        let holder = name.to_owned();
        if self.ask(|answer| Command::HoldsSecrets { name: holder, answer }).await? {
            self.check_vault().await?;
        }
        let name = name.to_owned();
        self.ask(|answer| Command::SignOut { name, is_final, answer }).await
    }

    /// Makes a client key.
    ///
    /// # Errors
    /// When there is no such server.
    pub async fn make_key(
        &self,
        client: &str,
        name: &str,
        terms: KeyTerms,
    ) -> Result<ClientKey, Problem> {
        let (client, name) = (client.to_owned(), name.to_owned());
        self.ask(|answer| Command::MakeKey { client, name, terms, answer }).await
    }

    /// Opens a session for one command: the server with that URL, or a new one on the list, and a
    /// key whose requests wait while a sign-in is started for them.
    ///
    /// # Errors
    /// When the server cannot be used.
    pub async fn open_session(
        &self,
        server: NewServer,
        browser: Option<Browser>,
        watcher: mpsc::UnboundedSender<Progress>,
    ) -> Result<ClientKey, Problem> {
        let like = server.clone();
        let (name, is_new_server) = match self.ask(|answer| Command::Find { like, answer }).await? {
            Some(name) => (name, false),
            None => (self.add(server).await?.name, true),
        };
        let (watched, watcher) = (name.clone(), Some(watcher));
        self.ask(|answer| Command::Watch { name: watched, browser, watcher, answer }).await?;
        let key =
            self.make_key("exec", &name, KeyTerms { holds: true, ..KeyTerms::default() }).await?;
        Ok(ClientKey { is_new_server, ..key })
    }

    /// Ends it.
    pub async fn close_session(&self, session: &ClientKey) {
        let (client, digest) = (None, Some(session.digest.clone()));
        let _ = self.ask(|answer| Command::RevokeKeys { client, digest, answer }).await;
        let name = session.server.clone();
        let _ =
            self.ask(|answer| Command::Watch { name, browser: None, watcher: None, answer }).await;
    }

    /// Tests the keychain.
    ///
    /// # Errors
    /// Why it does not work.
    pub async fn check_vault(&self) -> Result<crate::vault::Lasts, Problem> {
        self.vault.check().await.map_err(|error| vault_problem(&error))
    }

    pub(super) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// What it runs in.
    pub fn host(&self) -> Host {
        self.host
    }

    /// Whether grants are gone when the broker ends.
    pub fn keeps_in_memory(&self) -> bool {
        self.vault.is_memory()
    }

    /// A person who has just come back from the browser should see how it went, and not an error
    /// because a command has ended.
    pub(super) async fn let_pages_be_seen(&self) {
        let looking = async {
            while self.gateway.callbacks.awaits_a_look() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(PAGE_LOOK, looking).await;
    }

    pub(super) async fn stop(&self) {
        let (reply, ended) = oneshot::channel();
        self.tell(Command::Stop { reply });
        let _ = ended.await;
    }

    pub(super) async fn keep(
        &self,
        kind: EntryKind,
        id: &str,
        text: Secret,
    ) -> Result<(), Problem> {
        self.vault.put(&entry(kind, id)?, text).await.map_err(|error| vault_problem(&error))
    }
}
