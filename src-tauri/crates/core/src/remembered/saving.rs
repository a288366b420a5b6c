//! Writing a file beside whoever has it written: a thread of its own writes what was handed over
//! last. What came in between is not written, since the last one holds it all.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::paths;

/// The way to one file.
pub(super) struct Saving(Writer);

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    handed_over: u64,
    settled: u64,
}

#[derive(Debug, Default)]
struct Next {
    content: Option<(u64, Vec<u8>)>,
    is_writing: bool,
}

impl Saving {
    /// To a file.
    pub(super) fn to(file: PathBuf) -> Self {
        Self::with(move |content| write(&file, content))
    }

    fn with(write: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        let counts = Arc::new(watch::Sender::default());
        Self(Writer { write: Arc::new(write), counts, next: Arc::default() })
    }

    /// Hands over a content, and returns at once.
    pub(super) fn hand_over(&self, content: Vec<u8>) {
        let mut count = 0;
        self.0.counts.send_modify(|counts| {
            counts.handed_over += 1;
            count = counts.handed_over;
        });
        let mut next = lock(&self.0.next);
        next.content = Some((count, content));
        if next.is_writing {
            return;
        }
        next.is_writing = true;
        drop(next);
        let writer = self.0.clone();
        let thread = std::thread::Builder::new().name("remembered".to_owned());
        if thread.spawn(move || writer.run()).is_err() {
            self.0.run();
        }
    }

    /// Waits for the disk with what was handed over before.
    pub(super) fn saved(&self) -> Saved {
        Saved(Some(self.0.counts.subscribe()))
    }
}

/// What was handed over, on its way to the disk.
#[derive(Clone, Debug)]
pub struct Saved(Option<watch::Receiver<Counts>>);

impl Saved {
    /// Of what is kept nowhere.
    pub(super) fn nowhere() -> Self {
        Self(None)
    }

    /// Waits until all that was handed over up to now is on the disk, or could not be written.
    pub async fn wait(&self) {
        let Some(mut counts) = self.0.clone() else { return };
        let wanted = counts.borrow().handed_over;
        let _ = counts.wait_for(|counts| counts.settled >= wanted).await;
    }
}

impl fmt::Debug for Saving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Saving").field(&*self.0.counts.borrow()).finish()
    }
}

/// Puts a content on the disk.
type Write = dyn Fn(&[u8]) + Send + Sync;

#[derive(Clone)]
struct Writer {
    write: Arc<Write>,
    /// How many contents were handed over, and up to which one is on the disk.
    counts: Arc<watch::Sender<Counts>>,
    next: Arc<Mutex<Next>>,
}

impl Writer {
    /// Writes until there is nothing left to be written.
    fn run(&self) {
        loop {
            let mut next = lock(&self.next);
            let Some((count, content)) = next.content.take() else {
                next.is_writing = false;
                return;
            };
            drop(next);
            (self.write)(&content);
            self.counts.send_modify(|counts| counts.settled = count);
        }
    }
}

/// Writes it now. A failure is logged and no more: everything that is remembered can be learnt again.
pub(super) fn write(file: &Path, content: &[u8]) {
    if let Err(error) = paths::write_private(file, content) {
        tracing::warn!(file = %file.display(), %error, "cannot be written");
    }
}

fn lock(next: &Mutex<Next>) -> MutexGuard<'_, Next> {
    next.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};
    use std::time::Duration;

    use super::Saving;

    #[tokio::test]
    async fn what_is_handed_over_is_on_the_disk_once_it_was_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        let saving = Saving::to(file.clone());
        saving.saved().wait().await;
        for n in 0..200 {
            saving.hand_over(format!("{n}").into_bytes());
        }
        saving.saved().wait().await;
        assert_eq!(std::fs::read_to_string(&file).expect("a file"), "199");
        saving.hand_over(b"again".to_vec());
        saving.saved().wait().await;
        assert_eq!(std::fs::read_to_string(&file).expect("a file"), "again");
    }

    #[tokio::test]
    async fn a_disk_that_refuses_holds_up_nobody() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("no folder"), "").expect("written");
        let saving = Saving::to(folder.path().join("no folder").join("file"));
        saving.hand_over(b"x".to_vec());
        let waiting = saving.saved();
        tokio::time::timeout(Duration::from_secs(10), waiting.wait()).await.expect("settled");
    }

    /// The disk is as slow as the test wants.
    #[tokio::test]
    async fn who_hands_over_does_not_wait_and_only_the_last_one_is_written_then() {
        let (begun, begins) = mpsc::channel();
        let (answers, answer) = mpsc::channel::<()>();
        let answer = Mutex::new(answer);
        let saving = Saving::with(move |content| {
            let _ = begun.send(content.to_vec());
            let _ = answer.lock().expect("one writer").recv();
        });
        saving.hand_over(b"first".to_vec());
        assert_eq!(begins.recv().expect("it is being written"), b"first");
        for n in 0..100 {
            saving.hand_over(format!("{n}").into_bytes());
        }
        let saved = saving.saved();
        let soon = tokio::time::timeout(Duration::from_millis(50), saved.wait());
        assert!(soon.await.is_err(), "it is not on the disk yet");
        drop(answers);
        saved.wait().await;
        let written: Vec<_> = begins.try_iter().collect();
        assert_eq!(written, [b"99".to_vec()], "what came in between is not written");
    }
}
