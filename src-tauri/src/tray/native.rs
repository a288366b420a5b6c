//! The tray of macOS and Windows, through Tauri.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use keyfob_core::view::page::{Place, TrayPresence};
use tauri::image::Image;
use tauri::menu::{IsMenuItem, Menu, MenuItem, PredefinedMenuItem, Submenu};
use tauri::tray::{MouseButton, MouseButtonState, TrayIcon, TrayIconBuilder, TrayIconEvent};
use tauri::{AppHandle, Wry};

use super::glyphs;
use super::menu::{Choice, Glyph, Item, Look};
use crate::desk::{Ask, Desk};

type Choices = Arc<Mutex<HashMap<String, Choice>>>;

pub(crate) struct Renderer {
    app: AppHandle,
    icon: Option<TrayIcon>,
    choices: Choices,
}

impl Renderer {
    pub(crate) fn new(app: &AppHandle, desk: &Desk) -> Self {
        let choices = Choices::default();
        let (chosen, chooser) = (choices.clone(), desk.clone());
        let clicked = desk.clone();
        let built = TrayIconBuilder::with_id("keyfob")
            .icon(image(Glyph::Idle))
            .show_menu_on_left_click(cfg!(target_os = "macos"))
            .on_menu_event(move |_, event| {
                let choices = chosen.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(choice) = choices.get(event.id().as_ref()) {
                    chooser.ask(Ask::Choose(choice.clone()));
                }
            })
            .on_tray_icon_event(move |_, event| {
                if let TrayIconEvent::Click {
                    button: MouseButton::Left,
                    button_state: MouseButtonState::Up,
                    ..
                } = event
                    && !cfg!(target_os = "macos")
                {
                    clicked.ask(Ask::Show(Place::List));
                }
            })
            .build(app);
        let presence = if built.is_ok() { TrayPresence::There } else { TrayPresence::Missing };
        desk.ask(Ask::Tray(presence));
        Self { app: app.clone(), icon: built.ok(), choices }
    }

    pub(crate) fn show(&self, look: &Look) {
        let Some(icon) = &self.icon else { return };
        let mut choices = HashMap::new();
        let shown = Menu::new(&self.app).and_then(|menu| {
            for item in &look.menu {
                menu.append(&*self.item(item, &mut choices)?)?;
            }
            *self.choices.lock().unwrap_or_else(PoisonError::into_inner) = choices;
            icon.set_menu(Some(menu))?;
            icon.set_tooltip(Some(&look.tooltip))?;
            icon.set_icon(Some(image(look.glyph)))
        });
        if let Err(error) = shown {
            tracing::warn!(%error, "the tray shows an older state");
        }
    }

    fn item(
        &self,
        item: &Item,
        choices: &mut HashMap<String, Choice>,
    ) -> tauri::Result<Box<dyn IsMenuItem<Wry>>> {
        Ok(match item {
            Item::Line { label, choice } => {
                let id = choices.len().to_string();
                choices.insert(id.clone(), choice.clone());
                Box::new(MenuItem::with_id(&self.app, id, literal(label), true, None::<&str>)?)
            }
            Item::Note { label } => {
                Box::new(MenuItem::new(&self.app, literal(label), false, None::<&str>)?)
            }
            Item::Submenu { label, items } => {
                let submenu = Submenu::new(&self.app, literal(label), true)?;
                for item in items {
                    submenu.append(&*self.item(item, choices)?)?;
                }
                Box::new(submenu)
            }
            Item::Separator => Box::new(PredefinedMenuItem::separator(&self.app)?),
        })
    }
}

/// An ampersand marks the key of a menu line, and is doubled to be one.
fn literal(label: &str) -> String {
    label.replace('&', "&&")
}

fn image(glyph: Glyph) -> Image<'static> {
    let [_, _, medium, _] = glyphs::sizes(glyph);
    medium
}
