#![expect(clippy::expect_used, reason = "test code")]

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::command::Command;
use super::{Handle, Options, Predecessor, Running, Store};
use crate::control::client;
use crate::control::protocol::{NewServer, Request};
use crate::gateway;
use crate::paths::Paths;
use crate::problem::Code;

fn options(home: &std::path::Path, predecessor: Predecessor) -> Options {
    Options {
        paths: Some(Paths::under(home)),
        store: Store::Memory,
        is_ephemeral: false,
        listens: true,
        predecessor,
        probes: false,
        browser: None,
        document: None,
        ca_file: None,
        host: crate::broker::Host::Serve,
        settings_file: None,
        defaults: super::Defaults::default(),
    }
}

/// A home with a port of its own, so that tests do not meet.
async fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let port = gateway::free_port().await.expect("a port").port().expect("a port");
    std::fs::create_dir(home.path().join("config")).expect("a folder");
    let file = home.path().join("config/config.toml");
    std::fs::write(file, format!("port = {port}\n")).expect("written");
    home
}

/// A server that answers one request with an event stream that never ends.
async fn endless_stream() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                            transfer-encoding: chunked\r\n\r\n6\r\n: hi\n\n\r\n";
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.read(&mut request).await;
            });
        }
    });
    url
}

async fn open_stream(handle: &Handle, name: &str) -> TcpStream {
    let key = handle.make_key("test", name, super::KeyTerms::default()).await.expect("a key");
    let port = handle.gateway().port;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the gateway");
    let request = format!(
        "GET /{name} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {}\r\n\
         accept: text/event-stream\r\n\r\n",
        key.key.expose()
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = vec![0; 4096];
    let mut seen = String::new();
    while !seen.contains(": hi") {
        let read = stream.read(&mut answer).await.expect("an answer");
        assert_ne!(read, 0, "the stream ended early: {seen}");
        seen.push_str(&String::from_utf8_lossy(&answer[..read]));
    }
    stream
}

#[tokio::test]
async fn a_second_broker_respects_the_first() {
    let home = home().await;
    let first = Running::start(options(home.path(), Predecessor::Respect)).await.expect("a broker");
    let refused = Running::start(options(home.path(), Predecessor::Respect)).await;
    assert_eq!(refused.err().map(|problem| problem.code), Some(Code::AlreadyRunning));
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_gets_lock_and_port_within_five_seconds_although_a_stream_is_open() {
    let home = home().await;
    let mut first =
        Running::start(options(home.path(), Predecessor::Respect)).await.expect("a broker");
    let server = NewServer { url: endless_stream().await, ..NewServer::default() };
    let name = first.handle.add(server).await.expect("a server").name;
    let port = first.handle.gateway().port;
    let stream = open_stream(&first.handle, &name).await;
    let ending = tokio::spawn(async move {
        first.relieved().await;
        first.stop().await;
    });
    let started = Instant::now();
    let second =
        Running::start(options(home.path(), Predecessor::Relieve)).await.expect("a successor");
    let took = started.elapsed();
    assert!(took < Duration::from_secs(5), "the hand-over took {took:?}");
    ending.await.expect("the first has ended");
    drop(stream);
    assert_eq!(second.handle.gateway().port, port, "the address moved");
    // What the first knew is there, and both ways in lead to the second.
    drop(open_stream(&second.handle, &name).await);
    let mut connection = client::connect(&Paths::under(home.path())).await.expect("a socket");
    let told = connection.ask(Request::Ping, |_| {}).await.expect("an answer");
    assert_eq!(told["gateway"], format!("http://127.0.0.1:{port}"));
    second.stop().await;
}

/// What was begun while a server was on does not go on.
#[tokio::test]
async fn turning_a_server_off_ends_what_is_under_way_with_it() {
    let home = home().await;
    let broker =
        Running::start(options(home.path(), Predecessor::Respect)).await.expect("a broker");
    let server = NewServer { url: endless_stream().await, ..NewServer::default() };
    let name = broker.handle.add(server).await.expect("a server").name;
    let stream = open_stream(&broker.handle, &name).await;
    let turn = |answer| Command::Turn { name, on: false, answer };
    broker.handle.ask(turn).await.expect("turned off");
    assert!(ends(stream).await, "its stream goes on");
    broker.stop().await;
}

async fn ends(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    let reading = stream.read_to_end(&mut rest);
    tokio::time::timeout(Duration::from_secs(5), reading).await.is_ok()
}

#[tokio::test]
async fn a_left_over_socket_is_in_nobodys_way() {
    let home = home().await;
    let paths = Paths::under(home.path());
    paths.create().expect("folders");
    drop(std::os::unix::net::UnixListener::bind(paths.run.join("control.sock")).expect("bound"));
    let broker =
        Running::start(options(home.path(), Predecessor::Respect)).await.expect("a broker");
    assert!(client::connect(&paths).await.is_some());
    broker.stop().await;
    assert!(client::connect(&paths).await.is_none());
}
