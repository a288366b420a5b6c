//! The broker's end of the control channel.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::protocol::{Hello, LONGEST_LINE, Reply, Request, VERSION};
use super::socket::{self, Prepared};
use crate::bridge;
use crate::broker::command::{ClientKey, Command};
use crate::broker::{Call, Handle, Host};
use crate::paths::Paths;
use crate::problem::{Code, Problem};
use crate::view::Progress;

/// How long whoever connects may take to say what is asked.
const HELLO: Duration = Duration::from_secs(5);

/// The listener and what it knows of its connections.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    accepting: JoinHandle<()>,
    calls: mpsc::UnboundedReceiver<Call>,
}

impl Control {
    /// Opens the socket of a profile. The caller holds the lock, so a socket that is already
    /// there is left over.
    ///
    /// # Errors
    /// When no place for it is ours alone, or it cannot be bound.
    pub async fn open(paths: &Paths, handle: Handle) -> Result<Self, Problem> {
        let Prepared { path, passed_over } = socket::prepare(paths)?;
        for problem in passed_over {
            tracing::warn!(%problem, "a place for the control socket is passed over");
        }
        // An ephemeral broker holds no lock: one that lives is not pushed aside.
        if UnixStream::connect(&path).await.is_ok() {
            return Err(Problem::new(Code::AlreadyRunning).with("pid", "unknown"));
        }
        let _ = std::fs::remove_file(&path);
        let bind = || -> io::Result<UnixListener> {
            let listener = UnixListener::bind(&path)?;
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&path, mode)?;
            Ok(listener)
        };
        let listener = bind().map_err(Problem::internal)?;
        let (call, calls) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let (handle, call) = (handle.clone(), call.clone());
                tokio::spawn(async move {
                    let presence = handle.gateway().activity.enter();
                    if let Err(error) = serve(stream, handle, call).await {
                        tracing::debug!(%error, "a control connection ended early");
                    }
                    drop(presence);
                });
            }
        });
        Ok(Self { path, accepting, calls })
    }

    /// Waits until another process wants something of this one.
    pub async fn called(&mut self) -> Call {
        match self.calls.recv().await {
            Some(call) => call,
            None => std::future::pending().await,
        }
    }

    /// Closes the socket.
    pub fn close(self) {
        self.accepting.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn serve(
    stream: UnixStream,
    handle: Handle,
    call: mpsc::UnboundedSender<Call>,
) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != rustix::process::geteuid().as_raw() {
        tracing::warn!(peer, "another user knocked at the control channel");
        return Ok(());
    }
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    let most = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX);
    let mut line = String::new();
    let mut first = (&mut lines).take(most);
    let hello = first.read_line(&mut line);
    let Ok(read) = tokio::time::timeout(HELLO, hello).await else { return Ok(()) };
    read?;
    let hello: Hello = match serde_json::from_str(&line) {
        Ok(hello) => hello,
        Err(_) => {
            let cause = "this Keyfob and the one that runs do not understand each other; end the running one";
            return send(&mut write, &Reply::Problem(Problem::internal(cause))).await;
        }
    };
    if hello.keyfob != VERSION {
        let cause = "the Keyfob that runs is of another version; end it and try again";
        return send(&mut write, &Reply::Problem(Problem::internal(cause))).await;
    }
    match hello.request {
        Request::Stdio { name } => stdio(&handle, &name, lines, write).await,
        Request::Session { server, browser } => {
            session(&handle, server, browser, lines, write).await
        }
        Request::Drain => {
            let _ = call.send(Call::Drain);
            send(&mut write, &Reply::Done(Value::Null)).await
        }
        Request::Show if handle.host() == Host::Desktop => {
            let _ = call.send(Call::Show);
            send(&mut write, &Reply::Done(Value::Null)).await
        }
        Request::Show => {
            let problem = Problem::internal("the Keyfob that runs has no window");
            send(&mut write, &Reply::Problem(problem)).await
        }
        request => answer(&handle, request, lines, write).await,
    }
}

/// One request, its progress, its end. A sign-in ends with the last one who waits for it.
async fn answer(
    handle: &Handle,
    request: Request,
    lines: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
) -> io::Result<()> {
    let connecting = match &request {
        Request::Connect { name, .. } => Some(name.clone()),
        _ => None,
    };
    let answered = answer_or_hang_up(handle, request, lines, write).await;
    if let Some(name) = connecting {
        handle.tell(Command::Leave { name });
    }
    answered
}

async fn answer_or_hang_up(
    handle: &Handle,
    request: Request,
    mut lines: BufReader<OwnedReadHalf>,
    mut write: OwnedWriteHalf,
) -> io::Result<()> {
    let (progress, mut steps) = mpsc::unbounded_channel();
    let answering = handle.answer(request, progress);
    tokio::pin!(answering);
    let mut ignored = [0; 1024];
    loop {
        tokio::select! {
            biased;
            Some(step) = steps.recv() => send(&mut write, &Reply::Progress(step)).await?,
            answered = &mut answering => {
                while let Ok(step) = steps.try_recv() {
                    send(&mut write, &Reply::Progress(step)).await?;
                }
                let reply = match answered {
                    Ok(value) => Reply::Done(value),
                    Err(problem) => Reply::Problem(problem),
                };
                return send(&mut write, &reply).await;
            }
            read = lines.read(&mut ignored) => if read.unwrap_or(0) == 0 {
                return Ok(());
            },
        }
    }
}

async fn stdio(
    handle: &Handle,
    name: &str,
    lines: BufReader<OwnedReadHalf>,
    mut write: OwnedWriteHalf,
) -> io::Result<()> {
    let Some(seat) = handle.gateway().seats.get(name) else {
        let problem = Problem::new(Code::UnknownServer).with("name", name);
        return send(&mut write, &Reply::Problem(problem)).await;
    };
    send(&mut write, &Reply::Done(json!(null))).await?;
    bridge::run(handle.gateway(), seat, lines, write).await
}

/// A session lasts as long as its connection; its key ends with it.
async fn session(
    handle: &Handle,
    server: super::protocol::NewServer,
    browser: Option<crate::browser::Browser>,
    lines: BufReader<OwnedReadHalf>,
    mut write: OwnedWriteHalf,
) -> io::Result<()> {
    let (watcher, steps) = mpsc::unbounded_channel();
    let opened = match handle.open_session(server, browser, watcher).await {
        Ok(opened) => opened,
        Err(problem) => return send(&mut write, &Reply::Problem(problem)).await,
    };
    let ended = in_session(handle, &opened, steps, lines, write).await;
    handle.close_session(&opened).await;
    ended
}

async fn in_session(
    handle: &Handle,
    opened: &ClientKey,
    mut steps: mpsc::UnboundedReceiver<Progress>,
    mut lines: BufReader<OwnedReadHalf>,
    mut write: OwnedWriteHalf,
) -> io::Result<()> {
    let key = opened.key.expose();
    let told = json!({
        "name": opened.server,
        "key": key,
        "url": format!("{}/k/{key}/{}", opened.origin, opened.server),
        "is_new": opened.is_new_server,
    });
    send(&mut write, &Reply::Done(told)).await?;
    loop {
        tokio::select! {
            Some(step) = steps.recv() => send(&mut write, &Reply::Progress(step)).await?,
            // The client asks how it went with a line of its own, then hangs up. What the line says
            // does not matter, so none of it is kept.
            read = lines.fill_buf() => {
                let read = read.unwrap_or_default();
                let (length, has_asked) = (read.len(), read.contains(&b'\n'));
                lines.consume(length);
                match has_asked {
                    _ if length == 0 => return Ok(()),
                    false => continue,
                    true => {}
                }
                let name = opened.server.clone();
                let failure = handle.ask(|answer| Command::LastFailure { name, answer }).await;
                let failure = serde_json::to_value(failure.ok().flatten())?;
                send(&mut write, &Reply::Done(failure)).await?;
            }
        }
    }
}

async fn send(write: &mut OwnedWriteHalf, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    write.write_all(&line).await
}
