//! What stands between a good authorization request and the redirect: login and consent.

use super::Authority;
use super::authorize::{deny, grant};
use super::grants::Request;
use super::switches::Consent;
use crate::call::{Answer, Call, escape, param};
use crate::random::secret;

const COOKIE: &str = "sid";

pub(super) fn ask(authority: &Authority, request: Request) -> Answer {
    let consent = authority.switches().consent;
    match consent {
        Consent::Auto => grant(authority, request),
        Consent::Deny => deny(authority, &request),
        Consent::Login => {
            let id = remember(authority, request);
            let to = format!("/oauth/login?transaction={id}");
            Answer::redirect(&to, "to the login step").with("set-cookie", &cookie(&id))
        }
        Consent::Page => {
            let text = format!(
                "{} ({}) asks for access as {}. Scopes: {}.",
                request.client.name,
                request.client.id,
                "alice",
                request.scope.join(" ")
            );
            let id = remember(authority, request);
            form(&id, &text).with("set-cookie", &cookie(&id))
        }
    }
}

fn remember(authority: &Authority, request: Request) -> String {
    let id = secret("");
    authority.store.lock().expect("store").transactions.insert(id.clone(), request);
    id
}

fn cookie(id: &str) -> String {
    format!("{COOKIE}={id}; Path=/oauth; HttpOnly; SameSite=Lax")
}

fn form(id: &str, text: &str) -> Answer {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><title>Allow access?</title></head><body>\
         <h1>Allow access?</h1><p>{}</p>\
         <form method=\"post\" action=\"/oauth/consent\">\
         <input type=\"hidden\" name=\"transaction\" value=\"{id}\">\
         <button name=\"decision\" value=\"allow\">Allow</button> \
         <button name=\"decision\" value=\"deny\">Deny</button>\
         </form></body></html>\n",
        escape(text)
    );
    Answer::new(200, "text/html; charset=utf-8", html, "consent page")
        .with("cache-control", "no-store")
}

pub(super) fn login(authority: &Authority, call: &Call) -> Answer {
    match taken(authority, call, param(&call.query, "transaction")) {
        Ok(request) => grant(authority, request),
        Err(answer) => answer,
    }
}

pub(super) fn decide(authority: &Authority, call: &Call) -> Answer {
    let form = call.form();
    match taken(authority, call, param(&form, "transaction")) {
        Err(answer) => answer,
        Ok(request) => match param(&form, "decision") {
            Some("allow") => grant(authority, request),
            Some("deny") => deny(authority, &request),
            _ => Answer::page(400, "What now?", "Neither allowed nor denied.", "no decision"),
        },
    }
}

/// The request behind a form or link, once, and only for the browser that was given it.
fn taken(authority: &Authority, call: &Call, id: Option<&str>) -> Result<Request, Answer> {
    let id = id.unwrap_or_default();
    let own = format!("{COOKIE}={id}");
    let cookies = call.header("cookie").unwrap_or_default();
    if !cookies.split(';').any(|c| c.trim() == own) {
        let text = "This browser did not start the sign-in.";
        return Err(Answer::page(400, "Cookie missing", text, "no session cookie"));
    }
    let found = authority.store.lock().expect("store").transactions.remove(id);
    found.ok_or_else(|| Answer::page(400, "Over", "This sign-in is over.", "no such transaction"))
}
