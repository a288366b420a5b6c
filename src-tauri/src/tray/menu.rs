//! Icon and menu as plain data, made from what is shown.

use keyfob_core::locale::{filled, text};
use keyfob_core::server::Kind;
use keyfob_core::view::Level;
use keyfob_core::view::page::{Action, Row, Snapshot};

/// Most lines for servers that need attention: the menu must not scroll.
const MOST_URGENT: usize = 5;

/// Most servers in the submenu; the window has the rest.
const MOST_SERVERS: usize = 20;

/// Everything that the tray shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) glyph: Glyph,
    pub(crate) tooltip: String,
    pub(crate) menu: Vec<Item>,
}

/// The icon, by the worst state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Glyph {
    /// All well.
    Ok,
    /// Someone is at it.
    Moving,
    /// A server needs its person.
    Attention,
    /// Something that worked does no more.
    Trouble,
    /// Nothing is connected.
    Idle,
}

/// One line of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// Something to choose.
    Line { label: String, choice: Choice },
    /// Something to read.
    Note { label: String },
    /// A menu of its own.
    Submenu { label: String, items: Vec<Item> },
    /// A rule.
    Separator,
}

/// What can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The one thing to do for a server.
    Act { server: String, action: Action },
    /// End the sign-in under way.
    Cancel { server: String },
    /// Sign out.
    SignOut { server: String },
    /// Copy its local address.
    CopyAddress { server: String },
    /// Show it in the window.
    Details { server: String },
    /// The dialog for a new server.
    Add,
    /// The window.
    Open,
    /// The end.
    Quit,
}

impl Look {
    /// What there is to show.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Self { glyph: glyph(snapshot), tooltip: tooltip(snapshot), menu: menu(snapshot) }
    }
}

fn glyph(snapshot: &Snapshot) -> Glyph {
    let any = |is_it: fn(&Row) -> bool| snapshot.servers.iter().any(is_it);
    if snapshot.trouble.is_some() || any(|row| row.level == Level::Red) {
        Glyph::Trouble
    } else if any(|row| row.state == Kind::SigningIn) {
        Glyph::Moving
    } else if any(|row| row.level == Level::Amber) {
        Glyph::Attention
    } else if any(|row| row.level == Level::Green) {
        Glyph::Ok
    } else {
        Glyph::Idle
    }
}

fn tooltip(snapshot: &Snapshot) -> String {
    if let Some(trouble) = &snapshot.trouble {
        return trouble.message.clone();
    }
    let mut urgent = snapshot.servers.iter().filter(|row| row.needs_attention);
    match (urgent.next(), urgent.count()) {
        (Some(row), 0) => filled("tray", "one-needs-you", &[("server", &row.name)]),
        (Some(_), more) => {
            filled("tray", "needs-you", &[("count", &more.saturating_add(1).to_string())])
        }
        (None, _) if glyph(snapshot) == Glyph::Idle => text("tray", "idle"),
        (None, _) => text("tray", "all-well"),
    }
}

fn menu(snapshot: &Snapshot) -> Vec<Item> {
    let mut items = Vec::new();
    if snapshot.trouble.is_some() {
        items.push(line(text("tray", "trouble"), Choice::Open));
        items.push(Item::Separator);
    }
    let urgent: Vec<&Row> = snapshot.servers.iter().filter(|row| row.needs_attention).collect();
    for row in urgent.iter().take(MOST_URGENT) {
        let Some(action) = row.action else { continue };
        let label =
            filled("tray", "attention", &[("action", &action.label()), ("server", &row.name)]);
        items.push(line(label, Choice::Act { server: row.name.clone(), action }));
    }
    if !urgent.is_empty() {
        items.push(Item::Separator);
    }
    items.push(match snapshot.servers.as_slice() {
        [] => Item::Note { label: text("tray", "none") },
        servers => {
            let mut inside: Vec<Item> = servers.iter().take(MOST_SERVERS).map(server).collect();
            if servers.len() > MOST_SERVERS {
                inside.push(line(text("tray", "more"), Choice::Open));
            }
            Item::Submenu { label: text("tray", "servers"), items: inside }
        }
    });
    items.push(line(text("tray", "add"), Choice::Add));
    items.push(line(text("tray", "open"), Choice::Open));
    items.push(Item::Separator);
    items.push(line(text("tray", "quit"), Choice::Quit));
    items
}

fn server(row: &Row) -> Item {
    let of = || row.name.clone();
    let mut items = vec![Item::Note { label: row.text.clone() }];
    if let Some(action) = row.action {
        items.push(line(action.label(), Choice::Act { server: of(), action }));
    }
    match row.state {
        Kind::SigningIn => {
            items.push(line(text("tray", "cancel"), Choice::Cancel { server: of() }))
        }
        Kind::Ready | Kind::Refreshing | Kind::NeedsScope => {
            items.push(line(text("tray", "sign-out"), Choice::SignOut { server: of() }));
        }
        Kind::Off
        | Kind::Probing
        | Kind::Open
        | Kind::SignedOut
        | Kind::Offline
        | Kind::VaultBlocked => {}
    }
    items.push(line(text("tray", "copy-address"), Choice::CopyAddress { server: of() }));
    items.push(line(text("tray", "details"), Choice::Details { server: of() }));
    Item::Submenu { label: format!("{} · {}", row.name, row.text), items }
}

fn line(label: String, choice: Choice) -> Item {
    Item::Line { label, choice }
}

#[cfg(test)]
mod tests {
    use keyfob_core::problem::{Code, Problem};
    use keyfob_core::server::Kind;
    use keyfob_core::view::Level;
    use keyfob_core::view::page::{Action, Row, Snapshot, TrayPresence};

    use super::{Choice, Glyph, Item, Look, MOST_SERVERS, MOST_URGENT};

    fn row(name: &str, state: Kind, level: Level) -> Row {
        let named = (name.to_owned(), "https://mcp.example.com/mcp".to_owned());
        Row::new(named, (state, level, "text".to_owned()), None, None, None, None, None)
    }

    fn snapshot(servers: Vec<Row>) -> Snapshot {
        Snapshot {
            servers,
            trouble: None,
            redirect_uris: Vec::new(),
            has_document: false,
            keeps_in_memory: false,
            clients_to_rotate: Vec::new(),
            tray: TrayPresence::There,
        }
    }

    fn labels(items: &[Item]) -> Vec<&str> {
        items
            .iter()
            .map(|item| match item {
                Item::Line { label, .. } | Item::Note { label } | Item::Submenu { label, .. } => {
                    label.as_str()
                }
                Item::Separator => "-",
            })
            .collect()
    }

    #[test]
    fn what_needs_its_person_comes_first_with_its_action() {
        let look = Look::of(&snapshot(vec![
            row("granola", Kind::Ready, Level::Green),
            row("linear", Kind::SignedOut, Level::Red),
            row("notion", Kind::SignedOut, Level::Amber),
        ]));
        assert_eq!(
            labels(&look.menu),
            [
                "Reconnect: linear",
                "Connect: notion",
                "-",
                "Servers",
                "Add server…",
                "Open Keyfob",
                "-",
                "Quit"
            ]
        );
        let first = Choice::Act { server: "linear".to_owned(), action: Action::Reconnect };
        assert!(matches!(&look.menu[0], Item::Line { choice, .. } if *choice == first));
        assert_eq!(look.tooltip, "2 need you");
    }

    #[test]
    fn each_state_offers_what_its_button_offers_and_the_icon_is_that_of_the_worst() {
        for (state, level, wanted, glyph) in [
            (Kind::Off, Level::Grey, Some("Turn on"), Glyph::Idle),
            (Kind::Probing, Level::Grey, None, Glyph::Idle),
            (Kind::Open, Level::Green, None, Glyph::Ok),
            (Kind::SignedOut, Level::Amber, Some("Connect"), Glyph::Attention),
            (Kind::SignedOut, Level::Red, Some("Reconnect"), Glyph::Trouble),
            (Kind::SigningIn, Level::Amber, Some("Open again"), Glyph::Moving),
            (Kind::Ready, Level::Green, None, Glyph::Ok),
            (Kind::Refreshing, Level::Green, None, Glyph::Ok),
            (Kind::Offline, Level::Grey, Some("Retry now"), Glyph::Idle),
            (Kind::NeedsScope, Level::Amber, Some("Review"), Glyph::Attention),
            (Kind::VaultBlocked, Level::Amber, Some("Unlock"), Glyph::Attention),
        ] {
            let look = Look::of(&snapshot(vec![row("s", state, level)]));
            assert_eq!(look.glyph, glyph, "{state:?}");
            let servers = look.menu.iter().find_map(|item| match item {
                Item::Submenu { items, .. } => Some(items),
                _ => None,
            });
            let Some([Item::Submenu { items, .. }]) = servers.map(Vec::as_slice) else {
                panic!("{state:?} has no submenu: {look:?}");
            };
            let inside = labels(items);
            let action = inside
                .get(1)
                .copied()
                .filter(|label| !["Sign out", "Copy address", "Cancel sign-in"].contains(label));
            assert_eq!(action, wanted, "{state:?}");
            assert!(inside.ends_with(&["Copy address", "Details"]), "{inside:?}");
        }
    }

    #[test]
    fn many_servers_make_no_menu_that_scrolls() {
        let all = (0..200).map(|n| row(&format!("s{n}"), Kind::SignedOut, Level::Amber)).collect();
        let look = Look::of(&snapshot(all));
        assert!(look.menu.len() <= MOST_URGENT + 7, "{}", look.menu.len());
        let inside = look.menu.iter().find_map(|item| match item {
            Item::Submenu { items, .. } => Some(items.len()),
            _ => None,
        });
        assert_eq!(inside, Some(MOST_SERVERS + 1));
    }

    #[test]
    fn trouble_of_its_own_is_said_and_an_empty_list_is_no_empty_menu() {
        let mut none = snapshot(Vec::new());
        assert_eq!(Look::of(&none).glyph, Glyph::Idle);
        assert!(labels(&Look::of(&none).menu).contains(&"No servers yet"));
        none.trouble = Some(Problem::new(Code::PortTaken).with("port", 15393));
        let look = Look::of(&none);
        assert_eq!(look.glyph, Glyph::Trouble);
        assert!(look.tooltip.contains("15393"), "{}", look.tooltip);
    }
}
