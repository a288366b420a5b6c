//! The control channel's requests, answered. The same function serves a command in this process
//! and one that came over the socket.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Handle;
use super::command::Command;
use super::sign_in::Wish;
use crate::control::protocol::Request;
use crate::mcp;
use crate::problem::{Code, Problem};
use crate::server::Kind;
use crate::view::Progress;

impl Handle {
    /// Answers one request. Sessions, the bridge and the hand-over live as long as their
    /// connection and are not answered here.
    ///
    /// # Errors
    /// The problem to be told.
    pub async fn answer(
        &self,
        request: Request,
        progress: mpsc::UnboundedSender<Progress>,
    ) -> Result<Value, Problem> {
        match request {
            Request::Ping => Ok(json!({
                "gateway": self.gateway().origin(),
                "pid": std::process::id(),
                "keeps_in_memory": self.keeps_in_memory(),
                "host": self.host(),
            })),
            Request::Add(new) => {
                let added = self.add(new).await?;
                to_value(self.looked_at(added).await?)
            }
            Request::List => to_value(self.ask(|answer| Command::List { answer }).await?),
            Request::Status { name } => {
                to_value(self.ask(|answer| Command::Status { name, answer }).await?)
            }
            Request::Trace { name } => {
                to_value(self.ask(|answer| Command::Trace { name, answer }).await?)
            }
            Request::Connect { name, issuer, accept, browser, deadline } => {
                if let Some(issuer) = accept {
                    let name = name.clone();
                    self.ask(|answer| Command::AcceptService { name, issuer, answer }).await?;
                }
                let window = deadline.map(Duration::from_secs);
                to_value(self.connect_at(&name, issuer, browser, window, progress).await?)
            }
            Request::TryAnotherWay { name } => {
                self.must_be_signing_in(&name).await?;
                let wish = Wish::AnotherWay;
                to_value(self.ask(|answer| Command::Wish { name, wish, answer }).await?)
            }
            Request::Paste { name, address } => {
                self.must_be_signing_in(&name).await?;
                let address = address.expose().to_owned();
                to_value(self.ask(|answer| Command::Paste { name, address, answer }).await?)
            }
            Request::Edit { name, change } => to_value(self.edit(&name, *change).await?),
            Request::ForgetRegistration { name } => {
                to_value(self.ask(|answer| Command::ForgetRegistration { name, answer }).await?)
            }
            Request::Cancel { name } => {
                let wish = Wish::Cancel;
                to_value(self.ask(|answer| Command::Wish { name, wish, answer }).await?)
            }
            Request::Refresh { name } => {
                to_value(self.ask(|answer| Command::Refresh { name, answer }).await?)
            }
            Request::SignOut { name } => to_value(self.end(&name, false).await?),
            Request::Remove { name } => to_value(self.end(&name, true).await?),
            Request::Tools { name } => {
                let tools = mcp::Session::open(self, &name).await?.tools().await?;
                Ok(Value::Array(tools))
            }
            Request::Call { name, tool, arguments } => {
                mcp::Session::open(self, &name).await?.call(&tool, arguments).await
            }
            Request::ClientsAdd { client, name } => {
                if client.is_empty() || client.len() > 64 || client.chars().any(char::is_control) {
                    let cause = "a client's name has 1 to 64 characters";
                    return Err(Problem::new(Code::Usage).with("cause", cause));
                }
                let made = self.make_key(&client, &name, true, false).await?;
                let key = made.key.expose();
                Ok(json!({
                    "name": client,
                    "key": key,
                    "header": format!("Authorization: Bearer {key}"),
                    "address": self.gateway().address(&name),
                    "address_with_key": format!("{}/k/{key}/{name}", made.origin),
                }))
            }
            Request::ClientsList => to_value(self.ask(|answer| Command::Clients { answer }).await?),
            Request::ClientsRevoke { client } => {
                let client = Some(client);
                let digest = None;
                to_value(self.ask(|answer| Command::RevokeKeys { client, digest, answer }).await?)
            }
            Request::Session { .. } | Request::Stdio { .. } | Request::Drain | Request::Show => {
                Err(Problem::internal("this request needs a connection of its own"))
            }
        }
    }
}

impl Handle {
    /// What goes on with a sign-in needs one.
    async fn must_be_signing_in(&self, name: &str) -> Result<(), Problem> {
        let asked = name.to_owned();
        let server = self.ask(|answer| Command::Status { name: asked, answer }).await?;
        if server.state == Kind::SigningIn {
            return Ok(());
        }
        let cause = format_args!(
            "no sign-in to {name} is under way; it begins with: keyfob connect {name}"
        );
        Err(Problem::new(Code::Usage).with("cause", cause))
    }
}

fn to_value(from: impl serde::Serialize) -> Result<Value, Problem> {
    serde_json::to_value(from).map_err(Problem::internal)
}
