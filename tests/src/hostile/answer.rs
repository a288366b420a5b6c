//! What each request would be answered with by a server that means well.

use serde_json::{Value, json};

use super::wire::Request;
use super::{Dice, World};

/// An answer before it is written.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// What was asked for, in a word.
    pub(super) place: &'static str,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    /// The body, where it is JSON.
    pub(super) json: Option<Value>,
}

impl Answer {
    fn new(place: &'static str, status: u16, media_type: &str, body: &str) -> Self {
        let headers = vec![("content-type".to_owned(), media_type.as_bytes().to_vec())];
        Self { place, status, headers, body: body.as_bytes().to_vec(), json: None }
    }

    fn json(place: &'static str, status: u16, json: Value) -> Self {
        let text = json.to_string();
        Self { json: Some(json), ..Self::new(place, status, "application/json", &text) }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    /// The value of a header, to be changed.
    pub(super) fn header(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        self.headers.iter_mut().find(|(n, _)| n == name).map(|(_, value)| value)
    }
}

pub(super) fn of(request: &Request, world: &World, dice: &mut Dice) -> Answer {
    match request.path.as_str() {
        "/mcp" if request.is_authorized => mcp(request, dice),
        "/mcp" => challenge(world, dice),
        "/register" => register(request, world, dice),
        "/authorize" => authorize(request, world),
        "/consent" => consent(request, world),
        "/par" => pushed(request, world),
        "/token" => token(dice),
        "/revoke" => Answer::new("revoke", 200, "text/plain", ""),
        path if path.contains("oauth-protected-resource") => resource(world, dice),
        path if path.contains("oauth-authorization-server") => metadata("metadata", world, dice),
        path if path.contains("openid-configuration") => metadata("openid", world, dice),
        _ => Answer::new("elsewhere", 404, "text/plain", "nothing here"),
    }
}

fn challenge(world: &World, dice: &mut Dice) -> Answer {
    let named =
        format!("resource_metadata=\"{}\"", world.at("/.well-known/oauth-protected-resource/mcp"));
    let value = dice.pick(&[
        format!("Bearer {named}"),
        format!("Bearer {named}"),
        format!("Bearer realm=\"x\", {named}, scope=\"a b\""),
        "Bearer".to_owned(),
    ]);
    Answer::json("challenge", 401, json!({"error": "invalid_token"}))
        .with("www-authenticate", &value)
}

fn resource(world: &World, dice: &mut Dice) -> Answer {
    let scopes = dice.pick(&[Value::Null, json!(["a", "b"]), json!(["a", "offline_access"])]);
    let document = json!({
        "resource": world.at("/mcp"),
        "resource_name": "A server",
        "authorization_servers": [world.origin],
        "scopes_supported": scopes,
        "bearer_methods_supported": ["header"],
    });
    Answer::json("resource", 200, document)
}

fn metadata(place: &'static str, world: &World, dice: &mut Dice) -> Answer {
    let document = json!({
        "issuer": world.origin,
        "authorization_endpoint": world.at("/authorize"),
        "token_endpoint": world.at("/token"),
        "registration_endpoint": world.at("/register"),
        "revocation_endpoint": world.at("/revoke"),
        "pushed_authorization_request_endpoint":
            dice.pick(&[Value::Null, json!(world.at("/par"))]),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported":
            dice.pick(&[json!(["none"]), json!(["client_secret_basic", "client_secret_post"])]),
        "scopes_supported": ["a", "b", "offline_access"],
        "client_id_metadata_document_supported": dice.pick(&[false, false, true]),
        "authorization_response_iss_parameter_supported": true,
        "dpop_signing_alg_values_supported": dice.pick(&[Value::Null, json!(["ES256"])]),
    });
    Answer::json(place, 200, document)
}

fn register(request: &Request, world: &World, dice: &mut Dice) -> Answer {
    let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let mut client = json!({
        "client_id": "client-1",
        "client_id_issued_at": 1,
        "redirect_uris": asked["redirect_uris"],
        "grant_types": asked["grant_types"],
        "response_types": ["code"],
        "token_endpoint_auth_method": asked["token_endpoint_auth_method"],
    });
    if dice.is_in(50) {
        client["client_secret"] = json!("client-secret");
        client["client_secret_expires_at"] = json!(0);
        client["registration_client_uri"] = json!(world.at("/register/client-1"));
        client["registration_access_token"] = json!("management");
    }
    Answer::json("register", 201, client)
}

/// Keeps the parameters for the authorization endpoint (RFC 9126).
fn pushed(request: &Request, world: &World) -> Answer {
    let form = String::from_utf8_lossy(&request.body).into_owned();
    *world.pushed.lock().expect("pushed") = Some(form);
    Answer::json("par", 201, json!({"request_uri": "urn:pushed", "expires_in": 60}))
}

/// A page with a button, which sends everything on to the consent endpoint.
fn authorize(request: &Request, world: &World) -> Answer {
    let pushed = world.pushed.lock().expect("pushed").clone();
    let query = match pushed.filter(|_| request.query.contains("request_uri=")) {
        Some(pushed) => crate::call::escape(&pushed),
        None => crate::call::escape(&request.query),
    };
    let page = format!(
        "<!doctype html><form method=\"post\" action=\"{}?{query}\">\
         <button name=\"decision\" value=\"allow\">Allow</button></form>",
        world.at("/consent")
    );
    Answer::new("authorize", 200, "text/html; charset=utf-8", &page)
}

fn consent(request: &Request, world: &World) -> Answer {
    let query = crate::call::decode_pairs(request.query.as_bytes());
    let get = |name: &str| crate::call::param(&query, name).unwrap_or_default().to_owned();
    let pairs = [("code", "code"), ("state", &get("state")), ("iss", &world.origin)];
    let to = crate::call::with_query(&get("redirect_uri"), pairs);
    Answer::new("consent", 302, "text/plain", "").with("location", &to)
}

fn token(dice: &mut Dice) -> Answer {
    let granted = json!({
        "access_token": "access-token",
        "token_type": dice.pick(&["Bearer", "bearer"]),
        "expires_in": dice.pick(&[json!(3600), json!("60"), Value::Null]),
        "refresh_token": "refresh-token",
        "scope": "a b",
    });
    Answer::json("token", 200, granted)
}

fn mcp(request: &Request, dice: &mut Dice) -> Answer {
    let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let Some(id) = asked.get("id").cloned() else {
        return Answer::new("notification", 202, "text/plain", "");
    };
    let method = asked["method"].as_str().unwrap_or_default();
    let result = match method {
        "initialize" => json!({
            "protocolVersion": asked["params"]["protocolVersion"],
            "capabilities": {"tools": {"listChanged": true}},
            "serverInfo": {"name": "A server", "version": "1"},
        }),
        "tools/list" => json!({
            "tools": [{"name": "one", "description": "A tool", "inputSchema": {"type": "object"}}],
        }),
        _ => json!({}),
    };
    let body = json!({"jsonrpc": "2.0", "id": id, "result": result});
    if dice.is_in(60) {
        return Answer::json("mcp", 200, body);
    }
    let event = format!("event: message\ndata: {body}\n\n");
    Answer::new("mcp stream", 200, "text/event-stream", &event)
}
