//! What is said of a demo that cannot go on: one sentence, then the file with everything else.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;

use keyfob_tests::Journal;
use keyfob_tests::world::report;

/// The panic, in all its lines.
static PANIC: Mutex<Option<String>> = Mutex::new(None);
/// The servers that have started, by name.
static JOURNALS: Mutex<Vec<(String, Journal)>> = Mutex::new(Vec::new());

/// Collects from now on what would explain a failure, and keeps it from the screen.
pub(crate) fn prepare() {
    report::collect();
    std::panic::set_hook(Box::new(|panic| {
        if let Ok(mut first) = PANIC.lock() {
            first.get_or_insert_with(|| panic.to_string());
        }
    }));
}

/// Remembers a server, whose journal belongs to the explanation.
pub(crate) fn remember(name: &str, journal: &Journal) {
    if let Ok(mut journals) = JOURNALS.lock() {
        journals.push((name.to_owned(), journal.clone()));
    }
}

/// The sentence for a task that has panicked.
pub(crate) fn of_panic(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref().copied()).unwrap_or("it broke");
    format!("The demo could not go on: {}", text.trim_end_matches('.'))
}

/// What is printed: the first line of this, and where the rest is.
pub(crate) fn told(sentence: &str) -> String {
    let first = sentence.lines().next().unwrap_or_default().trim_end_matches([':', '.']);
    match write(sentence) {
        Ok(Some(file)) => {
            format!("{first}.\nWhat Keyfob and the servers said is in {}.", file.display())
        }
        Ok(None) => format!("{first}."),
        Err(error) => format!("{first}.\nWhat Keyfob and the servers said is lost: {error}."),
    }
}

/// Writes all that there is to say into a file that only this user can read; gives its name, or
/// nothing where nothing has started yet.
fn write(sentence: &str) -> std::io::Result<Option<PathBuf>> {
    let printed = report::collected();
    let journals = JOURNALS.lock().map(|journals| journals.clone()).unwrap_or_default();
    if printed.is_empty() && journals.is_empty() {
        return Ok(None);
    }
    let mut file = tempfile::Builder::new().prefix("keyfob-demo-").suffix(".log").tempfile()?;
    writeln!(file, "{sentence}")?;
    if let Some(panic) = PANIC.lock().ok().and_then(|panic| panic.clone()) {
        writeln!(file, "\n===== where it stopped =====\n{panic}")?;
    }
    writeln!(file, "\n===== what keyfob printed =====\n{printed}")?;
    for (name, journal) in journals {
        writeln!(file, "\n===== what {name} noted =====\n{:#}", journal.to_json())?;
    }
    let (_, path) = file.keep().map_err(|error| error.error)?;
    Ok(Some(path))
}
