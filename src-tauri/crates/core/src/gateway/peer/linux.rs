//! The check on Linux, which lists for every TCP socket the user that made it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use super::sock_diag::SockDiag;
use super::{Admission, Ends, table};

/// What stands for a user that has no number in this user namespace (`fs.overflowuid`).
const OVERFLOW: u32 = 65_534;

/// How long the end of a connection may take to be known at both ends.
const SETTLED: Duration = Duration::from_millis(100);

/// A TCP socket of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    /// The user that made it; 0 as well where nobody holds it any more.
    pub(super) uid: u32,
    /// Whether a process holds it.
    pub(super) is_held: bool,
    /// Whether both directions are open.
    pub(super) is_established: bool,
}

/// The user that this process runs as.
#[derive(Clone, Copy, Debug)]
struct Own {
    uid: u32,
    /// Other users of the machine may be listed under the same number.
    is_shared: bool,
}

/// The way to ask, which has been tried.
#[derive(Debug)]
pub struct Check {
    own: Own,
    way: Way,
    has_told_unseen: AtomicBool,
}

/// How a socket is found by its addresses.
#[derive(Debug)]
enum Way {
    SockDiag(SockDiag),
    /// Reading it takes long on a busy machine: one at a time.
    Table(Mutex<()>),
}

impl Check {
    /// Finds a way to ask, by asking for our own listener.
    ///
    /// # Errors
    /// When neither way names it.
    pub(super) fn begin(listener: SocketAddr) -> io::Result<Self> {
        let own = Own { uid: rustix::process::geteuid().as_raw(), is_shared: is_number_shared() };
        let nobody = match listener {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let nobody = SocketAddr::new(nobody, 0);
        let is_ours = |found: Option<Socket>| found.is_some_and(|socket| socket.uid == own.uid);
        let by_address = SockDiag::open().and_then(|asked| {
            let found = asked.find(listener, nobody)?;
            Ok(is_ours(found).then_some(asked))
        });
        let way = match by_address {
            Ok(Some(asked)) => Way::SockDiag(asked),
            refused => {
                tracing::debug!(?refused, "SOCK_DIAG does not answer");
                if !is_ours(table::find(listener, nobody)?) {
                    return Err(io::Error::other("our own listener is not listed as ours"));
                }
                Way::Table(Mutex::default())
            }
        };
        Ok(Self { own, way, has_told_unseen: AtomicBool::default() })
    }

    /// Whether the peer may use this gateway.
    pub(super) async fn admission(&self, ends: Ends) -> Admission {
        let judged = async {
            if let Some(peer) = self.find(ends.peer, ends.own).await? {
                return Ok(self.judge(peer));
            }
            // The news that a peer has closed may still be on its way to our end.
            tokio::time::sleep(SETTLED).await;
            Ok(self.judge_unlisted(self.find(ends.own, ends.peer).await?))
        };
        judged.await.unwrap_or_else(|error: io::Error| {
            tracing::warn!(%error, "whose a connection is could not be asked; it is refused");
            Admission::Unclear
        })
    }

    /// A peer that is not listed is out of our sight, in another network namespace or machine. One
    /// that has just been closed is not listed either, but it leaves our own end closing.
    fn judge_unlisted(&self, own: Option<Socket>) -> Admission {
        match own {
            Some(own) if own.is_established => self.unseen(),
            Some(_) | None => Admission::Unclear,
        }
    }

    fn judge(&self, peer: Socket) -> Admission {
        // Where nobody holds it, no user is listed, and 0 does not mean root.
        if !peer.is_held {
            return Admission::Unclear;
        }
        match peer.uid {
            0 => Admission::Admitted,
            uid if uid == self.own.uid && self.own.is_shared => self.unseen(),
            uid if uid == self.own.uid => Admission::Admitted,
            uid => Admission::OtherUser(uid),
        }
    }

    fn unseen(&self) -> Admission {
        if !self.has_told_unseen.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a connection comes from where this system does not tell its user; for such, the client key alone decides"
            );
        }
        Admission::Admitted
    }

    /// The socket at `local` that is connected with `remote`.
    async fn find(&self, local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Socket>> {
        let turn = match &self.way {
            Way::SockDiag(asked) => return asked.find(local, remote),
            Way::Table(turn) => turn,
        };
        let _turn = turn.lock().await;
        let read = tokio::task::spawn_blocking(move || table::find(local, remote));
        read.await.map_err(io::Error::other)?
    }
}

/// Whether our own number may stand for others too: as one without a number of its own in a user
/// namespace that does not name them all.
fn is_number_shared() -> bool {
    let names_all = std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]));
    rustix::process::geteuid().as_raw() == OVERFLOW && !names_all
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
    use std::sync::atomic::Ordering;

    use tokio::sync::Mutex;

    use super::{Check, OVERFLOW, Own, Socket, Way};
    use crate::gateway::peer::{Admission, Ends};

    const OWN_ADDRESSES: [IpAddr; 2] =
        [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

    fn as_user(uid: u32, is_shared: bool) -> Check {
        Check {
            own: Own { uid, is_shared },
            way: Way::Table(Mutex::default()),
            has_told_unseen: Default::default(),
        }
    }

    fn of(uid: u32, is_held: bool) -> Socket {
        Socket { uid, is_held, is_established: true }
    }

    #[test]
    fn the_same_user_and_root_are_let_in_and_another_is_not() {
        let check = as_user(1000, false);
        assert_eq!(check.judge(of(1000, true)), Admission::Admitted);
        assert_eq!(check.judge(of(0, true)), Admission::Admitted);
        assert_eq!(check.judge(of(1001, true)), Admission::OtherUser(1001));
        assert_eq!(as_user(0, false).judge(of(1000, true)), Admission::OtherUser(1000));
    }

    /// The system lists a socket that its process has closed as root's.
    #[test]
    fn a_socket_that_nobody_holds_is_not_roots() {
        assert_eq!(as_user(1000, false).judge(of(0, false)), Admission::Unclear);
        assert_eq!(as_user(0, false).judge(of(0, false)), Admission::Unclear);
    }

    /// In a user namespace, users without a number are all listed under one.
    #[test]
    fn a_number_that_stands_for_several_users_decides_only_where_it_is_not_ours() {
        assert_eq!(as_user(1000, false).judge(of(OVERFLOW, true)), Admission::OtherUser(OVERFLOW));
        assert_eq!(as_user(OVERFLOW, true).judge(of(OVERFLOW, true)), Admission::Admitted);
        assert_eq!(as_user(OVERFLOW, true).judge(of(1000, true)), Admission::OtherUser(1000));
    }

    /// As one in another network namespace is.
    #[test]
    fn a_peer_that_is_not_listed_is_left_to_its_key_while_its_connection_stands() {
        let check = as_user(1000, false);
        let closing = Socket { is_established: false, ..of(1000, true) };
        assert_eq!(check.judge_unlisted(Some(closing)), Admission::Unclear);
        assert_eq!(check.judge_unlisted(None), Admission::Unclear);
        assert!(!check.has_told_unseen.load(Ordering::Relaxed));
        assert_eq!(check.judge_unlisted(Some(of(1000, true))), Admission::Admitted);
        assert!(check.has_told_unseen.load(Ordering::Relaxed), "the log says so");
    }

    /// The same by each way to ask.
    fn each_way(listener: SocketAddr) -> [Check; 2] {
        let check = || Check::begin(listener).expect("Linux tells whose a socket is");
        assert!(matches!(check().way, Way::SockDiag(_)), "SOCK_DIAG answers");
        [check(), Check { way: Way::Table(Mutex::default()), ..check() }]
    }

    /// A connection whose client end is left as `with` leaves it.
    async fn meet(with: impl Fn(TcpStream) -> Option<TcpStream>, wanted: Admission) {
        for address in OWN_ADDRESSES {
            // A machine without IPv6 has nothing to be asked about there.
            let Ok(listener) = TcpListener::bind((address, 0)) else { continue };
            let own = listener.local_addr().expect("an address");
            for check in each_way(own) {
                let client = TcpStream::connect(own).expect("a connection");
                let (accepted, peer) = listener.accept().expect("a connection");
                let client = with(client);
                let ends = Ends { own: accepted.local_addr().expect("an address"), peer };
                assert_eq!(check.admission(ends).await, wanted, "{own}: {:?}", check.way);
                drop((client, accepted));
            }
        }
    }

    #[tokio::test]
    async fn a_peer_is_found_either_way_and_on_either_family() {
        meet(Some, Admission::Admitted).await;
    }

    #[tokio::test]
    async fn a_peer_that_has_only_finished_sending_is_still_known() {
        let half = |stream: TcpStream| {
            stream.shutdown(Shutdown::Write).expect("shut down");
            Some(stream)
        };
        meet(half, Admission::Admitted).await;
    }

    /// Whoever sends a request and closes at once leaves no user behind.
    #[tokio::test]
    async fn a_peer_that_has_closed_is_not_let_in() {
        let closed = |mut stream: TcpStream| {
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
            drop(stream);
            None
        };
        meet(closed, Admission::Unclear).await;
        let reset = |mut stream: TcpStream| {
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
            rustix::net::sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO))
                .expect("set");
            drop(stream);
            None
        };
        meet(reset, Admission::Unclear).await;
    }

    /// Sockets that are looked up in another manner than most: bound to a device, and one of IPv6
    /// with an address of IPv4.
    #[tokio::test]
    async fn no_kind_of_socket_is_overlooked() {
        use socket2::{Domain, SockAddr, Socket as Any, Type};

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let own = listener.local_addr().expect("an address");
        let bound = Any::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        bound.bind_device(Some(b"lo")).expect("bound");
        bound.connect(&SockAddr::from(own)).expect("a connection");
        // A machine without IPv6 has no other kind.
        let mapped = Any::new(Domain::IPV6, Type::STREAM, None).ok();
        if let Some(mapped) = &mapped {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), own.port()));
            mapped.connect(&SockAddr::from(address)).expect("a connection");
        }
        let uid = rustix::process::geteuid().as_raw();
        for _ in 0..1 + usize::from(mapped.is_some()) {
            let (_accepted, peer) = listener.accept().expect("a connection");
            for check in each_way(own) {
                let found = check.find(peer, own).await.expect("asked").expect("it is listed");
                assert_eq!(found, Socket { uid, is_held: true, is_established: true });
            }
        }
    }
}
