//! A scripted browser: follows redirects with a cookie jar and presses a button.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use crate::call::encode_pairs;

const MOST_STEPS: usize = 25;
const MOST_FORMS: usize = 5;

/// Which button is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// *Allow*.
    Allow,
    /// *Deny*.
    Deny,
}

/// How a visit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The client was sent a code, and its last page had this status and text.
    Code(u16, String),
    /// The client was sent an error.
    Error(String),
    /// A page that leads nowhere; the client is told nothing.
    DeadEnd(u16, String),
}

/// A visit that could not go on.
#[derive(Debug)]
pub enum Failure {
    /// A link that no browser follows.
    Link(String),
    /// Nobody answers there.
    Unreachable(String),
    /// Too many redirects or forms.
    Endless,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Link(link) => write!(f, "{link} is no link to follow"),
            Self::Unreachable(why) => write!(f, "nobody answers: {why}"),
            Self::Endless => f.write_str("too many steps"),
        }
    }
}

/// Goes where the link leads.
pub async fn visit(link: &str, choice: Choice) -> Result<Ending, Failure> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(20))
        .build()
        .map_err(|e| Failure::Unreachable(e.to_string()))?;
    let mut jar = Jar::default();
    let mut url = Url::parse(link).map_err(|_| Failure::Link(link.to_owned()))?;
    let mut form: Option<String> = None;
    let mut forms = 0;
    let mut arrived: Option<Result<(), String>> = None;
    for _ in 0..MOST_STEPS {
        let mut request = match form.take() {
            None => http.get(url.clone()),
            Some(body) => http
                .post(url.clone())
                .header("content-type", "application/x-www-form-urlencoded")
                .header("origin", url.origin().ascii_serialization())
                .body(body),
        };
        request = request
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) scripted")
            .header("sec-fetch-mode", "navigate");
        if let Some(cookies) = jar.header(&url) {
            request = request.header("cookie", cookies);
        }
        let response = request.send().await.map_err(|e| Failure::Unreachable(e.to_string()))?;
        jar.keep(&url, &response);
        let status = response.status().as_u16();
        let location = response.headers().get("location").and_then(|v| v.to_str().ok());
        if let Some(to) = location.filter(|_| (300..400).contains(&status)) {
            url = url.join(to).map_err(|_| Failure::Link(to.to_owned()))?;
            if !matches!(url.scheme(), "http" | "https") {
                return Err(Failure::Link(url.to_string()));
            }
            arrived = arrived.or_else(|| response_in(&url));
            continue;
        }
        let html = response.text().await.map_err(|e| Failure::Unreachable(e.to_string()))?;
        match arrived {
            Some(Ok(())) => return Ok(Ending::Code(status, plain(&html))),
            Some(Err(error)) => return Ok(Ending::Error(error)),
            None => {}
        }
        match submission(&html, choice).filter(|_| status < 400) {
            Some(s) if forms < MOST_FORMS => {
                forms += 1;
                url = url.join(&s.action).map_err(|_| Failure::Link(s.action.clone()))?;
                if s.post {
                    form = Some(s.body);
                } else {
                    url.set_query(Some(&s.body));
                }
            }
            Some(_) => return Err(Failure::Endless),
            None => return Ok(Ending::DeadEnd(status, plain(&html))),
        }
    }
    Err(Failure::Endless)
}

/// Is this address an authorization response (RFC 6749 section 4.1.2)?
fn response_in(url: &Url) -> Option<Result<(), String>> {
    let get = |name: &str| url.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned());
    if !matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
        return None;
    }
    match (get("code"), get("error")) {
        (_, Some(error)) => Some(Err(error)),
        (Some(_), None) => Some(Ok(())),
        (None, None) => None,
    }
}

/// Cookies, by host, path and name.
#[derive(Default)]
struct Jar(BTreeMap<(String, String, String), String>);

impl Jar {
    fn keep(&mut self, url: &Url, response: &reqwest::Response) {
        let host = url.host_str().unwrap_or_default();
        for line in response.headers().get_all("set-cookie") {
            let line = String::from_utf8_lossy(line.as_bytes()).into_owned();
            let mut parts = line.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|p| p.split_once('=')) else {
                continue;
            };
            let mut path = "/".to_owned();
            let mut over = false;
            for part in parts {
                let (key, value) = part.split_once('=').unwrap_or((part, ""));
                match key.to_ascii_lowercase().as_str() {
                    "path" => value.clone_into(&mut path),
                    "max-age" => over |= value.parse::<i64>().is_ok_and(|n| n <= 0),
                    _ => {}
                }
            }
            let key = (host.to_owned(), path, name.to_owned());
            if over {
                self.0.remove(&key);
            } else {
                self.0.insert(key, value.to_owned());
            }
        }
    }

    fn header(&self, url: &Url) -> Option<String> {
        let mine: Vec<String> = self
            .0
            .iter()
            .filter(|((host, path, _), _)| {
                url.host_str() == Some(host) && url.path().starts_with(path.as_str())
            })
            .map(|((_, _, name), value)| format!("{name}={value}"))
            .collect();
        (!mine.is_empty()).then(|| mine.join("; "))
    }
}

struct Submission {
    action: String,
    post: bool,
    body: String,
}

fn submission(html: &str, choice: Choice) -> Option<Submission> {
    let start = html.find("<form")?;
    let form = &html[start..];
    let form = &form[..form.find("</form>").unwrap_or(form.len())];
    let head = &form[..form.find('>')?];
    let mut fields: Vec<(String, String)> = Vec::new();
    for tag in tags(form, "<input") {
        let Some(name) = attribute(tag, "name") else { continue };
        let value = attribute(tag, "value");
        match attribute(tag, "type").as_deref() {
            Some("submit") => {}
            Some("password") => fields.push((name, "alice-password".to_owned())),
            Some("hidden" | "checkbox") => fields.push((name, value.unwrap_or_default())),
            _ => fields.push((name, value.unwrap_or_else(|| "alice".to_owned()))),
        }
    }
    let refusal = ["deny", "cancel", "reject", "abort", "no"];
    let button = [tags(form, "<button"), tags(form, "<input")]
        .concat()
        .into_iter()
        .filter(|tag| {
            tag.starts_with("<button") || attribute(tag, "type").as_deref() == Some("submit")
        })
        .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)))
        .find(|(_, value)| {
            let refuses = refusal.contains(&value.to_ascii_lowercase().as_str());
            refuses == (choice == Choice::Deny)
        });
    fields.extend(button);
    Some(Submission {
        action: attribute(head, "action").unwrap_or_default(),
        post: attribute(head, "method").is_some_and(|m| m.eq_ignore_ascii_case("post")),
        body: encode_pairs(fields.iter().map(|(n, v)| (n.as_str(), v.as_str()))),
    })
}

fn tags<'a>(html: &'a str, open: &str) -> Vec<&'a str> {
    html.match_indices(open)
        .map(|(at, _)| {
            let rest = &html[at..];
            &rest[..rest.find('>').unwrap_or(rest.len())]
        })
        .collect()
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let at = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let rest = &tag[at..];
    let raw = &rest[..rest.find('"')?];
    let plain = raw.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">");
    Some(plain.replace("&amp;", "&"))
}

/// The text of a page without its tags.
fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            c if !inside => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::escape;

    fn sample_form(action: &str) -> String {
        format!(
            "<form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"a\" value=\"b\">\
             <button name=\"decision\" value=\"allow\">Allow</button>\
             <button name=\"decision\" value=\"deny\">Deny</button></form>",
            escape(action)
        )
    }

    #[test]
    fn presses_the_button_that_was_chosen() {
        let html = sample_form("/consent?x=1&y=2");
        let allow = submission(&html, Choice::Allow).unwrap();
        assert_eq!(allow.body, "a=b&decision=allow");
        assert_eq!(allow.action, "/consent?x=1&y=2");
        assert!(allow.post);
        let deny = submission(&html, Choice::Deny).unwrap();
        assert_eq!(deny.body, "a=b&decision=deny");
    }

    #[test]
    fn text_of_a_page() {
        assert_eq!(plain("<h1>Signed in</h1><p>Close  this.</p>"), "Signed in Close this.");
    }
}
