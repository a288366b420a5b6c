//! The tray of Linux desktops: a StatusNotifierItem over D-Bus. It waits for a host that comes
//! late, and survives one that goes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use keyfob_core::view::page::{Place, TrayPresence};
use ksni::blocking::TrayMethods;
use ksni::menu::{StandardItem, SubMenu};
use ksni::{Icon, MenuItem, OfflineReason, ToolTip};
use tauri::AppHandle;
use tauri::image::Image;

use super::glyphs;
use super::menu::{Choice, Glyph, Item, Look};
use crate::desk::{Ask, Desk};

/// A menu that changes while it is open is left behind by some hosts: changes come in bundles.
const BUNDLE: Duration = Duration::from_millis(250);

pub(crate) struct Renderer {
    looks: mpsc::Sender<Look>,
}

impl Renderer {
    pub(crate) fn new(_app: &AppHandle, desk: &Desk) -> Self {
        let (looks, changes) = mpsc::channel();
        let item = StatusItem { desk: desk.clone(), look: None, was_offline: Arc::default() };
        let desk = desk.clone();
        let spawned = thread::Builder::new()
            .name("tray".to_owned())
            .spawn(move || keep(item, &desk, &changes));
        if let Err(error) = spawned {
            tracing::warn!(%error, "no tray icon");
        }
        Self { looks }
    }

    pub(crate) fn show(&self, look: &Look) {
        let _ = self.looks.send(look.clone());
    }
}

fn keep(item: StatusItem, desk: &Desk, changes: &mpsc::Receiver<Look>) {
    let was_offline = item.was_offline.clone();
    let handle = match item.assume_sni_available(true).spawn() {
        Ok(handle) => handle,
        Err(error) => {
            tracing::warn!(%error, "no tray icon");
            return desk.ask(Ask::Tray(TrayPresence::Missing));
        }
    };
    // A host that is there from the start is not announced; one that is missing has been by now.
    if !was_offline.load(Ordering::Relaxed) {
        desk.ask(Ask::Tray(TrayPresence::There));
    }
    while let Ok(mut look) = changes.recv() {
        while let Ok(newer) = changes.try_recv() {
            look = newer;
        }
        if handle.update(|item| item.look = Some(look)).is_none() {
            tracing::warn!("the tray icon is gone");
            return desk.ask(Ask::Tray(TrayPresence::Missing));
        }
        thread::sleep(BUNDLE);
    }
}

struct StatusItem {
    desk: Desk,
    look: Option<Look>,
    was_offline: Arc<AtomicBool>,
}

impl ksni::Tray for StatusItem {
    fn id(&self) -> String {
        "dev.keyfob".to_owned()
    }

    fn title(&self) -> String {
        "Keyfob".to_owned()
    }

    fn icon_pixmap(&self) -> Vec<Icon> {
        pixmaps(self.look.as_ref().map_or(Glyph::Idle, |look| look.glyph))
    }

    fn tool_tip(&self) -> ToolTip {
        let description = self.look.as_ref().map(|look| look.tooltip.clone()).unwrap_or_default();
        ToolTip { title: self.title(), description, ..ToolTip::default() }
    }

    fn activate(&mut self, _x: i32, _y: i32) {
        self.desk.ask(Ask::Show(Place::List));
    }

    fn menu(&self) -> Vec<MenuItem<Self>> {
        let items = self.look.as_ref().map(|look| look.menu.as_slice()).unwrap_or_default();
        items.iter().map(menu_item).collect()
    }

    fn watcher_online(&self) {
        self.desk.ask(Ask::Tray(TrayPresence::There));
    }

    fn watcher_offline(&self, reason: OfflineReason) -> bool {
        tracing::info!(?reason, "the desktop shows no tray icons at the moment");
        self.was_offline.store(true, Ordering::Relaxed);
        self.desk.ask(Ask::Tray(TrayPresence::Missing));
        true
    }
}

fn menu_item(item: &Item) -> MenuItem<StatusItem> {
    match item {
        Item::Line { label, choice } => {
            let choice = choice.clone();
            let activate = move |item: &mut StatusItem| item.choose(&choice);
            StandardItem {
                label: literal(label),
                activate: Box::new(activate),
                ..StandardItem::default()
            }
            .into()
        }
        Item::Note { label } => {
            StandardItem { label: literal(label), enabled: false, ..StandardItem::default() }.into()
        }
        Item::Submenu { label, items } => SubMenu {
            label: literal(label),
            submenu: items.iter().map(menu_item).collect(),
            ..SubMenu::default()
        }
        .into(),
        Item::Separator => MenuItem::Separator,
    }
}

impl StatusItem {
    fn choose(&self, choice: &Choice) {
        self.desk.ask(Ask::Choose(choice.clone()));
    }
}

/// An underscore marks the key of a menu line, and is doubled to be one.
fn literal(label: &str) -> String {
    label.replace('_', "__")
}

fn pixmaps(glyph: Glyph) -> Vec<Icon> {
    glyphs::sizes(glyph).iter().map(argb).collect()
}

/// The bus wants ARGB.
fn argb(image: &Image<'_>) -> Icon {
    let mut data = image.rgba().to_vec();
    for pixel in data.chunks_exact_mut(4) {
        pixel.rotate_right(1);
    }
    let side = |length: u32| i32::try_from(length).unwrap_or(i32::MAX);
    Icon { width: side(image.width()), height: side(image.height()), data }
}
