//! The one task behind the tray, the window and the notifications. It turns what is chosen there
//! into commands to the broker, and what the broker tells into what is shown. It waits for nothing
//! slow.

use std::time::{Duration, Instant, SystemTime};

use keyfob_core::broker::command::Command;
use keyfob_core::broker::{Call, Handle, Options, Running};
use keyfob_core::control::protocol::ServerChange;
use keyfob_core::problem::{Code, Problem};
use keyfob_core::view::page::{Action, Changed, Place, Snapshot, TrayPresence};
use keyfob_core::view::{Progress, TraceView};
use tauri::AppHandle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::desk::{Ask, Desk, Seat};
use crate::notices::{Moment, Notices};
use crate::notify::Notifier;
use crate::tray::Tray;
use crate::tray::menu::{Choice, Look};
use crate::window::Window;

/// Changes come in bursts; what is shown follows in bundles.
const BUNDLE: Duration = Duration::from_millis(40);

/// How long a desktop that is just starting may take to show the tray icon.
const TRAY_PATIENCE: Duration = Duration::from_secs(5);

type Starting = JoinHandle<Result<Running, Problem>>;

pub(crate) struct Shell {
    app: AppHandle,
    desk: Desk,
    options: Options,
    window: Window,
    tray: Tray,
    notices: Notices,
    notifier: Notifier,
    began: Instant,
    is_hidden: bool,
    presence: TrayPresence,
    /// When the notifications are to be looked at again.
    look_again: Option<tokio::time::Instant>,
    following: Option<JoinHandle<()>>,
}

impl Shell {
    pub(crate) fn new(
        app: AppHandle,
        desk: Desk,
        options: Options,
        began: Instant,
        is_hidden: bool,
    ) -> Self {
        let window = Window::new(app.clone(), desk.clone());
        tauri::Manager::manage(&app, window.clone());
        let tray = Tray::new(&app, &desk);
        Self {
            notifier: Notifier::new(desk.clone()),
            notices: Notices::new(),
            presence: TrayPresence::Looking,
            look_again: None,
            following: None,
            app,
            desk,
            options,
            window,
            tray,
            began,
            is_hidden,
        }
    }

    /// Runs until its person quits or a successor takes over.
    pub(crate) async fn run(mut self, starting: Starting, mut seat: Seat) {
        let mut starting = Some(starting);
        let mut running: Option<Running> = None;
        let mut snapshots = seat.snapshot.subscribe();
        let mut signals = Signals::listen();
        let late = tokio::time::sleep(TRAY_PATIENCE);
        tokio::pin!(late);
        let mut is_late = false;
        self.tray.show(Look::of(&self.desk.snapshot()));
        if !self.is_hidden {
            self.window.show(Place::List);
        }
        loop {
            tokio::select! {
                started = joined(&mut starting) => {
                    starting = None;
                    match started {
                        Ok(broker) => {
                            self.started(&broker, &seat);
                            running = Some(broker);
                        }
                        // Another Keyfob was quicker, and has shown its window.
                        Err(problem) if problem.code == Code::AlreadyRunning => break,
                        Err(problem) => self.in_trouble(problem, &seat),
                    }
                }
                call = called(&mut running) => match call {
                    Call::Show => self.window.show(Place::List),
                    Call::Drain => break,
                },
                Ok(()) = snapshots.changed() => {
                    let snapshot = snapshots.borrow_and_update().clone();
                    self.shown(&snapshot);
                }
                Some(ask) = seat.asks.recv() => match ask {
                    Ask::Quit => break,
                    Ask::Choose(Choice::Quit) => {
                        let connections = running.as_ref().map_or(0, |broker| {
                            broker.handle.gateway().activity.present()
                        });
                        if connections == 0 {
                            break;
                        }
                        self.window.show(Place::Quit { connections });
                    }
                    Ask::StartAgain => {
                        if running.is_none() && starting.is_none() {
                            set_trouble(&seat.snapshot, None);
                            starting = Some(tokio::spawn(Running::start(self.options.clone())));
                        }
                    }
                    Ask::Tray(presence) => {
                        if presence == TrayPresence::There {
                            let ms = self.began.elapsed().as_millis();
                            tracing::info!(ms, "tray icon shown");
                        }
                        self.presence = presence;
                        set_presence(&seat.snapshot, presence);
                        if is_late {
                            self.without_tray();
                        }
                    }
                    Ask::WindowGone => self.window.gone(),
                    Ask::PageDied => self.window.replace(),
                    Ask::Show(place) => self.window.show(place),
                    Ask::Choose(choice) => self.choose(choice),
                },
                () = &mut late, if !is_late => {
                    is_late = true;
                    self.without_tray();
                }
                () = until(self.look_again) => {
                    self.look_again = None;
                    let snapshot = self.desk.snapshot();
                    self.notice(&snapshot);
                }
                () = signals.told() => break,
            }
        }
        if let Some(following) = self.following.take() {
            following.abort();
        }
        if let Some(broker) = running {
            broker.stop().await;
        }
        self.app.exit(0);
    }

    fn started(&mut self, broker: &Running, seat: &Seat) {
        let ms = self.began.elapsed().as_millis();
        let gateway = broker.handle.gateway().origin();
        tracing::info!(ms, %gateway, "gateway listening");
        let handle = broker.handle.clone();
        self.following = Some(tokio::spawn(follow(handle, seat.snapshot.clone())));
        seat.handle.send_replace(Some(broker.handle.clone()));
    }

    fn in_trouble(&mut self, problem: Problem, seat: &Seat) {
        tracing::error!(%problem, "Keyfob does not work");
        set_trouble(&seat.snapshot, Some(problem));
        self.window.show(Place::List);
    }

    fn shown(&mut self, snapshot: &Snapshot) {
        self.tray.show(Look::of(snapshot));
        self.window.tell(snapshot);
        self.notice(snapshot);
    }

    fn notice(&mut self, snapshot: &Snapshot) {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = Moment { awake: self.began.elapsed(), wall };
        let (changes, again) = self.notices.update(snapshot, now);
        for change in changes {
            self.notifier.apply(change);
        }
        self.look_again = again.map(|wait| tokio::time::Instant::now() + wait);
    }

    /// Without a tray icon the window is the only way in.
    fn without_tray(&self) {
        if self.presence == TrayPresence::Missing && !self.window.is_open() {
            self.window.show(Place::List);
        }
    }

    fn choose(&self, choice: Choice) {
        match choice {
            Choice::Add => self.window.show(Place::Add),
            // The loop has taken it.
            Choice::Open | Choice::Quit => self.window.show(Place::List),
            Choice::Details { server: name }
            | Choice::Act { server: name, action: Action::Review } => {
                self.window.show(Place::Details { name });
            }
            Choice::Act { .. }
            | Choice::Cancel { .. }
            | Choice::SignOut { .. }
            | Choice::CopyAddress { .. } => {
                let desk = self.desk.clone();
                tokio::spawn(async move { act(&desk, choice).await });
            }
        }
    }
}

/// Does what was chosen outside the window; where that fails, the window says why.
async fn act(desk: &Desk, choice: Choice) {
    let (name, done) = match choice {
        Choice::Act { server, action } => {
            let done = match (desk.handle(), action) {
                (Err(problem), _) => Err(problem),
                (Ok(_), Action::Connect | Action::Reconnect | Action::Review) => {
                    connect(desk, &server).await
                }
                (Ok(handle), Action::OpenAgain) => handle.open_again(&server).await,
                (Ok(handle), Action::Retry) => {
                    let name = server.clone();
                    handle.ask(|answer| Command::Retry { name, answer }).await
                }
                (Ok(handle), Action::Unlock) => match handle.check_vault().await {
                    Ok(_) => {
                        let name = server.clone();
                        handle.ask(|answer| Command::Retry { name, answer }).await
                    }
                    Err(problem) => Err(problem),
                },
                (Ok(handle), Action::TurnOn) => {
                    let name = server.clone();
                    handle.ask(|answer| Command::Turn { name, on: true, answer }).await
                }
            };
            (server, done)
        }
        Choice::Cancel { server } => {
            let done = match desk.handle() {
                Ok(handle) => handle.cancel(&server).await,
                Err(problem) => Err(problem),
            };
            (server, done)
        }
        Choice::SignOut { server } => {
            let done = end(desk, &server, false).await.map(drop);
            (server, done)
        }
        Choice::CopyAddress { server } => {
            let done = copy_address(desk, server.clone()).await;
            (server, done)
        }
        Choice::Details { .. } | Choice::Add | Choice::Open | Choice::Quit => return,
    };
    if let Err(problem) = done {
        tracing::warn!(server = %name, %problem, "could not be done");
        desk.ask(Ask::Show(Place::Details { name }));
    }
}

/// Begins a sign-in and returns at once; how it goes is in the snapshot. Where no browser opens,
/// the window shows the link.
pub(crate) async fn connect(desk: &Desk, name: &str) -> Result<(), Problem> {
    connect_at(desk, name, None).await
}

/// The same at a sign-in service of the person's choice.
pub(crate) async fn connect_at(
    desk: &Desk,
    name: &str,
    issuer: Option<String>,
) -> Result<(), Problem> {
    let handle = desk.handle()?;
    handle.check_vault().await?;
    let (desk, name) = (desk.clone(), name.to_owned());
    tokio::spawn(async move {
        let (progress, mut steps) = mpsc::unbounded_channel();
        let connecting = handle.connect_at(&name, issuer, None, None, progress);
        tokio::pin!(connecting);
        let ended = loop {
            tokio::select! {
                ended = &mut connecting => break ended,
                Some(step) = steps.recv() => {
                    if matches!(step, Progress::Link { is_opened: false, .. }) {
                        desk.ask(Ask::Show(Place::Waiting { name: name.clone() }));
                    }
                }
            }
        };
        if let Err(problem) = ended {
            tracing::info!(server = %name, %problem, "not signed in");
        }
    });
    Ok(())
}

/// Signs out or removes; gives what could not be done.
pub(crate) async fn end(desk: &Desk, name: &str, is_final: bool) -> Result<Vec<String>, Problem> {
    Ok(undone(desk.handle()?.end(name, is_final).await?.lines))
}

/// Changes a server.
pub(crate) async fn edit(
    desk: &Desk,
    name: &str,
    change: ServerChange,
) -> Result<Changed, Problem> {
    let edit = desk.handle()?.edit(name, change).await?;
    Ok(Changed { name: edit.server.name, undone: undone(edit.lines) })
}

/// What could not be done when a sign-in was ended.
fn undone(lines: Vec<TraceView>) -> Vec<String> {
    let undone = lines.into_iter().filter_map(|line| {
        let reason = line.reason?;
        Some(match line.target {
            Some(target) => format!("{target}: {} ({reason})", line.result),
            None => format!("{} ({reason})", line.result),
        })
    });
    undone.collect()
}

/// Copies the local address of a server, without a key.
pub(crate) async fn copy_address(desk: &Desk, name: String) -> Result<(), Problem> {
    let server = desk.handle()?.ask(|answer| Command::Status { name, answer }).await?;
    desk.copy(&server.address)
}

/// Keeps the snapshot up to date.
async fn follow(handle: Handle, shown: watch::Sender<Snapshot>) {
    let mut changes = handle.changes();
    loop {
        let Ok(snapshot) = handle.ask(|answer| Command::Snapshot { answer }).await else { return };
        shown.send_if_modified(|old| {
            let tray = old.tray;
            let new = Snapshot { tray, ..snapshot };
            let is_new = *old != new;
            *old = new;
            is_new
        });
        tokio::time::sleep(BUNDLE).await;
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn set_trouble(shown: &watch::Sender<Snapshot>, trouble: Option<Problem>) {
    shown.send_modify(|snapshot| snapshot.trouble = trouble);
}

fn set_presence(shown: &watch::Sender<Snapshot>, tray: TrayPresence) {
    shown.send_if_modified(|snapshot| std::mem::replace(&mut snapshot.tray, tray) != tray);
}

async fn joined(starting: &mut Option<Starting>) -> Result<Running, Problem> {
    match starting {
        Some(starting) => match starting.await {
            Ok(started) => started,
            Err(error) => Err(Problem::internal(error)),
        },
        None => std::future::pending().await,
    }
}

async fn called(running: &mut Option<Running>) -> Call {
    match running {
        Some(running) => running.called().await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// What a session manager sends.
struct Signals {
    #[cfg(unix)]
    terminate: Option<tokio::signal::unix::Signal>,
    #[cfg(unix)]
    interrupt: Option<tokio::signal::unix::Signal>,
}

impl Signals {
    fn listen() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Self {
                terminate: signal(SignalKind::terminate()).ok(),
                interrupt: signal(SignalKind::interrupt()).ok(),
            }
        }
        #[cfg(not(unix))]
        Self {}
    }

    async fn told(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            () = received(&mut self.terminate) => {}
            () = received(&mut self.interrupt) => {}
        }
        #[cfg(not(unix))]
        std::future::pending::<()>().await;
    }
}

#[cfg(unix)]
async fn received(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
