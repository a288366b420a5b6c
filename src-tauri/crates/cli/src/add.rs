//! `keyfob add`: a server is put on the list.

use std::collections::BTreeMap;
use std::io::BufRead;

use keyfob_auth::Secret;
use keyfob_core::control::protocol::{NewServer, Request};
use keyfob_core::extensions::Extensions;
use keyfob_core::problem::{Code, Problem};
use keyfob_core::server::Kind;
use keyfob_core::view::ServerView;

use crate::arguments::Add;
use crate::link::Link;
use crate::{ask_at, parsed, say, serve};

/// The lines of stdin, which take what must not stand in a command.
pub(crate) struct Lines(std::io::Lines<std::io::StdinLock<'static>>);

impl Lines {
    pub(crate) fn of_stdin() -> Self {
        Self(std::io::stdin().lock().lines())
    }

    /// The next one, which is not empty.
    pub(crate) fn secret(&mut self, what: &str) -> Result<Secret, Problem> {
        match self.0.next() {
            Some(Ok(line)) if !line.is_empty() => Ok(Secret::new(line)),
            _ => Err(usage(format_args!("{what} is expected on a line of stdin"))),
        }
    }

    /// A header's value for each name.
    pub(crate) fn headers(&mut self, names: Vec<String>) -> Result<Vec<(String, Secret)>, Problem> {
        let value = |name: String| {
            let value = self.secret(&format!("the value of the header {name}"))?;
            Ok((name, value))
        };
        names.into_iter().map(value).collect()
    }

    /// All the rest.
    fn rest(self) -> Result<Secret, Problem> {
        let rest = self.0.collect::<Result<Vec<_>, _>>().map_err(Problem::internal)?;
        Ok(Secret::new(rest.join("\n")))
    }
}

/// Parameters, from how a command has them.
pub(crate) fn parameters(given: &[String]) -> Result<BTreeMap<String, String>, Problem> {
    let pair = |parameter: &String| match parameter.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(usage(format_args!("--parameter takes NAME=VALUE, not {parameter}"))),
    };
    given.iter().map(pair).collect()
}

fn usage(cause: impl ToString) -> Problem {
    Problem::new(Code::Usage).with("cause", cause.to_string())
}

pub(crate) async fn add(add: Add) -> Result<u8, Problem> {
    let mut lines = Lines::of_stdin();
    let client_secret = if add.client_secret_stdin {
        Some(lines.secret("the client secret")?)
    } else {
        serve::secret_from(add.client_secret_env.as_deref())?
    };
    let extensions = Extensions {
        sign_in: add.sign_in.unwrap_or_default(),
        dpop: add.dpop,
        idp_issuer: add.idp_issuer,
        idp_client_id: add.idp_client_id,
        idp_token_endpoint: add.idp_token_endpoint,
    };
    let headers = lines.headers(add.header)?;
    let client_key = add.client_key_stdin.then(|| lines.rest()).transpose()?;
    let parameters = parameters(&add.parameter)?;
    let request = Request::Add(NewServer {
        url: add.url,
        name: add.name,
        issuer: add.issuer,
        client_id: add.client_id,
        client_secret,
        scopes: add.scope,
        parameters,
        scope_parameter: add.scope_parameter,
        headers,
        allow_guessed_endpoints: add.allow_legacy,
        extensions,
        client_key,
        idp_client_secret: serve::secret_from(add.idp_client_secret_env.as_deref())?,
        idp_id_token: None,
    });
    let told = ask_at(Link::open_probing().await?, request).await?;
    let server: ServerView = parsed(told)?;
    let name = &server.name;
    say::line(match server.state {
        Kind::Open => {
            format!("{name} is on the list and needs no sign-in. Use it: keyfob tools {name}")
        }
        Kind::Offline => format!(
            "{name} is on the list; it cannot be used at the moment. To see why: keyfob connect {name}"
        ),
        _ => format!("{name} is on the list. Sign in with: keyfob connect {name}"),
    });
    Ok(0)
}
