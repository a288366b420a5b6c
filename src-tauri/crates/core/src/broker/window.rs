//! What the window asks of the broker, beyond what a command can.

use keyfob_auth::Secret;
use keyfob_auth::client_document::ClientDocumentUrl;
use keyfob_auth::text::Shown;
use serde_json::Value;

use super::Handle;
use super::command::Command;
use super::sign_in::Wish;
use crate::mcp;
use crate::problem::{Code, Problem};
use crate::vault::EntryKind;
use crate::view::page::ToolView;

/// Most tools that are shown.
const MOST_TOOLS: usize = 500;

/// The URL of a client document, from what a person typed.
///
/// # Errors
/// When it cannot be a client id.
pub fn document_url(text: &str) -> Result<ClientDocumentUrl, Problem> {
    ClientDocumentUrl::parse(text.trim()).map_err(|cause| {
        Problem::new(Code::Usage).with("cause", format_args!("this cannot be a client id: {cause}"))
    })
}

impl Handle {
    /// The browser's window of a sign-in, once more.
    ///
    /// # Errors
    /// When there is no such server.
    pub async fn open_again(&self, name: &str) -> Result<(), Problem> {
        self.wish(name, Wish::OpenAgain).await
    }

    /// The next rung of the ladder.
    ///
    /// # Errors
    /// When there is no such server.
    pub async fn try_another_way(&self, name: &str) -> Result<(), Problem> {
        self.wish(name, Wish::AnotherWay).await
    }

    /// Ends the sign-in under way.
    ///
    /// # Errors
    /// When there is no such server.
    pub async fn cancel(&self, name: &str) -> Result<(), Problem> {
        self.wish(name, Wish::Cancel).await
    }

    async fn wish(&self, name: &str, wish: Wish) -> Result<(), Problem> {
        let name = name.to_owned();
        self.ask(|answer| Command::Wish { name, wish, answer }).await
    }

    /// Uses a client of the person's own for a server from now on.
    ///
    /// # Errors
    /// When it cannot be one, or its secret cannot be kept; nothing has changed then.
    pub async fn use_own_client(
        &self,
        name: &str,
        client_id: &str,
        secret: Option<Secret>,
    ) -> Result<(), Problem> {
        let client_id = client_id.trim();
        if client_id.is_empty() || client_id.chars().any(char::is_control) {
            let cause = "a client id is a line of text; the provider shows it";
            return Err(Problem::new(Code::Usage).with("cause", cause));
        }
        let secret = secret.filter(|secret| !secret.is_empty());
        if let Some(secret) = &secret {
            let asked = name.to_owned();
            let id = self.ask(|answer| Command::Id { name: asked, answer }).await?;
            self.keep(EntryKind::ClientSecret, &id, secret.clone()).await?;
        }
        let (name, client_id) = (name.to_owned(), client_id.to_owned());
        self.ask(|answer| Command::UseOwnClient { name, client_id, secret, answer }).await
    }

    /// Compares the client document that is published at `url` with what this build would publish.
    ///
    /// # Errors
    /// When it cannot be a client id, or cannot be fetched, or differs.
    pub async fn check_document(&self, url: &str) -> Result<(), Problem> {
        let url = document_url(url)?;
        self.ask(|answer| Command::CheckDocument { url, answer }).await
    }

    /// Uses the client document at `url` from now on; without one, what came with this build.
    ///
    /// # Errors
    /// When it cannot be a client id, or the settings cannot be written; nothing has changed then.
    pub async fn use_document(&self, url: Option<&str>) -> Result<(), Problem> {
        let url = url.map(document_url).transpose()?;
        self.ask(|answer| Command::UseDocument { url, answer }).await
    }

    /// A server's tools, made fit to be shown.
    ///
    /// # Errors
    /// When it does not list them.
    pub async fn tools(&self, name: &str) -> Result<Vec<ToolView>, Problem> {
        let tools = mcp::Session::open(self, name).await?.tools().await?;
        let word = |tool: &Value, key: &str| {
            Shown::quotation(tool.get(key).and_then(Value::as_str).unwrap_or_default())
        };
        let shown = tools.iter().take(MOST_TOOLS).map(|tool| ToolView {
            name: word(tool, "name"),
            description: word(tool, "description"),
        });
        Ok(shown.collect())
    }
}
