//! The one owned port, on both loopback families and nowhere else.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use keyfob_auth::client_document::PORTS;
use tokio::net::{TcpListener, TcpStream};

/// The sockets of one port.
#[derive(Debug)]
pub struct Listeners {
    v4: TcpListener,
    v6: Option<TcpListener>,
}

impl Listeners {
    /// The port.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.address()?.port())
    }

    /// The address of IPv4, which every machine has.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.v4.local_addr()
    }

    /// The next connection on either.
    ///
    /// # Errors
    /// When the system has none to give, for want of descriptors for example.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.v6 {
            Some(v6) => tokio::select! {
                accepted = self.v4.accept() => accepted,
                accepted = v6.accept() => accepted,
            },
            None => self.v4.accept().await,
        }
    }
}

/// Binds a port on 127.0.0.1 and, where the machine has it, ::1. A foreign listener on either
/// counts as busy: it could receive what is meant for us.
///
/// # Errors
/// `AddrInUse` when it is busy.
pub async fn take_port(port: u16) -> io::Result<Listeners> {
    let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let port = v4.local_addr()?.port();
    let v6 = match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        Ok(v6) => Some(v6),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
        Err(_) => None,
    };
    Ok(Listeners { v4, v6 })
}

/// Where another port is looked for: below those from which Linux, macOS and Windows take the ports
/// of outgoing connections, so that it is free again at the next start.
const OTHERS: std::ops::Range<u16> = 20_000..32_768;

/// How many of them are tried.
const TRIES: usize = 32;

/// Binds the first free one of the ports in our client document; where users of this machine have
/// taken all of them, any other.
///
/// # Errors
/// When there is none.
pub async fn choose_port() -> io::Result<Listeners> {
    choose_among(&PORTS).await
}

async fn choose_among(ports: &[u16]) -> io::Result<Listeners> {
    match first_free(ports).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        chosen => return chosen,
    }
    for _ in 0..TRIES {
        let mut random = [0; 2];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let offset = u16::from_ne_bytes(random) % (OTHERS.end - OTHERS.start);
        if let Ok(listeners) = take_port(OTHERS.start + offset).await {
            return Ok(listeners);
        }
    }
    free_port().await
}

async fn first_free(ports: &[u16]) -> io::Result<Listeners> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for port in ports {
        match take_port(*port).await {
            Ok(listeners) => return Ok(listeners),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Binds any free port.
///
/// # Errors
/// When there is none.
pub async fn free_port() -> io::Result<Listeners> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..16 {
        match take_port(0).await {
            Ok(listeners) => return Ok(listeners),
            // Free on one family, taken on the other.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::{Ipv4Addr, Ipv6Addr};

    use tokio::net::TcpListener;

    use super::{OTHERS, choose_among, first_free, free_port, take_port};

    /// 6.2-21, 6.2-28: a foreign listener on either family could receive what is meant for us.
    #[tokio::test]
    async fn a_foreign_listener_on_either_family_counts_as_busy() {
        let busy = |error: io::Error| error.kind() == io::ErrorKind::AddrInUse;
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = v4.local_addr().expect("an address").port();
        assert!(take_port(port).await.is_err_and(busy));
        // A machine without IPv6 has nothing to be listened on there.
        let Ok(v6) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await else { return };
        let port = v6.local_addr().expect("an address").port();
        assert!(take_port(port).await.is_err_and(busy));
        drop(v6);
        let listeners = take_port(port).await.expect("it is free now");
        assert!(listeners.v6.is_some(), "both families are ours");
        assert_eq!(listeners.port().expect("a port"), port);
    }

    #[tokio::test]
    async fn a_free_port_is_free_on_both_families() {
        let listeners = free_port().await.expect("a port");
        let port = listeners.port().expect("a port");
        assert!(take_port(port).await.is_err());
    }

    /// D-05: of the ports in our document a busy one is passed over, in their order.
    #[tokio::test]
    async fn the_first_port_that_is_free_on_both_families_is_chosen() {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let mut ports = vec![v4.local_addr().expect("an address").port()];
        let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.ok();
        ports.extend(v6.iter().map(|v6| v6.local_addr().expect("an address").port()));
        let free: Vec<_> = [free_port().await, free_port().await].map(|f| f.expect("free")).into();
        let free: Vec<u16> = free.into_iter().map(|f| f.port().expect("a port")).collect();
        ports.extend(&free);
        let chosen = first_free(&ports).await.expect("two are free");
        assert_eq!(chosen.port().expect("a port"), free[0]);
        let none = first_free(&ports[..ports.len() - 2]).await;
        assert!(none.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse));
        drop(chosen);
        let chosen = choose_among(&ports).await.expect("two are free");
        assert_eq!(chosen.port().expect("a port"), free[0]);
    }

    /// A fourth user of the machine, where three others have a Keyfob.
    #[tokio::test]
    async fn where_all_of_our_ports_are_taken_another_is_found() {
        let taken = [free_port().await, free_port().await].map(|taken| taken.expect("a port"));
        let ports = taken.each_ref().map(|taken| taken.port().expect("a port"));
        let chosen = choose_among(&ports).await.expect("another port");
        let port = chosen.port().expect("a port");
        assert!(OTHERS.contains(&port) && !ports.contains(&port), "{port}");
    }
}
