//! The desktop app as a person meets it: its window, its tray item, its notifications and a real
//! browser, on a desktop that nobody sees. `tests/run/desktop.sh` makes it.
//!
//! They share that desktop, and so run one at a time. They are marked as ignored so that a run
//! without it counts them as skipped and not as passed.
#![expect(clippy::expect_used, reason = "test code")]

mod change;
mod notices;
mod origin;
mod process;
mod secrets;
mod services;
mod sign_in;
mod tray;
mod waiting;
mod window;
