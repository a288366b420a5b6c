//! `keyfob exec`: a command with a server's local address, signed in on demand.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::process::ExitStatus;
use std::time::Duration;

use keyfob_auth::Secret;
use keyfob_core::broker::{self, Options, Store};
use keyfob_core::control::client;
use keyfob_core::control::protocol::{Hello, NewServer, Reply, Request, VERSION};
use keyfob_core::environment::{self, KEY_VARIABLE, URL_VARIABLE};
use keyfob_core::problem::{Code, Problem};
use keyfob_core::view::Progress;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};

use crate::arguments::{Exec, Running};
use crate::link::{self, Lines, Turns};
use crate::serve::{Signals, Told};
use crate::{say, serve};

/// What stands for the address in the command.
const PLACE: &str = "{url}";

/// How long a command that has to end may take to do so by itself.
const GENTLY: Duration = Duration::from_millis(500);

/// How long the broker may take to say how the last sign-in went.
const LAST_WORD: Duration = Duration::from_secs(5);

pub(crate) async fn exec(arguments: Exec) -> Result<u8, Problem> {
    if !arguments.command.iter().any(|word| word.to_string_lossy().contains(PLACE)) {
        let cause = "the command has no {url} in it, where the local address would go";
        return Err(Problem::new(Code::Usage).with("cause", cause));
    }
    let mut options = serve::options(&arguments.running, None)?;
    options.probes = false;
    let deadline = serve::deadline(&arguments.running);
    let server = new_server(&arguments.running, &arguments.url)?;
    if options.store == Store::Memory {
        // What is not kept needs no list either.
        options.paths = None;
    }
    let mut turns = Turns::begin();
    loop {
        if let Some(paths) = &options.paths
            && let Some(running) = client::connect(paths).await
        {
            let browser = options.browser.clone();
            let request = Request::Session { server: server.clone(), browser };
            if let Some((told, lines)) = link::hand_over(running, request).await {
                return at_running(&told?, lines, &arguments.command, deadline).await;
            }
        }
        match broker::Running::start(options.clone()).await {
            Ok(running) => {
                return at_own(running, options, server, &arguments.command, deadline).await;
            }
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

/// Runs the command at the broker that runs, which keeps the session for as long as the connection
/// lasts.
async fn at_running(
    told: &Value,
    (mut lines, mut write): Lines,
    command: &[OsString],
    deadline: Option<Duration>,
) -> Result<u8, Problem> {
    let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default();
    let (url, key) = (Secret::new(text("url")), Secret::new(text("key")));
    if told.get("is_new") == Some(&Value::Bool(true)) {
        tell_new(text("name"));
    }
    let (answer, answered) = oneshot::channel();
    let reading = tokio::spawn(async move {
        while let Some(reply) = link::next(&mut lines).await {
            match reply {
                Reply::Progress(progress) => show_link(progress),
                Reply::Done(value) => {
                    let _ = answer.send(value);
                    return;
                }
                Reply::Problem(_) => return,
            }
        }
    });
    let ended = run(command, &url, &key, deadline).await?;
    // Whatever is asked now is answered with how the last sign-in failed.
    let asked = serde_json::to_string(&Hello { keyfob: VERSION, request: Request::Ping });
    let asked = asked.map_err(Problem::internal)? + "\n";
    let failure = match write.write_all(asked.as_bytes()).await {
        Ok(()) => tokio::time::timeout(LAST_WORD, answered).await.ok().and_then(Result::ok),
        Err(_) => None,
    };
    reading.abort();
    let failure = failure.and_then(|value| serde_json::from_value(value).ok()).flatten();
    finish(ended, failure, deadline)
}

/// Runs the command with a broker for it alone.
async fn at_own(
    running: broker::Running,
    options: Options,
    server: NewServer,
    command: &[OsString],
    deadline: Option<Duration>,
) -> Result<u8, Problem> {
    let (progress, mut steps) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(step) = steps.recv().await {
            show_link(step);
        }
    });
    let opened = running.handle.open_session(server, options.browser, progress).await;
    let session = match opened {
        Ok(session) => session,
        Err(problem) => {
            running.stop().await;
            return Err(problem);
        }
    };
    let name = session.server.clone();
    if session.is_new_server && options.paths.is_some() {
        tell_new(&name);
    }
    let url = format!("{}/k/{}/{name}", session.origin, session.key.expose());
    let ended = run(command, &Secret::new(url), &session.key, deadline).await;
    let asked = running.handle.ask(|answer| broker::command::Command::LastFailure { name, answer });
    let failure = asked.await.ok().flatten();
    running.handle.close_session(&session).await;
    running.stop().await;
    finish(ended?, failure, deadline)
}

/// A list that has grown without having been asked to should not surprise anyone later.
fn tell_new(name: &str) {
    say::aside(format_args!("{name} is on your list now; keyfob remove {name} takes it off."));
}

/// The person has to open what no browser was sent to, and to know who will use what they allow. It
/// goes beside the command's output.
fn show_link(progress: Progress) {
    match progress {
        Progress::Link { link, is_opened: false, .. } => {
            say::aside(format_args!("Open this link in a browser: {link}"));
        }
        Progress::Notice { text } => say::aside(text),
        Progress::Link { .. } | Progress::Trace { .. } => {}
    }
}

fn new_server(running: &Running, url: &str) -> Result<NewServer, Problem> {
    let secrets = serve::extension_secrets(&running.extensions)?;
    Ok(NewServer {
        url: url.to_owned(),
        issuer: running.issuer.clone(),
        client_id: running.client_id.clone(),
        client_secret: serve::secret_from(running.client_secret_env.as_deref())?,
        scopes: running.scope.clone(),
        allow_guessed_endpoints: running.allow_legacy,
        extensions: serve::extensions(&running.extensions),
        client_key: secrets.client_key,
        idp_client_secret: secrets.idp_client_secret,
        idp_id_token: secrets.idp_id_token,
        ..NewServer::default()
    })
}

/// How the command ended.
enum Ended {
    Exited(ExitStatus),
    OutOfTime,
    Told(Told),
}

async fn run(
    command: &[OsString],
    url: &Secret,
    key: &Secret,
    deadline: Option<Duration>,
) -> Result<Ended, Problem> {
    let mut words = command.iter().map(|word| fill(word, url.expose()));
    let program = words.next().unwrap_or_default();
    let mut prepared = Command::new(&program);
    prepared.args(words);
    environment::withhold_secrets(prepared.as_std_mut());
    prepared.env(URL_VARIABLE, url.expose()).env(KEY_VARIABLE, key.expose());
    // At a terminal, a group of its own would be in the background, where it may not read.
    let shares_group = std::io::stdin().is_terminal();
    #[cfg(unix)]
    if !shares_group {
        prepared.process_group(0);
    }
    let mut signals = Signals::listen()?;
    let mut child = prepared.spawn().map_err(|error| {
        Problem::new(Code::Usage)
            .with("cause", format_args!("{} cannot be run: {error}", program.display()))
    })?;
    #[cfg(target_os = "linux")]
    if let Some(pid) = child.id() {
        keyfob_core::process_memory::unseal_child(pid);
    }
    let ended = tokio::select! {
        status = child.wait() => Ended::Exited(status.map_err(Problem::internal)?),
        () = serve::after(deadline) => Ended::OutOfTime,
        told = told_to_end(&mut signals, shares_group) => Ended::Told(told),
    };
    if !matches!(ended, Ended::Exited(_)) {
        end(&mut child, shares_group).await;
    }
    Ok(ended)
}

/// Waits until this process is told to end.
async fn told_to_end(signals: &mut Signals, shares_group: bool) -> Told {
    loop {
        match signals.told().await {
            // Ctrl-C reached the command, too; what it makes of it is its own affair.
            Told::Interrupt if shares_group => {}
            told => return told,
        }
    }
}

/// The local address in place of each `{url}`. It holds a client key, which opens this server on
/// this machine for as long as the command runs.
fn fill(word: &OsStr, url: &str) -> OsString {
    match word.to_str() {
        Some(word) => word.replace(PLACE, url).into(),
        None => word.to_owned(),
    }
}

/// Ends the command: gently, then for good; with all its children where the group is its own.
async fn end(child: &mut Child, shares_group: bool) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process, kill_process_group};
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            let send = if shares_group { kill_process } else { kill_process_group };
            let _ = send(id, Signal::TERM);
            let has_ended = tokio::time::timeout(GENTLY, child.wait()).await.is_ok();
            // A process that has been waited for may have left its number to another.
            if !(shares_group && has_ended) {
                let _ = send(id, Signal::KILL);
            }
        }
    }
    let _ = child.kill().await;
}

/// The command's own status, unless a sign-in or the deadline failed it.
fn finish(
    ended: Ended,
    failure: Option<Problem>,
    deadline: Option<Duration>,
) -> Result<u8, Problem> {
    match ended {
        Ended::OutOfTime => {
            let seconds = deadline.unwrap_or_default().as_secs();
            Err(Problem::new(Code::Deadline).with("seconds", seconds))
        }
        Ended::Told(told) => Ok(told.status()),
        Ended::Exited(status) => {
            let status = status_of(status);
            let Some(failure) = failure else { return Ok(status) };
            let mut line = json!(failure);
            line["status"] = json!(status);
            say::json_aside(&line);
            Ok(say::status(&failure))
        }
    }
}

fn status_of(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return u8::try_from(128 + signal).unwrap_or(u8::MAX);
    }
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
