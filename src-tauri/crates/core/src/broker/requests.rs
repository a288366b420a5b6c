//! The control channel's requests, answered. The same function serves a command in this process
//! and one that came over the socket.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::command::{ClientKey, Command};
use super::sign_in::Wish;
use super::{Handle, KeyTerms};
use crate::control::protocol::Request;
use crate::mcp;
use crate::problem::{Code, Problem};
use crate::server::Kind;
use crate::view::Progress;
use crate::{client_key, clock};

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
                "checks_users": self.gateway().peers.are_checked(),
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
            Request::ClientsAdd { client, name, expires } => {
                if client.is_empty() || client.len() > 64 || client.chars().any(char::is_control) {
                    let cause = "a client's name has 1 to 64 characters";
                    return Err(Problem::new(Code::Usage).with("cause", cause));
                }
                let end =
                    expires.map(|end| client_key::parse_end(&end, clock::now())).transpose()?;
                let terms = KeyTerms { lasts: true, holds: false, expires_at: end };
                Ok(told(&self.make_key(&client, &name, terms).await?))
            }
            Request::ClientsRotate { client } => {
                let made = self.ask(|answer| Command::RotateKeys { client, answer }).await?;
                Ok(made.iter().map(told).collect())
            }
            Request::ClientsKeep => {
                to_value(self.ask(|answer| Command::KeepKeys { answer }).await?)
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

/// A new key, for who asked for it.
fn told(made: &ClientKey) -> Value {
    let ClientKey { client, server, origin, .. } = made;
    let key = made.key.expose();
    let mut told = json!({
        "name": client,
        "server": server,
        "key": key,
        "header": format!("Authorization: Bearer {key}"),
        "address": format!("{origin}/{server}"),
        "address_with_key": format!("{origin}/k/{key}/{server}"),
    });
    if let Some(end) = made.expires_at {
        told["expires_at"] = clock::rfc3339(end).into();
    }
    told
}

fn to_value(from: impl serde::Serialize) -> Result<Value, Problem> {
    serde_json::to_value(from).map_err(Problem::internal)
}
