//! The app's tray item, as a tray host sees it on the bus.

use std::collections::HashMap;

use zbus::zvariant::{OwnedObjectPath, OwnedValue, Structure, Value};
use zbus::{Connection, Proxy};

use super::{LONG, until};

const ITEM: &str = "org.kde.StatusNotifierItem";
const MENU: &str = "com.canonical.dbusmenu";
/// What the menu answers to a click on a line that it has replaced.
const STALE: &str = "org.freedesktop.DBus.Error.InvalidArgs";
const WATCHER: &str = "org.kde.StatusNotifierWatcher";

/// The item of one app.
pub struct Tray {
    bus: Connection,
    /// A name that is the app's alone.
    name: String,
}

/// A line of its menu.
#[derive(Debug, Clone)]
pub struct MenuLine {
    id: i32,
    /// Its text; empty for a rule.
    pub label: String,
    /// Can it be chosen?
    pub is_enabled: bool,
    /// The menu behind it.
    pub lines: Vec<MenuLine>,
}

impl MenuLine {
    /// This line and all behind it, as text.
    pub fn texts(&self) -> Vec<String> {
        let inside = self.lines.iter().flat_map(Self::texts);
        std::iter::once(self.label.clone()).chain(inside).collect()
    }

    fn find(&self, label: &str) -> Option<&Self> {
        if self.label == label {
            return Some(self);
        }
        self.lines.iter().find_map(|line| line.find(label))
    }
}

impl Tray {
    /// The item of the app with this process id, as soon as it is on the bus.
    pub async fn of(pid: u32) -> Self {
        let bus = Connection::session().await.expect("a session bus");
        let known = zbus::fdo::DBusProxy::new(&bus).await.expect("a bus");
        let name = until("the tray item of the app on the bus", LONG, async || {
            let names = known.list_names().await.ok()?;
            let begin = format!("{ITEM}-{pid}-");
            names.iter().find(|name| name.starts_with(&begin)).map(|name| name.to_string())
        })
        .await;
        Self { bus, name }
    }

    async fn item(&self) -> Proxy<'static> {
        self.proxy("/StatusNotifierItem", ITEM).await
    }

    async fn proxy(&self, path: &str, interface: &str) -> Proxy<'static> {
        let builder = zbus::proxy::Builder::new(&self.bus)
            .destination(self.name.clone())
            .and_then(|builder| builder.path(path.to_owned()))
            .and_then(|builder| builder.interface(interface.to_owned()))
            .map(|builder| builder.cache_properties(zbus::proxy::CacheProperties::No));
        builder.expect("good names").build().await.expect("the item")
    }

    /// Does the tray host have it now?
    pub async fn is_registered(&self) -> bool {
        let asked = async {
            let watcher = Proxy::new(&self.bus, WATCHER, "/StatusNotifierWatcher", WATCHER).await?;
            let items: Vec<String> = watcher.get_property("RegisteredStatusNotifierItems").await?;
            let name = self.name.as_str().try_into().map_err(zbus::Error::from)?;
            let owner = zbus::fdo::DBusProxy::new(&self.bus).await?.get_name_owner(name).await?;
            Ok::<bool, zbus::Error>(
                items.iter().any(|it| it.starts_with(&self.name) || it.starts_with(owner.as_str())),
            )
        };
        asked.await.unwrap_or(false)
    }

    /// Waits until the tray host has it.
    pub async fn registered(&self) {
        until("the tray host has the item", LONG, async || {
            self.is_registered().await.then_some(())
        })
        .await;
    }

    /// A click on the icon.
    pub async fn activate(&self) {
        self.item().await.call_method("Activate", &(0, 0)).await.expect("it can be clicked");
    }

    /// The text beside the pointer.
    pub async fn tooltip(&self) -> String {
        type Tip = (String, Vec<(i32, i32, Vec<u8>)>, String, String);
        let tip: OwnedValue = self.item().await.get_property("ToolTip").await.expect("a tooltip");
        let (_, _, _, text): Tip = tip.try_into().expect("a tooltip");
        text
    }

    /// The picture of the icon in its largest size.
    pub async fn icon(&self) -> Vec<u8> {
        let icons: Vec<(i32, i32, Vec<u8>)> =
            self.item().await.get_property("IconPixmap").await.expect("an icon");
        let largest = icons.into_iter().max_by_key(|(width, _, _)| *width);
        largest.map(|(_, _, bytes)| bytes).unwrap_or_default()
    }

    async fn menu_proxy(&self) -> Proxy<'static> {
        let path: OwnedObjectPath =
            self.item().await.get_property("Menu").await.expect("it has a menu");
        self.proxy(path.as_str(), MENU).await
    }

    /// The whole menu.
    pub async fn menu(&self) -> MenuLine {
        type Layout = (u32, (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>));
        let menu = self.menu_proxy().await;
        let none: Vec<&str> = Vec::new();
        let (_, root): Layout = menu.call("GetLayout", &(0, -1, none)).await.expect("a menu");
        line(root.0, &root.1, root.2.iter().map(|value| &**value))
    }

    /// Waits until the menu has a line with this text.
    pub async fn has(&self, label: &str) -> MenuLine {
        until(&format!("{label:?} in the tray menu"), LONG, async || {
            self.menu().await.find(label).cloned()
        })
        .await
    }

    /// Chooses the line with this text, as soon as it is there. A menu that changed between the
    /// look and the click has other ids: then it looks again, as a tray host does when it is told.
    pub async fn choose(&self, label: &str) {
        until(&format!("a click on {label:?} in the tray menu"), LONG, async || {
            let line = self.has(label).await;
            assert!(line.is_enabled, "{label:?} cannot be chosen");
            let sent = (line.id, "clicked", Value::from(0_i32), 0_u32);
            match self.menu_proxy().await.call_method("Event", &sent).await {
                Ok(_) => Some(()),
                Err(zbus::Error::MethodError(name, _, _)) if name == STALE => None,
                Err(error) => panic!("{label:?} cannot be chosen: {error}"),
            }
        })
        .await;
    }
}

fn line<'a>(
    id: i32,
    properties: &HashMap<String, OwnedValue>,
    children: impl Iterator<Item = &'a Value<'a>>,
) -> MenuLine {
    let text = properties.get("label").and_then(|value| <&str>::try_from(value).ok());
    let enabled = properties.get("enabled").and_then(|value| bool::try_from(value).ok());
    MenuLine {
        id,
        label: text.unwrap_or_default().to_owned(),
        is_enabled: enabled.unwrap_or(true),
        lines: children.filter_map(child).collect(),
    }
}

fn child(value: &Value<'_>) -> Option<MenuLine> {
    let value = match value {
        Value::Value(inner) => inner,
        other => other,
    };
    let parts: &Structure<'_> = value.downcast_ref().ok()?;
    let [id, properties, children] = parts.fields() else { return None };
    let properties: HashMap<String, OwnedValue> = properties.try_clone().ok()?.try_into().ok()?;
    let Value::Array(children) = children else { return None };
    Some(line(id.downcast_ref().ok()?, &properties, children.iter()))
}
