//! The metadata documents: RFC 8414 and OpenID Connect Discovery.

use serde_json::{Map, Value, json};

use super::switches::{Cimd, CimdFlag, Dcr, Documents, Iss, Par, Refresh, Switches};
use super::{Authority, path_of};
use crate::call::{Answer, Call};

enum Format {
    Rfc8414,
    Oidc,
    OidcBeforePath,
}

/// Where the documents of an issuer are. RFC 8414 section 3.1 inserts before the path, OpenID
/// Connect Discovery section 4 appends to it, and MCP knows it before the path as well.
pub(super) fn is_document(issuer: &str, path: &str) -> bool {
    format_of(issuer, path).is_some()
}

fn format_of(issuer: &str, path: &str) -> Option<Format> {
    let own = path_of(issuer);
    if path == format!("/.well-known/oauth-authorization-server{own}") {
        Some(Format::Rfc8414)
    } else if path == format!("{own}/.well-known/openid-configuration") {
        Some(Format::Oidc)
    } else if path == format!("/.well-known/openid-configuration{own}") {
        Some(Format::OidcBeforePath)
    } else {
        None
    }
}

pub(super) fn document(authority: &Authority, call: &Call) -> Answer {
    let switches = authority.switches();
    let found = match (format_of(&authority.issuer, &call.path), switches.documents) {
        (Some(Format::Rfc8414), Documents::Both | Documents::Rfc8414Only) => {
            Some((build(authority, &switches, &Format::Rfc8414), &switches.rfc8414_oddity))
        }
        (Some(Format::Oidc), Documents::Both | Documents::OidcOnly) => {
            Some((build(authority, &switches, &Format::Oidc), &switches.oidc_oddity))
        }
        (Some(Format::OidcBeforePath), Documents::OidcBeforePath) => {
            Some((build(authority, &switches, &Format::Oidc), &switches.oidc_oddity))
        }
        _ => None,
    };
    match found {
        Some((document, Some(oddity))) => oddity.answer(&document),
        Some((document, None)) => {
            Answer::new(200, "application/json", Value::Object(document).to_string(), "metadata")
        }
        None => Answer::json(404, &json!({"error": "not_found"}), "no such document"),
    }
}

fn build(authority: &Authority, switches: &Switches, format: &Format) -> Map<String, Value> {
    let at = |name: &str| format!("{}/oauth/{name}", authority.origin);
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
    put("issuer", json!(switches.claimed_issuer.as_ref().unwrap_or(&authority.issuer)));
    put("authorization_endpoint", json!(at("authorize")));
    put("token_endpoint", json!(at("token")));
    put("revocation_endpoint", json!(at("revoke")));
    put("response_types_supported", json!(["code"]));
    put("response_modes_supported", json!(["query"]));
    let mut grants = vec!["authorization_code", "client_credentials"];
    if switches.refresh != Refresh::Never {
        grants.push("refresh_token");
    }
    put("grant_types_supported", json!(grants));
    if let Some(methods) = &switches.auth_methods {
        put("token_endpoint_auth_methods_supported", json!(methods));
        put("revocation_endpoint_auth_methods_supported", json!(methods));
    }
    if switches.advertises_s256 {
        put("code_challenge_methods_supported", json!(["S256"]));
    }
    if switches.dcr != Dcr::Off {
        put("registration_endpoint", json!(at("register")));
    }
    if !switches.scopes_supported.is_empty() {
        put("scopes_supported", json!(switches.scopes_supported));
    }
    match switches.par {
        Par::Off => {}
        Par::Offered | Par::Required => {
            put("pushed_authorization_request_endpoint", json!(at("par")));
            put("require_pushed_authorization_requests", json!(switches.par == Par::Required));
        }
    }
    match switches.iss {
        Iss::On | Iss::Wrong | Iss::Missing => {
            put("authorization_response_iss_parameter_supported", json!(true));
        }
        Iss::Off | Iss::Unadvertised => {}
    }
    if let Some(flag) = flag(switches, format) {
        put("client_id_metadata_document_supported", flag);
    }
    if !matches!(format, Format::Rfc8414) {
        put("jwks_uri", json!(at("jwks")));
        put("subject_types_supported", json!(["public"]));
        put("id_token_signing_alg_values_supported", json!(["RS256"]));
    }
    let replaced = match format {
        Format::Rfc8414 => &switches.rfc8414_fields,
        Format::Oidc | Format::OidcBeforePath => &switches.oidc_fields,
    };
    replace(&mut document, replaced);
    document
}

/// Puts these fields in; null takes one out.
pub(super) fn replace(document: &mut Map<String, Value>, fields: &Map<String, Value>) {
    for (name, value) in fields {
        if value.is_null() {
            document.remove(name);
        } else {
            document.insert(name.clone(), value.clone());
        }
    }
}

fn flag(switches: &Switches, format: &Format) -> Option<Value> {
    if switches.cimd == Cimd::Off {
        return None;
    }
    match (&switches.cimd_flag, format) {
        (CimdFlag::Everywhere, _)
        | (CimdFlag::OidcOnly, Format::Oidc | Format::OidcBeforePath)
        | (CimdFlag::Rfc8414Only, Format::Rfc8414) => Some(json!(true)),
        (CimdFlag::OidcOnly, Format::Rfc8414)
        | (CimdFlag::Rfc8414Only, Format::Oidc | Format::OidcBeforePath) => None,
        (CimdFlag::Value(value), _) => Some(value.clone()),
    }
}
