//! Whose turn it is to write a server's grant: a result that comes late must undo nothing that was
//! done meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, OwnedMutexGuard};

/// Shared by the tasks of one server. Every sign-in, sign-out and removal begins a new epoch, and
/// what was begun in an older one writes no more.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn {
    epoch: Arc<AtomicU64>,
    writing: Arc<Mutex<()>>,
}

/// The right to write, as long as it is held.
pub(super) struct Writing {
    _held: OwnedMutexGuard<()>,
}

impl Turn {
    /// The present epoch.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Begins a new epoch.
    pub(super) fn advance(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits for whoever writes; `None` when another epoch has begun since.
    pub(super) async fn write(&self, epoch: u64) -> Option<Writing> {
        let held = self.writing.clone().lock_owned().await;
        (self.epoch() == epoch).then_some(Writing { _held: held })
    }
}

#[cfg(test)]
mod tests {
    use super::Turn;

    #[tokio::test]
    async fn what_was_begun_in_an_older_epoch_writes_no_more() {
        let turn = Turn::default();
        let begun = turn.epoch();
        assert!(turn.write(begun).await.is_some());
        turn.advance();
        assert!(turn.write(begun).await.is_none());
        assert!(turn.write(turn.epoch()).await.is_some());
    }
}
