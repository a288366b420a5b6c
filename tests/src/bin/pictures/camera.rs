//! Pictures of the screen and of single windows, by theme.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use keyfob_tests::desktop::{Session, click_at, press, windows_named};

/// Where the panel shows the only icon.
const ICON: (u32, u32) = (12, 14);

pub(crate) struct Camera {
    folder: PathBuf,
    theme: &'static str,
}

impl Camera {
    pub(crate) fn new(folder: PathBuf, theme: &'static str) -> Self {
        std::fs::create_dir_all(&folder).expect("a folder for the pictures");
        Self { folder, theme }
    }

    /// What the app and the panel are told of the theme.
    pub(crate) fn environment(&self) -> [(&'static str, &'static str); 1] {
        [("GTK_THEME", if self.theme == "dark" { "Adwaita:dark" } else { "Adwaita" })]
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(format!("{name}-{}.png", self.theme)).display().to_string()
    }

    /// The window, when it has painted what it has.
    pub(crate) async fn take(&self, name: &str, window: &Session) {
        window.frame().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.shoot(name);
    }

    /// The window as it is.
    pub(crate) fn shoot(&self, name: &str) {
        // A search among windows that are just coming and going may find none.
        for _ in 0..20 {
            if let Some(id) = windows_named("Keyfob").last() {
                run("import", &["-window", id, "-strip", &self.file(name)]);
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("there is no window to take {name} of");
    }

    /// A part of the screen.
    pub(crate) fn crop(&self, name: &str, part: &str) {
        run("import", &["-window", "root", "-crop", part, "+repage", "-strip", &self.file(name)]);
    }

    /// The menu of the tray, by a real click.
    pub(crate) async fn menu(&self, name: &str) {
        click_at(ICON.0, ICON.1, 3);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        // Into the submenu of the servers.
        press("Up");
        for _ in 0..3 {
            press("Up");
        }
        press("Right");
        tokio::time::sleep(Duration::from_millis(800)).await;
        self.crop(name, "720x342+0+0");
        press("Escape");
        press("Escape");
    }

    /// Whether this is the light one.
    pub(crate) fn is_light(&self) -> bool {
        self.theme == "light"
    }

    /// Takes the window out of the picture.
    pub(crate) fn aside(&self) {
        if let Some(id) = windows_named("Keyfob").last() {
            run("xdotool", &["windowminimize", id]);
        }
    }
}

/// Ends a program that stands in the picture, by a part of its command line.
pub(crate) fn without(program: &str) {
    Command::new("pkill").args(["-f", program]).status().ok();
    std::thread::sleep(Duration::from_millis(500));
}

/// Locks the login keychain of this session.
pub(crate) fn lock_keychain() {
    run(
        "dbus-send",
        &[
            "--session",
            "--print-reply",
            "--dest=org.freedesktop.secrets",
            "/org/freedesktop/secrets",
            "org.freedesktop.Secret.Service.Lock",
            "array:objpath:/org/freedesktop/secrets/collection/login",
        ],
    );
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "{program} {arguments:?}");
}
