//! `keyfob-fixture`: the servers of the testkit, to run any client against by hand.
//!
//! Options: `--cimd on|off|page|callback|token`, `--dcr on|off`, `--consent auto|login|page|deny`,
//! `--era both|legacy|modern`, `--guard everything|tool-calls|nothing`, `--access-token-seconds N`. The first line on stdout is JSON with
//! the addresses; it runs until stdin closes, and then prints the journals.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    reason = "a command for the people who write tests"
)]

use std::process::ExitCode;

use keyfob_tests::authserver::{Cimd, Consent, Dcr, Start};
use keyfob_tests::dochost::sample_document;
use keyfob_tests::mcp::{Era, Guard};
use keyfob_tests::{AuthorizationServer, Document, DocumentHost, McpServer};
use serde_json::json;
use tokio::io::{AsyncReadExt, stdin};

#[tokio::main]
async fn main() -> ExitCode {
    let documents = DocumentHost::start().await;
    let start = Start { trusted_ca: Some(documents.ca_pem().to_owned()), ..Start::default() };
    let authority = AuthorizationServer::start_with(start).await;
    let mcp = McpServer::start("fixture", &authority).await;
    let document = documents.put("/client.json", Document::Json(sample_document()));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for pair in arguments.chunks(2) {
        if let Err(why) = turn(&authority, &mcp, pair) {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    }
    println!(
        "{}",
        json!({"mcp": mcp.url(), "issuer": authority.issuer(), "document": document,
            "ca_file": documents.ca_file()})
    );
    let mut rest = Vec::new();
    stdin().read_to_end(&mut rest).await.expect("stdin");
    println!(
        "{}",
        json!({"authority": authority.journal().to_json(), "mcp": mcp.journal().to_json(),
            "documents": documents.journal().to_json()})
    );
    ExitCode::SUCCESS
}

fn turn(authority: &AuthorizationServer, mcp: &McpServer, pair: &[String]) -> Result<(), String> {
    let [name, value] = pair else { return Err(format!("{pair:?} is not an option and a value")) };
    let unknown = || format!("{name} cannot be {value}");
    match name.as_str() {
        "--cimd" => {
            let cimd = match value.as_str() {
                "on" => Cimd::On,
                "off" => Cimd::Off,
                "page" => Cimd::RefusedByPage,
                "callback" => Cimd::RefusedInCallback("invalid_client".to_owned()),
                "token" => Cimd::RefusedAtToken,
                _ => return Err(unknown()),
            };
            authority.set(|s| s.cimd = cimd);
        }
        "--dcr" => {
            let dcr = match value.as_str() {
                "on" => Dcr::On,
                "off" => Dcr::Off,
                _ => return Err(unknown()),
            };
            authority.set(|s| s.dcr = dcr);
        }
        "--consent" => {
            let consent = match value.as_str() {
                "auto" => Consent::Auto,
                "login" => Consent::Login,
                "page" => Consent::Page,
                "deny" => Consent::Deny,
                _ => return Err(unknown()),
            };
            authority.set(|s| s.consent = consent);
        }
        "--era" => {
            let era = match value.as_str() {
                "both" => Era::Both,
                "legacy" => Era::Legacy,
                "modern" => Era::Modern,
                _ => return Err(unknown()),
            };
            mcp.set(|s| s.era = era);
        }
        "--guard" => {
            let guard = match value.as_str() {
                "everything" => Guard::Everything,
                "tool-calls" => Guard::ToolCalls,
                "nothing" => Guard::Nothing,
                _ => return Err(unknown()),
            };
            mcp.set(|s| s.guard = guard);
        }
        "--access-token-seconds" => {
            let seconds = value.parse().map_err(|_| unknown())?;
            authority.set(|s| s.access_token_seconds = seconds);
        }
        _ => return Err(format!("there is no option {name}")),
    }
    Ok(())
}
