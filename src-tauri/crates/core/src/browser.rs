//! Sending the person's browser somewhere.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use keyfob_auth::server_url::is_usable_endpoint;
use reqwest::redirect::Policy;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::environment;
use crate::fetch;
use crate::problem::{Code, Problem};

/// Most redirects that [`Browser::Follow`] follows.
const MOST_HOPS: usize = 10;

/// How soon a launcher of the system's fails when it fails.
#[cfg(unix)]
const EARLY: Duration = Duration::from_millis(500);

/// How links are opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Browser {
    /// The system's own.
    System,
    /// None: the link is shown and that is all.
    None,
    /// This program, with the link as its only argument.
    Program(PathBuf),
    /// We fetch the link ourselves and follow it into our own listener; for tests.
    Follow,
}

impl Browser {
    /// Parses an option or setting.
    ///
    /// # Errors
    /// When it names neither a way nor an executable program.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "system" => Ok(Self::System),
            "none" => Ok(Self::None),
            "follow" => Ok(Self::Follow),
            path if is_executable(Path::new(path)) => {
                std::path::absolute(path).map(Self::Program).map_err(Problem::internal)
            }
            other => Err(Problem::new(Code::Usage).with(
                "cause",
                format_args!(
                    "--browser takes system, none or the path of one executable program; {other:?} is neither"
                ),
            )),
        }
    }

    /// Opens a link. That it was opened does not say that a page appeared; `dead_end` is called
    /// when we follow it ourselves and end at an error page.
    ///
    /// # Errors
    /// Says why it could not be opened.
    pub async fn open(
        &self,
        link: &str,
        ca_file: Option<&Path>,
        dead_end: impl FnOnce() + Send + 'static,
    ) -> Result<(), String> {
        if !is_usable_endpoint(link) {
            return Err("the link is not one that may be opened".to_owned());
        }
        // Re-serialised from the parsed form, so that nothing but a URL reaches a program.
        let link = Url::parse(link).map_err(|error| error.to_string())?;
        match self {
            Self::None => Ok(()),
            Self::System => open_by_system(&link).await,
            Self::Program(program) => {
                let mut command = std::process::Command::new(program);
                command.arg(link.as_str());
                let mut child = start(command).map_err(|error| at(program.as_os_str(), error))?;
                tokio::spawn(async move {
                    let _ = child.wait().await;
                });
                Ok(())
            }
            Self::Follow => {
                let client = follower(ca_file).map_err(|problem| problem.message)?;
                tokio::spawn(async move {
                    match client.get(link).send().await {
                        // A person would see the page and know; here nobody does.
                        Ok(page) if page.status().is_client_error() => {
                            tracing::debug!(status = page.status().as_u16(), "a dead end");
                            dead_end();
                        }
                        Ok(page) => tracing::debug!(status = page.status().as_u16(), "followed"),
                        Err(error) => {
                            tracing::warn!(error = %fetch::no_answer(&error), "could not follow the link");
                        }
                    }
                });
                Ok(())
            }
        }
    }
}

/// Tries the system's launchers one after the other. One that still runs after a while has handed
/// the link on, or is the browser itself.
#[cfg(unix)]
async fn open_by_system(link: &Url) -> Result<(), String> {
    let mut last = "there is no program that opens links".to_owned();
    for mut command in open::commands(link.as_str()) {
        let program = command.get_program().to_owned();
        // What ends the terminal is not to end the browser.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = match start(command) {
            Ok(child) => child,
            Err(error) => {
                last = at(&program, error);
                continue;
            }
        };
        match tokio::time::timeout(EARLY, child.wait()).await {
            Ok(Ok(status)) if status.success() => return Ok(()),
            Ok(Ok(status)) => last = at(&program, status),
            Ok(Err(error)) => last = at(&program, error),
            Err(_runs) => {
                tokio::spawn(async move {
                    let _ = child.wait().await;
                });
                return Ok(());
            }
        }
    }
    Err(last)
}

/// The shell opens it, in a process of its own.
#[cfg(not(unix))]
async fn open_by_system(link: &Url) -> Result<(), String> {
    let link = link.to_string();
    match tokio::task::spawn_blocking(move || open::that_detached(link)).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Starts a program that gets nothing of ours: no stream and no secret.
fn start(mut command: std::process::Command) -> std::io::Result<tokio::process::Child> {
    environment::withhold_secrets(&mut command);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    tokio::process::Command::from(command).spawn()
}

fn at(program: &OsStr, said: impl std::fmt::Display) -> String {
    format!("{}: {said}", program.display())
}

fn follower(ca_file: Option<&Path>) -> Result<reqwest::Client, Problem> {
    let policy = Policy::custom(|attempt| {
        if attempt.previous().len() > MOST_HOPS {
            attempt.error("too many redirects")
        } else if is_usable_endpoint(attempt.url().as_str()) {
            attempt.follow()
        } else {
            attempt.stop()
        }
    });
    fetch::base(ca_file)?
        .redirect(policy)
        .cookie_store(true)
        .timeout(Duration::from_secs(30))
        .build()
        .map_err(|error| fetch::no_client(&error))
}

fn is_executable(path: &Path) -> bool {
    let Ok(metadata) = path.metadata() else { return false };
    #[cfg(unix)]
    let is_runnable = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let is_runnable = true;
    metadata.is_file() && is_runnable && path.components().count() > 1
}
