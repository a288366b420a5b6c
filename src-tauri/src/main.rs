//! Keyfob, the desktop tray app: the broker with a tray icon, a window and notifications.

// On Windows a console would open beside the window.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod commands;
mod desk;
mod notices;
mod notify;
mod shell;
mod tray;
mod window;

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use keyfob_core::broker::{self, Defaults, Host, Options, Predecessor, Running};
use keyfob_core::paths::Paths;
use keyfob_core::problem::{Code, Problem};
use keyfob_core::process_memory;
use tauri::RunEvent;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::desk::Desk;
use crate::shell::Shell;

/// Keyfob signs you in to remote MCP servers and keeps you signed in.
#[derive(Clone, Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Start in the tray, without a window.
    #[arg(long)]
    hidden: bool,
    /// Where sign-ins are kept.
    #[arg(long, value_enum, default_value = "keychain")]
    store: Store,
    /// Log to stderr: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL")]
    log: Option<LevelFilter>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Store {
    Keychain,
    Memory,
}

fn main() -> ExitCode {
    let began = Instant::now();
    let arguments = Arguments::parse();
    if let Some(level) = arguments.log {
        log_to_stderr(level);
    }
    process_memory::seal();
    match run(&arguments, began) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            tracing::error!(%problem, "Keyfob cannot start");
            complain(&problem);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, began: Instant) -> Result<(), Problem> {
    let paths = Paths::from_environment().map_err(Problem::internal)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Problem::internal)?;
    let options = options(&paths, arguments.store);
    if runtime.block_on(broker::host_of(&paths)) == Some(Host::Desktop) {
        // The one that runs shows its window; starting says so by being refused.
        return match runtime.block_on(Running::start(options)) {
            Err(problem) if problem.code == Code::AlreadyRunning => Ok(()),
            Err(problem) => Err(problem),
            Ok(running) => {
                runtime.block_on(running.stop());
                Err(Problem::internal("the Keyfob that ran has just ended; start it again"))
            }
        };
    }
    // The gateway need not wait for the desktop's libraries.
    let starting = runtime.spawn(Running::start(options.clone()));
    tauri::async_runtime::set(runtime.handle().clone());
    let (desk, seat) = Desk::new();
    let app = tauri::Builder::default()
        .manage(desk.clone())
        .invoke_handler(commands::handler())
        .build(tauri::generate_context!())
        .map_err(|error| Problem::internal(format_args!("no desktop to show it on: {error}")))?;
    let shell = Shell::new(app.handle().clone(), desk.clone(), options, began, arguments.hidden);
    runtime.spawn(shell.run(starting, seat));
    app.run(move |_, event| match event {
        // Closing the window is not quitting.
        RunEvent::ExitRequested { code: None, api, .. } => api.prevent_exit(),
        RunEvent::WindowEvent { event: tauri::WindowEvent::Destroyed, .. } => {
            desk.ask(desk::Ask::WindowGone);
        }
        _ => {}
    });
    // A keychain prompt that nobody answers must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    Ok(())
}

fn options(paths: &Paths, store: Store) -> Options {
    Options {
        paths: Some(paths.clone()),
        store: match store {
            Store::Keychain => broker::Store::Keychain,
            Store::Memory => broker::Store::Memory,
        },
        is_ephemeral: false,
        listens: true,
        predecessor: Predecessor::Relieve,
        probes: true,
        browser: None,
        document: None,
        ca_file: None,
        host: Host::Desktop,
        settings_file: None,
        defaults: Defaults::default(),
    }
}

/// Foreign crates print headers at their finer levels, whatever is asked for.
fn log_to_stderr(level: LevelFilter) {
    let mut filter = EnvFilter::new("warn");
    for target in ["keyfob_desktop", "keyfob_core", "keyfob_auth"] {
        if let Ok(directive) = format!("{target}={level}").parse() {
            filter = filter.add_directive(directive);
        }
    }
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    tracing_subscriber::registry().with(filter).with(lines).init();
}

#[expect(clippy::print_stderr, reason = "there is no window to say it in")]
fn complain(problem: &Problem) {
    eprintln!("keyfob: {}\n        {}", problem.message, problem.remedy);
}
