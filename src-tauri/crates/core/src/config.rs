//! What the user wants: settings and the list of servers, in a file that the user may edit.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use keyfob_auth::ServerUrl;
use keyfob_auth::authorize::may_be_added;
use serde::{Deserialize, Serialize};
use toml_edit::{ArrayOfTables, DocumentMut, Item, value};

use crate::clock;
use crate::extensions::{self, Extensions};
use crate::paths;
use crate::problem::{Code, Problem};
use crate::server_name::check_name;

/// The settings, as far as they are set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Settings {
    /// The loopback port of gateway and callback; chosen at the first start.
    pub port: Option<u16>,
    /// The URL of our client document; overrides what the build knows.
    pub client_metadata_url: Option<String>,
    /// More certificate authorities to trust, as a PEM file.
    pub ca_file: Option<PathBuf>,
    /// `system`, `none`, or the path of a program.
    pub browser: Option<String>,
    /// Whether other users of this machine may use the gateway, who need a client key all the same.
    #[serde(default)]
    pub allow_other_users: bool,
    /// Issuers at which a client document is shown without trying it out first.
    #[serde(default)]
    pub no_preflight: Vec<String>,
}

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerConfig {
    /// Names it in the vault; never changes.
    pub id: String,
    /// The name (slug) that the user sees and clients use in the address.
    pub name: String,
    /// The server's URL, canonical.
    pub url: String,
    /// The issuer to sign in at, where the user named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The user's own client id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The scopes to ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Parameters to add to the authorization request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// The parameter that carries the scopes, where it is not `scope`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_parameter: Option<String>,
    /// Names of the user's own headers; their values are in the vault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// Whether it is to be used.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// Whether endpoints may be guessed where there is no metadata at all.
    #[serde(default, skip_serializing_if = "is_no")]
    pub allow_guessed_endpoints: bool,
    /// Whether to go on where S256 is not advertised.
    #[serde(default, skip_serializing_if = "is_no")]
    pub allow_unadvertised_pkce: bool,
    /// How it is signed in to, where that is one of MCP's extensions.
    #[serde(flatten)]
    pub extensions: Extensions,
}

impl ServerConfig {
    /// The first name among its parameters that the user may not set.
    pub fn unfit_parameter(&self) -> Option<&str> {
        let names = self.parameters.keys().chain(&self.scope_parameter);
        names.map(String::as_str).find(|name| !may_be_added(name))
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_yes(flag: &bool) -> bool {
    *flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_no(flag: &bool) -> bool {
    !*flag
}

/// The file, parsed, with the user's comments and order kept.
#[derive(Debug)]
pub struct Config {
    file: PathBuf,
    document: DocumentMut,
    /// The settings.
    pub settings: Settings,
    /// The servers, in the user's order.
    pub servers: Vec<ServerConfig>,
}

#[derive(Deserialize)]
struct Parsed {
    #[serde(flatten)]
    settings: Settings,
    #[serde(default)]
    servers: Vec<ServerConfig>,
}

impl Config {
    /// Reads the file; an absent file is an empty list.
    ///
    /// # Errors
    /// When it cannot be read or does not parse; it is left as it is.
    pub fn load(file: &Path) -> Result<Self, Problem> {
        let invalid = |cause: String| {
            Problem::new(Code::ConfigInvalid).with("file", file.display()).with("cause", cause)
        };
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(invalid(error.to_string())),
        };
        let document: DocumentMut =
            text.parse().map_err(|error: toml_edit::TomlError| invalid(first_line(&error)))?;
        let parsed: Parsed = toml_edit::de::from_document(document.clone())
            .map_err(|error| invalid(first_line(&error)))?;
        if parsed.settings.port == Some(0) {
            return Err(invalid("port = 0 is no port to come back to".to_owned()));
        }
        for server in &parsed.servers {
            check_name(&server.name).map_err(|cause| invalid(cause.to_string()))?;
            ServerUrl::parse(&server.url)
                .map_err(|cause| invalid(format!("{}: {cause}", server.name)))?;
            if let Some(name) = server.unfit_parameter() {
                return Err(invalid(format!("{}: {name} cannot be a parameter", server.name)));
            }
        }
        let (settings, servers) = (parsed.settings, parsed.servers);
        Ok(Self { file: file.to_owned(), document, settings, servers })
    }

    /// An empty list that is kept nowhere, with the settings of a file.
    ///
    /// # Errors
    /// When the file cannot be read or does not parse.
    pub fn unsaved(settings: Option<&Path>) -> Result<Self, Problem> {
        let settings = match settings {
            Some(file) => Self::load(file)?.settings,
            None => Settings::default(),
        };
        let document = DocumentMut::new();
        Ok(Self { file: PathBuf::new(), document, settings, servers: Vec::new() })
    }

    /// Saves the chosen port.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_port(&mut self, port: u16) -> Result<(), Problem> {
        self.reread();
        self.settings.port = Some(port);
        self.document["port"] = value(i64::from(port));
        self.save()
    }

    /// Saves the URL of another client document; `None` leaves it to the build.
    ///
    /// # Errors
    /// When the file cannot be written; nothing is changed then.
    pub fn set_client_metadata_url(&mut self, url: Option<&str>) -> Result<(), Problem> {
        self.reread();
        let before = self.document.clone();
        match url {
            Some(url) => self.document["client_metadata_url"] = value(url),
            None => drop(self.document.remove("client_metadata_url")),
        }
        if let Err(problem) = self.save() {
            self.document = before;
            return Err(problem);
        }
        self.settings.client_metadata_url = url.map(str::to_owned);
        Ok(())
    }

    /// Adds a server.
    ///
    /// # Errors
    /// When the file cannot be written; the list is then unchanged.
    pub fn add(&mut self, server: ServerConfig) -> Result<(), Problem> {
        let table = toml_edit::ser::to_document(&server)
            .map_err(|error| Problem::internal(first_line(&error)))?;
        self.reread();
        let before = self.document.clone();
        let tables =
            self.document.entry("servers").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
        match tables.as_array_of_tables_mut() {
            Some(tables) => tables.push(table.as_table().clone()),
            None => return Err(self.invalid("servers is no list of tables")),
        }
        if let Err(problem) = self.save() {
            self.document = before;
            return Err(problem);
        }
        self.servers.push(server);
        Ok(())
    }

    /// Removes a server.
    ///
    /// # Errors
    /// When the file cannot be written; the list is then unchanged.
    pub fn remove(&mut self, name: &str) -> Result<Option<ServerConfig>, Problem> {
        let Some(at) = self.servers.iter().position(|server| server.name == name) else {
            return Ok(None);
        };
        self.reread();
        let before = self.document.clone();
        if let Some(tables) =
            self.document.get_mut("servers").and_then(Item::as_array_of_tables_mut)
        {
            // The user may have moved it since.
            let is_it =
                |table: &toml_edit::Table| table.get("name").and_then(Item::as_str) == Some(name);
            let at = tables.iter().position(is_it);
            if let Some(at) = at {
                tables.remove(at);
            }
        }
        if let Err(problem) = self.save() {
            self.document = before;
            return Err(problem);
        }
        Ok(Some(self.servers.remove(at)))
    }

    /// Changes a server.
    ///
    /// # Errors
    /// When there is none of that name, or the file cannot be written; nothing is changed then.
    pub fn change(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut ServerConfig),
    ) -> Result<(), Problem> {
        let Some(at) = self.servers.iter().position(|server| server.name == name) else {
            return Err(Problem::new(Code::UnknownServer).with("name", name));
        };
        let Some(mut changed) = self.servers.get(at).cloned() else { return Ok(()) };
        change(&mut changed);
        let new = toml_edit::ser::to_document(&changed)
            .map_err(|error| Problem::internal(first_line(&error)))?;
        self.reread();
        let before = self.document.clone();
        let tables = self.document.get_mut("servers").and_then(Item::as_array_of_tables_mut);
        let is_it =
            |table: &&mut toml_edit::Table| table.get("name").and_then(Item::as_str) == Some(name);
        if let Some(table) = tables.and_then(|tables| tables.iter_mut().find(is_it)) {
            for key in server_keys() {
                match new.get(key) {
                    Some(item)
                        if table.get(key).map(ToString::to_string).as_deref()
                            != Some(item.to_string().as_str()) =>
                    {
                        table.insert(key, item.clone());
                    }
                    Some(_) => {}
                    None => {
                        table.remove(key);
                    }
                }
            }
        }
        if let Err(problem) = self.save() {
            self.document = before;
            return Err(problem);
        }
        if let Some(server) = self.servers.get_mut(at) {
            *server = changed;
        }
        Ok(())
    }

    /// Takes in what the user has edited since: a change of ours must not undo theirs.
    fn reread(&mut self) {
        if let Ok(text) = fs::read_to_string(&self.file)
            && let Ok(document) = text.parse()
        {
            self.document = document;
        }
    }

    /// The entry of that name.
    pub fn server(&self, name: &str) -> Option<&ServerConfig> {
        self.servers.iter().find(|server| server.name == name)
    }

    /// Keys that mean nothing where they stand, such as a setting that slipped into the table of a
    /// server.
    pub fn unknown_keys(&self) -> Vec<String> {
        let top = self.document.iter().map(|(key, _)| key).filter(|key| !SETTINGS.contains(key));
        let mut unknown: Vec<String> = top.map(str::to_owned).collect();
        let tables = self.document.get("servers").and_then(Item::as_array_of_tables);
        for table in tables.into_iter().flatten() {
            let keys = table
                .iter()
                .map(|(key, _)| key)
                .filter(|key| !server_keys().any(|known| known == *key));
            unknown.extend(keys.map(|key| format!("servers.{key}")));
        }
        unknown
    }

    /// Where it is kept.
    pub fn file(&self) -> &Path {
        &self.file
    }

    fn save(&self) -> Result<(), Problem> {
        if self.file.as_os_str().is_empty() {
            return Ok(());
        }
        paths::write_private(&self.file, self.document.to_string().as_bytes())
            .map_err(|error| self.invalid(&error.to_string()))
    }

    fn invalid(&self, cause: &str) -> Problem {
        Problem::new(Code::ConfigInvalid).with("file", self.file.display()).with("cause", cause)
    }
}

/// The keys of the file itself.
const SETTINGS: [&str; 7] = [
    "port",
    "client_metadata_url",
    "ca_file",
    "browser",
    "allow_other_users",
    "no_preflight",
    "servers",
];

/// The keys of a server's table.
const SERVER_KEYS: [&str; 12] = [
    "id",
    "name",
    "url",
    "issuer",
    "client_id",
    "scopes",
    "parameters",
    "scope_parameter",
    "headers",
    "enabled",
    "allow_guessed_endpoints",
    "allow_unadvertised_pkce",
];

/// All of them.
fn server_keys() -> impl Iterator<Item = &'static str> {
    SERVER_KEYS.into_iter().chain(extensions::KEYS)
}

/// A new entry's id.
///
/// # Errors
/// When the system gives no randomness.
pub fn new_id() -> Result<String, Problem> {
    clock::random_hex(8).map_err(Problem::internal)
}

fn first_line(error: &impl ToString) -> String {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default().to_owned();
    match lines.next_back() {
        Some(last) => format!("{first}: {last}"),
        None => first,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Config, ServerConfig};
    use crate::problem::Code;

    fn server(name: &str) -> ServerConfig {
        ServerConfig {
            id: "0011223344556677".into(),
            name: name.into(),
            url: "https://mcp.example.com/mcp".into(),
            issuer: None,
            client_id: None,
            scopes: vec!["a".into()],
            parameters: BTreeMap::from([("audience".into(), "x".into())]),
            scope_parameter: Some("user_scope".into()),
            headers: Vec::new(),
            enabled: true,
            allow_guessed_endpoints: false,
            allow_unadvertised_pkce: false,
            extensions: Default::default(),
        }
    }

    #[test]
    fn comments_and_unknown_keys_survive_a_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "# mine\nfuture = 1\nport = 4000 # chosen\n").expect("written");
        let mut config = Config::load(&file).expect("a config");
        assert_eq!(config.settings.port, Some(4000));
        config.add(server("one")).expect("added");
        config.add(server("two")).expect("added");
        config.remove("one").expect("removed");
        let text = std::fs::read_to_string(&file).expect("a file");
        assert!(
            text.contains("# mine") && text.contains("future = 1") && text.contains("# chosen")
        );
        let again = Config::load(&file).expect("a config");
        assert_eq!(again.servers, [server("two")]);
    }

    #[test]
    fn a_change_of_a_server_keeps_what_the_user_wrote_around_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.toml");
        let mut config = Config::load(&file).expect("a config");
        config.add(server("one")).expect("added");
        let text = std::fs::read_to_string(&file).expect("a file");
        std::fs::write(&file, format!("# mine\n{text}future = 1 # kept\n")).expect("written");
        config.change("one", |server| server.enabled = false).expect("changed");
        config.change("one", |server| server.client_id = Some("c".into())).expect("changed");
        let text = std::fs::read_to_string(&file).expect("a file");
        assert!(text.contains("# mine") && text.contains("future = 1 # kept"), "{text}");
        let again = Config::load(&file).expect("a config").servers;
        assert_eq!((again[0].enabled, again[0].client_id.as_deref()), (false, Some("c")));
        config.change("one", |server| *server = self::server("one")).expect("changed");
        assert_eq!(Config::load(&file).expect("a config").servers, [server("one")]);
        assert!(config.change("two", |_| ()).is_err());
    }

    #[test]
    fn a_broken_file_is_named_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.toml");
        for broken in [
            "port = \"x\"",
            "port = 0",
            "[[servers]]\nname = \"k\"\nid=\"1\"\nurl = \"https://h\"",
            "= 1",
        ] {
            std::fs::write(&file, broken).expect("written");
            let problem = Config::load(&file).expect_err("a problem");
            assert_eq!(problem.code, Code::ConfigInvalid);
            assert!(problem.message.contains("config.toml"), "{problem}");
            assert_eq!(std::fs::read_to_string(&file).expect("a file"), broken);
        }
    }
}
