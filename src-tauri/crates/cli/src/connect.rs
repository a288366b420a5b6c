//! `keyfob connect`: a sign-in, told while it goes on.

use std::time::Duration;

use keyfob_core::browser::Browser;
use keyfob_core::control::protocol::Request;
use keyfob_core::problem::{Code, Problem};
use keyfob_core::view::Progress;

use crate::arguments::Connect;
use crate::link::Link;
use crate::typed::Typed;
use crate::{parsed, say, show};

/// How long the broker waits for a person at most, in seconds.
const WINDOW: u64 = 600;

/// What the broker may take beyond a deadline: to end the sign-in in order, or to look at what it
/// has signed in to.
const GRACE: Duration = Duration::from_secs(4);

/// How long a person may take before the way out of an error page is told.
const HINT_AFTER: Duration = Duration::from_secs(20);

pub(crate) async fn connect(connect: Connect) -> Result<u8, Problem> {
    let browser = match connect.browser.as_deref().map(Browser::parse).transpose()? {
        Some(Browser::Follow) => return Err(keyfob_core::broker::no_follow()),
        browser => browser,
    };
    let deadline = connect.deadline;
    let out_of_time = |seconds: u64| Problem::new(Code::Deadline).with("seconds", seconds);
    let mut link = Link::open(true).await?;
    let mut typed = Typed::at_terminal();
    let mut accept = connect.accept.clone();
    let told = loop {
        let asked = Request::Connect {
            name: connect.name.clone(),
            issuer: connect.issuer.clone(),
            accept: accept.take(),
            browser: browser.clone(),
            deadline,
        };
        let asking = sign_in(&mut link, asked, &connect.name, typed.as_mut());
        // The broker's own clock begins when the link is there, ours now.
        let told = match deadline {
            Some(seconds) => {
                let most = Duration::from_secs(seconds).saturating_add(GRACE);
                let ended = tokio::time::timeout(most, asking).await;
                ended.unwrap_or_else(|_| Err(out_of_time(seconds)))
            }
            None => asking.await,
        };
        match (told, typed.as_mut()) {
            (Err(problem), Some(typed)) if problem.code == Code::SharedService => {
                if !typed.agrees(&problem.message).await {
                    break Err(problem);
                }
                accept = problem.params.get("issuer").cloned().map(String::from);
            }
            (told, _) => break told,
        }
    };
    link.close().await;
    let told = told.map_err(|problem| match deadline {
        // Beyond its window it is the broker that gives up, and not the deadline.
        Some(seconds) if problem.code == Code::CallbackTimeout && seconds <= WINDOW => {
            out_of_time(seconds)
        }
        _ => problem,
    });
    show::server(&parsed(told?)?);
    Ok(0)
}

/// One try, told while it goes on.
async fn sign_in(
    link: &mut Link,
    request: Request,
    name: &str,
    typed: Option<&mut Typed>,
) -> Result<serde_json::Value, Problem> {
    let (is_typing, beside) = (typed.is_some(), link.beside());
    let mut is_waiting = false;
    let (waits, mut waiting) = tokio::sync::watch::channel(false);
    let asking = link.ask_watching(request, |progress| {
        if matches!(progress, Progress::Link { .. }) {
            waits.send_replace(true);
        }
        match progress {
            Progress::Trace { line } => say::line(show::step(&line)),
            Progress::Notice { text } => say::line(text),
            Progress::Link { link, until, is_opened: false } => {
                say::line(format_args!(
                    "Open this link in a browser on this machine, until {until}. Ctrl-C \
                     cancels.\n{link}"
                ));
                if is_typing {
                    say::line(
                        "With a browser on another machine: paste here the address that it ends \
                         at, and press Enter.",
                    );
                }
            }
            Progress::Link { .. } if is_waiting => {}
            Progress::Link { .. } => {
                is_waiting = true;
                say::line("Waiting for your browser. Ctrl-C cancels.");
            }
        }
    });
    // A page with an error sends nobody back, so only its reader can tell.
    let hint = async {
        if waiting.wait_for(|waits| *waits).await.is_ok() {
            tokio::time::sleep(HINT_AFTER).await;
            say::line(match is_typing {
                true => "If the page shows an error, type a and press Enter: Keyfob then tries \
                         another way."
                    .to_owned(),
                false => format!(
                    "If the page shows an error, try another way from a second terminal: keyfob \
                     another-way {name}"
                ),
            });
        }
        std::future::pending::<()>().await
    };
    let typing = async {
        match typed {
            Some(typed) => typed.follow(name, beside).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        told = asking => told,
        () = hint => Err(Problem::new(Code::Cancelled)),
        () = typing => Err(Problem::new(Code::Cancelled)),
    }
}
