//! The usual set-up: authorization server, MCP server, document host, and the product.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::{Keyfob, Output, Stdin, Store, Visit};
use crate::authserver::{self, AuthorizationServer};
use crate::dochost::DocumentHost;
use crate::machine::Machine;
use crate::mcp::{self, McpServer};
use crate::rpc::RpcClient;

/// What is to be set up.
pub struct Setup {
    /// The authorization server.
    pub authority: authserver::Switches,
    /// The path of its issuer.
    pub issuer_path: String,
    /// Another scheme, host and port that it has by something in front of it.
    pub authority_origin: Option<String>,
    /// The MCP server.
    pub mcp: mcp::Switches,
    /// Do both share a port?
    pub beside: bool,
    /// Has the product a client document?
    pub document: bool,
    /// Where grants are kept.
    pub store: Store,
    /// Is the product told its port, or does it choose one itself?
    pub told_port: bool,
    /// Is a broker started?
    pub serve: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            authority: authserver::Switches::default(),
            issuer_path: String::new(),
            authority_origin: None,
            mcp: mcp::Switches::default(),
            beside: false,
            document: true,
            store: Store::Memory,
            told_port: true,
            serve: true,
        }
    }
}

/// All of it, running.
pub struct Scene {
    /// The authorization server.
    pub authority: AuthorizationServer,
    /// The MCP server.
    pub mcp: McpServer,
    /// The document host.
    pub documents: DocumentHost,
    /// The product.
    pub keyfob: Keyfob,
    /// The URL of the product's document.
    pub document_url: String,
}

impl Scene {
    /// Starts with all defaults.
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// Starts with changes to the defaults.
    pub async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        change(&mut setup);
        let documents = DocumentHost::start().await;
        let authority = AuthorizationServer::start_with(authserver::Start {
            issuer_path: setup.issuer_path,
            trusted_ca: Some(documents.ca_pem().to_owned()),
            switches: setup.authority,
            port: 0,
            origin: setup.authority_origin,
        })
        .await;
        let mcp = if setup.beside {
            McpServer::start_beside("fixture", &authority)
        } else {
            McpServer::start("fixture", &authority).await
        };
        mcp.set(|s| *s = setup.mcp);
        let mut keyfob = Keyfob::new(setup.store);
        if !setup.told_port {
            keyfob.forget_port();
        }
        let document_url = if setup.document {
            keyfob.publish(&documents).await
        } else {
            let browser = keyfob.browser(Visit::Allow);
            keyfob.configure(&[("browser", &browser.display().to_string())]);
            documents.url("/oauth/client.json")
        };
        if setup.serve {
            keyfob.serve().await;
        }
        Self { authority, mcp, documents, keyfob, document_url }
    }

    /// Starts with changes to the defaults on a machine that the test has in its hands.
    pub async fn on_machine(change: impl FnOnce(&mut Setup)) -> (Self, Machine) {
        let mut scene = Self::with(|s| {
            change(s);
            s.serve = false;
        })
        .await;
        let machine = Machine::under(&mut scene.keyfob);
        scene.keyfob.serve().await;
        (scene, machine)
    }

    /// Puts the MCP server on the list under this name.
    pub async fn add(&self, name: &str, more: &[&str]) -> Output {
        let url = self.mcp.url();
        let mut arguments = vec!["add", "--name", name];
        arguments.extend_from_slice(more);
        arguments.push(&url);
        self.keyfob.run(&arguments).await
    }

    /// Signs in; the scripted browser does this.
    pub async fn connect(&self, name: &str, visit: Visit) -> Output {
        let browser = self.keyfob.browser(visit).display().to_string();
        self.keyfob.run(&["connect", "--browser", &browser, name]).await
    }

    /// Puts the server on the list as `s` and signs in.
    pub async fn signed_in(self) -> Self {
        self.add("s", &[]).await.ok();
        self.connect("s", Visit::Allow).await.ok();
        self
    }

    /// The element of `list` for this server.
    pub async fn status(&self, name: &str) -> Value {
        let output = self.keyfob.run(&["status", "--json", name]).await.ok();
        output.json()
    }

    /// Calls a tool through the gateway.
    pub async fn call(&self, name: &str, tool: &str, arguments: &Value) -> Output {
        let arguments = arguments.to_string();
        self.keyfob.run(&["call", "--json", name, tool, &arguments]).await
    }

    /// Calls `echo` through the gateway and demands the right answer.
    pub async fn echo(&self, name: &str, text: &str) {
        let output = self.call(name, "echo", &serde_json::json!({"text": text})).await.ok();
        let said = output.json();
        assert_eq!(said["content"][0]["text"], text, "{output}");
    }

    /// A key for a client of this server.
    pub async fn client_key(&self, client: &str, name: &str) -> String {
        let output = self.keyfob.run(&["clients", "add", "--json", client, name]).await.ok();
        let key = output.json();
        key["key"].as_str().unwrap_or_else(|| panic!("no key:\n{output}")).to_owned()
    }

    /// The address of a server at the gateway.
    pub fn gateway(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.keyfob.port())
    }

    /// An MCP client with a key of its own.
    pub async fn client(&self, name: &str) -> RpcClient {
        let key = self.client_key("tests", name).await;
        RpcClient::new(&self.gateway(name)).bearer(&key)
    }

    /// Runs `exec --ephemeral --browser follow` around a command, with these options more.
    pub async fn exec(&self, options: &[&str], command: &[&str]) -> Output {
        self.exec_at(&self.mcp.url(), options, command).await
    }

    /// The same for another address.
    pub async fn exec_at(&self, url: &str, options: &[&str], command: &[&str]) -> Output {
        let ca_file = self.documents.ca_file().display().to_string();
        let mut arguments = vec!["exec", "--ephemeral", "--browser", "follow"];
        arguments.extend_from_slice(&["--ca-file", &ca_file]);
        arguments.extend_from_slice(&["--client-metadata-url", &self.document_url]);
        arguments.extend_from_slice(options);
        arguments.extend_from_slice(&[url, "--"]);
        arguments.extend_from_slice(command);
        self.keyfob.run_with(&arguments, Stdin::Empty, Duration::from_secs(40)).await
    }

    /// Everything a user would miss if it changed: the settings, and the list.
    pub async fn stored(&self) -> (Vec<(String, Vec<u8>)>, Value) {
        let list = self.keyfob.run(&["list", "--json"]).await.ok().json();
        (files_below(&self.keyfob.home().join("config")), list)
    }
}

/// All files below a folder with their bytes, in order.
pub fn files_below(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files_below(&path)),
            Ok(kind) if kind.is_file() => {
                found.push((path.display().to_string(), std::fs::read(&path).unwrap_or_default()));
            }
            Ok(_) | Err(_) => {}
        }
    }
    found.sort();
    found
}
