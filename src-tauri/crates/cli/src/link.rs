//! The way to the broker: the one that runs, or one of our own for the length of a command.

use std::process::Stdio;
use std::time::Duration;

use keyfob_core::broker::{Defaults, Options, Predecessor, Running, Store};
use keyfob_core::control::client::{self, Connection};
use keyfob_core::control::protocol::Request;
use keyfob_core::paths::Paths;
use keyfob_core::problem::{Code, Problem};
use keyfob_core::view::Progress;
use serde_json::Value;
use tokio::sync::mpsc;

/// How long a broker that was started in the background may take to answer.
const START: Duration = Duration::from_secs(10);

/// How long such a broker stays when nobody uses it.
const IDLE_EXIT: &str = "600";

pub(crate) enum Link {
    Running(Paths),
    Own(Box<Running>),
}

impl Link {
    /// The broker that runs, else one for this command alone.
    pub(crate) async fn open(listens: bool) -> Result<Self, Problem> {
        let paths = paths()?;
        if client::connect(&paths).await.is_some() {
            return Ok(Self::Running(paths));
        }
        let options = Options {
            paths: Some(paths.clone()),
            store: Store::Keychain,
            is_ephemeral: false,
            listens,
            predecessor: Predecessor::Respect,
            probes: listens,
            browser: None,
            document: None,
            ca_file: None,
            settings_file: None,
            defaults: Defaults::default(),
        };
        match Running::start(options).await {
            Ok(running) => Ok(Self::Own(Box::new(running))),
            // It is just starting, or is a command like this one: wait for it.
            Err(problem) if problem.code == Code::AlreadyRunning => match wait_for(&paths).await {
                Some(_) => Ok(Self::Running(paths)),
                None => Err(problem),
            },
            Err(problem) => Err(problem),
        }
    }

    /// The broker that runs, else one that is started in the background and ends when idle.
    pub(crate) async fn open_lasting() -> Result<Self, Problem> {
        let paths = paths()?;
        if client::connect(&paths).await.is_none() {
            start_in_background()?;
            if wait_for(&paths).await.is_none() {
                // It says why it cannot run only to itself; ours will run into the same.
                return Self::open(true).await;
            }
        }
        Ok(Self::Running(paths))
    }

    pub(crate) async fn ask(&self, request: Request) -> Result<Value, Problem> {
        self.ask_watching(request, |_| {}).await
    }

    pub(crate) async fn ask_watching(
        &self,
        request: Request,
        mut watch: impl FnMut(Progress),
    ) -> Result<Value, Problem> {
        match self {
            Self::Running(paths) => connection(paths).await?.ask(request, watch).await,
            Self::Own(running) => {
                let (progress, mut steps) = mpsc::unbounded_channel();
                let answering = running.handle.answer(request, progress);
                tokio::pin!(answering);
                loop {
                    tokio::select! {
                        biased;
                        Some(step) = steps.recv() => watch(step),
                        answer = &mut answering => return answer,
                    }
                }
            }
        }
    }

    pub(crate) async fn connection(&self) -> Result<Connection, Problem> {
        match self {
            Self::Running(paths) => connection(paths).await,
            Self::Own(_) => connection(&paths()?).await,
        }
    }

    pub(crate) async fn close(self) {
        match self {
            Self::Running(_) => {}
            Self::Own(running) => running.stop().await,
        }
    }
}

pub(crate) fn paths() -> Result<Paths, Problem> {
    Paths::from_environment().map_err(Problem::internal)
}

async fn connection(paths: &Paths) -> Result<Connection, Problem> {
    client::connect(paths).await.ok_or_else(|| Problem::internal("the running Keyfob went away"))
}

async fn wait_for(paths: &Paths) -> Option<Connection> {
    let deadline = tokio::time::Instant::now() + START;
    let mut pause = Duration::from_millis(5);
    while tokio::time::Instant::now() < deadline {
        if let Some(connection) = client::connect(paths).await {
            return Some(connection);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
    None
}

/// A broker of its own process group and without our streams, so that it outlives us.
fn start_in_background() -> Result<(), Problem> {
    let program = std::env::current_exe().map_err(Problem::internal)?;
    let mut command = std::process::Command::new(program);
    command
        .args(["serve", "--idle-exit", IDLE_EXIT])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().map(drop).map_err(Problem::internal)
}
