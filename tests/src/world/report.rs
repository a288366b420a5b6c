//! Where the output of the product goes when a test has failed, or the demo.

use std::sync::Mutex;

/// What was collected, where reports are collected.
static COLLECTED: Mutex<Option<String>> = Mutex::new(None);

/// From now on all that the product prints is collected for [`collected`], and no longer shown on
/// standard error when a test fails.
pub fn collect() {
    COLLECTED.lock().expect("reports").get_or_insert_default();
}

/// What has been collected; each `Keyfob` gives its part when it is dropped.
pub fn collected() -> String {
    COLLECTED.lock().expect("reports").clone().unwrap_or_default()
}

/// Adds what the product printed: to what is collected, else, below a test that fails, to standard
/// error.
#[expect(clippy::print_stderr, reason = "the way to say it in a test")]
pub fn add(printed: &str) {
    // A test that fails while it holds the lock has nothing to report.
    let Ok(mut collected) = COLLECTED.lock() else { return };
    match &mut *collected {
        Some(all) => all.push_str(printed),
        None if std::thread::panicking() => {
            eprintln!("\n===== what keyfob printed =====\n{printed}\n===== end =====");
        }
        None => {}
    }
}
