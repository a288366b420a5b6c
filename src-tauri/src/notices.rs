//! Which notifications there should be: only where a server needs its person again, one for each,
//! until that is solved.

use std::collections::BTreeMap;
use std::time::Duration;

use keyfob_core::locale::{filled, text};
use keyfob_core::server::Kind;
use keyfob_core::view::Level;
use keyfob_core::view::page::{Action, Snapshot};

use crate::tray::menu::Choice;

/// After a start or a wake much is still on its way; nobody is called before it has settled.
pub(crate) const SETTLE: Duration = Duration::from_secs(12);

/// The clocks differ by more than this after a sleep.
const SLEPT: Duration = Duration::from_secs(2);

/// A point in time, on two clocks: one stands still while the machine sleeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Since the start, without sleep.
    pub(crate) awake: Duration,
    /// By the wall clock.
    pub(crate) wall: Duration,
}

/// What a notification says and offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) button: String,
    pub(crate) choice: Choice,
}

/// What is to be done about the notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Show this one, in place of an older one of that key.
    Show { key: String, notice: Notice },
    /// Take it back.
    Withdraw { key: String },
}

/// What has been told so far.
#[derive(Debug)]
pub(crate) struct Notices {
    told: BTreeMap<String, Notice>,
    settled_at: Duration,
    last: Option<Moment>,
}

impl Notices {
    pub(crate) fn new() -> Self {
        Self { told: BTreeMap::new(), settled_at: SETTLE, last: None }
    }

    /// What is to be done now, and in how long to ask again where it is too early.
    pub(crate) fn update(
        &mut self,
        snapshot: &Snapshot,
        now: Moment,
    ) -> (Vec<Change>, Option<Duration>) {
        if let Some(last) = self.last {
            let awake = now.awake.saturating_sub(last.awake);
            if now.wall.saturating_sub(last.wall) > awake + SLEPT {
                self.settled_at = now.awake + SETTLE;
            }
        }
        self.last = Some(now);
        let wanted = wanted(snapshot);
        let mut changes = Vec::new();
        self.told.retain(|key, _| {
            let stays = wanted.contains_key(key);
            if !stays {
                changes.push(Change::Withdraw { key: key.clone() });
            }
            stays
        });
        let mut again = None;
        for (key, notice) in wanted {
            if self.told.get(&key) == Some(&notice) {
                continue;
            }
            if now.awake < self.settled_at {
                again = Some(self.settled_at - now.awake);
                continue;
            }
            self.told.insert(key.clone(), notice.clone());
            changes.push(Change::Show { key, notice });
        }
        (changes, again)
    }
}

fn wanted(snapshot: &Snapshot) -> BTreeMap<String, Notice> {
    let mut wanted = BTreeMap::new();
    for row in &snapshot.servers {
        let server = row.name.clone();
        let (key, section, choice) = match (row.state, row.level, row.action) {
            (Kind::SignedOut, Level::Red, Some(action)) => {
                (format!("server {server}"), "sign-in", Choice::Act { server, action })
            }
            (Kind::NeedsScope, _, _) => {
                (format!("server {server}"), "scope", Choice::Details { server })
            }
            // One keychain holds them all.
            (Kind::VaultBlocked, _, Some(action @ Action::Unlock)) => {
                ("keychain".to_owned(), "keychain", Choice::Act { server, action })
            }
            _ => continue,
        };
        let params = [("server", row.name.as_str())];
        wanted.entry(key).or_insert_with(|| Notice {
            title: filled("notifications", section, &params),
            body: filled("notifications", &format!("{section}-body"), &params),
            button: text("notifications", &format!("{section}-action")),
            choice,
        });
    }
    wanted
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use keyfob_core::server::Kind;
    use keyfob_core::view::Level;
    use keyfob_core::view::page::{Action, Row, Snapshot, TrayPresence};

    use super::{Change, Moment, Notices, SETTLE};
    use crate::tray::menu::Choice;

    fn snapshot(rows: &[(&str, Kind, Level)]) -> Snapshot {
        let servers = rows.iter().map(|(name, state, level)| {
            let named = ((*name).to_owned(), String::new());
            Row::new(named, (*state, *level, String::new()), None, None, None, None, None)
        });
        Snapshot {
            servers: servers.collect(),
            trouble: None,
            redirect_uris: Vec::new(),
            has_document: false,
            keeps_in_memory: false,
            clients_to_rotate: Vec::new(),
            tray: TrayPresence::There,
        }
    }

    fn at(seconds: u64) -> Moment {
        let awake = Duration::from_secs(seconds);
        Moment { awake, wall: Duration::from_secs(1_000_000) + awake }
    }

    const REFUSED: (&str, Kind, Level) = ("linear", Kind::SignedOut, Level::Red);
    const WELL: (&str, Kind, Level) = ("linear", Kind::Ready, Level::Green);

    fn shown(changes: &[Change]) -> usize {
        changes.iter().filter(|change| matches!(change, Change::Show { .. })).count()
    }

    #[test]
    fn one_is_shown_until_it_is_solved_and_then_taken_back() {
        let mut notices = Notices::new();
        let (changes, _) = notices.update(&snapshot(&[REFUSED]), at(60));
        let [Change::Show { key, notice }] = changes.as_slice() else {
            panic!("not one: {changes:?}");
        };
        let wanted = Choice::Act { server: "linear".to_owned(), action: Action::Reconnect };
        assert_eq!(notice.choice, wanted);
        assert!(notice.title.contains("linear") && !notice.button.is_empty(), "{notice:?}");
        assert!(notices.update(&snapshot(&[REFUSED]), at(61)).0.is_empty(), "told twice");
        let (changes, _) = notices.update(&snapshot(&[WELL]), at(62));
        assert_eq!(changes, [Change::Withdraw { key: key.clone() }]);
        assert_eq!(shown(&notices.update(&snapshot(&[REFUSED]), at(63)).0), 1);
    }

    #[test]
    fn nobody_is_called_for_what_was_never_connected_or_is_merely_offline() {
        let mut notices = Notices::new();
        for state in [
            ("s", Kind::SignedOut, Level::Amber),
            ("s", Kind::Offline, Level::Grey),
            ("s", Kind::SigningIn, Level::Amber),
            ("s", Kind::Off, Level::Grey),
        ] {
            assert!(notices.update(&snapshot(&[state]), at(60)).0.is_empty(), "{state:?}");
        }
    }

    #[test]
    fn a_start_and_a_wake_settle_first() {
        let mut notices = Notices::new();
        let (changes, again) = notices.update(&snapshot(&[REFUSED]), at(3));
        assert!(changes.is_empty());
        assert_eq!(again, Some(SETTLE - Duration::from_secs(3)));
        assert_eq!(shown(&notices.update(&snapshot(&[REFUSED]), at(12)).0), 1);
        notices.update(&snapshot(&[WELL]), at(100));
        // An hour asleep: the awake clock has moved by one second.
        let woken = Moment { awake: Duration::from_secs(101), ..at(3701) };
        let (changes, again) = notices.update(&snapshot(&[REFUSED]), woken);
        assert!(changes.is_empty(), "{changes:?}");
        assert_eq!(again, Some(SETTLE));
    }

    #[test]
    fn a_locked_keychain_calls_once_for_all_its_servers() {
        let mut notices = Notices::new();
        let blocked = |name| (name, Kind::VaultBlocked, Level::Amber);
        let (changes, _) = notices.update(&snapshot(&[blocked("a"), blocked("b")]), at(60));
        assert_eq!(shown(&changes), 1, "{changes:?}");
    }
}
