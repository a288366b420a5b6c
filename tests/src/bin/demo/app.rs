//! The demo with a display: the tray app on the servers of the demo, for a person to click through.

use std::io::{Read, Seek};
use std::process::{Command, Stdio};

use keyfob_tests::world::{desktop_binary, report};
use keyfob_tests::{DocumentHost, Keyfob, Store};

use crate::{done, street};

/// Whether there is a display to show it on.
pub(crate) fn has_display() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Opens the app, with the servers on its list and nobody signed in. It runs until it is quit.
pub(crate) async fn run() -> Result<(), String> {
    let documents = DocumentHost::start().await;
    let houses = street::build(&documents).await;
    let keyfob = Keyfob::new(Store::Memory);
    let document_url = keyfob.publish(&documents).await;
    // The browser is yours this time.
    keyfob.configure(&[
        ("ca_file", &documents.ca_file().display().to_string()),
        ("client_metadata_url", &document_url),
    ]);
    for house in &houses {
        done(keyfob.run(&["add", "--name", &house.name, &house.mcp.url()]).await)?;
    }
    println!("Keyfob demo: four remote MCP servers, four ways to sign in.\n");
    let widest = houses.iter().map(|house| house.name.len()).max().unwrap_or_default();
    for house in &houses {
        println!("  {:widest$}  {}  {}", house.name, house.mcp.url(), house.story);
    }
    println!(
        "\nClick Connect in the window, then Allow in your browser. The tokens stay in memory,"
    );
    println!("and nothing of yours is touched. Try an address of your own with Add server, too.");
    println!("\nQuit in the tray menu, or Ctrl-C here, ends it.");
    let mut log = tempfile::tempfile().map_err(|error| format!("No file for a log: {error}"))?;
    let ours = log.try_clone().map_err(|error| format!("No file for a log: {error}"))?;
    let mut app = Command::new(desktop_binary())
        .args(["--store", "memory", "--log", "warn"])
        .env("KEYFOB_HOME", keyfob.home())
        .stdin(Stdio::null())
        .stderr(ours)
        .spawn()
        .map_err(|error| format!("The app does not start: {error}"))?;
    let ended = loop {
        match app.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => {}
            Err(error) => return Err(format!("The app is lost: {error}")),
        }
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {
                app.kill().ok();
            }
            () = tokio::time::sleep(std::time::Duration::from_millis(200)) => {}
        }
    };
    println!("\nKeyfob has ended.");
    if ended.success() || ended.code().is_none() {
        return Ok(());
    }
    let mut said = String::new();
    log.rewind().and_then(|()| log.read_to_string(&mut said)).ok();
    report::add(&said);
    let last = said.lines().last().unwrap_or("it said nothing");
    Err(format!("The app did not work ({ended}): {last}"))
}
