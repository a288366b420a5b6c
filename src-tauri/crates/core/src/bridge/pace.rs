//! How soon a stream is taken up again. The server may say (`retry`), within bounds: it must not
//! make us ask without a rest, nor stay away for good.

use std::time::Duration;

/// The pause where the server named none.
const USUAL: Duration = Duration::from_secs(1);

/// Shortest pause.
const SHORTEST: Duration = Duration::from_millis(500);

/// Longest pause that is a floor, however often in a row nothing came.
const LONGEST_FLOOR: Duration = Duration::from_secs(30);

/// Longest pause that a server may ask for.
const LONGEST: Duration = Duration::from_secs(300);

/// A stream that has been open for this long was no failure, even if it said nothing: some servers
/// end theirs from time to time.
const LONG_ENOUGH: Duration = Duration::from_secs(5);

/// What one stretch of the stream was good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    /// It brought a message, or stayed open.
    Useful,
    /// It ended at once with nothing, or there was none.
    Empty,
    /// It had to be broken off, and would bring the same again.
    Broken,
}

impl Stretch {
    pub(super) fn of(has_said: bool, lasted: Duration) -> Self {
        if has_said || lasted >= LONG_ENOUGH { Self::Useful } else { Self::Empty }
    }
}

/// The floor under the pauses. It doubles with each stretch that was good for nothing.
#[derive(Debug)]
pub(super) struct Pace {
    floor: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { floor: SHORTEST }
    }
}

impl Pace {
    /// The pause after a stretch; `retry` is what the server asked for.
    pub(super) fn after(&mut self, stretch: Stretch, retry: Option<Duration>) -> Duration {
        self.floor = match stretch {
            Stretch::Useful => SHORTEST,
            Stretch::Empty => (self.floor * 2).min(LONGEST_FLOOR),
            Stretch::Broken => LONGEST_FLOOR,
        };
        retry.unwrap_or(USUAL).clamp(self.floor, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LONGEST, LONGEST_FLOOR, Pace, SHORTEST, Stretch, USUAL};

    /// attack-B5: `retry: 0` and a stream that ends at once.
    #[test]
    fn a_server_that_wants_no_pause_gets_longer_and_longer_ones() {
        let mut pace = Pace::default();
        let none = Some(Duration::ZERO);
        let pauses: Vec<_> = (0..8).map(|_| pace.after(Stretch::Empty, none).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(pace.after(Stretch::Useful, none), SHORTEST);
        assert_eq!(pace.after(Stretch::Broken, none), LONGEST_FLOOR);
    }

    #[test]
    fn what_a_server_asks_for_is_kept_to_within_reason() {
        let mut pace = Pace::default();
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(pace.after(Stretch::Useful, None), USUAL);
        assert_eq!(pace.after(Stretch::Useful, asked(20)), Duration::from_secs(20));
        assert_eq!(pace.after(Stretch::Useful, asked(1 << 40)), LONGEST);
        let of = |said, seconds| Stretch::of(said, Duration::from_secs(seconds));
        assert_eq!((of(true, 0), of(false, 60)), (Stretch::Useful, Stretch::Useful));
        assert_eq!(of(false, 0), Stretch::Empty);
    }
}
