//! `keyfob exec`: a command with a server's local address, signed in on demand.

use std::ffi::{OsStr, OsString};
use std::process::ExitStatus;
use std::time::Duration;

use keyfob_auth::Secret;
use keyfob_core::broker::{self, Store};
use keyfob_core::browser::Browser;
use keyfob_core::control::client;
use keyfob_core::control::protocol::{NewServer, Request};
use keyfob_core::problem::{Code, Problem};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::arguments::{Exec, Running};
use crate::{say, serve};

/// What stands for the address in the command.
const PLACE: &str = "{url}";

pub(crate) async fn exec(arguments: Exec) -> Result<u8, Problem> {
    if !arguments.command.iter().any(|word| word.to_string_lossy().contains(PLACE)) {
        let cause = "the command has no {url} in it, where the local address would go";
        return Err(Problem::new(Code::Usage).with("cause", cause));
    }
    let mut options = serve::options(&arguments.running, None)?;
    options.probes = false;
    let deadline = serve::deadline(&arguments.running);
    let server = new_server(&arguments.running, &arguments.url)?;
    if !arguments.running.ephemeral
        && let Some(paths) = &options.paths
        && let Some(mut running) = client::connect(paths).await
    {
        let browser = options.browser.clone();
        let told = running.ask(Request::Session { server, browser }, |_| {}).await?;
        let text =
            |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (url, key) = (Secret::new(text("url")), Secret::new(text("key")));
        let ended = run(&arguments.command, &url, &key, deadline).await?;
        let failure = running.ask(Request::Ping, |_| {}).await.ok();
        let failure = failure.and_then(|value| serde_json::from_value(value).ok()).flatten();
        return finish(ended, failure, deadline);
    }
    if options.store == Store::Memory {
        // What is not kept needs no list either.
        options.paths = None;
    }
    let browser: Option<Browser> = options.browser.clone();
    let running = broker::Running::start(options).await?;
    let session = running.handle.open_session(server, browser).await?;
    let url = format!("{}/k/{}/{}", session.origin, session.key.expose(), session.server);
    let ended = run(&arguments.command, &Secret::new(url), &session.key, deadline).await;
    let name = session.server.clone();
    let failure = running
        .handle
        .ask(|answer| broker::command::Command::LastFailure { name, answer })
        .await
        .ok()
        .flatten();
    running.handle.close_session(&session).await;
    running.stop().await;
    finish(ended?, failure, deadline)
}

fn new_server(running: &Running, url: &str) -> Result<NewServer, Problem> {
    Ok(NewServer {
        url: url.to_owned(),
        name: None,
        issuer: running.issuer.clone(),
        client_id: running.client_id.clone(),
        client_secret: serve::secret_from(running.client_secret_env.as_deref())?,
        scopes: running.scope.clone(),
        headers: Vec::new(),
        allow_guessed_endpoints: running.allow_legacy,
    })
}

/// How the command ended.
enum Ended {
    Exited(ExitStatus),
    OutOfTime,
    Told,
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
    prepared.args(words).env("KEYFOB_URL", url.expose()).env("KEYFOB_KEY", key.expose());
    #[cfg(unix)]
    prepared.process_group(0);
    let mut child = prepared.spawn().map_err(|error| {
        Problem::new(Code::Usage)
            .with("cause", format_args!("{} cannot be run: {error}", program.display()))
    })?;
    let ended = tokio::select! {
        status = child.wait() => Ended::Exited(status.map_err(Problem::internal)?),
        () = serve::after(deadline) => Ended::OutOfTime,
        () = serve::told_to_end() => Ended::Told,
    };
    if !matches!(ended, Ended::Exited(_)) {
        end_group(&mut child).await;
    }
    Ok(ended)
}

/// The local address in place of each `{url}`. It holds a client key, which opens this server on
/// this machine for as long as the command runs.
fn fill(word: &OsStr, url: &str) -> OsString {
    match word.to_str() {
        Some(word) => word.replace(PLACE, url).into(),
        None => word.to_owned(),
    }
}

/// Ends the command with all its children: gently, then for good.
async fn end_group(child: &mut Child) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process_group};
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = id {
            let _ = kill_process_group(group, Signal::TERM);
            let _ = tokio::time::timeout(Duration::from_millis(500), child.wait()).await;
            let _ = kill_process_group(group, Signal::KILL);
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
        Ended::Told => Ok(130),
        Ended::Exited(status) => {
            let status = status_of(status);
            let Some(failure) = failure else { return Ok(status) };
            let mut line = json!(failure);
            line["status"] = json!(status);
            say::aside(line);
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
