//! An MCP server, with or without an authorization server in front of it, of both eras.

mod challenge;
mod legacy;
mod modern;
pub mod switches;
mod tools;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::authserver::{Authority, AuthorizationServer, Subject};
use crate::call::{Answer, Call};
use crate::host::{Host, Later, Site};
use crate::journal::{BearerSeen, Journal, Kind};
pub use switches::{Challenge, Era, Guard, Prm, Switches};

/// The revisions with sessions, oldest first.
pub const LEGACY_VERSIONS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];
/// The stateless revision.
pub const MODERN_VERSION: &str = "2026-07-28";

/// The running server; it ends when dropped.
pub struct McpServer {
    desk: Arc<Desk>,
    _host: Option<Host>,
}

/// What the server knows.
struct Desk {
    name: String,
    origin: String,
    path: String,
    authority: Option<Arc<Authority>>,
    /// Whose tokens are good as well.
    others: Mutex<Vec<Arc<Authority>>>,
    switches: Mutex<Switches>,
    sessions: Mutex<HashSet<String>>,
    journal: Journal,
}

impl McpServer {
    /// Starts a server on a port of its own, behind this authorization server.
    pub async fn start(name: &str, authority: &AuthorizationServer) -> Self {
        let host = Host::start(None).await;
        let origin = format!("http://127.0.0.1:{}", host.port());
        Self::assemble(name, &origin, Some(authority.authority()), |desk| host.add(desk))
            .keep(Some(host))
    }

    /// The same on this port.
    pub async fn start_at(name: &str, authority: &AuthorizationServer, port: u16) -> Self {
        let host = Host::start_at(port, None).await;
        let origin = format!("http://127.0.0.1:{port}");
        Self::assemble(name, &origin, Some(authority.authority()), |desk| host.add(desk))
            .keep(Some(host))
    }

    /// Starts a server on the port of its authorization server.
    pub fn start_beside(name: &str, authority: &AuthorizationServer) -> Self {
        let origin = authority.origin().to_owned();
        Self::assemble(name, &origin, Some(authority.authority()), |desk| {
            authority.host().add_first(desk);
        })
    }

    /// Starts a server that needs no sign-in.
    pub async fn start_open(name: &str) -> Self {
        let host = Host::start(None).await;
        let origin = format!("http://127.0.0.1:{}", host.port());
        let server = Self::assemble(name, &origin, None, |desk| host.add(desk)).keep(Some(host));
        server.set(|s| s.guard = Guard::Nothing);
        server
    }

    fn assemble(
        name: &str,
        origin: &str,
        authority: Option<Arc<Authority>>,
        add: impl FnOnce(Arc<dyn Site>),
    ) -> Self {
        let desk = Arc::new(Desk {
            name: name.to_owned(),
            origin: origin.to_owned(),
            path: "/mcp".to_owned(),
            authority,
            others: Mutex::default(),
            switches: Mutex::default(),
            sessions: Mutex::default(),
            journal: Journal::default(),
        });
        add(Arc::clone(&desk) as Arc<dyn Site>);
        let server = Self { desk, _host: None };
        server.set(|_| ());
        server
    }

    fn keep(mut self, host: Option<Host>) -> Self {
        self._host = host;
        self
    }

    /// The address of the MCP endpoint.
    pub fn url(&self) -> String {
        self.desk.url()
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.desk.origin
    }

    /// The identifier that tokens must be issued for.
    pub fn resource(&self) -> String {
        self.desk.resource()
    }

    /// Every request so far.
    pub fn journal(&self) -> &Journal {
        &self.desk.journal
    }

    /// Turns switches while running.
    pub fn set(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.desk.switches.lock().expect("switches"));
        let others = self.desk.others.lock().expect("others");
        for authority in self.desk.authority.iter().chain(others.iter()) {
            authority.protect(&self.resource());
        }
    }

    /// Takes the tokens of another authorization server as well; the metadata names it where
    /// [`Switches::authorization_servers`] does.
    pub fn trust(&self, other: &AuthorizationServer) {
        self.desk.others.lock().expect("others").push(other.authority());
        self.set(|_| ());
    }

    /// Forgets all sessions, as a restart would.
    pub fn forget_sessions(&self) {
        self.desk.sessions.lock().expect("sessions").clear();
    }
}

impl Desk {
    fn switches(&self) -> Switches {
        self.switches.lock().expect("switches").clone()
    }

    fn url(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }

    /// RFC 9728 section 3.3: the identifier belongs to the location of the metadata.
    fn resource(&self) -> String {
        let switches = self.switches();
        switches.claimed_resource.unwrap_or_else(|| match switches.prm {
            Prm::RootForm => self.origin.clone(),
            Prm::PathForm | Prm::HeaderOnly | Prm::Absent => self.url(),
        })
    }

    fn introspect(&self, own: &Authority, token: Option<&str>) -> (BearerSeen, Option<Subject>) {
        let resource = self.resource();
        let others = self.others.lock().expect("others");
        let issued = others.iter().map(|other| other.introspect(token, &resource));
        let mut issued = issued.filter(|(seen, _)| *seen == BearerSeen::Issued);
        issued.next().unwrap_or_else(|| own.introspect(token, &resource))
    }

    fn serve(self: &Arc<Self>, call: Call) -> Answer {
        if let Some(answer) = challenge::metadata(self, &call) {
            return answer;
        }
        if call.path != self.path {
            return Answer::empty(404, "no such path");
        }
        let (seen, subject) = match &self.authority {
            Some(authority) => self.introspect(authority, call.bearer()),
            None if call.header("authorization").is_some() => (BearerSeen::Unknown, None),
            None => (BearerSeen::Absent, None),
        };
        let answer = self.guarded(call, seen, subject).seen(seen);
        if self.switches().leaky_headers {
            return answer
                .with("set-cookie", "upstream=1; Path=/")
                .with("www-authenticate", "Bearer realm=\"upstream\"");
        }
        answer
    }

    fn guarded(self: &Arc<Self>, call: Call, seen: BearerSeen, who: Option<Subject>) -> Answer {
        let switches = self.switches();
        // RFC 6750 section 2.3, and the MCP rule that forbids it.
        if call.query.iter().any(|(name, _)| name == "access_token") {
            return Answer::json(400, &json!({"error": "invalid_request"}), "token in the query");
        }
        let message = call.json();
        let method = message.as_ref().and_then(|m| m["method"].as_str()).unwrap_or_default();
        let has_own = switches
            .own_header
            .as_ref()
            .is_some_and(|(name, value)| call.header(name) == Some(value.as_str()));
        let guarded = match switches.guard {
            _ if has_own => false,
            Guard::Everything => true,
            Guard::ToolCalls => method == "tools/call",
            Guard::Nothing => false,
        };
        // A token that is not good is refused wherever it is shown.
        let shown = self.authority.is_some() && seen != BearerSeen::Absent;
        let good = seen == BearerSeen::Issued && !switches.refuses_all;
        let is_modern = modern::is_modern(&call, message.as_ref(), switches.era);
        if switches.revision_first && switches.era == Era::Modern && !is_modern {
            return legacy::answer(self, &switches, &call, message, who.as_ref());
        }
        if (guarded || shown) && !good {
            return challenge::unauthorized(self, &switches, seen);
        }
        if guarded && method == "tools/call" {
            let tool = message.as_ref().and_then(|m| m.pointer("/params/name"));
            let tool = tool.and_then(Value::as_str).unwrap_or_default();
            if let Some(scope) = switches.tool_scopes.get(tool)
                && (switches.never_enough || !who.as_ref().is_some_and(|w| w.scope.contains(scope)))
            {
                return challenge::insufficient(self, &switches, scope);
            }
        }
        if is_modern {
            modern::answer(self, &switches, &call, message, who.as_ref())
        } else {
            legacy::answer(self, &switches, &call, message, who.as_ref())
        }
    }
}

impl Site for Desk {
    fn claims(&self, path: &str) -> bool {
        path == self.path || challenge::is_metadata(path) || self.authority.is_none()
    }

    fn kind(&self, call: &Call) -> Kind {
        if call.path == self.path {
            Kind::Mcp
        } else if challenge::is_metadata(&call.path) {
            Kind::ResourceMetadata
        } else {
            Kind::Other
        }
    }

    fn journal(&self) -> &Journal {
        &self.journal
    }

    fn answer(self: Arc<Self>, call: Call) -> Later<Answer> {
        // Judged as it came in, and told later.
        let pause = self.switches().answer_pause;
        let answer = self.serve(call);
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            answer
        })
    }
}

/// A JSON-RPC result.
fn result(id: &Value, result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

/// A JSON-RPC error.
fn error(id: &Value, code: i64, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}
