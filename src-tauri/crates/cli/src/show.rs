//! Servers, traces and tools for people.

use keyfob_core::auth::registration::RegistrationKind;
use keyfob_core::auth::text::{Shown, Untrusted};
use keyfob_core::view::{Level, ServerView, TraceView};
use serde_json::Value;

use crate::say;

pub(crate) fn list(servers: &[ServerView]) {
    if servers.is_empty() {
        say::line("No servers yet. Add one with: keyfob add URL");
        return;
    }
    let widest = |pick: fn(&ServerView) -> usize| servers.iter().map(pick).max().unwrap_or(0);
    let name = widest(|server| server.name.chars().count());
    let text = widest(|server| server.text.chars().count());
    for server in servers {
        say::line(format_args!(
            "{} {:name$}  {:text$}  {:10}  {}",
            mark(server.level),
            server.name,
            server.text,
            badge(server),
            server.url
        ));
    }
}

pub(crate) fn server(server: &ServerView) {
    say::line(format_args!("{} {}  {}", mark(server.level), server.name, server.text));
    let row = |what: &str, said: &str| say::line(format_args!("  {what:14} {said}"));
    row("server", &server.url);
    row("local address", &server.address);
    if let Some(account) = &server.account {
        row("account", account);
    }
    if !server.scopes.is_empty() {
        let scopes: Vec<_> = server.scopes.iter().map(Shown::as_str).collect();
        row("scopes", &scopes.join(" "));
    }
    if let Some(end) = &server.expires_at {
        row("access until", end);
    }
    if let Some(registration) = &server.registration {
        row("registration", badge(server));
        row("", &registration.reason.text);
        row("client id", &registration.client_id);
        row("issuer", &registration.issuer);
        row("redirect URI", &registration.redirect_uri);
        row("since", &registration.registered_at);
    }
}

pub(crate) fn trace(lines: &[TraceView]) {
    if lines.is_empty() {
        say::line("Nothing yet: this server has not been signed in to.");
    }
    for line in lines {
        say::line(step(line));
    }
}

pub(crate) fn step(line: &TraceView) -> String {
    let step = serde_json::to_value(line.step).ok();
    let step = step.as_ref().and_then(Value::as_str).unwrap_or_default();
    let mut text =
        format!("{}  {step:17} {}", line.at.get(11..19).unwrap_or_default(), line.result);
    if let Some(ms) = line.ms {
        text.push_str(&format!(" ({ms} ms)"));
    }
    if let Some(target) = &line.target {
        text.push_str(&format!("  {target}"));
    }
    if let Some(decision) = &line.decision {
        text.push_str(&format!("  → {decision}"));
    }
    if let Some(reason) = &line.reason {
        text.push_str(&format!(" ({reason})"));
    }
    text
}

pub(crate) fn tools(tools: &[Value]) {
    for tool in tools {
        let text = |name: &str| tool.get(name).and_then(Value::as_str).unwrap_or_default();
        let first = text("description").lines().next().unwrap_or_default();
        let (name, first) = (Shown::quotation(text("name")), Shown::quotation(first));
        say::line(format_args!("{name:24} {first}"));
    }
}

/// The text of a tool's result; what is not text is named.
pub(crate) fn result(result: &Value) {
    let content = result.get("content").and_then(Value::as_array);
    for part in content.map(Vec::as_slice).unwrap_or_default() {
        match part.get("text").and_then(Value::as_str) {
            Some(text) => say::said(&Untrusted::new(text)),
            None => {
                let kind = part.get("type").and_then(Value::as_str).unwrap_or("unknown");
                say::line(format_args!("[{}; see it with --json]", Shown::quotation(kind)));
            }
        }
    }
}

fn mark(level: Level) -> char {
    match level {
        Level::Grey => '○',
        Level::Green => '●',
        Level::Amber => '▲',
        Level::Red => '✗',
    }
}

fn badge(server: &ServerView) -> &'static str {
    match server.registration.as_ref().map(|registration| registration.kind) {
        Some(RegistrationKind::Cimd) => "CIMD",
        Some(RegistrationKind::Dcr) => "DCR",
        Some(RegistrationKind::PreRegistered) => "Own client",
        None if server.state == keyfob_core::server::Kind::Open => "No sign-in",
        None => "–",
    }
}
