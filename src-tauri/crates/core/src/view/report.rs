//! A report of one server for whoever is asked for help. It is made of what the window shows, so it
//! holds no secret.

use std::fmt::Write;

use keyfob_auth::text::Shown;

use super::page::Details;

/// The report, as text.
pub fn report(details: &Details) -> String {
    let row = &details.row;
    let mut text = format!("Keyfob {}\n", env!("CARGO_PKG_VERSION"));
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name}: {value}");
        }
    };
    line("server", &keyfob_auth::text::without_query(&row.url));
    line("state", &row.text);
    if let Some(problem) = &row.problem {
        line("problem", &format!("{} {} ({})", problem.message, problem.remedy, code(problem)));
    }
    if let Some(registration) = &details.registration {
        line("registration", registration.kind.as_str());
        line("reason", &registration.reason.text);
        line("client id", &registration.client_id);
        line("issuer", &registration.issuer);
        line("redirect address", &registration.redirect_uri);
        line("registered", &registration.registered_at);
    }
    line("scopes", &join(&details.scopes));
    line("ends", details.expires_at.as_deref().unwrap_or_default());
    text.push_str("steps:\n");
    for step in &details.trace {
        let _ = write!(text, "  {} {}", step.at, json(&step.step));
        let parts = [&step.target, &Some(step.result.clone()), &step.decision, &step.reason];
        for part in parts.into_iter().flatten() {
            let _ = write!(text, " · {part}");
        }
        if let Some(ms) = step.ms {
            let _ = write!(text, " · {ms} ms");
        }
        text.push('\n');
    }
    text
}

fn join(scopes: &[Shown]) -> String {
    scopes.iter().map(Shown::as_str).collect::<Vec<_>>().join(" ")
}

fn code(problem: &crate::problem::Problem) -> String {
    json(&problem.code)
}

fn json(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}
