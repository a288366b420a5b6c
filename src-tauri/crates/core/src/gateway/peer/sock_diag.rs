//! A socket by its addresses, asked of the kernel: sock_diag(7). It takes as long on a machine with
//! many sockets as on an idle one.

use std::io::{self, Error};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{
    AF_INET, AF_INET6, IPPROTO_TCP, TCP_CLOSE_WAIT, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2,
};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use rustix::io::Errno;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with,
};

use super::linux::Socket;

/// Longest wait for the kernel, which answers while it is asked.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(200);

/// The loopback device, which has this number everywhere (`LOOPBACK_IFINDEX`). Without it, a socket
/// that is bound to the device is not found.
const LOOPBACK: u32 = 1;

/// Matches a socket whatever its cookie (`INET_DIAG_NOCOOKIE`).
const ANY_COOKIE: [u8; 8] = [0xff; 8];

/// The way to the kernel. It is kept open, so that a process without descriptors can still ask.
#[derive(Debug)]
pub(super) struct SockDiag {
    asked: Mutex<Asked>,
}

#[derive(Debug)]
struct Asked {
    socket: OwnedFd,
    /// Counts the questions, so that no answer is taken for another's.
    number: u32,
}

impl SockDiag {
    pub(super) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket =
            socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(SOCK_DIAG))?;
        connect(&socket, &SocketAddrNetlink::new(0, 0))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
        Ok(Self { asked: Mutex::new(Asked { socket, number: 0 }) })
    }

    /// The socket at `local` that is connected with `remote`.
    pub(super) fn find(&self, local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Socket>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.number = asked.number.wrapping_add(1);
        let number = asked.number;
        send(&asked.socket, &question(number, local, remote), SendFlags::empty())?;
        let mut bytes = [0; 4096];
        loop {
            let (_, length) = recv(&asked.socket, &mut bytes, RecvFlags::empty())?;
            let answer = bytes.get(..length).unwrap_or_default();
            let answer = NetlinkMessage::<SockDiagMessage>::deserialize(answer)
                .map_err(|error| Error::other(error.to_string()))?;
            // Left over from a question that was given up.
            if answer.header.sequence_number != number {
                continue;
            }
            return match answer.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(found)) => {
                    let found = found.header;
                    let is = |ip: IpAddr, port: u16, wanted: SocketAddr| {
                        ip.to_canonical() == wanted.ip().to_canonical() && port == wanted.port()
                    };
                    // Where there is no such connection, a listener at `local` is named.
                    let id = &found.socket_id;
                    let is_it = is(id.source_address, id.source_port, local)
                        && is(id.destination_address, id.destination_port, remote);
                    Ok(is_it.then_some(Socket {
                        uid: found.uid,
                        is_held: found.inode != 0
                            && matches!(
                                found.state,
                                TCP_ESTABLISHED | TCP_CLOSE_WAIT | TCP_FIN_WAIT1 | TCP_FIN_WAIT2
                            ),
                        is_established: found.state == TCP_ESTABLISHED,
                    }))
                }
                NetlinkPayload::Error(error)
                    if error.raw_code() == -Errno::NOENT.raw_os_error() =>
                {
                    Ok(None)
                }
                NetlinkPayload::Error(error) => Err(error.to_io()),
                _ => Err(Error::other("SOCK_DIAG answered something else")),
            };
        }
    }
}

fn question(number: u32, local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    header.sequence_number = number;
    let family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
    let request = SockDiagMessage::InetRequest(InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: SocketId {
            source_port: local.port(),
            destination_port: remote.port(),
            source_address: local.ip(),
            destination_address: remote.ip(),
            interface_id: LOOPBACK,
            cookie: ANY_COOKIE,
        },
    });
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}
