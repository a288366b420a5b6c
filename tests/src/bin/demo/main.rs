//! `keyfob-demo`: the main job of Keyfob on servers of its own. With a display it opens the app.
//!
//! Four MCP servers with random names on random ports, each with another way to sign in. Without a
//! display, or with `--headless`, Keyfob runs headless in a home of its own, with tokens in memory. The scripted browser presses
//! *Allow*. What the table says is checked against what the servers have noted.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a newcomer sees first is printed"
)]

mod app;
mod checks;
mod failure;
mod street;
mod table;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Instant;

use keyfob_tests::world::{Program, keyfob_binary};
use keyfob_tests::{DocumentHost, Keyfob, Output, Store};
use serde_json::Value;
use street::House;

#[tokio::main]
async fn main() -> ExitCode {
    let headless = std::env::args().skip(1).any(|argument| argument == "--headless");
    let in_window = app::has_display() && !headless;
    if let Err(missing) = programs(in_window) {
        eprintln!("The demo cannot start: {missing}. `make demo` builds all that it needs.");
        return ExitCode::FAILURE;
    }
    failure::prepare();
    let running = if in_window { tokio::spawn(app::run()) } else { tokio::spawn(demo()) };
    let sentence = match running.await {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(sentence)) => sentence,
        Err(error) => match error.try_into_panic() {
            Ok(payload) => failure::of_panic(&*payload),
            Err(error) => error.to_string(),
        },
    };
    eprintln!("\n{}", failure::told(&sentence));
    ExitCode::FAILURE
}

/// Whether everything that will be started is there; else what is missing.
fn programs(in_window: bool) -> Result<(), String> {
    let more = if in_window { Program::Desktop } else { Program::Browser };
    for program in [Program::Keyfob, more] {
        program.find()?;
    }
    Ok(())
}

async fn demo() -> Result<(), String> {
    let started = Instant::now();
    let documents = DocumentHost::start().await;
    let houses = street::build(&documents).await;
    let mut keyfob = Keyfob::new(Store::Memory);
    let document_url = keyfob.publish(&documents).await;
    keyfob.serve().await;

    println!("Keyfob demo: four remote MCP servers, four ways to sign in.\n");
    let widest = houses.iter().map(|h| h.name.len()).max().unwrap_or_default();
    for house in &houses {
        println!("  {:widest$}  {}  {}", house.name, house.mcp.url(), house.story);
    }
    println!("\nKeyfob is at http://127.0.0.1:{}, its tokens are in memory.", keyfob.port());
    println!("Its client document is {document_url}.");
    println!("A scripted browser stands in for yours and presses Allow.\n");

    let mut rows = Vec::new();
    for house in &houses {
        rows.push(use_server(&keyfob, house).await?);
    }
    println!("{}", table::render(&rows));

    println!("What the servers have noted:\n");
    let mut wrong = Vec::new();
    for (house, row) in houses.iter().zip(&rows) {
        for check in checks::all(house, row, &documents, &document_url) {
            println!(
                "  {} {}: {}",
                if check.holds { "ok " } else { "NOT" },
                house.name,
                check.says
            );
            if !check.holds {
                wrong.push(format!("{}: {}", house.name, check.says));
            }
        }
    }
    println!("\nDone in {:.1} s.", started.elapsed().as_secs_f64());
    if !wrong.is_empty() {
        return Err(format!("Not as promised: {}.", wrong.join("; ")));
    }
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        linger(&keyfob, &houses).await;
    }
    Ok(())
}

/// Adds a server, signs in, calls a tool.
async fn use_server(keyfob: &Keyfob, house: &House) -> Result<table::Row, String> {
    let name = house.name.as_str();
    let url = house.mcp.url();
    done(keyfob.run(&["add", "--name", name, &url]).await)?;
    done(keyfob.run(&["connect", name]).await)?;
    let status = done(keyfob.run(&["status", "--json", name]).await)?.json();
    let called = done(keyfob.run(&["call", "--json", name, "whoami"]).await)?;
    let answer = called.json();
    let registration = &status["registration"];
    let said = |value: &Value| value.as_str().map(str::to_owned);
    done(keyfob.run(&["tools", "--json", name]).await)?;
    // Asked again: the number of tools is known once they have been listed.
    let status_after = done(keyfob.run(&["status", "--json", name]).await)?.json();
    Ok(table::Row {
        name: name.to_owned(),
        state: said(&status_after["state"]).unwrap_or_default(),
        registration: said(&registration["kind"]),
        client_id: said(&registration["client_id"]),
        reason: said(&registration["reason"]["code"]),
        sentence: said(&registration["reason"]["text"]),
        tools: status_after["tools"].as_u64(),
        answer: said(&answer["content"][0]["text"]).unwrap_or_default(),
        milliseconds: called.took.as_millis(),
    })
}

/// The output of a command that has to work.
fn done(output: Output) -> Result<Output, String> {
    if output.code == Some(0) {
        return Ok(output);
    }
    let said = output.stderr.trim();
    Err(format!(
        "`keyfob {}` did not work ({}): {}",
        output.arguments.join(" "),
        match (output.late, output.code) {
            (true, _) => "no answer in time".to_owned(),
            (false, Some(code)) => format!("exit {code}"),
            (false, None) => "ended by a signal".to_owned(),
        },
        if said.is_empty() { "it said nothing" } else { said }
    ))
}

/// Leaves everything running for whoever sits at the terminal.
async fn linger(keyfob: &Keyfob, houses: &[House]) {
    let program = keyfob_binary();
    let name = houses.first().map_or("", |h| h.name.as_str());
    println!("\nEverything keeps running. In another terminal:\n");
    println!("  export KEYFOB_HOME={}", keyfob.home().display());
    println!("  alias keyfob={}\n", program.display());
    for command in [
        "keyfob list".to_owned(),
        format!("keyfob status {name}"),
        format!("keyfob trace {name}"),
        format!("keyfob tools {name}"),
        format!("keyfob call {name} echo '{{\"text\": \"hello\"}}'"),
        format!("keyfob signout {name}"),
        format!("keyfob connect {name}"),
        format!("keyfob clients add my-client {name}"),
    ] {
        println!("  {command}");
    }
    println!("\nEnter or Ctrl-C ends it.");
    // A thread of its own: the runtime would wait for a blocked read when it ends.
    let (pressed, enter) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        std::io::stdin().read_line(&mut String::new()).ok();
        pressed.send(()).ok();
    });
    tokio::select! {
        _ = tokio::signal::ctrl_c() => println!(),
        _ = enter => {}
    }
}
