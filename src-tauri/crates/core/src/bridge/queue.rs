//! The client's messages in the order in which they came.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};

use super::Bridge;
use super::channel::Receiver;
use super::message::{Kind, Message};

/// Takes up what waits, one by one, until no more can come and everything has been answered.
/// What runs ends with it.
pub(super) async fn work(bridge: &Arc<Bridge>, mut waiting: Receiver<Bytes>) {
    let mut running = Running::default();
    while let Some(line) = waiting.recv().await {
        match Message::read(line) {
            Some(message) => running.take(bridge, message).await,
            None => {
                let error = json!({ "jsonrpc": "2.0", "id": null,
                    "error": { "code": -32700, "message": "The line is not JSON" } });
                bridge.say(error.to_string()).await;
            }
        }
    }
    pass(running.notified.take()).await;
    while running.awaited.join_next().await.is_some() {}
}

/// What is under way.
#[derive(Default)]
struct Running {
    /// What the end waits for.
    awaited: JoinSet<()>,
    /// What it does not wait for: streams, and the rest of answers that nobody asked for.
    aside: JoinSet<()>,
    by_id: HashMap<String, AbortHandle>,
    /// What the next notification waits for: that the last one has arrived.
    notified: Option<oneshot::Receiver<()>>,
}

/// Waits until a gate is open. A dropped one is: a message that came to nothing holds nobody up.
async fn pass(gate: Option<oneshot::Receiver<()>>) {
    if let Some(gate) = gate {
        let _ = gate.await;
    }
}

impl Running {
    /// Starts a message. Requests run side by side, since an answer may need another message
    /// first; notifications follow one another; nothing overtakes what opens the session that all
    /// others need.
    async fn take(&mut self, bridge: &Arc<Bridge>, message: Message) {
        self.tidy();
        if message.method == "notifications/cancelled" && message.is_modern() {
            // In the stateless era the end of the request is the message.
            let cancelled = message.content.pointer("/params/requestId").map(Value::to_string);
            let task = cancelled.and_then(|id| self.by_id.remove(&id));
            if let Some(task) = task {
                task.abort();
            }
            return;
        }
        let is_notification = message.kind == Kind::Notification;
        let opens = matches!(message.method.as_str(), "initialize" | "notifications/initialized");
        let is_aside = is_notification || message.is_endless();
        let id = message.id.as_ref().map(Value::to_string);
        let (gate, passed) = oneshot::channel();
        let gate = (opens || is_notification).then_some(gate);
        let before = if is_notification { self.notified.take() } else { None };
        let bridge = bridge.clone();
        let tasks = if is_aside { &mut self.aside } else { &mut self.awaited };
        let task = tasks.spawn(async move {
            pass(before).await;
            bridge.exchange(message, gate).await;
        });
        if let Some(id) = id {
            self.by_id.insert(id, task);
        }
        if opens {
            pass(Some(passed)).await;
        } else if is_notification {
            self.notified = Some(passed);
        }
    }

    fn tidy(&mut self) {
        while self.awaited.try_join_next().is_some() {}
        while self.aside.try_join_next().is_some() {}
        self.by_id.retain(|_, task| !task.is_finished());
    }
}
