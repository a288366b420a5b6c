//! A pause before something is tried again.

use std::time::Duration;

use keyfob_auth::Timestamp;
use tokio::time::Instant;

use crate::clock;

/// See the module. It is over when either clock says so: the wall clock may be set back meanwhile,
/// and the other one stands still while the machine sleeps.
#[derive(Clone, Copy, Debug)]
pub struct Pause {
    until: Timestamp,
    end: Instant,
}

impl Pause {
    /// One that begins now.
    pub fn of(length: Duration) -> Self {
        Self { until: clock::now().plus(length), end: Instant::now() + length }
    }

    /// None at all.
    pub fn none() -> Self {
        Self::of(Duration::ZERO)
    }

    /// How long it still lasts.
    pub fn left(&self) -> Duration {
        let by_clock = self.until.since(clock::now());
        by_clock.min(self.end.saturating_duration_since(Instant::now()))
    }

    /// Whether it is worth trying again.
    pub fn is_over(&self) -> bool {
        clock::now() >= self.until || Instant::now() >= self.end
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Pause;

    #[tokio::test(start_paused = true)]
    async fn it_is_over_when_its_time_has_passed_whatever_the_wall_clock_says() {
        assert!(Pause::none().is_over());
        let pause = Pause::of(Duration::from_secs(60));
        assert!(!pause.is_over());
        // The wall clock stands still here.
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(pause.is_over());
    }
}
