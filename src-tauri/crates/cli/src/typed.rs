//! What a person types at the terminal while a sign-in waits for the browser: `a` for another way,
//! or the address that a browser elsewhere ended at; and before it, the answer to a question.

use std::io::{BufRead, IsTerminal};

use keyfob_auth::Secret;
use keyfob_core::control::protocol::Request;
use tokio::sync::mpsc;

use crate::link::Beside;
use crate::say;

/// The lines of the terminal, as they come.
pub(crate) struct Typed(mpsc::UnboundedReceiver<Secret>);

impl Typed {
    /// `None` where nobody can type.
    pub(crate) fn at_terminal() -> Option<Self> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() || !std::io::stdout().is_terminal() {
            return None;
        }
        // In the background of a shell, whoever reads is stopped.
        if rustix::termios::tcgetpgrp(&stdin) != Ok(rustix::process::getpgrp()) {
            return None;
        }
        let (lines, typed) = mpsc::unbounded_channel();
        // A read from a terminal cannot be called off: it ends with the process.
        std::thread::spawn(move || {
            let mut line = String::new();
            while matches!(std::io::stdin().lock().read_line(&mut line), Ok(read) if read > 0) {
                if lines.send(Secret::new(line.trim())).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Some(Self(typed))
    }

    /// Asks a question that only a yes answers with yes.
    pub(crate) async fn agrees(&mut self, question: &str) -> bool {
        say::aside(format_args!("{question} [y/N]"));
        let answer = self.0.recv().await;
        answer.is_some_and(|line| matches!(line.expose(), "y" | "Y" | "yes" | "Yes"))
    }

    /// Does what is typed, for as long as it is polled.
    pub(crate) async fn follow(&mut self, name: &str, broker: Beside) {
        while let Some(line) = self.0.recv().await {
            let name = name.to_owned();
            let request = match line.expose() {
                "" => continue,
                "a" | "A" => Request::TryAnotherWay { name },
                address if address.contains("://") => Request::Paste { name, address: line },
                _ => {
                    say::aside("That is neither a nor an address.");
                    continue;
                }
            };
            if let Err(problem) = broker.ask(request).await {
                say::aside(problem);
            }
        }
        std::future::pending::<()>().await;
    }
}
