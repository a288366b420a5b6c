//! `keyfob call`: one tool, called.

use std::time::Duration;

use keyfob_core::control::protocol::Request;
use keyfob_core::problem::{Code, Problem};
use keyfob_core::server::Kind;
use keyfob_core::view::ServerView;
use serde_json::Value;

use crate::arguments::Call;
use crate::link::{Beside, Link};
use crate::{parsed, say, show};

/// How often it is looked whether the call waits for a person.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) async fn call(call: Call) -> Result<u8, Problem> {
    let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
    if !arguments.is_object() {
        let cause = "the arguments of a tool are a JSON object, such as {\"text\":\"hello\"}";
        return Err(Problem::new(Code::Usage).with("cause", cause));
    }
    let mut link = Link::open_lasting().await?;
    let beside = link.beside();
    let name = call.name.clone();
    let asked = link.ask(Request::Call { name: call.name, tool: call.tool, arguments });
    let told = tokio::select! {
        told = asked => told,
        never = tell_of_waiting(&name, beside) => match never {},
    };
    link.close().await;
    let told = told?;
    if call.json {
        say::json(&told);
    } else {
        show::result(&told);
    }
    Ok(u8::from(told.get("isError").and_then(Value::as_bool).unwrap_or(false)))
}

/// Says once that the call waits for its person, who would else see nothing for two minutes.
async fn tell_of_waiting(name: &str, broker: Beside) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(LOOK).await;
        let status = broker.ask(Request::Status { name: name.to_owned() }).await;
        let server = status.and_then(parsed::<ServerView>);
        if server.is_ok_and(|server| server.state == Kind::NeedsScope) {
            break;
        }
    }
    say::aside(format_args!(
        "{name} wants more access for this. It waits until you allow it: keyfob connect {name}"
    ));
    std::future::pending().await
}
