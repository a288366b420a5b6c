//! What a person pastes into an MCP client so that it uses a server through the gateway. It holds
//! a client key, so it goes from here to the clipboard and nowhere else.

use keyfob_auth::Secret;
use serde_json::json;

use crate::broker::command::ClientKey;

/// Clients whose settings are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// A line for its command.
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

    /// What to paste.
    pub fn setup(self, key: &ClientKey) -> Secret {
        let ClientKey { server, origin, .. } = key;
        let secret = key.key.expose();
        let url = format!("{origin}/{server}");
        let bearer = format!("Bearer {secret}");
        let pretty = |value| serde_json::to_string_pretty(&value).unwrap_or_default();
        Secret::new(match self {
            Self::ClaudeCode => format!(
                "claude mcp add --transport http {server} {url} --header \"Authorization: {bearer}\""
            ),
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
        for name in ["claude-code", "codex", "cursor", "vs-code"] {
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
