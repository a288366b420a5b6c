//! A small W3C WebDriver client.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::{LONG, until};
use crate::random::free_port;

/// What a driver calls an element in its answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A running driver. It is killed when dropped.
pub struct Driver {
    base: String,
    http: reqwest::Client,
    _child: Child,
}

impl Driver {
    /// Starts this driver, and waits until it answers.
    pub async fn start(program: &str, environment: &BTreeMap<String, String>) -> Self {
        let port = free_port();
        let child = Command::new(program)
            .arg(format!("--port={port}"))
            .env_clear()
            .envs(environment)
            // What tauri-driver sets; the app lets itself be driven by nothing else.
            .envs([("TAURI_AUTOMATION", "true"), ("TAURI_WEBVIEW_AUTOMATION", "true")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|e| panic!("{program} does not start: {e}"));
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(90))
            .build()
            .expect("an HTTP client");
        let base = format!("http://127.0.0.1:{port}");
        let driver = Self { base, http, _child: child };
        let status = format!("{}/status", driver.base);
        until(&format!("an answer of {program}"), LONG, async || {
            let answer = driver.http.get(&status).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        driver
    }

    /// Opens a session with these capabilities.
    pub async fn session(&self, capabilities: &Value) -> Session {
        let body = json!({"capabilities": {"alwaysMatch": capabilities}});
        let url = format!("{}/session", self.base);
        let opened = send(&self.http, "POST", &url, Some(&body)).await;
        let opened = opened.unwrap_or_else(|failure| panic!("no session: {failure}"));
        let id = opened["sessionId"].as_str().expect("a session has an id");
        Session {
            base: format!("{url}/{id}"),
            http: self.http.clone(),
            clicks: AtomicUsize::new(0),
        }
    }
}

/// A session: one window, or one browser.
pub struct Session {
    base: String,
    http: reqwest::Client,
    clicks: AtomicUsize,
}

impl Session {
    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        send(&self.http, method, &format!("{}/{path}", self.base), body).await
    }

    async fn find(&self, selector: &str) -> Option<String> {
        let using = if selector.starts_with("//") { "xpath" } else { "css selector" };
        let body = json!({"using": using, "value": selector});
        let found = self.ask("POST", "element", Some(&body)).await.ok()?;
        found[ELEMENT].as_str().map(str::to_owned)
    }

    /// Goes to an address, and waits until what is there was loaded.
    pub async fn go(&self, address: &str) {
        let body = json!({"url": address});
        self.ask("POST", "url", Some(&body)).await.expect("a browser goes where it is sent");
    }

    /// The title of what is shown.
    pub async fn title(&self) -> String {
        let title = self.ask("GET", "title", None).await.expect("there is a window");
        title.as_str().unwrap_or_default().to_owned()
    }

    /// What an expression comes to once it is settled, as text; a failure begins with `failed`.
    pub async fn settled(&self, expression: &str) -> String {
        let script = format!(
            "const done = arguments[0]; (async () => String(await ({expression})))()\
             .then(done, error => done('failed: ' + error))"
        );
        let body = json!({"script": script, "args": []});
        let value = self.ask("POST", "execute/async", Some(&body)).await.expect("a script runs");
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Is there such an element now? The selector is CSS, or XPath where it begins with `//`.
    pub async fn has(&self, selector: &str) -> bool {
        self.find(selector).await.is_some()
    }

    /// Waits until there is such an element.
    pub async fn see(&self, selector: &str) {
        until(&format!("{selector} in the page"), LONG, async || {
            self.find(selector).await.map(drop)
        })
        .await;
    }

    /// Waits until there is no such element.
    pub async fn lose(&self, selector: &str) {
        until(&format!("no {selector} in the page"), LONG, async || {
            (!self.has(selector).await).then_some(())
        })
        .await;
    }

    /// Clicks it, as soon as it can be clicked.
    pub async fn click(&self, selector: &str) {
        until(&format!("{selector} can be clicked"), LONG, async || {
            // A disabled button takes a click and does nothing.
            let id = self.find(selector).await?;
            let is_enabled = self.ask("GET", &format!("element/{id}/enabled"), None).await.ok()?;
            if is_enabled != true {
                return None;
            }
            self.ask("POST", &format!("element/{id}/click"), Some(&json!({}))).await.ok().map(drop)
        })
        .await;
        self.clicks.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was clicked.
    pub fn clicks(&self) -> usize {
        self.clicks.load(Ordering::Relaxed)
    }

    /// Types this into a field.
    pub async fn enter(&self, selector: &str, text: &str) {
        let body = json!({"text": text});
        until(&format!("{selector} can be typed into"), LONG, async || {
            let id = self.find(selector).await?;
            self.ask("POST", &format!("element/{id}/value"), Some(&body)).await.ok().map(drop)
        })
        .await;
    }

    /// Presses a key, wherever the focus is: a character, or a code point of WebDriver.
    pub async fn press(&self, key: char) {
        let strokes =
            [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        let body = json!({"actions": [{"type": "key", "id": "keys", "actions": strokes}]});
        self.ask("POST", "actions", Some(&body)).await.expect("a key can be pressed");
    }

    /// The visible text of an element, as soon as it is there.
    pub async fn text(&self, selector: &str) -> String {
        self.of(selector, "text").await
    }

    /// An attribute of an element, as soon as it is there.
    pub async fn attribute(&self, selector: &str, name: &str) -> String {
        self.of(selector, &format!("attribute/{name}")).await
    }

    async fn of(&self, selector: &str, what: &str) -> String {
        until(&format!("{what} of {selector}"), LONG, async || {
            let id = self.find(selector).await?;
            let value = self.ask("GET", &format!("element/{id}/{what}"), None).await.ok()?;
            value.as_str().map(str::to_owned)
        })
        .await
    }

    /// What a script gives, as text; for what no other command tells.
    pub async fn script(&self, script: &str) -> String {
        let body = json!({"script": script, "args": []});
        let value = self.ask("POST", "execute/sync", Some(&body)).await.expect("a script runs");
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    /// Waits until what the page shows now was painted.
    pub async fn frame(&self) {
        let script = "const done = arguments[0]; \
                      requestAnimationFrame(() => requestAnimationFrame(() => done('')))";
        let body = json!({"script": script, "args": []});
        self.ask("POST", "execute/async", Some(&body)).await.expect("a page paints");
    }

    /// The whole page, as it stands.
    pub async fn source(&self) -> String {
        let source = self.ask("GET", "source", None).await.expect("a page has a source");
        source.as_str().unwrap_or_default().to_owned()
    }

    /// Goes to the tab whose page is the newest, once there are so many and that one shows this
    /// address.
    pub async fn turn_to_newest(&self, address: &str, tabs: usize) -> Option<()> {
        let handles = self.ask("GET", "window/handles", None).await.ok()?;
        let handles = handles.as_array().filter(|handles| handles.len() >= tabs)?;
        let born = json!({"script": "return performance.timeOrigin", "args": []});
        let mut newest = (0.0, &Value::Null);
        for handle in handles {
            self.turn(handle).await?;
            let born = self.ask("POST", "execute/sync", Some(&born)).await.ok()?.as_f64()?;
            if born > newest.0 {
                newest = (born, handle);
            }
        }
        self.turn(newest.1).await?;
        let url = self.ask("GET", "url", None).await.ok()?;
        url.as_str().filter(|url| url.contains(address)).map(drop)
    }

    async fn turn(&self, handle: &Value) -> Option<()> {
        self.ask("POST", "window", Some(&json!({"handle": handle}))).await.ok().map(drop)
    }

    /// Ends the session.
    pub async fn close(self) {
        send(&self.http, "DELETE", &self.base, None).await.ok();
    }
}

async fn send(
    http: &reqwest::Client,
    method: &str,
    url: &str,
    body: Option<&Value>,
) -> Result<Value, String> {
    let mut request = http.request(method.parse().expect("a method"), url);
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let answer = request.send().await.map_err(|e| e.to_string())?;
    let is_good = answer.status().is_success();
    let text = answer.text().await.map_err(|e| e.to_string())?;
    let mut answer: Value = serde_json::from_str(&text).map_err(|e| format!("{e}: {text}"))?;
    let value = answer["value"].take();
    if is_good { Ok(value) } else { Err(format!("{}: {}", value["error"], value["message"])) }
}
