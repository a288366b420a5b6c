//! `keyfob doctor`: checks what Keyfob stands on.

use keyfob_auth::client_document::{Listing, listing, redirect_uri};
use keyfob_core::control::protocol::Request;
use keyfob_core::control::{client, socket};
use keyfob_core::paths::Paths;
use keyfob_core::problem::Problem;
use keyfob_core::remembered::Remembered;
use keyfob_core::vault::{Lasts, ProfileId, Vault, VaultError};
use keyfob_core::view::ClientView;
use keyfob_core::{broker, clock, config, gateway};
use serde_json::{Value, json};

use crate::{clients, identity, link, parsed, say};

struct Finding {
    what: &'static str,
    is_good: bool,
    said: String,
}

pub(crate) async fn doctor(as_json: bool) -> Result<u8, Problem> {
    let paths = link::paths()?;
    let mut findings = Vec::new();
    let mut add = |what, is_good, said: String| findings.push(Finding { what, is_good, said });

    let config = config::Config::load(&paths.config_file());
    match &config {
        Ok(config) => {
            let file = config.file().display();
            let count = match config.servers.len() {
                1 => "1 server".to_owned(),
                count => format!("{count} servers"),
            };
            add("settings", true, format!("{file}, {count}"));
            for key in config.unknown_keys() {
                add("settings", false, unknown(&key));
            }
        }
        Err(problem) => add("settings", false, problem.to_string()),
    }
    let running = match client::connect(&paths).await {
        Some(mut connection) => connection.ask(Request::Ping, |_| {}).await.ok(),
        None => None,
    };
    let text =
        |value: &Value, name: &str| value.get(name).map(Value::to_string).unwrap_or_default();
    match &running {
        Some(told) => {
            let said = format!("{}, process {}", text(told, "gateway"), text(told, "pid"));
            add("broker", true, said.replace('"', ""));
        }
        None => add("broker", true, "not running; commands start one when they need it".to_owned()),
    }
    for problem in socket::passed_over(&paths) {
        add("control socket", false, problem.to_string());
    }
    if let (None, Ok(config)) = (&running, &config) {
        let bound = match config.settings.port {
            Some(port) => gateway::take_port(port).await.map(|_| format!("{port} is free")),
            None => gateway::choose_port().await.and_then(|l| Ok(format!("{} is free", l.port()?))),
        };
        match bound {
            Ok(said) => add("port", true, said),
            Err(error) => add("port", false, format!("taken by another program ({error})")),
        }
    }
    let own_port = config.as_ref().ok().and_then(|config| config.settings.port);
    if let Some(port) = own_port
        && listing(&redirect_uri(port)) == Listing::AnyPort
    {
        let said = format!(
            "{port} is a port of your own; servers that compare redirect addresses exactly will refuse CIMD and get DCR"
        );
        add("redirect", true, said);
    }
    let known = match &running {
        Some(_) => match client::connect(&paths).await {
            Some(mut connection) => connection.ask(Request::ClientsList, |_| {}).await.ok(),
            None => None,
        },
        None => None,
    };
    let warning = match known {
        Some(told) => clients::warning(&parsed::<Vec<_>>(told)?),
        None => warning_before_start(&paths),
    };
    if let Some(warning) = warning {
        add("client keys", false, warning);
    }
    let allows = config.as_ref().is_ok_and(|config| config.settings.allow_other_users);
    let tells = running.as_ref().is_none_or(|told| {
        // The one of a command may have no port at all.
        told["checks_users"] == Value::Bool(true) || told["host"] == "command"
    });
    let said = match (allows, tells) {
        (true, _) => "may use the gateway with a client key (allow_other_users)",
        (false, true) => "are refused at the port even with a client key",
        (false, false) => {
            "need a client key, which alone decides: this system does not tell whose a connection is"
        }
    };
    add("other users", true, said.to_owned());
    let in_memory = |told: &Value| told.get("keeps_in_memory") == Some(&Value::Bool(true));
    let keeps_in_memory = running.as_ref().is_some_and(in_memory);
    if keeps_in_memory {
        add("grants", true, "kept in memory until the running Keyfob ends".to_owned());
    }
    match test_keychain().await? {
        Ok(Lasts::UntilLogout) => {
            add("keychain", false, "works, but forgets everything when you log out".to_owned());
        }
        Ok(Lasts::UntilDeleted | Lasts::UntilExit) => {
            add("keychain", true, "writes, reads and deletes".to_owned());
        }
        Err(error) => {
            // A Keyfob that keeps grants in memory does without.
            let said = broker::vault_problem(&error);
            let said = if keeps_in_memory {
                format!("not needed by the running Keyfob. {}", said.message)
            } else {
                said.to_string()
            };
            add("keychain", keeps_in_memory, said);
        }
    }
    match identity::look().await {
        Ok(Some(url)) => add("client document", true, url),
        Ok(None) => {
            let said = "none; sign-ins use DCR. client_metadata_url in the settings names one";
            add("client document", true, said.to_owned());
        }
        Err(problem) => add("client document", false, problem.to_string()),
    }
    let is_well = findings.iter().all(|finding| finding.is_good);
    if as_json {
        let all =
            findings.iter().map(|f| json!({ "what": f.what, "ok": f.is_good, "text": f.said }));
        say::json(&Value::Array(all.collect()));
    } else {
        for Finding { what, is_good, said } in findings {
            say::line(format_args!("{} {what:<16} {said}", if is_good { "✓" } else { "✗" }));
        }
    }
    Ok(u8::from(!is_well))
}

/// The same of a Keyfob that does not run: the next one to start has its port back.
fn warning_before_start(paths: &Paths) -> Option<String> {
    let facts = Remembered::look(&paths.state);
    let names = facts.keys.iter().filter(|key| facts.port_is_taken || facts.may_be_known(key));
    let clients = names.map(|key| ClientView {
        name: key.client.clone(),
        server: String::new(),
        made_at: String::new(),
        last_used_at: None,
        expires_at: None,
        may_be_known: true,
    });
    clients::warning(&clients.collect::<Vec<_>>())
}

/// Tests the keychain under a profile of its own: the one of this home may not have been made yet,
/// and who only looks must not make it.
async fn test_keychain() -> Result<Result<Lasts, VaultError>, Problem> {
    let profile = clock::random_hex(8).map_err(Problem::internal)?;
    let vault = Vault::keychain(ProfileId::new(profile).map_err(Problem::internal)?);
    Ok(vault.check().await)
}

/// A key that means nothing where it stands. In a TOML file everything below a `[[servers]]`
/// belongs to that server, whatever it was meant for.
fn unknown(key: &str) -> String {
    match key.strip_prefix("servers.") {
        Some(key) => format!(
            "{key} means nothing in [[servers]]. If it is a setting, put it above the first [[servers]]."
        ),
        None => format!("{key} is no setting. Check its spelling."),
    }
}
