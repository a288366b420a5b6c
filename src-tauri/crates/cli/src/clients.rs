//! `keyfob clients`: the keys with which clients use servers.

use keyfob_core::control::protocol::Request;
use keyfob_core::problem::{Code, Problem};
use keyfob_core::view::ClientView;
use serde_json::{Value, json};

use crate::arguments::Clients;
use crate::link::Link;
use crate::{ask, parsed, say};

pub(crate) async fn clients(clients: Clients) -> Result<u8, Problem> {
    match clients {
        Clients::Add { json: as_json, expires, client, name } => {
            let (told, is_own) = ask_once(Request::ClientsAdd { client, name, expires }).await?;
            if as_json {
                say::json(&shown(&told, &["name", "key", "header", "expires_at"]));
            } else {
                tell_key(&told);
                say::line(format_args!(
                    "The key is shown only now. If it gets lost: keyfob clients rotate {}",
                    text(&told, "name")
                ));
                tell_not_running(is_own);
            }
        }
        Clients::List(listed) => {
            let told = ask(Request::ClientsList).await?;
            if listed.json {
                say::json(&told);
            } else {
                list(&parsed::<Vec<ClientView>>(told)?);
            }
        }
        Clients::Rotate { json: as_json, all, client } => {
            if all == client.is_some() {
                let cause = "say whose keys are to be made new: a client, or --all";
                return Err(Problem::new(Code::Usage).with("cause", cause));
            }
            let (told, is_own) = ask_once(Request::ClientsRotate { client }).await?;
            let made = told.as_array().map(Vec::as_slice).unwrap_or_default();
            if as_json {
                let names = ["name", "server", "key", "header", "address", "expires_at"];
                say::json(&made.iter().map(|key| shown(key, &names)).collect());
            } else if made.is_empty() {
                say::line("No client has a key yet.");
            } else {
                for key in made {
                    tell_key(key);
                }
                say::line("The keys are shown only now. The old ones open nothing any more.");
                tell_not_running(is_own);
            }
        }
        Clients::Keep => {
            ask(Request::ClientsKeep).await?;
            say::line("All keys stay as they are.");
        }
        Clients::Revoke { client } => {
            ask(Request::ClientsRevoke { client: client.clone() }).await?;
            say::line(format_args!("{client} has no keys any more."));
        }
    }
    Ok(0)
}

/// What to say where another program may have been sent keys; `None` where it may not.
pub(crate) fn warning(clients: &[ClientView]) -> Option<String> {
    let mut names: Vec<&str> =
        clients.iter().filter(|client| client.may_be_known).map(|c| c.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| {
        format!(
            "Another program had Keyfob's port and may have been sent the keys of {}. keyfob clients rotate --all makes new ones, keyfob clients revoke CLIENT takes them away, keyfob clients keep leaves them as they are.",
            names.join(", ")
        )
    })
}

/// Asks, and says whether the broker ends with this command.
async fn ask_once(request: Request) -> Result<(Value, bool), Problem> {
    let mut link = Link::open(false).await?;
    let told = link.ask(request).await;
    let is_own = link.is_own();
    link.close().await;
    Ok((told?, is_own))
}

fn list(clients: &[ClientView]) {
    if clients.is_empty() {
        say::line("No client has a key yet.");
    }
    for ClientView { name, server, made_at, last_used_at, expires_at, .. } in clients {
        let used = match last_used_at {
            Some(at) => format!("last used {at}"),
            None => "not used yet".to_owned(),
        };
        let ends = expires_at.as_ref().map(|at| format!("  ends {at}")).unwrap_or_default();
        say::line(format_args!("{name:20} {server:20} since {made_at}  {used}{ends}"));
    }
    if let Some(warning) = warning(clients) {
        say::line(warning);
    }
}

fn tell_key(told: &Value) {
    say::line(format_args!("Give {} this address and header:", text(told, "name")));
    say::line(format_args!("  {}\n  {}", text(told, "address"), text(told, "header")));
    say::line("or, where it takes no headers, this address alone:");
    say::line(format_args!("  {}", text(told, "address_with_key")));
    if let Some(end) = told.get("expires_at").and_then(Value::as_str) {
        say::line(format_args!("The key is good until {end}."));
    }
}

fn tell_not_running(is_own: bool) {
    if is_own {
        say::line("Keyfob has to run for this: keyfob serve");
    }
}

fn text<'a>(told: &'a Value, name: &str) -> &'a str {
    told.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// These members of what was told, as far as they are there.
fn shown(told: &Value, names: &[&str]) -> Value {
    let there = names.iter().filter_map(|name| Some(((*name).to_owned(), told.get(name)?.clone())));
    json!(there.collect::<serde_json::Map<_, _>>())
}
