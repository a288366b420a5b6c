//! The `keyfob` command: complete without the desktop app.

mod add;
mod arguments;
mod call;
mod clients;
mod connect;
mod doctor;
mod exec;
mod identity;
mod link;
mod say;
mod serve;
mod set;
mod show;
mod stdio;
mod typed;

use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use keyfob_auth::Secret;
use keyfob_core::control::protocol::Request;
use keyfob_core::problem::{Code, Problem};
use keyfob_core::process_memory;
use keyfob_core::view::ServerView;
use serde_json::Value;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use self::arguments::{Arguments, Clients, Command, Identity};
use self::link::Link;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return ExitCode::from(misused(&error)),
    };
    let (as_json, log) = match &arguments.command {
        Command::List(shown) | Command::Doctor(shown) => (shown.json, None),
        Command::Status(named) | Command::Trace(named) | Command::Tools(named) => {
            (named.json, None)
        }
        Command::Call(call) => (call.json, None),
        Command::Serve(serve) => (serve.json, serve.running.log),
        Command::Exec(exec) => (false, exec.running.log),
        Command::Clients(Clients::Add { json, .. } | Clients::Rotate { json, .. }) => (*json, None),
        Command::Clients(Clients::List(shown)) | Command::Identity(Identity::Check(shown)) => {
            (shown.json, None)
        }
        _ => (false, None),
    };
    if let Some(level) = log {
        log_to_stderr(level);
    }
    process_memory::seal();
    let ended = runtime(&arguments.command).map_err(Problem::internal).and_then(|runtime| {
        let ended = runtime.block_on(run(arguments.command));
        // A keychain prompt that nobody answers must not keep the process.
        runtime.shutdown_timeout(std::time::Duration::from_millis(100));
        ended
    });
    match ended {
        Ok(0) if say::is_lost() => ExitCode::FAILURE,
        Ok(status) => ExitCode::from(status),
        Err(problem) => {
            say::problem(&problem, as_json);
            ExitCode::from(say::status(&problem))
        }
    }
}

/// Tells how a command line is wrong, or what was asked about them; gives the status.
fn misused(error: &clap::Error) -> u8 {
    // What comes after `--` belongs to another program.
    let mut words = std::env::args_os().skip(1).take_while(|word| word != "--");
    if error.use_stderr() && words.any(|word| word == "--json") {
        let said = error.render().to_string();
        let first = said.split("\n\n").next().unwrap_or_default();
        let words = first.split_whitespace().collect::<Vec<_>>().join(" ");
        let cause = words.trim_start_matches("error: ").trim_end_matches('.');
        say::problem(&Problem::new(Code::Usage).with("cause", cause), true);
    } else {
        // Who reads no further wants no more.
        let _ = error.print();
    }
    u8::try_from(error.exit_code()).unwrap_or(2)
}

fn runtime(command: &Command) -> std::io::Result<tokio::runtime::Runtime> {
    match command {
        Command::Serve(_) | Command::Exec(_) => {
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
        }
        _ => tokio::runtime::Builder::new_current_thread().enable_all().build(),
    }
}

/// Foreign crates print headers at their finer levels, whatever is asked for.
fn log_to_stderr(level: LevelFilter) {
    let filter = EnvFilter::new("warn")
        .add_directive(directive("keyfob", level))
        .add_directive(directive("keyfob_core", level))
        .add_directive(directive("keyfob_auth", level));
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    tracing_subscriber::registry().with(filter).with(lines).init();
}

fn directive(target: &str, level: LevelFilter) -> tracing_subscriber::filter::Directive {
    format!("{target}={level}").parse().unwrap_or_else(|_| level.into())
}

async fn run(command: Command) -> Result<u8, Problem> {
    match command {
        Command::Add(add) => add::add(add).await,
        Command::Set(set) => set::set(*set).await,
        Command::Connect(connect) => connect::connect(connect).await,
        Command::AnotherWay(name) => {
            ask(Request::TryAnotherWay { name: name.name.clone() }).await?;
            say::line(format_args!("The sign-in to {} goes on another way.", name.name));
            Ok(0)
        }
        Command::Paste(name) => {
            let mut address = String::new();
            if std::io::stdin().is_terminal() {
                say::aside("The whole address from the browser's address bar:");
            }
            std::io::stdin().lock().read_line(&mut address).map_err(Problem::internal)?;
            let address = Secret::new(address.trim());
            ask(Request::Paste { name: name.name.clone(), address }).await?;
            say::line(format_args!("The sign-in to {} goes on with it.", name.name));
            Ok(0)
        }
        Command::Reset(name) => {
            ask(Request::ForgetRegistration { name: name.name.clone() }).await?;
            say::line(format_args!(
                "The next sign-in to {0} begins anew: keyfob connect {0}",
                name.name
            ));
            Ok(0)
        }
        Command::List(shown) => {
            let told = ask(Request::List).await?;
            if shown.json {
                say::json(&told);
            } else {
                show::list(&parsed::<Vec<ServerView>>(told)?);
            }
            Ok(0)
        }
        Command::Status(named) => {
            let told = ask(Request::Status { name: named.name }).await?;
            if named.json {
                say::json(&told);
            } else {
                show::server(&parsed(told)?);
            }
            Ok(0)
        }
        Command::Trace(named) => {
            let told = ask(Request::Trace { name: named.name }).await?;
            if named.json {
                say::json(&told);
            } else {
                show::trace(&parsed::<Vec<_>>(told)?);
            }
            Ok(0)
        }
        Command::Refresh(name) => {
            let told = ask(Request::Refresh { name: name.name }).await?;
            show::server(&parsed(told)?);
            Ok(0)
        }
        Command::Signout(name) => {
            ended(&ask(Request::SignOut { name: name.name.clone() }).await?)?;
            say::line(format_args!("Signed out of {}.", name.name));
            Ok(0)
        }
        Command::Remove(name) => {
            ended(&ask(Request::Remove { name: name.name.clone() }).await?)?;
            say::line(format_args!("{} is off the list.", name.name));
            Ok(0)
        }
        Command::Tools(named) => {
            let told = ask_lasting(Request::Tools { name: named.name }).await?;
            if named.json {
                say::json(&told);
            } else {
                show::tools(told.as_array().map(Vec::as_slice).unwrap_or_default());
            }
            Ok(0)
        }
        Command::Call(call) => call::call(call).await,
        Command::Serve(serve) => serve::serve(serve).await,
        Command::Stdio(name) => stdio::stdio(name.name).await,
        Command::Exec(exec) => exec::exec(exec).await,
        Command::Clients(clients) => self::clients::clients(clients).await,
        Command::Identity(Identity::Print { url }) => identity::print(&url),
        Command::Identity(Identity::Check(shown)) => identity::check(shown.json).await,
        Command::Doctor(shown) => doctor::doctor(shown.json).await,
    }
}

/// Asks the broker that runs, or one for this command.
pub(crate) async fn ask(request: Request) -> Result<Value, Problem> {
    ask_at(Link::open(false).await?, request).await
}

/// Asks the broker that runs, or one that is started in the background.
async fn ask_lasting(request: Request) -> Result<Value, Problem> {
    ask_at(Link::open_lasting().await?, request).await
}

pub(crate) async fn ask_at(mut link: Link, request: Request) -> Result<Value, Problem> {
    let told = link.ask(request).await;
    link.close().await;
    told
}

/// What could and could not be done when something ended.
pub(crate) fn ended(told: &Value) -> Result<(), Problem> {
    let lines = told.get("lines").cloned().unwrap_or_default();
    for line in parsed::<Vec<_>>(lines)? {
        say::line(show::step(&line));
    }
    Ok(())
}

pub(crate) fn parsed<T: serde::de::DeserializeOwned>(told: Value) -> Result<T, Problem> {
    serde_json::from_value(told).map_err(Problem::internal)
}
