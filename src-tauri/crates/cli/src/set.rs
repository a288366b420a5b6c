//! `keyfob set`: a server on the list is changed.

use keyfob_core::control::protocol::{Request, ServerChange, Setting};
use keyfob_core::problem::{Code, Problem};
use keyfob_core::server::Kind;
use keyfob_core::view::Edit;

use crate::add::{Lines, parameters};
use crate::arguments::Set;
use crate::link::Link;
use crate::{ask_at, ended, parsed, say, serve};

pub(crate) async fn set(set: Set) -> Result<u8, Problem> {
    let mut lines = Lines::of_stdin();
    let client_secret = if set.client_secret_stdin {
        Some(lines.secret("the client secret")?)
    } else {
        serve::secret_from(set.client_secret_env.as_deref())?
    };
    let counts_later = !set.scope.is_empty()
        || set.no_scope
        || !set.parameter.is_empty()
        || !set.no_parameter.is_empty()
        || set.no_issuer
        || set.scope_parameter.is_some()
        || set.no_scope_parameter;
    let given = parameters(&set.parameter)?;
    if let Some(stray) = set.no_parameter.iter().find(|name| given.contains_key(*name)) {
        let cause = format_args!("the parameter {stray} is both to be added and left out");
        return Err(Problem::new(Code::Usage).with("cause", cause));
    }
    let given = given.into_iter();
    let given = given.map(|(name, value)| (name, Setting::Is(value)));
    let gone = set.no_parameter.into_iter().map(|name| (name, Setting::Absent));
    let change = ServerChange {
        name: set.new_name,
        url: set.url,
        issuer: setting(set.issuer, set.no_issuer),
        client_id: setting(set.client_id, set.no_client_id),
        client_secret,
        scopes: (set.no_scope || !set.scope.is_empty()).then_some(set.scope),
        parameters: given.chain(gone).collect(),
        scope_parameter: setting(set.scope_parameter, set.no_scope_parameter),
        headers: lines.headers(set.header)?,
        no_headers: set.no_header,
        allow_guessed_endpoints: (set.allow_legacy || set.no_allow_legacy)
            .then_some(set.allow_legacy),
        may_sign_out: set.sign_out,
    };
    let request = Request::Edit { name: set.name, change: Box::new(change) };
    let told = ask_at(Link::open_probing().await?, request).await?;
    ended(&told)?;
    let Edit { server, is_renamed, ends_sign_in, .. } = parsed(told)?;
    let name = &server.name;
    say::line(format_args!("{name} is changed."));
    if is_renamed {
        say::line("Programs that use it by its address have to be given the new one:");
        say::line(format_args!("  {}", server.address));
    }
    match server.state {
        Kind::SignedOut if ends_sign_in => {
            say::line(format_args!("It is signed out. Sign in with: keyfob connect {name}"));
        }
        Kind::Ready | Kind::Refreshing | Kind::NeedsScope if counts_later => {
            say::line(format_args!("This counts from the next sign-in on: keyfob connect {name}"));
        }
        _ => {}
    }
    Ok(0)
}

fn setting(value: Option<String>, is_absent: bool) -> Setting<String> {
    match value {
        Some(value) => Setting::Is(value),
        None if is_absent => Setting::Absent,
        None => Setting::Same,
    }
}
