//! Whose the other end of a connection is. Loopback is open to every user of the machine; a client
//! key is for the one who runs this process, so that another user is refused even with a key.
//!
//! Linux says which user made a socket. Elsewhere the key alone decides, and the log says so.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod sock_diag;
#[cfg(target_os = "linux")]
mod table;

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderValue, header};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use super::answer::{Response, refused};
use crate::problem::{Code, Problem};

/// What is known of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    /// Our own user, root, or a peer that the system says nothing about.
    Admitted,
    /// Another user of this machine.
    OtherUser(u32),
    /// Its socket is closed, so that nobody can be told apart any more, or looking failed.
    Unclear,
}

/// How peers are told apart.
#[derive(Debug, Default)]
pub enum Peers {
    /// By their key alone.
    #[default]
    KeyDecides,
    /// By the user that their socket belongs to.
    #[cfg(target_os = "linux")]
    Checked(linux::Check),
}

impl Peers {
    /// Peers of the listener at `own`, whose users are checked where the system tells them.
    pub fn checked(own: SocketAddr) -> Self {
        #[cfg(target_os = "linux")]
        match linux::Check::begin(own) {
            Ok(check) => return Self::Checked(check),
            Err(cause) => tracing::warn!(
                %cause,
                "this system does not tell whose a connection is; the client key alone decides"
            ),
        }
        #[cfg(not(target_os = "linux"))]
        tracing::warn!(
            %own,
            "whose a connection is cannot be told on this system; the client key alone decides"
        );
        Self::KeyDecides
    }

    /// Whether they are told apart by their user.
    pub fn are_checked(&self) -> bool {
        !matches!(self, Self::KeyDecides)
    }

    /// The peer of an accepted connection.
    pub fn of(self: &Arc<Self>, stream: &TcpStream) -> Peer {
        let ends = stream.local_addr().and_then(|own| Ok(Ends { own, peer: stream.peer_addr()? }));
        Peer { peers: self.clone(), ends: ends.ok(), admission: OnceCell::new() }
    }
}

/// The two addresses of a connection.
#[derive(Clone, Copy, Debug)]
struct Ends {
    own: SocketAddr,
    peer: SocketAddr,
}

/// Whoever is at the other end of one connection. It is looked up with the first request.
#[derive(Debug)]
pub struct Peer {
    peers: Arc<Peers>,
    ends: Option<Ends>,
    admission: OnceCell<Admission>,
}

impl Peer {
    /// The answer for a peer that must not use this gateway, whatever it asks.
    pub async fn refusal(&self) -> Option<Response> {
        let problem = match self.admission.get_or_init(|| self.look()).await {
            Admission::Admitted => return None,
            Admission::OtherUser(uid) => Problem::new(Code::OtherUser).with("uid", uid),
            Admission::Unclear => Problem::internal("whose this connection is cannot be told"),
        };
        tracing::info!(%problem, "a connection is refused");
        let mut response = refused(&problem);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        Some(response)
    }

    #[cfg(target_os = "linux")]
    async fn look(&self) -> Admission {
        match (&*self.peers, self.ends) {
            (Peers::KeyDecides, _) => Admission::Admitted,
            // It has closed before it could be asked about.
            (Peers::Checked(_), None) => Admission::Unclear,
            (Peers::Checked(check), Some(ends)) => check.admission(ends).await,
        }
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_async, reason = "as long as it takes where there is something to ask")]
    async fn look(&self) -> Admission {
        let Peers::KeyDecides = &*self.peers;
        tracing::trace!(ends = ?self.ends, "the key decides");
        Admission::Admitted
    }
}
