//! Whether a keychain that has not answered in time is locked: it then waits for a person.

use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, oneshot};

/// How long the keychain may take to say that. One that is slow is not asked for longer.
const LONGEST: Duration = Duration::from_secs(1);

/// How long an answer holds: of many calls that were not answered one asks.
const HOLDS: Duration = Duration::from_secs(1);

/// Asks for it. `None` when the keychain cannot say.
pub(super) struct LockProbe {
    ask: fn() -> Option<bool>,
    last: Mutex<Option<(Instant, bool)>>,
}

impl LockProbe {
    pub(super) fn new(ask: fn() -> Option<bool>) -> Self {
        Self { ask, last: Mutex::default() }
    }

    /// Whether it is known to be locked.
    pub(super) async fn is_locked(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some((at, is_locked)) = *last
            && at.elapsed() < HOLDS
        {
            return is_locked;
        }
        let (answer, answered) = oneshot::channel();
        let ask = self.ask;
        // Not the runtime's: that would wait for it at the end of the process.
        let asking = thread::Builder::new().name("vault-lock".to_owned());
        let asking = asking.spawn(move || {
            let _ = answer.send(ask());
        });
        let said = match asking {
            Ok(_) => tokio::time::timeout(LONGEST, answered).await.ok().and_then(Result::ok),
            Err(_) => None,
        };
        let is_locked = said.flatten().unwrap_or(false);
        *last = Some((Instant::now(), is_locked));
        is_locked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn only_what_is_known_to_be_locked_is_called_so() {
        assert!(LockProbe::new(|| Some(true)).is_locked().await);
        assert!(!LockProbe::new(|| Some(false)).is_locked().await);
        assert!(!LockProbe::new(|| None).is_locked().await);
        let never = || {
            thread::sleep(Duration::from_secs(60));
            Some(true)
        };
        let begun = Instant::now();
        assert!(!LockProbe::new(never).is_locked().await);
        assert!(begun.elapsed() < LONGEST * 3);
    }

    #[tokio::test]
    async fn of_many_one_asks() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let probe = LockProbe::new(|| {
            ASKED.fetch_add(1, Ordering::SeqCst);
            Some(true)
        });
        assert_eq!(tokio::join!(probe.is_locked(), probe.is_locked()), (true, true));
        assert_eq!(ASKED.load(Ordering::SeqCst), 1);
    }
}
