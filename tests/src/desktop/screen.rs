//! The screen, mouse and keys of the virtual desktop.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where pictures of the screen go.
fn folder() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    target.join("desktop-shots")
}

/// Takes a picture of the whole screen. That it cannot be taken fails no test.
pub fn shoot(name: &str) {
    let folder = folder();
    std::fs::create_dir_all(&folder).ok();
    let file = folder.join(format!("{name}.png"));
    quietly("import", &["-window", "root", &file.display().to_string()]);
}

/// Notes what was measured beside the pictures; `tests/run/desktop.sh` shows it at its end.
pub fn figure(text: &str) {
    std::fs::create_dir_all(folder()).ok();
    let file = std::fs::File::options().create(true).append(true).open(folder().join("figures"));
    if let Ok(mut file) = file {
        writeln!(file, "{text}").ok();
    }
}

/// Where the panel shows the icon, while there is only one.
pub const TRAY_ICON: (u32, u32) = (12, 14);

/// Clicks there with this button: 1 is the left one, 3 the right one.
pub fn click_at(x: u32, y: u32, button: u32) {
    let (x, y, button) = (x.to_string(), y.to_string(), button.to_string());
    quietly("xdotool", &["mousemove", &x, &y, "click", &button]);
}

/// Moves the pointer to where it calls up nothing.
pub(super) fn park_pointer() {
    quietly("xdotool", &["mousemove", "1090", "750"]);
}

/// Presses a key, by its X name.
pub fn press(key: &str) {
    quietly("xdotool", &["key", key]);
}

/// The visible windows with exactly this title, by their X ids.
pub fn windows_named(title: &str) -> Vec<String> {
    windows("--name", title)
}

/// The visible windows of this program, menus included.
pub fn windows_of_class(class: &str) -> Vec<String> {
    windows("--class", class)
}

fn windows(by: &str, value: &str) -> Vec<String> {
    let pattern = format!("^{value}$");
    let found = Command::new("xdotool").args(["search", "--onlyvisible", by, &pattern]).output();
    let found = found.expect("xdotool is installed");
    String::from_utf8_lossy(&found.stdout).lines().map(str::to_owned).collect()
}

/// Asks a window to close, by the key of the window manager.
pub fn close_window(id: &str) {
    quietly("xdotool", &["windowactivate", "--sync", id, "key", "alt+F4"]);
}

fn quietly(program: &str, arguments: &[&str]) {
    let status =
        Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.is_ok(), "{program} is not installed");
}
