//! `keyfob serve`: the broker without a desktop.

use std::time::Duration;

use keyfob_auth::Secret;
use keyfob_auth::client_document::{ClientDocumentUrl, PORTS};
use keyfob_core::broker::{self, Defaults, Host, Options, Predecessor};
use keyfob_core::browser::Browser;
use keyfob_core::environment;
use keyfob_core::extensions::{ExtensionSecrets, Extensions};
use keyfob_core::paths::{HOME_VARIABLE, Paths};
use keyfob_core::problem::{Code, Problem};
use serde_json::json;

use crate::arguments::{self, Running, Serve, Store};
use crate::{clients, link, say};

/// How long an ephemeral broker lives when nothing else is said.
pub(crate) const EPHEMERAL_DEADLINE: u64 = 25;

pub(crate) async fn serve(arguments: Serve) -> Result<u8, Problem> {
    let mut options = options(&arguments.running, arguments.store)?;
    if arguments.idle_exit.is_some() {
        options.host = Host::Background;
    }
    if let (Some(paths), false, Host::Serve) = (&options.paths, options.is_ephemeral, options.host)
        && broker::host_of(paths).await == Some(Host::Background)
    {
        options.predecessor = Predecessor::Relieve;
    }
    let mut running = broker::Running::start(options).await?;
    let mut signals = Signals::listen()?;
    let gateway = running.handle.gateway().origin();
    if arguments.json {
        say::json_line(&json!({ "event": "ready", "gateway": gateway, "pid": std::process::id() }));
    } else {
        say::line(format_args!("Keyfob answers at {gateway}. Ctrl-C ends it."));
        tell_port(&running).await?;
    }
    let deadline = deadline(&arguments.running);
    let handle = running.handle.clone();
    let status = tokio::select! {
        () = running.relieved() => 0,
        _ = signals.told() => 0,
        () = idle(&handle, arguments.idle_exit) => 0,
        () = after(deadline) => 6,
    };
    running.stop().await;
    match deadline {
        Some(seconds) if status == 6 => {
            Err(Problem::new(Code::Deadline).with("seconds", seconds.as_secs()))
        }
        _ => Ok(status),
    }
}

/// What there is to know of the port that a person would not expect.
async fn tell_port(running: &broker::Running) -> Result<(), Problem> {
    if let Some(port) = running.other_port {
        let all = PORTS.map(|port| port.to_string()).join(", ");
        say::aside(format_args!(
            "The usual ports ({all}) are taken, so Keyfob has chosen {port} and keeps it. Services that compare redirect addresses exactly refuse its client document (CIMD) at this port; there it registers itself (DCR)."
        ));
    }
    let clients = running.handle.ask(|answer| broker::command::Command::Clients { answer }).await?;
    if let Some(warning) = clients::warning(&clients) {
        say::aside(warning);
    }
    Ok(())
}

/// What the options of `serve` and `exec` come to.
pub(crate) fn options(running: &Running, store: Option<Store>) -> Result<Options, Problem> {
    let browser = match &running.browser {
        Some(text) => match Browser::parse(text)? {
            Browser::Follow if !running.ephemeral => return Err(broker::no_follow()),
            browser => Some(browser),
        },
        None => None,
    };
    let document = match &running.client_metadata_url {
        Some(url) => Some(ClientDocumentUrl::parse(url).map_err(|cause| {
            Problem::new(Code::Usage).with("cause", format_args!("--client-metadata-url: {cause}"))
        })?),
        None => None,
    };
    if running.ephemeral && store == Some(Store::Keychain) {
        let cause = "--ephemeral keeps nothing: it goes with --store memory";
        return Err(Problem::new(Code::Usage).with("cause", cause));
    }
    if running.client_secret_env.is_some() && running.client_id.is_none() {
        let cause = "a client secret needs its client id: --client-id";
        return Err(Problem::new(Code::Usage).with("cause", cause));
    }
    // An ephemeral run belongs to no profile, unless one of its own was made for it.
    let has_own_home = std::env::var_os(HOME_VARIABLE).is_some_and(|home| !home.is_empty());
    let paths: Option<Paths> =
        if running.ephemeral && !has_own_home { None } else { Some(link::paths()?) };
    let store = match store {
        Some(Store::Memory) => broker::Store::Memory,
        _ if running.ephemeral => broker::Store::Memory,
        Some(Store::Keychain) | None => broker::Store::Keychain,
    };
    Ok(Options {
        paths,
        store,
        is_ephemeral: running.ephemeral,
        listens: true,
        predecessor: Predecessor::Respect,
        probes: true,
        browser,
        document,
        ca_file: running.ca_file.clone(),
        host: Host::Serve,
        settings_file: Some(link::paths()?.config_file()),
        defaults: Defaults {
            issuer: running.issuer.clone(),
            client_id: running.client_id.clone(),
            client_secret: secret_from(running.client_secret_env.as_deref())?,
            scopes: running.scope.clone(),
            allow_guessed_endpoints: running.allow_legacy,
            extensions: extensions(&running.extensions),
            extension_secrets: extension_secrets(&running.extensions)?,
        },
    })
}

/// What is set of the extensions.
pub(crate) fn extensions(given: &arguments::Extensions) -> Extensions {
    Extensions {
        sign_in: given.sign_in.unwrap_or_default(),
        dpop: given.dpop,
        idp_issuer: given.idp_issuer.clone(),
        idp_client_id: given.idp_client_id.clone(),
        idp_token_endpoint: given.idp_token_endpoint.clone(),
    }
}

/// What that needs, out of the environment.
pub(crate) fn extension_secrets(
    given: &arguments::Extensions,
) -> Result<ExtensionSecrets, Problem> {
    Ok(ExtensionSecrets {
        client_key: secret_from(given.client_key_env.as_deref())?,
        idp_client_secret: secret_from(given.idp_client_secret_env.as_deref())?,
        idp_id_token: secret_from(given.idp_id_token_env.as_deref())?,
    })
}

/// A secret out of the environment: an argument could be read by everyone.
pub(crate) fn secret_from(variable: Option<&str>) -> Result<Option<Secret>, Problem> {
    let Some(variable) = variable else { return Ok(None) };
    match environment::secret(variable) {
        Some(secret) => Ok(Some(secret)),
        None => Err(Problem::new(Code::Usage)
            .with("cause", format_args!("the environment variable {variable} holds no secret"))),
    }
}

/// When an ephemeral run, or one with a deadline, has to end.
pub(crate) fn deadline(running: &Running) -> Option<Duration> {
    let default = running.ephemeral.then_some(EPHEMERAL_DEADLINE);
    running.deadline.or(default).map(Duration::from_secs)
}

pub(crate) async fn after(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// What asks a process to end, by the status that it then ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Ctrl-C.
    Interrupt = 130,
    /// A service manager.
    Terminate = 143,
    /// The terminal is gone.
    HangUp = 129,
}

impl Told {
    /// The status.
    pub(crate) fn status(self) -> u8 {
        self as u8
    }
}

/// Ctrl-C, and what a service manager sends, from the moment on that this is made.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, Problem> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let listen = |kind: SignalKind| signal(kind).map_err(Problem::internal);
            Ok(Self {
                interrupt: listen(SignalKind::interrupt())?,
                terminate: listen(SignalKind::terminate())?,
                hang_up: listen(SignalKind::hangup())?,
            })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits until this process is told to end.
    pub(crate) async fn told(&mut self) -> Told {
        #[cfg(unix)]
        return tokio::select! {
            _ = self.interrupt.recv() => Told::Interrupt,
            _ = self.terminate.recv() => Told::Terminate,
            _ = self.hang_up.recv() => Told::HangUp,
        };
        #[cfg(not(unix))]
        {
            let _ = tokio::signal::ctrl_c().await;
            Told::Interrupt
        }
    }
}

/// Ends a broker that nobody has used for a while.
async fn idle(handle: &broker::Handle, seconds: Option<u64>) {
    let Some(seconds) = seconds else { return std::future::pending().await };
    let most = Duration::from_secs(seconds);
    loop {
        let unused = handle.gateway().activity.unused_for();
        match most.checked_sub(unused) {
            Some(rest) if !rest.is_zero() => tokio::time::sleep(rest).await,
            _ => return,
        }
    }
}
