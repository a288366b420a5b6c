//! What a person pastes into an MCP client so that it uses a server through the gateway. Most forms
//! hold a client key, so they go from here to the clipboard and nowhere else.

use keyfob_auth::Secret;
use serde_json::json;

use crate::broker::command::{ClientKey, Command};
use crate::broker::{Handle, KeyTerms};
use crate::problem::Problem;

/// Clients whose settings are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// A command for the terminal. It names the bridge, which needs no key: a shell keeps what is
    /// typed in its history, and shows arguments to every user of the machine.
    ClaudeCode,
    /// A table of `config.toml`.
    Codex,
    /// An entry of `mcp.json`.
    Cursor,
    /// The address alone, key included: for clients that take no headers.
    Other,
    /// An entry of `mcp.json`.
    VsCode,
}

impl ClientKind {
    /// Parses the name that the window uses, which is also the client's name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "claude-code" => Self::ClaudeCode,
            "codex" => Self::Codex,
            "cursor" => Self::Cursor,
            "other" => Self::Other,
            "vs-code" => Self::VsCode,
            _ => return None,
        })
    }

    /// What to paste, with a new key where one is needed.
    ///
    /// # Errors
    /// When there is no such server.
    pub async fn setup_for(
        self,
        handle: &Handle,
        client: &str,
        name: &str,
    ) -> Result<Secret, Problem> {
        if let Self::ClaudeCode = self {
            let asked = name.to_owned();
            let server = handle.ask(|answer| Command::Status { name: asked, answer }).await?;
            return Ok(bridged(&server.name));
        }
        let terms = KeyTerms { lasts: true, ..KeyTerms::default() };
        Ok(self.setup(&handle.make_key(client, name, terms).await?))
    }

    fn setup(self, key: &ClientKey) -> Secret {
        let ClientKey { server, origin, .. } = key;
        let secret = key.key.expose();
        let url = format!("{origin}/{server}");
        let bearer = format!("Bearer {secret}");
        let pretty = |value| serde_json::to_string_pretty(&value).unwrap_or_default();
        Secret::new(match self {
            Self::ClaudeCode => return bridged(server),
            Self::Codex => format!(
                "[mcp_servers.{server}]\nurl = \"{url}\"\nhttp_headers = {{ \"Authorization\" = \"{bearer}\" }}\n"
            ),
            Self::Cursor => pretty(json!({
                "mcpServers": { server: { "url": url, "headers": { "Authorization": bearer } } }
            })),
            Self::Other => format!("{origin}/k/{secret}/{server}"),
            Self::VsCode => pretty(json!({
                "servers": {
                    server: { "type": "http", "url": url, "headers": { "Authorization": bearer } }
                }
            })),
        })
    }
}

/// For all projects of the person: what a client adds by default may be for the present one alone.
fn bridged(server: &str) -> Secret {
    Secret::new(format!("claude mcp add --scope user {server} -- keyfob stdio {server}"))
}

#[cfg(test)]
mod tests {
    use keyfob_auth::Secret;

    use super::ClientKind;
    use crate::broker::command::ClientKey;

    #[test]
    fn each_form_names_address_and_key() {
        let key = ClientKey {
            client: "cursor".into(),
            server: "notion".into(),
            key: Secret::new("kf_x"),
            digest: String::new(),
            origin: "http://127.0.0.1:15393".into(),
            is_new_server: false,
            expires_at: None,
        };
        // attack-B11a: what goes through a shell holds no key.
        let claude = ClientKind::parse("claude-code").expect("a client").setup(&key);
        let command = "claude mcp add --scope user notion -- keyfob stdio notion";
        assert_eq!(claude.expose(), command);
        for name in ["codex", "cursor", "vs-code"] {
            let setup = ClientKind::parse(name).expect("a client").setup(&key);
            assert!(setup.expose().contains("http://127.0.0.1:15393/notion"), "{name}");
            assert!(setup.expose().contains("Bearer kf_x"), "{name}");
        }
        let other = ClientKind::parse("other").expect("a client").setup(&key);
        assert_eq!(other.expose(), "http://127.0.0.1:15393/k/kf_x/notion");
        assert!(ClientKind::parse("emacs").is_none());
        let codex = ClientKind::Codex.setup(&key);
        let parsed: toml_edit::DocumentMut = codex.expose().parse().expect("TOML");
        assert_eq!(
            parsed["mcp_servers"]["notion"]["http_headers"]["Authorization"].as_str(),
            Some("Bearer kf_x")
        );
    }
}
