//! Notifications of the desktop. They are hints: all that they offer is in the tray and the window
//! as well.

use std::collections::HashMap;

use notify_rust::{Notification, Timeout};
use tokio::sync::oneshot;

use crate::desk::{Ask, Desk};
use crate::notices::{Change, Notice};

/// The name of the button.
const ACTION: &str = "act";

/// Those that are shown, by their key.
pub(crate) struct Notifier {
    desk: Desk,
    shown: HashMap<String, oneshot::Sender<()>>,
}

impl Notifier {
    pub(crate) fn new(desk: Desk) -> Self {
        Self { desk, shown: HashMap::new() }
    }

    /// Does what is to be done.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            // Dropping the sender takes the notification back.
            Change::Withdraw { key } => drop(self.shown.remove(&key)),
            Change::Show { key, notice } => {
                let (withdraw, withdrawn) = oneshot::channel();
                self.shown.insert(key, withdraw);
                show(self.desk.clone(), notice, withdrawn);
            }
        }
    }
}

fn notification(notice: &Notice) -> Notification {
    let mut notification = Notification::new();
    notification
        .appname("Keyfob")
        .summary(&notice.title)
        .body(&notice.body)
        .icon("dialog-password")
        .timeout(Timeout::Never)
        .action("default", &notice.button)
        .action(ACTION, &notice.button);
    notification
}

#[cfg(all(unix, not(target_os = "macos")))]
fn show(desk: Desk, notice: Notice, withdrawn: oneshot::Receiver<()>) {
    use notify_rust::NotificationResponse;
    tokio::spawn(async move {
        let handle = match notification(&notice).show_async().await {
            Ok(handle) => handle,
            Err(error) => {
                tracing::warn!(%error, "no notification could be shown");
                return;
            }
        };
        let chosen = async {
            let mut is_chosen = false;
            let note = |response: &NotificationResponse| {
                is_chosen = matches!(
                    response,
                    NotificationResponse::Default | NotificationResponse::Action(_)
                );
            };
            handle.wait_for_action_async(note).await;
            is_chosen
        };
        let is_chosen = tokio::select! {
            is_chosen = chosen => is_chosen,
            _ = withdrawn => false,
        };
        if is_chosen {
            desk.ask(Ask::Choose(notice.choice));
        }
        // Some daemons leave it standing after a click.
        handle.close_async().await;
    });
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
fn show(desk: Desk, notice: Notice, _withdrawn: oneshot::Receiver<()>) {
    // Waiting for a click blocks on these systems, and there is no way to take one back.
    std::thread::spawn(move || match notification(&notice).show() {
        Ok(handle) => handle.wait_for_action(|action| {
            if action == "default" || action == ACTION {
                desk.ask(Ask::Choose(notice.choice));
            }
        }),
        Err(error) => tracing::warn!(%error, "no notification could be shown"),
    });
}
