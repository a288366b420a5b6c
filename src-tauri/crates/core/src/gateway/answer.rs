//! Answers of our own: JSON-RPC errors for clients, pages for people.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::callbacks::PageNews;
use crate::problem::{Code, Problem};

/// What went wrong while a body was copied.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of every answer.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// An answer.
pub type Response = http::Response<Body>;

/// A body that is all there.
pub fn full(content: impl Into<Bytes>) -> Body {
    Full::new(content.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A status and nothing else.
pub fn bare(status: StatusCode) -> Response {
    let mut response = http::Response::new(full(Bytes::new()));
    *response.status_mut() = status;
    confine(response.headers_mut());
    response
}

/// What an answer that is meant for programs says to a browser, should one ever get it: it is no
/// page (Content Security Policy Level 3, section 6.3.2), nothing but what its type says it is, and
/// for nobody else's page (Fetch, section 3.7).
pub fn confine(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

/// What a JSON-RPC request says about itself, as far as an error answer needs it.
#[derive(Default, Deserialize)]
pub struct Envelope<'a> {
    /// The id, as it stands.
    #[serde(borrow, default)]
    pub id: Option<&'a RawValue>,
    /// The method.
    #[serde(borrow, default)]
    pub method: Option<std::borrow::Cow<'a, str>>,
}

impl<'a> Envelope<'a> {
    /// Reads it; anything else than a single message has neither.
    pub fn read(body: &'a [u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }
}

/// JSON-RPC error code of our own answers. It lies outside the range that MCP reserves (-32020 to
/// -32099), so that no client reads it as a sign of an era.
const ERROR_CODE: i32 = -32001;

/// Says a problem to a client. It never looks like an era signal or an OAuth invitation: a tool
/// call that waits for its person gets a JSON-RPC error, everything else 502, 503 or 504.
pub fn trouble(problem: &Problem, request_body: &[u8]) -> Response {
    let envelope = Envelope::read(request_body);
    let is_call = envelope.method.as_deref() == Some("tools/call");
    let status = match problem.code {
        Code::SignInNeeded | Code::GrantExpired | Code::ScopeNeeded if is_call => StatusCode::OK,
        Code::Unreachable | Code::TlsUntrusted => StatusCode::BAD_GATEWAY,
        Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = json_rpc_error(status, problem, envelope.id);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("15"));
    }
    response
}

/// Refuses a caller. Never 401: that would send the client off to sign in by itself.
pub fn forbidden(said: &str) -> Response {
    refused(&Problem::new(Code::Usage).with("cause", said))
}

/// Refuses a caller for a reason that has a way out.
pub fn refused(problem: &Problem) -> Response {
    json_rpc_error(StatusCode::FORBIDDEN, problem, None)
}

fn json_rpc_error(status: StatusCode, problem: &Problem, id: Option<&RawValue>) -> Response {
    let body = json!({
        "jsonrpc": "2.0",
        "id": id,
        "error": {
            "code": ERROR_CODE,
            "message": problem.to_string(),
            "data": { "code": problem.code, "remedy": problem.remedy, "params": problem.params },
        },
    });
    let mut response = http::Response::new(full(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(OWN_MARK, HeaderValue::from_static("1"));
    confine(headers);
    response
}

/// Marks an answer as the gateway's own: a server's is passed on without it.
pub const OWN_MARK: &str = "keyfob-problem";

/// Sends the browser on.
pub fn see(status: StatusCode, location: &str) -> Response {
    let mut response = bare(status);
    match HeaderValue::from_str(location) {
        Ok(location) => {
            response.headers_mut().insert(header::LOCATION, location);
            for_browsers(&mut response);
            response
        }
        Err(_) => bare(StatusCode::NOT_FOUND),
    }
}

/// The page after the browser came back.
pub fn page(server: &str, news: &PageNews) -> Response {
    let (title, text) = match news {
        PageNews::Working => {
            (format!("Signing in to {server} …"), "Keyfob is finishing. You can close this tab.".to_owned())
        }
        PageNews::AnotherWay => (
            format!("One more step for {server}"),
            "The first way was not accepted. Keyfob has opened another page; go on there. You can close this tab."
                .to_owned(),
        ),
        PageNews::Done => (
            format!("Signed in to {server}"),
            "You can close this tab. Your programs can use the server now.".to_owned(),
        ),
        PageNews::Failed(sentence) => (format!("Not signed in to {server}"), sentence.clone()),
    };
    html(StatusCode::OK, &title, &text)
}

/// The page for links and callbacks that nothing waits for.
pub fn nothing_here() -> Response {
    html(
        StatusCode::NOT_FOUND,
        "Nothing to do here",
        "This link has been used, or nothing waits for it. Start the sign-in again in Keyfob.",
    )
}

/// The page for who opens the address of a server in a browser.
pub fn not_for_browsers() -> Response {
    html(
        StatusCode::FORBIDDEN,
        "Not a page",
        "This address is for MCP clients that have a key for it, and a browser gets nothing here.",
    )
}

fn html(status: StatusCode, title: &str, text: &str) -> Response {
    let (title, text) = (escape(title), escape(text));
    let content = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title} · Keyfob</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style>\
         <main><h1>{title}</h1><p>{text}</p></main></html>"
    );
    let mut response = http::Response::new(full(content));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    for_browsers(&mut response);
    response
}

const STYLE: &str = "\
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:Canvas;color:CanvasText}\
main{max-width:26rem;padding:24px}h1{font-size:20px;margin:0 0 8px}p{margin:0}";

fn for_browsers(response: &mut Response) {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::{PageNews, page, trouble};
    use crate::problem::{Code, Problem};

    async fn body(response: super::Response) -> Vec<u8> {
        response.into_body().collect().await.expect("a body").to_bytes().to_vec()
    }

    #[tokio::test]
    async fn a_tool_call_hears_what_to_do_and_its_id_comes_back() {
        let problem = Problem::new(Code::SignInNeeded).with("server", "notion");
        let call = br#"{"jsonrpc":"2.0","id":"a-1","method":"tools/call","params":{}}"#;
        let answer = trouble(&problem, call);
        assert_eq!(answer.status(), StatusCode::OK);
        let said: Value = serde_json::from_slice(&body(answer).await).expect("JSON");
        assert_eq!(said["id"], "a-1");
        assert_eq!(said["error"]["data"]["code"], "sign-in-needed");
        let answer = trouble(&problem, br#"{"jsonrpc":"2.0","id":7,"method":"initialize"}"#);
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
        let said: Value = serde_json::from_slice(&body(answer).await).expect("JSON");
        assert_eq!(said["id"], json!(7));
    }

    #[tokio::test]
    async fn no_trouble_of_ours_is_a_4xx() {
        for code in
            [Code::Offline, Code::Unreachable, Code::Timeout, Code::VaultLocked, Code::ServerOff]
        {
            let answer = trouble(&Problem::new(code), b"not json");
            assert!(answer.status().is_server_error(), "{code:?}");
        }
    }

    #[tokio::test]
    async fn pages_escape_everything() {
        let news = PageNews::Failed("<script>alert('x')</script>".to_owned());
        let shown = String::from_utf8(body(page("a&b", &news)).await).expect("text");
        assert!(!shown.contains("<script>") && shown.contains("a&amp;b"), "{shown}");
    }
}
