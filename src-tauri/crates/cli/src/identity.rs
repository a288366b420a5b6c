//! `keyfob identity`: our own client document.

use keyfob_auth::client_document::{self, ClientDocumentUrl};
use keyfob_core::config::Config;
use keyfob_core::fetch::Fetch;
use keyfob_core::problem::{Code, Problem};
use keyfob_core::{broker, identity};
use serde_json::json;

use crate::{link, say};

pub(crate) fn print(url: &str) -> Result<u8, Problem> {
    let url = ClientDocumentUrl::parse(url)
        .map_err(|cause| Problem::new(Code::Usage).with("cause", format_args!("--url: {cause}")))?;
    say::json(&client_document::document(&url));
    Ok(0)
}

pub(crate) async fn check(as_json: bool) -> Result<u8, Problem> {
    let Some(url) = look().await? else {
        return Err(Problem::new(Code::NoClientDocument)
            .with("file", link::paths()?.config_file().display()));
    };
    if as_json {
        say::json(&json!({ "url": url, "ok": true }));
    } else {
        say::line(format_args!("{url} is as it should be."));
    }
    Ok(0)
}

/// The URL of the document, where there is one and it is as it should be.
pub(crate) async fn look() -> Result<Option<String>, Problem> {
    let config = Config::load(&link::paths()?.config_file())?;
    let Some(url) = broker::client_document(&config)? else { return Ok(None) };
    let fetch = Fetch::new(config.settings.ca_file.as_deref())?;
    identity::check(&url, &fetch).await?;
    Ok(Some(url.as_str().to_owned()))
}
