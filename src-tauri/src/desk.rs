//! Where the window, the tray and the notifications leave what their person wants, and find what
//! there is to show.

use std::sync::{Arc, Mutex, PoisonError};

use arboard::{Clipboard, SetExtLinux};
use keyfob_core::auth::Secret;
use keyfob_core::broker::Handle;
use keyfob_core::problem::Problem;
use keyfob_core::view::page::{Place, Snapshot, TrayPresence};
use tokio::sync::{mpsc, watch};

use crate::tray::menu::Choice;

/// What the shell is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// To open the window there.
    Show(Place),
    /// To do what was chosen in the tray or on a notification.
    Choose(Choice),
    /// To note what became of the tray icon.
    Tray(TrayPresence),
    /// To note that the window is gone.
    WindowGone,
    /// To note that the page has died under the window.
    PageDied,
    /// To start the broker again after trouble.
    StartAgain,
    /// To end, whoever is connected.
    Quit,
}

/// Cheap to clone; shared with Tauri's commands.
#[derive(Clone)]
pub(crate) struct Desk {
    asks: mpsc::UnboundedSender<Ask>,
    handle: watch::Receiver<Option<Handle>>,
    snapshot: watch::Receiver<Snapshot>,
    place: Arc<Mutex<Place>>,
    clipboard: Arc<Mutex<Option<Clipboard>>>,
}

/// The shell's end.
pub(crate) struct Seat {
    pub(crate) asks: mpsc::UnboundedReceiver<Ask>,
    pub(crate) handle: watch::Sender<Option<Handle>>,
    pub(crate) snapshot: watch::Sender<Snapshot>,
}

impl Desk {
    /// A desk with nothing on it yet.
    pub(crate) fn new() -> (Self, Seat) {
        let (ask, asks) = mpsc::unbounded_channel();
        let (handle_set, handle) = watch::channel(None);
        let (snapshot_set, snapshot) = watch::channel(Snapshot {
            servers: Vec::new(),
            trouble: None,
            redirect_uris: Vec::new(),
            has_document: false,
            keeps_in_memory: false,
            clients_to_rotate: Vec::new(),
            tray: TrayPresence::Looking,
        });
        let place = Arc::new(Mutex::new(Place::List));
        let desk = Self { asks: ask, handle, snapshot, place, clipboard: Arc::default() };
        (desk, Seat { asks, handle: handle_set, snapshot: snapshot_set })
    }

    /// Leaves something for the shell.
    pub(crate) fn ask(&self, ask: Ask) {
        let _ = self.asks.send(ask);
    }

    /// The way to the broker.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn handle(&self) -> Result<Handle, Problem> {
        let handle = self.handle.borrow().clone();
        handle.ok_or_else(|| {
            let trouble = self.snapshot.borrow().trouble.clone();
            trouble.unwrap_or_else(|| Problem::internal("Keyfob is still starting"))
        })
    }

    /// Waits for the way to the broker, or for why there is none.
    pub(crate) async fn started(&self) -> Result<Handle, Problem> {
        let (mut handle, mut snapshot) = (self.handle.clone(), self.snapshot.clone());
        tokio::select! {
            _ = handle.wait_for(Option::is_some) => {}
            _ = snapshot.wait_for(|snapshot| snapshot.trouble.is_some()) => {}
        }
        self.handle()
    }

    /// What there is to show.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot.borrow().clone()
    }

    /// Where the window stands, or is to stand when it opens.
    pub(crate) fn place(&self) -> Place {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets it.
    pub(crate) fn set_place(&self, place: Place) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    /// Puts text on the clipboard. It stays there while Keyfob runs.
    ///
    /// # Errors
    /// When the desktop has no clipboard.
    pub(crate) fn copy(&self, text: &str) -> Result<(), Problem> {
        self.with_clipboard(|clipboard| clipboard.set_text(text))
    }

    /// Puts a secret on the clipboard, and asks clipboard managers not to keep it.
    ///
    /// # Errors
    /// When the desktop has no clipboard.
    pub(crate) fn copy_secret(&self, text: &Secret) -> Result<(), Problem> {
        self.with_clipboard(|clipboard| {
            let setting = clipboard.set();
            #[cfg(target_os = "linux")]
            let setting = setting.exclude_from_history();
            setting.text(text.expose())
        })
    }

    fn with_clipboard(
        &self,
        act: impl FnOnce(&mut Clipboard) -> Result<(), arboard::Error>,
    ) -> Result<(), Problem> {
        let failed = |error: arboard::Error| {
            Problem::internal(format_args!("the clipboard does not answer: {error}"))
        };
        let mut kept = self.clipboard.lock().unwrap_or_else(PoisonError::into_inner);
        let clipboard = match kept.as_mut() {
            Some(clipboard) => clipboard,
            None => kept.insert(Clipboard::new().map_err(failed)?),
        };
        act(clipboard).map_err(failed)
    }
}
