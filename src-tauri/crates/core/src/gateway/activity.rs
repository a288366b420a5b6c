//! Whether anyone uses the broker.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts open connections and knows when the last one closed.
#[derive(Debug)]
pub struct Activity {
    open: AtomicUsize,
    last: Mutex<Instant>,
}

impl Default for Activity {
    fn default() -> Self {
        Self { open: AtomicUsize::new(0), last: Mutex::new(Instant::now()) }
    }
}

impl Activity {
    /// Someone is here until this is dropped.
    pub fn enter(self: &Arc<Self>) -> Presence {
        self.open.fetch_add(1, Ordering::Relaxed);
        Presence(self.clone())
    }

    /// How many are here.
    pub fn present(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// How long nobody has been here.
    pub fn unused_for(&self) -> Duration {
        if self.open.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// Someone who is here.
#[derive(Debug)]
pub struct Presence(Arc<Activity>);

impl Drop for Presence {
    fn drop(&mut self) {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
