//! A server that answers with a page, opened at the gateway in real browsers: the page does not run
//! there, and its worker, which would see what every other server's sign-in comes back with, is not
//! registered.

use std::sync::{Arc, Mutex};

use keyfob_tests::desktop::{Desktop, Driver, LONG, Session, until};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

/// Says in its title how far it gets, and to its server that it runs.
const PAGE: &str = "<!doctype html><title>shown</title><body>hello<script>
    document.title = 'ran';
    fetch('ran').catch(() => {});
    navigator.serviceWorker.register(location.pathname + '/sw.js', { scope: '/' }).then(
        () => { document.title = 'registered' }, error => { document.title = 'refused: ' + error });
    </script>";

/// How many workers there are.
const WORKERS: &str = "navigator.serviceWorker.getRegistrations().then(all => all.length)";

/// The head of a request.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            return String::from_utf8(bytes[..end + 2].to_vec()).ok();
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// A server with a page and a worker in place of tools. Gives its port, and what it is asked.
async fn page_server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let noted = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let noted = noted.clone();
            tokio::spawn(async move {
                let Some(head) = head(&mut stream).await else { return };
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let (kind, body) = match path.as_str() {
                    path if path.ends_with("/sw.js") => ("text/javascript", "onfetch = () => {}"),
                    _ => ("text/html", PAGE),
                };
                if head.starts_with("GET") {
                    noted.lock().expect("unpoisoned").push(path);
                }
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nService-Worker-Allowed: /\r\n\
                     Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.ok();
            });
        }
    });
    (port, asked)
}

/// The gateway as a browser sees it that says nothing of where a request comes from, as browsers
/// did before Fetch Metadata. Gives its port.
async fn for_an_old_browser(gateway: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let head = head(&mut stream).await?;
                let mut kept = String::new();
                for line in head.lines() {
                    let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
                    let is_new = name.starts_with("sec-") || name == "service-worker";
                    if !is_new && !matches!(name.as_str(), "host" | "connection" | "referer") {
                        kept.push_str(line);
                        kept.push_str("\r\n");
                    }
                }
                kept.push_str(&format!("Host: 127.0.0.1:{gateway}\r\nConnection: close\r\n\r\n"));
                let mut server = TcpStream::connect(("127.0.0.1", gateway)).await.ok()?;
                server.write_all(kept.as_bytes()).await.ok()?;
                copy(&mut server, &mut stream).await.ok()
            });
        }
    });
    port
}

async fn gets_no_page(name: &str, driver: &str, capabilities: &Value) {
    let mut desktop = Desktop::new(name).await;
    desktop.scene.keyfob.serve().await;
    let (port, asked) = page_server().await;
    let asked = || asked.lock().expect("unpoisoned").clone();
    let direct = format!("http://127.0.0.1:{port}/mcp");
    desktop.scene.keyfob.run(&["add", "--name", "p", &direct]).await.ok();
    let key = desktop.scene.client_key("c", "p").await;
    let gateway = desktop.scene.keyfob.port();
    let driver = Driver::start(driver, desktop.scene.keyfob.environment()).await;
    let browser: Session = driver.session(capabilities).await;

    // At its own origin it does what it is there for.
    browser.go(&direct).await;
    let registered = async || (browser.title().await == "registered").then_some(());
    until("a worker at the server's own origin", LONG, registered).await;
    assert_eq!(browser.settled(WORKERS).await, "1");
    let before = asked();
    assert!(before.iter().any(|path| path.ends_with("/sw.js")), "{before:?}");

    let own = format!("http://127.0.0.1:{gateway}");
    for address in [format!("{own}/k/{key}/p"), format!("{own}/k/{key}/p/sub"), format!("{own}/p")]
    {
        browser.go(&address).await;
        assert_eq!(browser.title().await, "Not a page · Keyfob", "{address}");
        let said = browser.text("main p").await;
        assert!(said.starts_with("This address is for MCP clients"), "{said}");
        assert_eq!(browser.settled("document.querySelectorAll('p, script').length").await, "1");
        let worker =
            format!("navigator.serviceWorker.register('/k/{key}/p/sw.js', {{ scope: '/' }})");
        assert!(browser.settled(&worker).await.starts_with("failed"), "{address}");
        assert_eq!(browser.settled(WORKERS).await, "0", "{address}");
    }
    desktop.picture("not-a-page", None).await;
    assert_eq!(asked(), before, "the server was asked");

    // Where nobody says that it is a browser, the page is shown and can do nothing.
    let old = format!("http://127.0.0.1:{}", for_an_old_browser(gateway).await);
    browser.go(&format!("{old}/k/{key}/p")).await;
    assert_eq!(browser.title().await, "shown", "it ran, or it did not come");
    let came = asked()[before.len()..].to_vec();
    assert!(came.contains(&"/mcp".to_owned()), "it was not asked: {came:?}");
    browser.go(&format!("{old}/callback")).await;
    assert_eq!(browser.settled(WORKERS).await, "0", "a worker is there");
    let came = asked()[before.len()..].to_vec();
    assert!(!came.iter().any(|path| path.contains("ran") || path.contains("sw.js")), "{came:?}");
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn a_server_gets_no_page_and_no_worker_in_chromium() {
    let arguments = ["--no-sandbox", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage"];
    let options = json!({"goog:chromeOptions": {"args": arguments}});
    gets_no_page("no-page-chromium", "chromedriver", &options).await;
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn a_server_gets_no_page_and_no_worker_in_webkitgtk() {
    gets_no_page("no-page-webkitgtk", "WebKitWebDriver", &json!({})).await;
}
