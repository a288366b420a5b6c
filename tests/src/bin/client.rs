//! `keyfob-test-client URL [TOOL JSON]...`: calls tools of an MCP server, one after the other.
//!
//! Prints the text of each answer, or its status and body where there is none. Speaks 2026-07-28,
//! or 2025-11-25 with `KEYFOB_TEST_CLIENT=legacy`. A call that did not work is exit 1.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use std::process::ExitCode;

use keyfob_tests::RpcClient;
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((url, calls)) = arguments.split_first() else {
        eprintln!("usage: keyfob-test-client URL [TOOL JSON]...");
        return ExitCode::from(2);
    };
    let mut client = RpcClient::new(url);
    let legacy = std::env::var("KEYFOB_TEST_CLIENT").is_ok_and(|v| v == "legacy");
    if legacy {
        let reply = client.initialize("2025-11-25").await;
        if reply.status != 200 {
            println!("{} {}", reply.status, reply.text);
            return ExitCode::FAILURE;
        }
    }
    for call in calls.chunks(2) {
        let [tool, arguments] = call else {
            eprintln!("{call:?} is not a tool and its arguments");
            return ExitCode::from(2);
        };
        let Ok(arguments) = serde_json::from_str::<Value>(arguments) else {
            eprintln!("{arguments} is not JSON");
            return ExitCode::from(2);
        };
        let reply = if legacy {
            client.legacy_call(tool, arguments).await
        } else {
            client.modern_call(tool, arguments).await
        };
        let message = reply.messages.last().map(|(_, message)| message);
        let text = message.and_then(|m| m.pointer("/result/content/0/text"));
        match text.and_then(Value::as_str) {
            Some(text) => println!("{text}"),
            None => {
                println!("{} {}", reply.status, reply.text);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
