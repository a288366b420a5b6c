//! `keyfob-test-browser LINK`: signs in where the link leads, as a person would who always
//! allows.
//!
//! `KEYFOB_TEST_BROWSER` changes that; several switches are separated by commas: `deny` presses
//! the other button, `ignore` opens nothing and never comes back, `log=FILE` appends each link
//! to a file.
//!
//! Ends with 0 when the client was sent a code, 3 when it was sent an error, 4 when a page led
//! nowhere, 2 when the link is none.
#![expect(clippy::print_stderr, reason = "a command that says what it saw")]

use std::io::Write;
use std::process::ExitCode;

use keyfob_tests::browser::{Choice, Ending, Failure, visit};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(link), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: keyfob-test-browser LINK");
        return ExitCode::from(2);
    };
    let mut choice = Choice::Allow;
    let mut ignore = false;
    let switches = std::env::var("KEYFOB_TEST_BROWSER").unwrap_or_default();
    for switch in switches.split(',').filter(|s| !s.is_empty()) {
        match switch.split_once('=') {
            Some(("log", file)) => {
                if let Err(e) = append(file, &link) {
                    eprintln!("cannot write {file}: {e}");
                    return ExitCode::FAILURE;
                }
            }
            None if switch == "deny" => choice = Choice::Deny,
            None if switch == "ignore" => ignore = true,
            None if switch == "allow" => {}
            _ => {
                eprintln!("unknown switch {switch} in KEYFOB_TEST_BROWSER");
                return ExitCode::from(2);
            }
        }
    }
    if ignore {
        return ExitCode::SUCCESS;
    }
    match visit(&link, choice).await {
        Ok(Ending::Code(status, text)) => {
            eprintln!("signed in; the last page ({status}) says: {text}");
            ExitCode::SUCCESS
        }
        Ok(Ending::Error(error)) => {
            eprintln!("the client was sent the error {error}");
            ExitCode::from(3)
        }
        Ok(Ending::DeadEnd(status, text)) => {
            eprintln!("a page ({status}) that leads nowhere: {text}");
            ExitCode::from(4)
        }
        Err(failure @ Failure::Link(_)) => {
            eprintln!("{failure}");
            ExitCode::from(2)
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn append(file: &str, link: &str) -> std::io::Result<()> {
    let mut log = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    // One write, so that two browsers at once do not mix their lines.
    log.write_all(format!("{link}\n").as_bytes())
}
