//! The messages of the control channel.

use std::collections::BTreeMap;

use keyfob_auth::Secret;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::browser::Browser;
use crate::extensions::{ExtensionSecrets, Extensions};
use crate::problem::Problem;
use crate::view::Progress;

/// The version of the protocol; both sides must be of the same.
pub const VERSION: u32 = 1;

/// Longest line, in bytes.
pub const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// The first line of the one who connects.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`].
    pub keyfob: u32,
    /// What is asked; a connection carries one request.
    pub request: Request,
}

/// What can be asked of the broker.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Request {
    /// Is someone there? Answers with the gateway's origin and the process id.
    Ping,
    /// Puts a server on the list.
    Add(NewServer),
    /// All servers.
    List,
    /// One server.
    Status {
        /// Its name.
        name: String,
    },
    /// The steps of its last sign-in.
    Trace {
        /// Its name.
        name: String,
    },
    /// Signs in; sends [`Progress`] on the way.
    Connect {
        /// Its name.
        name: String,
        /// Where, in place of where the server says.
        #[serde(default)]
        issuer: Option<String>,
        /// A sign-in service of another server that this one may use from now on.
        #[serde(default)]
        accept: Option<String>,
        /// How to open the link; the setting's way when absent.
        browser: Option<Browser>,
        /// How long to wait for the person, in seconds; ten minutes when absent.
        deadline: Option<u64>,
    },
    /// Goes on with the next rung of the ladder.
    TryAnotherWay {
        /// Its name.
        name: String,
    },
    /// Goes on with the address that the browser was sent to.
    Paste {
        /// The server's name.
        name: String,
        /// The address; it holds a code.
        #[serde(with = "one_on_the_wire")]
        address: Secret,
    },
    /// Changes a server on the list. Answers with [`Edit`](crate::view::Edit).
    Edit {
        /// Its name.
        name: String,
        /// What is to be changed.
        change: Box<ServerChange>,
    },
    /// Forgets how Keyfob is known at the sign-in service, refusals included.
    ForgetRegistration {
        /// The server's name.
        name: String,
    },
    /// Ends the sign-in that is under way.
    Cancel {
        /// Its name.
        name: String,
    },
    /// Renews the access token now.
    Refresh {
        /// Its name.
        name: String,
    },
    /// Revokes and forgets the grant. Answers with what could not be done.
    SignOut {
        /// Its name.
        name: String,
    },
    /// Signs out and takes it off the list.
    Remove {
        /// Its name.
        name: String,
    },
    /// Its tools.
    Tools {
        /// Its name.
        name: String,
    },
    /// Calls one.
    Call {
        /// Its name.
        name: String,
        /// The tool.
        tool: String,
        /// Its arguments.
        arguments: Value,
    },
    /// Makes a client key. The answer is the only time that it is told.
    ClientsAdd {
        /// The client.
        client: String,
        /// The server.
        name: String,
        /// When it ends, as a person types it; it does not where this is absent.
        #[serde(default)]
        expires: Option<String>,
    },
    /// All clients with keys.
    ClientsList,
    /// Makes new keys in place of a client's, or of all. The answer is the only time that they are
    /// told.
    ClientsRotate {
        /// The client; all where absent.
        client: Option<String>,
    },
    /// Keeps the keys that another program may have been sent.
    ClientsKeep,
    /// Takes a client's keys away.
    ClientsRevoke {
        /// The client.
        client: String,
    },
    /// Opens a session for one command: its requests wait while a sign-in is started for them.
    /// It lasts as long as the connection.
    Session {
        /// The server's URL.
        server: NewServer,
        /// How to open links.
        browser: Option<Browser>,
    },
    /// Turns the connection into the stdio form of the gateway: one JSON-RPC message a line.
    Stdio {
        /// The server's name.
        name: String,
    },
    /// Gives up lock and port to a successor.
    Drain,
    /// Shows the window of the desktop app.
    Show,
}

/// A server to be put on the list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct NewServer {
    /// The URL.
    pub url: String,
    /// The name; made from the URL when absent.
    pub name: Option<String>,
    /// The issuer.
    pub issuer: Option<String>,
    /// The user's own client id.
    pub client_id: Option<String>,
    /// Its secret.
    #[serde(with = "on_the_wire", default)]
    pub client_secret: Option<Secret>,
    /// Scopes to ask for.
    pub scopes: Vec<String>,
    /// Parameters to add to the authorization request.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// The parameter that carries the scopes, where it is not `scope`.
    #[serde(default)]
    pub scope_parameter: Option<String>,
    /// Headers of the user's own.
    #[serde(with = "headers_on_the_wire", default)]
    pub headers: Vec<(String, Secret)>,
    /// Whether endpoints may be guessed where there is no metadata at all.
    pub allow_guessed_endpoints: bool,
    /// How it is signed in to, where that is one of MCP's extensions.
    #[serde(default)]
    pub extensions: Extensions,
    /// The private key of the user's own client, as PEM.
    #[serde(with = "on_the_wire", default)]
    pub client_key: Option<Secret>,
    /// The secret of the user's own client at the identity provider.
    #[serde(with = "on_the_wire", default)]
    pub idp_client_secret: Option<Secret>,
    /// An ID token, for this run.
    #[serde(with = "on_the_wire", default)]
    pub idp_id_token: Option<Secret>,
}

impl NewServer {
    /// What goes into the vault for the extensions.
    pub fn extension_secrets(&self) -> ExtensionSecrets {
        ExtensionSecrets {
            client_key: self.client_key.clone(),
            idp_client_secret: self.idp_client_secret.clone(),
            idp_id_token: self.idp_id_token.clone(),
        }
    }
}

/// What is to be changed about a server on the list; the rest stays as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerChange {
    /// Another name.
    pub name: Option<String>,
    /// Another URL.
    pub url: Option<String>,
    /// Another issuer.
    pub issuer: Setting<String>,
    /// Another client id of the user's own.
    pub client_id: Setting<String>,
    /// Another secret of the client.
    #[serde(with = "on_the_wire")]
    pub client_secret: Option<Secret>,
    /// Other scopes to ask for; none leave it to the server.
    pub scopes: Option<Vec<String>>,
    /// Parameters of the authorization request: other values, or away with them.
    pub parameters: BTreeMap<String, Setting<String>>,
    /// Another parameter that carries the scopes.
    pub scope_parameter: Setting<String>,
    /// Headers of the user's own, with new values.
    #[serde(with = "headers_on_the_wire")]
    pub headers: Vec<(String, Secret)>,
    /// Headers that are sent no more.
    pub no_headers: Vec<String>,
    /// Whether endpoints may be guessed where there is no metadata at all.
    pub allow_guessed_endpoints: Option<bool>,
    /// Whether the sign-in may end, where the change cannot be had otherwise.
    pub may_sign_out: bool,
}

/// A new value for something that may also be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setting<T> {
    /// It stays as it is.
    #[default]
    Same,
    /// It is absent from now on.
    Absent,
    /// It is this from now on.
    Is(T),
}

impl<T: Clone> Setting<T> {
    /// What is to be had in place of `before`.
    pub fn over(&self, before: Option<T>) -> Option<T> {
        match self {
            Self::Same => before,
            Self::Absent => None,
            Self::Is(value) => Some(value.clone()),
        }
    }
}

/// What comes back, a line each.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Something on the way.
    Progress(Progress),
    /// It is done; the last line.
    Done(Value),
    /// It is not; the last line.
    Problem(Problem),
}

/// Secrets have no `Serialize` on purpose; between two processes of one user, over a socket that
/// checks its peer, they pass through here and nowhere else.
mod on_the_wire {
    use keyfob_auth::Secret;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::expose).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(Secret::new))
    }
}

/// See [`on_the_wire`].
mod one_on_the_wire {
    use keyfob_auth::Secret;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
        secret.expose().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        String::deserialize(from).map(Secret::new)
    }
}

/// See [`on_the_wire`].
mod headers_on_the_wire {
    use keyfob_auth::Secret;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        headers: &[(String, Secret)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(headers.iter().map(|(name, value)| (name, value.expose())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(String, Secret)>, D::Error> {
        let pairs = Vec::<(String, String)>::deserialize(from)?;
        Ok(pairs.into_iter().map(|(name, value)| (name, Secret::new(value))).collect())
    }
}
