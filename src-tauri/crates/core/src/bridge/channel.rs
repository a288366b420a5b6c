//! A channel that is bounded by the bytes in it, beside their number: of the longest lines a few
//! make a gibibyte.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::mcp::LARGEST;

/// Most bytes that wait in a channel; more than the longest line.
const MOST_BYTES: usize = 2 * LARGEST;

/// What has a length in bytes.
pub(super) trait Length {
    fn length(&self) -> usize;
}

impl Length for bytes::Bytes {
    fn length(&self) -> usize {
        self.len()
    }
}

impl Length for String {
    fn length(&self) -> usize {
        self.len()
    }
}

#[derive(Debug)]
pub(super) struct Sender<T> {
    items: mpsc::Sender<(T, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
}

#[derive(Debug)]
pub(super) struct Receiver<T>(mpsc::Receiver<(T, OwnedSemaphorePermit)>);

/// A channel for at most this many items.
pub(super) fn channel<T>(most: usize) -> (Sender<T>, Receiver<T>) {
    let (items, received) = mpsc::channel(most);
    (Sender { items, room: Arc::new(Semaphore::new(MOST_BYTES)) }, Receiver(received))
}

impl<T: Length> Sender<T> {
    /// Waits until there is room; false when nobody receives any more.
    pub(super) async fn send(&self, item: T) -> bool {
        let bytes = u32::try_from(item.length().min(MOST_BYTES)).unwrap_or(u32::MAX);
        let room = tokio::select! {
            room = self.room.clone().acquire_many_owned(bytes) => room,
            () = self.items.closed() => return false,
        };
        match room {
            Ok(room) => self.items.send((item, room)).await.is_ok(),
            Err(_closed) => false,
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { items: self.items.clone(), room: self.room.clone() }
    }
}

impl<T> Receiver<T> {
    /// The next item; `None` when there can be no other.
    pub(super) async fn recv(&mut self) -> Option<T> {
        self.0.recv().await.map(|(item, _room)| item)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{MOST_BYTES, channel};

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_bounded_in_bytes_and_goes_on_when_there_is_room() {
        let (sender, mut receiver) = channel(100);
        let long = || "x".repeat(MOST_BYTES / 2);
        assert!(sender.send(long()).await && sender.send(long()).await);
        let wait = Duration::from_secs(1);
        assert!(tokio::time::timeout(wait, sender.send("x".to_owned())).await.is_err());
        assert_eq!(receiver.recv().await.map(|text| text.len()), Some(MOST_BYTES / 2));
        assert!(sender.send(long()).await);
        let waits = sender.send(long());
        drop(receiver);
        assert!(!waits.await, "nobody is there any more");
    }
}
