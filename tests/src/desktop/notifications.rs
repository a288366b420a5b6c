//! What goes to the notification daemon, overheard on the bus.

use std::collections::HashMap;
use std::process::Command;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use tokio::task::JoinHandle;
use zbus::zvariant::OwnedValue;
use zbus::{Connection, MatchRule, MessageStream};

use super::{LONG, until};

const INTERFACE: &str = "org.freedesktop.Notifications";

/// One request to show something.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Which one it replaces; 0 for none.
    pub replaces: u32,
    /// Its title.
    pub title: String,
    /// Its text.
    pub text: String,
    /// Its actions: keys and labels in turn.
    pub actions: Vec<String>,
}

#[derive(Default)]
struct Heard {
    shown: Vec<Shown>,
    closed: usize,
}

/// Listens until it is dropped.
pub struct Notifications {
    heard: Arc<Mutex<Heard>>,
    listening: JoinHandle<()>,
}

impl Notifications {
    /// Begins to listen.
    pub async fn watch() -> Self {
        let bus = Connection::session().await.expect("a session bus");
        let rule = MatchRule::builder().interface(INTERFACE).expect("a good name").build();
        let mut messages = MessageStream::from(&bus);
        let monitor = zbus::fdo::MonitoringProxy::new(&bus).await.expect("a bus");
        monitor.become_monitor(&[rule], 0).await.expect("one may listen");
        let heard: Arc<Mutex<Heard>> = Arc::default();
        let into = Arc::clone(&heard);
        let listening = tokio::spawn(async move {
            while let Some(Ok(message)) = messages.next().await {
                note(&message, &into);
            }
        });
        Self { heard, listening }
    }

    /// Everything that Keyfob has asked to show.
    pub fn shown(&self) -> Vec<Shown> {
        self.heard.lock().expect("heard").shown.clone()
    }

    /// Waits until it has asked so often; gives the newest.
    pub async fn next(&self, count: usize) -> Shown {
        until(&format!("{count} notifications"), LONG, async || {
            self.shown().into_iter().nth(count - 1)
        })
        .await
    }

    /// How often one was taken back.
    pub fn closed(&self) -> usize {
        self.heard.lock().expect("heard").closed
    }

    /// How many are on the screen.
    pub fn displayed() -> usize {
        let count = Command::new("dunstctl").args(["count", "displayed"]).output();
        let count =
            String::from_utf8_lossy(&count.expect("dunst is installed").stdout).into_owned();
        count.trim().parse().unwrap_or_else(|e| panic!("dunst counts {count:?}: {e}"))
    }

    /// Waits until so many are on the screen.
    pub async fn display(count: usize) {
        until(&format!("{count} notifications on the screen"), LONG, async || {
            (Self::displayed() == count).then_some(())
        })
        .await;
    }

    /// Does what the notification on the screen offers.
    pub fn act() {
        let done = Command::new("dunstctl").args(["action", "0"]).status();
        assert!(done.is_ok_and(|done| done.success()), "the daemon takes no action");
    }
}

impl Drop for Notifications {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn note(message: &zbus::Message, into: &Mutex<Heard>) {
    type Notify =
        (String, u32, String, String, String, Vec<String>, HashMap<String, OwnedValue>, i32);
    let header = message.header();
    if message.message_type() != zbus::message::Type::MethodCall {
        return;
    }
    match header.member().map(|member| member.as_str()) {
        Some("Notify") => {
            let body = message.body();
            let (app, replaces, _, title, text, actions, _, _): Notify =
                body.deserialize().expect("a request as the specification has it");
            if app == "Keyfob" {
                let shown = Shown { replaces, title, text, actions };
                into.lock().expect("heard").shown.push(shown);
            }
        }
        Some("CloseNotification") => into.lock().expect("heard").closed += 1,
        _ => {}
    }
}
