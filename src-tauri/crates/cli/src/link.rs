//! The way to the broker: the one that runs, or one of our own for the length of a command.

use std::process::{Child, Stdio};
use std::time::Duration;

use keyfob_core::auth::text::Shown;
use keyfob_core::broker::{Defaults, Host, Options, Predecessor, Running, Store};
use keyfob_core::control::client::{self, Connection};
use keyfob_core::control::protocol::{Reply, Request};
use keyfob_core::environment;
use keyfob_core::paths::Paths;
use keyfob_core::problem::{Code, Problem};
use keyfob_core::view::Progress;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long a command waits for its turn, and for a broker that was started in the background.
const TURN: Duration = Duration::from_secs(10);

/// How long a broker that was started in the background stays when nobody uses it.
const IDLE_EXIT: &str = "600";

/// What the broker is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// To look at the list or change it.
    Look,
    /// To look at a new server as well.
    Probe,
    /// To listen on its port while this command runs.
    Listen,
    /// To be there for the next command as well.
    Last,
}

enum Broker {
    Running,
    Own(Box<Running>),
}

pub(crate) struct Link {
    paths: Paths,
    need: Need,
    broker: Broker,
}

/// A running broker's end of a connection, line by line.
pub(crate) type Lines = (BufReader<OwnedReadHalf>, OwnedWriteHalf);

impl Link {
    /// The broker that runs, else one for this command alone.
    pub(crate) async fn open(listens: bool) -> Result<Self, Problem> {
        Self::open_for(if listens { Need::Listen } else { Need::Look }).await
    }

    /// The broker that runs, else one for this command alone, which asks new servers what they are.
    pub(crate) async fn open_probing() -> Result<Self, Problem> {
        Self::open_for(Need::Probe).await
    }

    /// The broker that runs, else one that is started in the background and ends when idle.
    pub(crate) async fn open_lasting() -> Result<Self, Problem> {
        Self::open_for(Need::Last).await
    }

    async fn open_for(need: Need) -> Result<Self, Problem> {
        let paths = paths()?;
        let broker = find(&paths, need, &mut Turns::begin()).await?;
        Ok(Self { paths, need, broker })
    }

    /// A second way to the same broker, for while the first waits for its answer.
    pub(crate) fn beside(&self) -> Beside {
        Beside { paths: self.paths.clone() }
    }

    /// Whether the broker ends with this command.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.broker, Broker::Own(_))
    }

    pub(crate) async fn ask(&mut self, request: Request) -> Result<Value, Problem> {
        self.ask_watching(request, |_| {}).await
    }

    /// Asks. A broker that is gone before it has said anything is looked for again: it belonged to
    /// a command like this one, which has ended.
    pub(crate) async fn ask_watching(
        &mut self,
        request: Request,
        mut watch: impl FnMut(Progress),
    ) -> Result<Value, Problem> {
        let mut turns = Turns::begin();
        loop {
            let asked = match &self.broker {
                Broker::Own(running) => return ask_own(running, request, watch).await,
                Broker::Running => match client::connect(&self.paths).await {
                    Some(connection) => ask_over(connection, request.clone(), &mut watch).await,
                    None => Err(Unanswered::Unheard),
                },
            };
            match asked {
                Ok(answer) => return answer,
                Err(Unanswered::Unheard) => {}
                // Whatever a tool does, it must not do it twice.
                Err(Unanswered::Unsaid) if !matches!(request, Request::Call { .. }) => {}
                Err(Unanswered::Unsaid | Unanswered::Unfinished) => return Err(went_away()),
            }
            if !turns.wait().await {
                return Err(went_away());
            }
            self.broker = find(&self.paths, self.need, &mut turns).await?;
        }
    }

    /// A connection that is handed over to a request, with the first line that came back.
    pub(crate) async fn hand_over(
        &mut self,
        request: Request,
    ) -> Result<(Result<Value, Problem>, Lines), Problem> {
        let mut turns = Turns::begin();
        loop {
            if let Some(connection) = client::connect(&self.paths).await
                && let Some(begun) = hand_over(connection, request.clone()).await
            {
                return Ok(begun);
            }
            if !turns.wait().await {
                return Err(went_away());
            }
            if !self.is_own() {
                self.broker = find(&self.paths, self.need, &mut turns).await?;
            }
        }
    }

    pub(crate) async fn close(self) {
        let Broker::Own(running) = self.broker else { return };
        if matches!(self.need, Need::Look | Need::Probe) {
            // Other commands may have found it meanwhile. (A gateway that listens may have a
            // browser on the line, which would not hang up.)
            let activity = running.handle.gateway().activity.clone();
            let served = async {
                while activity.unused_for().is_zero() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let _ = tokio::time::timeout(TURN, served).await;
        }
        running.stop().await;
    }
}

/// See [`Link::beside`].
pub(crate) struct Beside {
    paths: Paths,
}

impl Beside {
    pub(crate) async fn ask(&self, request: Request) -> Result<Value, Problem> {
        let connection = client::connect(&self.paths).await.ok_or_else(went_away)?;
        ask_over(connection, request, |_| {}).await.unwrap_or_else(|_| Err(went_away()))
    }
}

pub(crate) fn paths() -> Result<Paths, Problem> {
    Paths::from_environment().map_err(Problem::internal)
}

fn went_away() -> Problem {
    Problem::internal("the running Keyfob went away")
}

/// Commands that run at the same time take turns at being the broker: this is one command's
/// patience.
pub(crate) struct Turns {
    until: Instant,
    pause: Duration,
}

impl Turns {
    pub(crate) fn begin() -> Self {
        Self { until: Instant::now() + TURN, pause: Duration::from_millis(5) }
    }

    /// Waits a little; false when it has been long enough.
    pub(crate) async fn wait(&mut self) -> bool {
        if Instant::now() >= self.until {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_millis(50));
        true
    }
}

async fn find(paths: &Paths, need: Need, turns: &mut Turns) -> Result<Broker, Problem> {
    if need == Need::Last && client::connect(paths).await.is_none() {
        let mut child = start_in_background()?;
        loop {
            if client::connect(paths).await.is_some() {
                return Ok(Broker::Running);
            }
            let has_ended = !matches!(child.try_wait(), Ok(None));
            if has_ended || !turns.wait().await {
                break;
            }
        }
        // It says why it cannot run only to itself; ours will run into the same.
    }
    loop {
        if client::connect(paths).await.is_some() {
            return Ok(Broker::Running);
        }
        match Running::start(options(paths.clone(), need)).await {
            Ok(running) => return Ok(Broker::Own(Box::new(running))),
            // It is just starting or just ending, or belongs to a command like this one.
            Err(problem) if problem.code == Code::AlreadyRunning => {
                if !turns.wait().await {
                    return Err(problem);
                }
            }
            Err(problem) => return Err(problem),
        }
    }
}

fn options(paths: Paths, need: Need) -> Options {
    let listens = matches!(need, Need::Listen | Need::Last);
    Options {
        paths: Some(paths),
        store: Store::Keychain,
        is_ephemeral: false,
        listens,
        predecessor: Predecessor::Respect,
        probes: need != Need::Look,
        browser: None,
        document: None,
        ca_file: None,
        host: Host::Command,
        settings_file: None,
        defaults: Defaults::default(),
    }
}

async fn ask_own(
    running: &Running,
    request: Request,
    mut watch: impl FnMut(Progress),
) -> Result<Value, Problem> {
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

/// How far a broker came that went away.
enum Unanswered {
    /// It cannot have heard the request.
    Unheard,
    /// It may have heard it, and has said nothing.
    Unsaid,
    /// It was at it.
    Unfinished,
}

async fn ask_over(
    connection: Connection,
    request: Request,
    mut watch: impl FnMut(Progress),
) -> Result<Result<Value, Problem>, Unanswered> {
    // The writing half stays: a client that hangs up wants no answer.
    let (mut lines, _write) =
        connection.hand_over(request).await.map_err(|_| Unanswered::Unheard)?;
    let mut has_said = false;
    loop {
        match next(&mut lines).await {
            Some(Reply::Progress(step)) => watch(step),
            Some(Reply::Done(value)) => return Ok(Ok(value)),
            Some(Reply::Problem(problem)) if has_said || !is_ending(&problem) => {
                return Ok(Err(problem));
            }
            Some(Reply::Problem(_)) => return Err(Unanswered::Unsaid),
            None if has_said => return Err(Unanswered::Unfinished),
            None => return Err(Unanswered::Unsaid),
        }
        has_said = true;
    }
}

/// `None` when the broker went away before it said anything.
pub(crate) async fn hand_over(
    connection: Connection,
    request: Request,
) -> Option<(Result<Value, Problem>, Lines)> {
    let (mut lines, write) = connection.hand_over(request).await.ok()?;
    let first = match next(&mut lines).await? {
        Reply::Problem(problem) if is_ending(&problem) => return None,
        Reply::Problem(problem) => Err(problem),
        Reply::Done(value) => Ok(value),
        Reply::Progress(_) => Ok(Value::Null),
    };
    Some((first, (lines, write)))
}

/// The next line; `None` when there is no other, or none that can be understood.
pub(crate) async fn next(lines: &mut BufReader<OwnedReadHalf>) -> Option<Reply> {
    let mut line = String::new();
    lines.read_line(&mut line).await.ok()?;
    serde_json::from_str(&line).ok()
}

/// What a broker says to whom it still hears and can no longer answer.
fn is_ending(problem: &Problem) -> bool {
    let cause = problem.params.get("cause").map(Shown::as_str);
    problem.code == Code::Internal && cause == Some("Keyfob is ending")
}

/// A broker of its own process group and without our streams, so that it outlives us.
fn start_in_background() -> Result<Child, Problem> {
    let program = std::env::current_exe().map_err(Problem::internal)?;
    let mut command = std::process::Command::new(program);
    command
        .args(["serve", "--idle-exit", IDLE_EXIT])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    environment::withhold_secrets(&mut command);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().map_err(Problem::internal)
}
