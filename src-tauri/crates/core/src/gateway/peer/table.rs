//! A socket by its addresses, out of the table of all: proc_net_tcp. It takes the longer the more
//! sockets the machine has.

use std::io::{self, Error};
use std::net::SocketAddr;

use procfs::ProcError;
use procfs::net::{TcpState, tcp, tcp6};

use super::linux::Socket;

/// The socket at `local` that is connected with `remote`.
pub(super) fn find(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Socket>> {
    let is = |listed: SocketAddr, wanted: SocketAddr| {
        listed.ip().to_canonical() == wanted.ip().to_canonical() && listed.port() == wanted.port()
    };
    let v4 = tcp().map_err(Error::other)?;
    // A socket of IPv6 may have addresses of IPv4.
    let v6 = match tcp6() {
        Ok(v6) => v6,
        // A machine without IPv6.
        Err(ProcError::NotFound(_)) => Vec::new(),
        Err(error) => return Err(Error::other(error)),
    };
    let mut all = v4.into_iter().chain(v6);
    let found = all.find(|s| is(s.local_address, local) && is(s.remote_address, remote));
    Ok(found.map(|found| Socket {
        uid: found.uid,
        is_held: found.inode != 0
            && matches!(
                found.state,
                TcpState::Established
                    | TcpState::CloseWait
                    | TcpState::FinWait1
                    | TcpState::FinWait2
            ),
        is_established: found.state == TcpState::Established,
    }))
}
