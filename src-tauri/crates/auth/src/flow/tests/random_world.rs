//! A world that answers at random, and people who do anything. Every choice is read off a tape
//! of bytes. A zero always chooses the first, which is the good one, so that a failing case
//! shrinks towards a plain sign-in.

use std::collections::{HashMap, HashSet};

use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};

use super::world::{
    Answer, DOCUMENT, ISSUER, NOW, ORIGIN, PATH_FORM, REDIRECT, ROOT_FORM, SERVER, challenged,
    earlier, list, page, plain, plan, redirect, reply, silence, typed,
};
use crate::challenge::Challenge;
use crate::flow::{OwnClient, Plan, ResourceForm};
use crate::registration::{AuthMethod, Refusal, Registration};
use crate::secret::Secret;
use crate::wire::Request;

/// In every value that must stay secret.
pub(super) const MARKER: &str = "MARKER";
/// Whose documents lie, and who must never be asked anything.
pub(super) const EVIL: &str = "https://evil.test";
const TENANT: &str = "https://other.test/tenant";
const NAMED: &str = "https://mcp.test/custom/metadata.json";

#[derive(Debug)]
pub(super) struct Tape {
    bytes: Vec<u8>,
    at: usize,
    /// Where each topic is read from, where the world is a stubborn one.
    habits: Option<HashMap<String, usize>>,
}

impl Tape {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let mut tape = Self { bytes, at: 0, habits: None };
        tape.habits = tape.choose(&[None, Some(HashMap::new())]);
        tape
    }

    pub(super) fn is_stubborn(&self) -> bool {
        self.habits.is_some()
    }

    /// A stubborn world chooses the same whenever it comes to the same topic: whoever says the
    /// same no for ever must not make a sign-in go on for ever.
    pub(super) fn turn_to(&mut self, topic: &str) {
        if let Some(habits) = &mut self.habits {
            self.at = *habits.entry(topic.to_owned()).or_insert(self.at);
        }
    }

    pub(super) fn choose<T: Clone>(&mut self, choices: &[T]) -> T {
        let byte = self.bytes.get(self.at % self.bytes.len().max(1)).copied().unwrap_or(0);
        self.at += 1;
        choices[usize::from(byte) % choices.len()].clone()
    }
}

/// A document as it was served: what must hold from then on for whoever is sent to its sign-in
/// page.
#[derive(Clone, Debug)]
pub(super) struct Served {
    /// `None` where the endpoints are guessed.
    pub(super) issuer: Option<String>,
    pub(super) token_endpoint: String,
}

#[derive(Debug)]
pub(super) struct RandomWorld {
    pub(super) tape: Tape,
    /// By the sign-in page.
    pub(super) served: HashMap<String, Served>,
    /// Issuers that have promised `iss`.
    pub(super) promised: HashSet<String>,
}

impl RandomWorld {
    pub(super) fn new(tape: Tape) -> Self {
        let guessed = Served { issuer: None, token_endpoint: format!("{ORIGIN}/token") };
        let served = [(format!("{ORIGIN}/authorize"), guessed)].into();
        Self { tape, served, promised: HashSet::new() }
    }

    pub(super) fn plan(&mut self) -> Plan {
        let tape = &mut self.tape;
        let hint = |text: &str| Challenge { realm: Some(text.into()), ..Challenge::default() };
        let named = Challenge { resource_metadata: Some(NAMED.into()), ..Challenge::default() };
        let scoped = Challenge { scope: Some("a b".into()), ..Challenge::default() };
        let challenge = tape.choose(&[
            Some(Challenge::default()),
            Some(named),
            None,
            Some(hint(TENANT)),
            Some(hint("staff only")),
            Some(scoped),
        ]);
        let own = |secret: Option<&str>| OwnClient {
            client_id: "own".into(),
            secret: secret.map(Secret::new),
            // The one with a secret has signed in before.
            issuer: secret.map(|_| ISSUER.into()),
        };
        let held = Registration {
            issuer: TENANT.into(),
            secret: Some(Secret::new("held-secret-MARKER")),
            auth_method: AuthMethod::ClientSecretBasic,
            ..earlier()
        };
        let refusal = Refusal {
            issuer: ISSUER.into(),
            document: DOCUMENT.into(),
            at: NOW,
            said: "invalid_client".into(),
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-key", HeaderValue::from_static("header-MARKER"));
        let base = challenged(Challenge::default());
        let document = base.document.clone();
        let secret = own(Some("own-secret-MARKER"));
        Plan {
            challenge,
            headers,
            issuer: tape.choose(&[None, None, None, None, Some(ISSUER.into())]),
            chosen_issuer: tape.choose(&[None, None, Some(TENANT.into())]),
            own_client: tape.choose(&[None, None, None, None, Some(own(None)), Some(secret)]),
            scopes: tape.choose(&[list(""), list("mine"), list("mine offline_access")]),
            had_scopes: tape.choose(&[list(""), list("had offline_access")]),
            had_at: tape.choose(&[Some(ISSUER.into()), Some(TENANT.into())]),
            document: tape.choose(&[document.clone(), document, None]),
            refusals: tape.choose(&[vec![], vec![], vec![refusal]]),
            accepted_by: tape.choose(&[vec![], vec![ISSUER.into(), TENANT.into()]]),
            registrations: tape.choose(&[
                vec![],
                vec![earlier()],
                vec![held.clone()],
                vec![held, earlier()],
            ]),
            resource_forms: tape.choose(&[
                vec![],
                vec![],
                vec![(ISSUER.into(), ResourceForm::WithoutSlash)],
                vec![(ISSUER.into(), ResourceForm::Absent)],
            ]),
            by_name_at: tape.choose(&[vec![], vec![], vec![TENANT.into()]]),
            allow_guessed_endpoints: tape.choose(&[true, false]),
            allow_unadvertised_pkce: tape.choose(&[true, false]),
            ..plan()
        }
    }

    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        let url = plain(&request.url).to_owned();
        self.tape.turn_to(&url);
        match url.as_str() {
            SERVER => self.server(),
            NAMED | PATH_FORM | ROOT_FORM => self.resource(&url),
            _ if url.contains("/.well-known/") => self.metadata(&url),
            _ if url.ends_with("/register") => self.registration(),
            _ if url.ends_with("/authorize") => self.sign_in_page(),
            _ if url.ends_with("/par") => self.pushed(),
            _ if url.ends_with("/token") => self.tokens(),
            _ => page(404),
        }
    }

    fn server(&mut self) -> Answer {
        let challenge = |status, value: &'static str| {
            let mut response = page(status)?;
            response.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(value));
            Ok(response)
        };
        self.tape.choose(&[
            challenge(401, "Bearer"),
            challenge(401, r#"Bearer resource_metadata="https://mcp.test/custom/metadata.json""#),
            page(401),
            challenge(403, r#"Bearer error="insufficient_scope", scope="more""#),
            reply(200, json!({"jsonrpc": "2.0", "id": 1, "result": {}})),
            page(200),
            page(503),
            silence(),
        ])
    }

    fn resource(&mut self, url: &str) -> Answer {
        let issuers = self.tape.choose(&[
            json!([ISSUER]),
            json!([TENANT]),
            json!([ISSUER, TENANT]),
            json!(["http://plain.test", TENANT, ISSUER]),
            json!([]),
        ]);
        let scopes = self.tape.choose(&[Value::Null, json!(["r1", "r2"])]);
        let about = |resource: &str, issuers: &Value| {
            reply(
                200,
                json!({
                    "resource": resource,
                    "authorization_servers": issuers,
                    "scopes_supported": scopes,
                }),
            )
        };
        let good = about(if url == ROOT_FORM { ORIGIN } else { SERVER }, &issuers);
        let evil = about("https://evil.test/public/mcp", &json!([EVIL]));
        let choices = [good.clone(), good.clone(), good, about(ORIGIN, &issuers), page(404)];
        let bad = [page(404), page(502), page(200), page(500), silence(), evil];
        self.tape.choose(&[&choices[..], &choices, &bad].concat())
    }

    fn metadata(&mut self, url: &str) -> Answer {
        let issuer = [ISSUER, TENANT, ORIGIN].into_iter().find(|issuer| {
            crate::well_known::authorization_server(issuer).iter().any(|(_, place)| place == url)
        });
        let Some(issuer) = issuer else { return page(404) };
        let form = if url.contains("openid") { "openid" } else { "oauth" };
        let kinds = ["good", "good", "good", "good", "good", "slash", "evil", "lame"];
        let bad = ["not found", "not found", "page", "trouble", "silence"];
        let kind = self.tape.choose(&[&kinds[..], &bad].concat());
        match kind {
            "not found" => return page(404),
            "page" => return page(200),
            "trouble" => return page(503),
            "silence" => return silence(),
            _ => {}
        }
        let named = match kind {
            "slash" => format!("{issuer}/"),
            "evil" => EVIL.to_owned(),
            _ => issuer.to_owned(),
        };
        let place = if kind == "evil" { EVIL } else { issuer };
        let token_endpoint = format!("{place}/{form}/tokens.d/token");
        let sign_in_page = format!("{place}/{form}/authorize");
        let tape = &mut self.tape;
        let promises = tape.choose(&[true, false]);
        let document = json!({
            "issuer": named,
            "authorization_endpoint": sign_in_page,
            "token_endpoint": if kind == "lame" { Value::Null } else { json!(token_endpoint) },
            "registration_endpoint":
                tape.choose(&[json!(format!("{place}/{form}/register")), Value::Null]),
            "revocation_endpoint": tape.choose(&[json!(format!("{place}/revoke")), Value::Null]),
            "code_challenge_methods_supported":
                tape.choose(&[json!(["S256"]), json!(["S256"]), json!(["S256"]), Value::Null]),
            "token_endpoint_auth_methods_supported":
                tape.choose(&[json!(["none"]), Value::Null, json!(["client_secret_post"])]),
            "client_id_metadata_document_supported": tape.choose(&[true, true, false]),
            "authorization_response_iss_parameter_supported": promises,
            "require_pushed_authorization_requests": tape.choose(&[false, false, true]),
            "pushed_authorization_request_endpoint":
                tape.choose(&[json!(format!("{place}/{form}/par")), Value::Null]),
            "scopes_supported": tape.choose(&[Value::Null, json!(["a", "offline_access"])]),
        });
        if !matches!(kind, "evil" | "lame") {
            let issuer = Some(named.clone());
            self.served.insert(sign_in_page, Served { issuer, token_endpoint });
            if promises {
                self.promised.insert(named);
            }
        }
        reply(200, document)
    }

    fn registration(&mut self) -> Answer {
        let made = reply(201, json!({"client_id": "registered"}));
        let secret = reply(
            201,
            json!({
                "client_id": "registered",
                "client_secret": "client-secret-MARKER",
                "registration_client_uri": "https://as.test/manage",
                "registration_access_token": "management-MARKER",
            }),
        );
        let elsewhere =
            reply(201, json!({"client_id": "registered", "redirect_uris": ["https://evil.test"]}));
        let refused = |error: &str| reply(400, json!({"error": error}));
        self.tape.choose(&[
            made.clone(),
            made,
            secret.clone(),
            secret,
            refused("invalid_client_metadata"),
            page(403),
            refused("invalid_redirect_uri"),
            page(429),
            silence(),
            elsewhere,
        ])
    }

    fn sign_in_page(&mut self) -> Answer {
        let back = |query: &str| redirect(&format!("{REDIRECT}?{query}"));
        self.tape.choose(&[
            page(200),
            page(200),
            redirect("https://as.test/login"),
            back("code=preflight-CODE-MARKER&state=x"),
            back("error=invalid_client&state=x"),
            back("error=unauthorized_client&state=x"),
            back("error=invalid_scope&state=x"),
            page(400),
            page(400),
            page(500),
            silence(),
        ])
    }

    fn pushed(&mut self) -> Answer {
        let accepted = reply(201, json!({"request_uri": "urn:pushed"}));
        let refused = |error: &str| reply(400, json!({"error": error}));
        self.tape.choose(&[
            accepted.clone(),
            accepted.clone(),
            accepted,
            refused("invalid_client"),
            refused("invalid_target"),
            refused("invalid_scope"),
            refused("invalid_request"),
            page(201),
            page(500),
            silence(),
        ])
    }

    fn tokens(&mut self) -> Answer {
        let granted = reply(
            200,
            json!({
                "access_token": "access-MARKER",
                "refresh_token": "refresh-MARKER",
                "id_token": "head.e30.signature-MARKER",
                "expires_in": 60,
            }),
        );
        let said = "the code the-CODE-MARKER is spent";
        let refused = |error: &str| reply(400, json!({"error": error, "error_description": said}));
        self.tape.choose(&[
            granted.clone(),
            granted.clone(),
            granted,
            refused("invalid_client"),
            refused("unauthorized_client"),
            refused("invalid_grant"),
            refused("invalid_target"),
            refused("invalid_scope"),
            reply(200, json!({"access_token": "access-MARKER", "token_type": "mac"})),
            typed(200, "text/plain", "access-MARKER"),
            page(500),
            silence(),
        ])
    }
}
