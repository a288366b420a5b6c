//! The broker: the one process that owns vault, refresh and gateway.

mod asks;
mod at_provider;
mod begin;
mod changes;
mod client_secrets;
pub mod command;
mod commands;
mod controller;
mod edit;
mod handle;
mod instance;
mod keys;
mod load;
mod look;
mod new_server;
mod pause;
mod refresh;
mod report;
mod reports;
mod requests;
#[cfg(test)]
mod scripted;
mod secret_renewal;
mod shared_service;
mod sign_in;
mod sign_out;
mod slot;
#[cfg(all(test, unix))]
mod tests;
mod turn;
mod window;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keyfob_auth::Secret;
use keyfob_auth::client_document::{ClientDocumentUrl, PORTS};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use self::controller::Controller;
pub use self::handle::Handle;
use self::instance::Instance;
pub use self::keys::KeyTerms;
pub use self::window::document_url;
use crate::browser::Browser;
use crate::clock;
use crate::config::Config;
use crate::extensions::{ExtensionSecrets, Extensions};
use crate::fetch::Fetch;
use crate::gateway::callbacks::Callbacks;
use crate::gateway::peer::Peers;
use crate::gateway::relay::Relay;
use crate::gateway::seat::Seats;
use crate::gateway::{Gateway, Listeners, choose_port, free_port, take_port};
use crate::paths::Paths;
use crate::problem::{Code, Problem};
use crate::remembered::Remembered;
use crate::vault::{ProfileId, Vault, VaultError};

/// How long open requests are let end when the broker stops: a successor gets lock and port within
/// five seconds.
const GRACE: Duration = Duration::from_secs(4);

/// How long a predecessor may take to give up lock and port.
const HAND_OVER: Duration = Duration::from_secs(8);

/// How many servers ask the vault at a time.
const LOADS: usize = 8;

/// The URL of the client document that this build was made with.
const BUILT_IN_DOCUMENT: Option<&str> = option_env!("KEYFOB_CLIENT_METADATA_URL");

/// Where grants are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// In the OS keychain.
    Keychain,
    /// In memory, for this run.
    Memory,
}

/// What to do when another process is the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predecessor {
    /// Refuse to start.
    Respect,
    /// Ask it to give up lock and port. A desktop app is asked to show itself instead.
    Relieve,
}

/// What a broker runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Host {
    /// A command, for as long as it takes.
    Command,
    /// A process that a command started; one of the user's own may take its place.
    Background,
    /// `keyfob serve`.
    Serve,
    /// The desktop app.
    Desktop,
}

/// How a broker starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// The profile's folders; without them nothing is read or written.
    pub paths: Option<Paths>,
    /// Where grants are kept.
    pub store: Store,
    /// A port of its own, no lock: many may run at once.
    pub is_ephemeral: bool,
    /// Whether it answers on its port; what only looks at the list does not need to.
    pub listens: bool,
    /// What to do when another process is the broker.
    pub predecessor: Predecessor,
    /// Whether servers are asked before anyone uses them.
    pub probes: bool,
    /// Overrides the setting.
    pub browser: Option<Browser>,
    /// Overrides the setting.
    pub document: Option<ClientDocumentUrl>,
    /// Overrides the setting.
    pub ca_file: Option<PathBuf>,
    /// What it runs in.
    pub host: Host,
    /// Where settings are read from by a broker without folders of its own.
    pub settings_file: Option<PathBuf>,
    /// For servers that say nothing of their own.
    pub defaults: Defaults,
}

/// How servers are signed in to that say nothing of their own.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// The issuer.
    pub issuer: Option<String>,
    /// The user's own client id.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<Secret>,
    /// Scopes to ask for.
    pub scopes: Vec<String>,
    /// Whether endpoints may be guessed where there is no metadata at all.
    pub allow_guessed_endpoints: bool,
    /// How to sign in, where that is one of MCP's extensions.
    pub extensions: Extensions,
    /// What that needs.
    pub extension_secrets: ExtensionSecrets,
}

/// What another process wants of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// To give up lock and port.
    Drain,
    /// To show its window.
    Show,
}

/// A broker that runs in this process.
#[derive(Debug)]
pub struct Running {
    /// The way to it.
    pub handle: Handle,
    /// The port that was chosen at this start, where it is none of the usual ones.
    pub other_port: Option<u16>,
    controller: JoinHandle<()>,
    gateway: JoinHandle<()>,
    #[cfg(unix)]
    control: Option<crate::control::server::Control>,
    stop: watch::Sender<bool>,
    _instance: Option<Instance>,
}

impl Running {
    /// Starts a broker.
    ///
    /// # Errors
    /// When another one runs, the port is taken, or the settings cannot be used.
    pub async fn start(options: Options) -> Result<Self, Problem> {
        if options.listens {
            raise_descriptors();
        }
        if let Some(paths) = &options.paths {
            paths.create().map_err(|error| {
                Problem::new(Code::ConfigInvalid)
                    .with("file", paths.config.display())
                    .with("cause", error)
            })?;
        }
        let instance = match &options.paths {
            Some(paths) if !options.is_ephemeral => {
                Some(become_broker(paths, options.predecessor).await?)
            }
            Some(_) | None => None,
        };
        let (mut config, mut remembered) = match &options.paths {
            Some(paths) => (Config::load(&paths.config_file())?, Remembered::load(&paths.state)?),
            None => (Config::unsaved(options.settings_file.as_deref())?, Remembered::unsaved()?),
        };
        let document = match &options.document {
            Some(document) => Some(document.clone()),
            None => client_document(&config)?,
        };
        let browser = match (&options.browser, &config.settings.browser) {
            (Some(browser), _) => browser.clone(),
            (None, Some(setting)) => match Browser::parse(setting)? {
                Browser::Follow => return Err(no_follow()),
                browser => browser,
            },
            (None, None) => Browser::System,
        };
        let ca_file = options.ca_file.clone().or_else(|| config.settings.ca_file.clone());
        let fetch = Fetch::new(ca_file.as_deref())?;
        let relay = Relay::new(ca_file.as_deref())?;
        let has_chosen = config.settings.port.is_none() && !options.is_ephemeral;
        let listeners = match options.listens {
            true => Some(listen(&options, &mut config, &mut remembered).await?),
            false => None,
        };
        let port = match &listeners {
            Some(listeners) => listeners.port().map_err(Problem::internal)?,
            None => config.settings.port.unwrap_or(PORTS[0]),
        };
        let peers = match &listeners {
            Some(listeners) if !config.settings.allow_other_users => {
                Peers::checked(listeners.address().map_err(Problem::internal)?)
            }
            Some(_) | None => Peers::KeyDecides,
        };
        let vault = match options.store {
            Store::Keychain => Vault::keychain(
                ProfileId::new(remembered.facts.profile.clone()).map_err(Problem::internal)?,
            ),
            Store::Memory => Vault::memory(),
        };
        let (ask, asks) = mpsc::unbounded_channel();
        let (command, commands) = mpsc::unbounded_channel();
        let (report, reports) = mpsc::unbounded_channel();
        let gateway = Gateway {
            port,
            seats: Arc::new(Seats::default()),
            callbacks: Arc::new(Callbacks::default()),
            relay,
            broker: ask,
            peers: Arc::new(peers),
            activity: Arc::default(),
            connections: Arc::default(),
        };
        let listens = listeners.is_some();
        let (stop, stopped) = watch::channel(false);
        let (changes, changed) = watch::channel(0);
        let handle = Handle::new(
            command.clone(),
            gateway.clone(),
            vault.clone(),
            options.host,
            changed,
            remembered.saved(),
        );
        let controller = Controller {
            config,
            remembered,
            slots: std::collections::BTreeMap::new(),
            vault,
            fetch,
            ca_file,
            document,
            browser,
            gateway: gateway.clone(),
            probes: options.probes,
            only_looks: !options.listens && !options.probes,
            defaults: options.defaults.clone(),
            provider_turns: Default::default(),
            loads: Arc::new(tokio::sync::Semaphore::new(LOADS)),
            reports: report,
            commands: command,
            deferred: Vec::new(),
            secrets: client_secrets::ClientSecrets::default(),
            changes,
        };
        let controller = tokio::spawn(controller.run(asks, commands, reports));
        let gateway = tokio::spawn(async move {
            if let Some(listeners) = listeners {
                gateway.serve(listeners, stopped, GRACE).await;
            }
        });
        #[cfg(unix)]
        let control = match &options.paths {
            Some(paths) => {
                match crate::control::server::Control::open(paths, handle.clone()).await {
                    Ok(control) => Some(control),
                    // Of many ephemeral brokers in one home, the first has the socket.
                    Err(problem)
                        if options.is_ephemeral && problem.code == Code::AlreadyRunning =>
                    {
                        None
                    }
                    Err(problem) => return Err(problem),
                }
            }
            None => None,
        };
        let is_other = has_chosen && listens && !PORTS.contains(&port);
        Ok(Self {
            handle,
            other_port: is_other.then_some(port),
            controller,
            gateway,
            #[cfg(unix)]
            control,
            stop,
            _instance: instance,
        })
    }

    /// Waits until another process wants something of this one.
    pub async fn called(&mut self) -> Call {
        #[cfg(unix)]
        if let Some(control) = &mut self.control {
            return control.called().await;
        }
        std::future::pending().await
    }

    /// Waits until a successor asks this broker to go.
    pub async fn relieved(&mut self) {
        while self.called().await != Call::Drain {}
    }

    /// Ends: lets open requests end, saves what is unsaved, gives up port and lock.
    pub async fn stop(self) {
        self.handle.let_pages_be_seen().await;
        self.stop.send_replace(true);
        let _ = self.gateway.await;
        self.handle.stop().await;
        let _ = self.controller.await;
        #[cfg(unix)]
        if let Some(control) = self.control {
            control.close();
        }
    }
}

/// Every stream takes two descriptors, and some systems begin with 256.
fn raise_descriptors() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the limit of open files stays as it is");
        }
    }
}

async fn become_broker(paths: &Paths, predecessor: Predecessor) -> Result<Instance, Problem> {
    let held = match Instance::take(&paths.run) {
        Ok(instance) => return Ok(instance),
        Err(problem) => problem,
    };
    if held.code != Code::AlreadyRunning || predecessor == Predecessor::Respect {
        return Err(held);
    }
    let deadline = tokio::time::Instant::now() + HAND_OVER;
    let mut has_asked = false;
    loop {
        // One that is just starting has the lock before it can be asked.
        #[cfg(unix)]
        if !has_asked && let Some(host) = host_of(paths).await {
            use crate::control::protocol::Request;
            has_asked = true;
            let is_desktop = host == Host::Desktop;
            let wanted = if is_desktop { Request::Show } else { Request::Drain };
            if let Some(mut connection) = crate::control::client::connect(paths).await {
                let asked = connection.ask(wanted, |_| {});
                let _ = tokio::time::timeout(HAND_OVER, asked).await;
            }
            if is_desktop {
                return Err(held);
            }
        }
        match Instance::take(&paths.run) {
            Ok(instance) => return Ok(instance),
            Err(problem) if tokio::time::Instant::now() > deadline => return Err(problem),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// What the broker of a profile runs in; `None` where there is none that answers.
#[cfg(unix)]
pub async fn host_of(paths: &Paths) -> Option<Host> {
    let mut connection = crate::control::client::connect(paths).await?;
    let told = connection.ask(crate::control::protocol::Request::Ping, |_| {}).await.ok()?;
    serde_json::from_value(told.get("host")?.clone()).ok()
}

/// The URL of the client document: the setting's, else the one that this build was made with.
///
/// # Errors
/// When it cannot be a client id.
pub fn client_document(config: &Config) -> Result<Option<ClientDocumentUrl>, Problem> {
    let set = config.settings.client_metadata_url.as_deref();
    let Some(url) = set.or(BUILT_IN_DOCUMENT).filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    ClientDocumentUrl::parse(url).map(Some).map_err(|cause| {
        Problem::new(Code::ConfigInvalid)
            .with("file", config.file().display())
            .with("cause", format_args!("client_metadata_url: {cause}"))
    })
}

/// Links are followed only where nothing but a test can be harmed.
pub fn no_follow() -> Problem {
    Problem::new(Code::Usage).with("cause", "--browser follow works only with --ephemeral")
}

async fn listen(
    options: &Options,
    config: &mut Config,
    remembered: &mut Remembered,
) -> Result<Listeners, Problem> {
    if options.is_ephemeral {
        return free_port().await.map_err(Problem::internal);
    }
    let Some(port) = config.settings.port else {
        let listeners = choose_port().await.map_err(Problem::internal)?;
        let port = listeners.port().map_err(Problem::internal)?;
        if !PORTS.contains(&port) {
            tracing::warn!(port, "the ports in the client document are taken; this one is kept");
        }
        config.set_port(port)?;
        return Ok(listeners);
    };
    match take_port(port).await {
        Ok(listeners) => {
            // Clients send their keys to whoever listens.
            if remembered.facts.regain_port(clock::now()) {
                tracing::warn!(
                    port,
                    "another program had the port; client keys may be known to it"
                );
                remembered.save();
            }
            Ok(listeners)
        }
        Err(_) => {
            if remembered.facts.lose_port() {
                remembered.save();
                // This process ends now, and the next one has to know it.
                let saved = remembered.saved();
                let _ = tokio::time::timeout(controller::LAST_SAVE, saved.wait()).await;
            }
            let file = config.file().display();
            Err(Problem::new(Code::PortTaken).with("port", port).with("file", file))
        }
    }
}

/// What a person is told when the vault fails.
pub fn vault_problem(error: &VaultError) -> Problem {
    match error {
        VaultError::Absent { why } => Problem::new(Code::VaultAbsent).with("cause", why),
        VaultError::Locked | VaultError::Denied => Problem::new(Code::VaultLocked),
        VaultError::TimedOut => Problem::new(Code::VaultSlow),
        error => Problem::new(Code::VaultFailed).with("cause", error),
    }
}
