//! The command line.

use std::path::PathBuf;

use keyfob_auth::flow::SignInWay;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Signs you in to remote MCP servers once and lets every MCP client on this machine use them.
#[derive(Debug, Parser)]
#[command(name = "keyfob", version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Put a server on the list
    Add(Add),
    /// Change a server on the list. Another address, sign-in service or client ends its sign-in:
    /// that takes --sign-out as well
    Set(Box<Set>),
    /// Sign in to a server through the browser
    Connect(Connect),
    /// Go on with another way to sign in, while a sign-in waits for the browser
    AnotherWay(Name),
    /// Go on with the address that the browser was sent to, read from a line of stdin
    Paste(Name),
    /// Forget how Keyfob is known at a server's sign-in service, and what was refused there
    Reset(Name),
    /// Show all servers
    List(Shown),
    /// Show one server
    Status(Named),
    /// Show the steps of a server's last sign-in
    Trace(Named),
    /// Renew a server's access now
    Refresh(Name),
    /// Sign out of a server
    Signout(Name),
    /// Sign out of a server and take it off the list
    Remove(Name),
    /// List a server's tools
    Tools(Named),
    /// Call a tool
    Call(Call),
    /// Run the broker and the gateway without the desktop app
    Serve(Serve),
    /// Speak MCP on stdin and stdout for a client that wants a command
    Stdio(Name),
    /// Run a command with a server's local address in place of {url}
    Exec(Exec),
    /// Keys with which clients use servers
    #[command(subcommand)]
    Clients(Clients),
    /// Keyfob's own client document
    #[command(subcommand)]
    Identity(Identity),
    /// Check keychain, port, settings and client document
    Doctor(Shown),
}

#[derive(Debug, Args)]
pub(crate) struct Shown {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Name {
    /// The server's name
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The server's name
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// A name for it; made from the address when absent
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The sign-in service, where the server does not say
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// A client of your own
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// Read the client's secret from the first line of stdin
    #[arg(long, conflicts_with = "client_secret_env")]
    pub(crate) client_secret_stdin: bool,
    /// Read the client's secret from this environment variable
    #[arg(long, value_name = "VAR")]
    pub(crate) client_secret_env: Option<String>,
    /// How to sign in: browser; client-credentials, for a client of your own without a person; or
    /// enterprise, where your company's identity provider vouches for you
    #[arg(long, value_name = "WAY", value_parser = sign_in_way)]
    pub(crate) sign_in: Option<SignInWay>,
    /// Read the client's private key (PEM) from stdin, up to its last line
    #[arg(long)]
    pub(crate) client_key_stdin: bool,
    /// Take only access that is bound to a key, which never leaves Keyfob (DPoP)
    #[arg(long)]
    pub(crate) dpop: bool,
    /// The issuer of your company's identity provider, for --sign-in enterprise
    #[arg(long, value_name = "URL")]
    pub(crate) idp_issuer: Option<String>,
    /// Your client there
    #[arg(long, value_name = "ID")]
    pub(crate) idp_client_id: Option<String>,
    /// Read that client's secret from this environment variable
    #[arg(long, value_name = "VAR")]
    pub(crate) idp_client_secret_env: Option<String>,
    /// The identity provider's token endpoint, where it does not describe itself
    #[arg(long, value_name = "URL")]
    pub(crate) idp_token_endpoint: Option<String>,
    /// A scope to ask for; may be repeated
    #[arg(long, value_name = "S")]
    pub(crate) scope: Vec<String>,
    /// A parameter to add to the sign-in link; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) parameter: Vec<String>,
    /// The parameter that carries the scopes, where it is not scope (Slack: user_scope)
    #[arg(long, value_name = "NAME")]
    pub(crate) scope_parameter: Option<String>,
    /// A header to send along; its value is read from a line of stdin; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) header: Vec<String>,
    /// Guess the sign-in addresses where they are described nowhere (MCP of 2025-03-26)
    #[arg(long)]
    pub(crate) allow_legacy: bool,
    /// The address of the MCP server
    pub(crate) url: String,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub(crate) struct Set {
    /// Another name
    #[arg(long = "name", value_name = "NEW", group = "change")]
    pub(crate) new_name: Option<String>,
    /// Another address
    #[arg(long, value_name = "URL", group = "change")]
    pub(crate) url: Option<String>,
    /// The sign-in service
    #[arg(long, value_name = "URL", group = "change", conflicts_with = "no_issuer")]
    pub(crate) issuer: Option<String>,
    /// The sign-in service is the one that the server names
    #[arg(long, group = "change")]
    pub(crate) no_issuer: bool,
    /// A client of your own
    #[arg(long, value_name = "ID", group = "change", conflicts_with = "no_client_id")]
    pub(crate) client_id: Option<String>,
    /// No client of your own
    #[arg(long, group = "change")]
    pub(crate) no_client_id: bool,
    /// Read the client's secret from the first line of stdin
    #[arg(long, group = "change", conflicts_with = "client_secret_env")]
    pub(crate) client_secret_stdin: bool,
    /// Read the client's secret from this environment variable
    #[arg(long, value_name = "VAR", group = "change")]
    pub(crate) client_secret_env: Option<String>,
    /// A scope to ask for, in place of those from before; may be repeated
    #[arg(long, value_name = "S", group = "change", conflicts_with = "no_scope")]
    pub(crate) scope: Vec<String>,
    /// The scopes that the server names
    #[arg(long, group = "change")]
    pub(crate) no_scope: bool,
    /// A parameter to add to the sign-in link; may be repeated
    #[arg(long, value_name = "NAME=VALUE", group = "change")]
    pub(crate) parameter: Vec<String>,
    /// A parameter to leave out; may be repeated
    #[arg(long, value_name = "NAME", group = "change")]
    pub(crate) no_parameter: Vec<String>,
    /// The parameter that carries the scopes (Slack: user_scope)
    #[arg(long, value_name = "NAME", group = "change", conflicts_with = "no_scope_parameter")]
    pub(crate) scope_parameter: Option<String>,
    /// The scopes go in the parameter scope
    #[arg(long, group = "change")]
    pub(crate) no_scope_parameter: bool,
    /// A header to send along; its value is read from a line of stdin; may be repeated
    #[arg(long, value_name = "NAME", group = "change")]
    pub(crate) header: Vec<String>,
    /// A header to send no more; may be repeated
    #[arg(long, value_name = "NAME", group = "change")]
    pub(crate) no_header: Vec<String>,
    /// Guess the sign-in addresses where they are described nowhere (MCP of 2025-03-26)
    #[arg(long, group = "change", conflicts_with = "no_allow_legacy")]
    pub(crate) allow_legacy: bool,
    /// Guess no addresses
    #[arg(long, group = "change")]
    pub(crate) no_allow_legacy: bool,
    /// Sign out first, where the change ends the sign-in
    #[arg(long)]
    pub(crate) sign_out: bool,
    /// The server's name
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// system, none (print the link), or the path of a program that gets the link
    #[arg(long, value_name = "B")]
    pub(crate) browser: Option<String>,
    /// The sign-in service to use, where the server names several
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// A sign-in service that serves another of your servers, and that this one may use as well
    #[arg(long, value_name = "URL")]
    pub(crate) accept: Option<String>,
    /// Give up after so many seconds
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) deadline: Option<u64>,
    /// The server's name
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Call {
    /// Print the JSON-RPC result
    #[arg(long)]
    pub(crate) json: bool,
    /// The server's name
    pub(crate) name: String,
    /// The tool's name
    pub(crate) tool: String,
    /// Its arguments, a JSON object
    #[arg(value_name = "JSON", default_value = "{}")]
    pub(crate) arguments: String,
}

/// What `serve` and `exec` have in common.
#[derive(Debug, Args)]
pub(crate) struct Running {
    /// A port of its own, no lock, grants in memory only; ends after 25 s unless told otherwise
    #[arg(long)]
    pub(crate) ephemeral: bool,
    /// system, none (print the link), or the path of a program that gets the link; with
    /// --ephemeral also follow
    #[arg(long, value_name = "B")]
    pub(crate) browser: Option<String>,
    /// The URL of Keyfob's client document
    #[arg(long, value_name = "U")]
    pub(crate) client_metadata_url: Option<String>,
    /// More certificate authorities to trust (PEM)
    #[arg(long, value_name = "PATH")]
    pub(crate) ca_file: Option<PathBuf>,
    /// End after so many seconds, with status 6
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) deadline: Option<u64>,
    /// Log to stderr: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<tracing_subscriber::filter::LevelFilter>,
    /// The sign-in service, where the server does not say
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// A client of your own
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// Read the client's secret from this environment variable
    #[arg(long, value_name = "VAR")]
    pub(crate) client_secret_env: Option<String>,
    /// A scope to ask for; may be repeated
    #[arg(long, value_name = "S")]
    pub(crate) scope: Vec<String>,
    #[command(flatten)]
    pub(crate) extensions: Extensions,
    /// Guess the sign-in addresses of a server that describes them nowhere (MCP of 2025-03-26)
    #[arg(long)]
    pub(crate) allow_legacy: bool,
}

/// MCP's extensions.
#[derive(Debug, Args)]
pub(crate) struct Extensions {
    /// How to sign in: browser; client-credentials, for a client of your own without a person; or
    /// enterprise, where your company's identity provider vouches for you
    #[arg(long, value_name = "WAY", value_parser = sign_in_way)]
    pub(crate) sign_in: Option<SignInWay>,
    /// Read the client's private key (PEM) from this environment variable
    #[arg(long, value_name = "VAR")]
    pub(crate) client_key_env: Option<String>,
    /// Take only access that is bound to a key, which never leaves Keyfob (DPoP)
    #[arg(long)]
    pub(crate) dpop: bool,
    /// The issuer of your company's identity provider, for --sign-in enterprise
    #[arg(long, value_name = "URL")]
    pub(crate) idp_issuer: Option<String>,
    /// Your client there
    #[arg(long, value_name = "ID")]
    pub(crate) idp_client_id: Option<String>,
    /// Read that client's secret from this environment variable
    #[arg(long, value_name = "VAR")]
    pub(crate) idp_client_secret_env: Option<String>,
    /// The identity provider's token endpoint, where it does not describe itself
    #[arg(long, value_name = "URL")]
    pub(crate) idp_token_endpoint: Option<String>,
    /// Read an ID token that you have already from this environment variable
    #[arg(long, value_name = "VAR")]
    pub(crate) idp_id_token_env: Option<String>,
}

fn sign_in_way(text: &str) -> Result<SignInWay, String> {
    let json = serde_json::Value::from(text);
    serde_json::from_value(json)
        .map_err(|_| "it is browser, client-credentials or enterprise".to_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    /// The OS keychain
    Keychain,
    /// Memory, for this run
    Memory,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Print one line of JSON when ready
    #[arg(long)]
    pub(crate) json: bool,
    /// Where grants are kept
    #[arg(long, value_enum)]
    pub(crate) store: Option<Store>,
    #[command(flatten)]
    pub(crate) running: Running,
    /// End when nobody has used it for so many seconds
    #[arg(long, hide = true, value_name = "SECONDS")]
    pub(crate) idle_exit: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) running: Running,
    /// The address of the MCP server
    pub(crate) url: String,
    /// The command; {url} in it becomes the local address
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Clients {
    /// Make a key for a client to use a server with
    Add {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// End the key after this time (30d, 12h) or this day, in UTC (2027-01-31)
        #[arg(long, value_name = "END")]
        expires: Option<String>,
        /// The client, for example cursor
        client: String,
        /// The server's name
        name: String,
    },
    /// Show who has keys, when they were used last and when they end
    List(Shown),
    /// Make new keys in place of a client's, or of all
    Rotate {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// The keys of all clients
        #[arg(long)]
        all: bool,
        /// The client
        client: Option<String>,
    },
    /// Keep all keys, although another program had Keyfob's port and may have been sent them
    Keep,
    /// Take a client's keys away
    Revoke {
        /// The client
        client: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Identity {
    /// Print the client document to be published under a URL
    Print {
        /// Where it will be published
        #[arg(long, value_name = "U")]
        url: String,
    },
    /// Fetch the published document and compare it
    Check(Shown),
}
