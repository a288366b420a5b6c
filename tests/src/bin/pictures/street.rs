//! One server for each state that a person can meet.

use keyfob_tests::authserver::{Cimd, Consent, Start, StaticClient, Switches};
use keyfob_tests::desktop::Desktop;
use keyfob_tests::world::PATIENCE;
use keyfob_tests::{AuthorizationServer, McpServer, RpcClient, Visit};
use serde_json::json;
use tokio::sync::Mutex;

/// The servers, which run as long as this lives.
pub(crate) struct Street {
    houses: Vec<House>,
    /// Goes away in [`Street::disturb`].
    intranet: Mutex<Option<House>>,
    new: House,
}

struct House {
    name: &'static str,
    authority: Option<AuthorizationServer>,
    mcp: McpServer,
}

impl House {
    async fn build(desktop: &Desktop, name: &'static str, cimd: Option<Cimd>) -> Self {
        let Some(cimd) = cimd else {
            return Self { name, authority: None, mcp: McpServer::start_open(name).await };
        };
        let scopes = ["read", "write", "offline_access"].map(str::to_owned).to_vec();
        let switches = Switches { cimd, consent: Consent::Page, ..Switches::default() };
        let trusted_ca = Some(desktop.scene.documents.ca_pem().to_owned());
        let start = Start { trusted_ca, switches, ..Start::default() };
        let authority = AuthorizationServer::start_with(start).await;
        let mcp = McpServer::start(name, &authority).await;
        mcp.set(|s| s.prm_scopes = scopes[..2].to_vec());
        Self { name, authority: Some(authority), mcp }
    }
}

impl Street {
    /// Puts them on the list and signs in where that belongs to the picture.
    pub(crate) async fn build(desktop: &Desktop) -> Self {
        let keyfob = &desktop.scene.keyfob;
        let mut houses = Vec::new();
        for (name, cimd) in [
            ("notes", Some(Cimd::On)),
            ("tickets", Some(Cimd::RefusedByPage)),
            ("wiki", Some(Cimd::Off)),
            ("docs", None),
            ("calendar", Some(Cimd::On)),
            ("mail", Some(Cimd::On)),
            ("metrics", Some(Cimd::On)),
            ("archive", Some(Cimd::Off)),
        ] {
            houses.push(House::build(desktop, name, cimd).await);
        }
        let intranet = House::build(desktop, "intranet", Some(Cimd::Off)).await;
        for house in houses.iter().chain([&intranet]) {
            let url = house.mcp.url();
            let mut arguments = vec!["add", "--name", house.name];
            if house.name == "wiki" {
                let redirect = format!("http://127.0.0.1:{}/callback", keyfob.port());
                let authority = house.authority.as_ref().expect("the wiki has one");
                authority.set(|s| {
                    s.static_clients.push(StaticClient {
                        id: "wiki-desktop".to_owned(),
                        secret: None,
                        redirect_uris: vec![redirect.clone()],
                    });
                });
                arguments.extend(["--client-id", "wiki-desktop"]);
            }
            arguments.push(&url);
            keyfob.run(&arguments).await.ok();
            if !["docs", "metrics", "archive"].contains(&house.name) {
                desktop.scene.connect(house.name, Visit::Allow).await.ok();
            }
        }
        // There is no command for it yet; the window has a button.
        let file = keyfob.home().join("config/config.toml");
        let text = std::fs::read_to_string(&file).expect("the settings");
        let off = text.replace("name = \"archive\"", "name = \"archive\"\nenabled = false");
        std::fs::write(&file, off).expect("the settings");
        let new = House::build(desktop, "planner", Some(Cimd::On)).await;
        Self { houses, intranet: Mutex::new(Some(intranet)), new }
    }

    /// The address of a server that is not on the list.
    pub(crate) fn new_url(&self) -> String {
        self.new.mcp.url()
    }

    /// Lets happen what brings some of them out of order, while the app runs.
    pub(crate) async fn disturb(&self, desktop: &Desktop) {
        let house = |name: &str| self.houses.iter().find(|h| h.name == name).expect("a house");
        house("calendar").authority.as_ref().expect("an authority").revoke_all();
        // The answers do not matter; what they do to the state does.
        let calendar = desktop.scene.client("calendar").await;
        call(&calendar, "echo").await;
        let mail = desktop.scene.client("mail").await;
        tokio::spawn(async move { call(&mail, "secret_write").await });
        let intranet = desktop.scene.client("intranet").await;
        drop(self.intranet.lock().await.take());
        tokio::time::timeout(PATIENCE, call(&intranet, "echo")).await.ok();
        for name in ["notes", "tickets", "wiki", "docs"] {
            desktop.scene.keyfob.run(&["tools", "--json", name]).await.ok();
        }
    }
}

async fn call(client: &RpcClient, tool: &str) {
    client.modern_call(tool, json!({"text": "hello"})).await;
}
