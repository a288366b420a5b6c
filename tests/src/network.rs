//! A network of the test's own: names that lead where the test wants, a public address that is this
//! machine's, and places on loopback where nothing may arrive.
//!
//! It lives in a network and a mount namespace (Linux), in which the test's program is run again.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::{Arc, Mutex};

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// An address of the Internet, which inside of the network is this machine's.
pub const PUBLIC: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 34);

/// Says that the program runs inside, and which file holds the names.
const INSIDE: &str = "KEYFOB_TEST_NETWORK";

/// Set to 1 where a machine gives nobody a namespace, and that is known.
const WITHOUT: &str = "KEYFOB_TEST_WITHOUT_NAMESPACES";

/// The network, seen from inside.
pub struct Network {
    hosts: String,
    published: Vec<JoinHandle<()>>,
}

impl Network {
    /// Runs this test inside of a network of its own, and gives that network there. Outside it is
    /// `None`: the test has run.
    ///
    /// # Panics
    /// When the test has failed inside, or this machine makes no namespaces.
    pub fn inside(test: &str) -> Option<Self> {
        if let Ok(hosts) = std::env::var(INSIDE) {
            return Some(Self::set_up(hosts));
        }
        if std::env::var(WITHOUT).as_deref() == Ok("1") {
            say(&format!("NOT TESTED: {test} needs network namespaces ({WITHOUT}=1)"));
            return None;
        }
        let possible = unshare().arg("true").output();
        assert!(
            possible.as_ref().is_ok_and(|output| output.status.success()),
            "{test} needs a network namespace, and this machine makes none ({possible:?}): run it \
             as root, or set {WITHOUT}=1 to leave it out"
        );
        let hosts = tempfile::NamedTempFile::new().expect("a temp file");
        let me = std::env::current_exe().expect("a path of our own");
        let output = unshare()
            .arg(me)
            .args(["--exact", test, "--nocapture", "--test-threads", "1"])
            .env(INSIDE, hosts.path())
            .output()
            .expect("unshare");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        say(&format!("{said}{}", String::from_utf8_lossy(&output.stderr)));
        assert!(output.status.success(), "{test} failed inside of its network");
        assert!(said.contains("1 passed"), "there is no test of the name {test} in this program");
        None
    }

    fn set_up(hosts: String) -> Self {
        run("ip", &["link", "set", "lo", "up"]);
        run("ip", &["address", "add", &format!("{PUBLIC}/32"), "dev", "lo"]);
        let this = Self { hosts, published: Vec::new() };
        this.name(&[]);
        run("mount", &["--bind", &this.hosts, "/etc/hosts"]);
        this
    }

    /// From now on these names lead to these addresses, and all others nowhere.
    pub fn name(&self, names: &[(Ipv4Addr, &str)]) {
        let mut file = std::fs::File::create(&self.hosts).expect("the hosts file");
        let mut text = "127.0.0.1 localhost\n".to_owned();
        for (address, name) in names {
            text.push_str(&format!("{address} {name}\n"));
        }
        file.write_all(text.as_bytes()).expect("the hosts file");
    }

    /// Lets what listens at this port of loopback be reached over TLS at an address and port of the
    /// network.
    pub async fn publish(&mut self, at: (Ipv4Addr, u16), tls: TlsAcceptor, to: u16) {
        self.lead(at, Some(tls), to).await;
    }

    /// The same for what speaks TLS itself.
    pub async fn forward(&mut self, at: (Ipv4Addr, u16), to: u16) {
        self.lead(at, None, to).await;
    }

    async fn lead(&mut self, at: (Ipv4Addr, u16), tls: Option<TlsAcceptor>, to: u16) {
        let listener = TcpListener::bind(at).await.expect("an address of the network");
        self.published.push(tokio::spawn(async move {
            // Dropped with this task, and every connection with it.
            let mut connections = JoinSet::new();
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                connections.spawn(pass(client, tls.clone(), to));
            }
        }));
    }

    /// Takes all that was published back.
    pub async fn withdraw(&mut self) {
        for task in self.published.drain(..) {
            task.abort();
            task.await.ok();
        }
    }

    /// Listens where nothing may arrive.
    pub async fn watch(&self, ports: &[u16]) -> Arrivals {
        let arrivals = Arrivals::default();
        for port in ports {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).await;
            let listener = listener.expect("a port of loopback");
            let log = arrivals.clone();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(record(stream, log.clone()));
                }
            });
        }
        arrivals
    }
}

/// The connections that came where none may, and how many bytes came on each.
#[derive(Clone, Default)]
pub struct Arrivals(Arc<Mutex<Vec<(SocketAddr, usize)>>>);

impl Arrivals {
    /// All so far.
    pub fn seen(&self) -> Vec<(SocketAddr, usize)> {
        self.0.lock().expect("a log").clone()
    }
}

async fn pass(mut client: TcpStream, tls: Option<TlsAcceptor>, to: u16) {
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await else { return };
    match tls {
        Some(tls) => {
            let Ok(mut client) = tls.accept(client).await else { return };
            tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
        }
        None => {
            tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
        }
    }
}

async fn record(mut stream: TcpStream, log: Arrivals) {
    let Ok(at) = stream.local_addr() else { return };
    let place = {
        let mut log = log.0.lock().expect("a log");
        log.push((at, 0));
        log.len() - 1
    };
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut bytes).await {
        log.0.lock().expect("a log")[place].1 += read;
    }
}

#[expect(clippy::print_stderr, reason = "the way to say it in a test")]
fn say(text: &str) {
    eprintln!("{text}");
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "--mount", "--"]);
    command
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let is_done = output.as_ref().is_ok_and(|output| output.status.success());
    assert!(is_done, "{program} {arguments:?}: {output:?}");
}
