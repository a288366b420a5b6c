//! A door in front of a fixture server, for what can go wrong on the way there.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What becomes of a connection.
#[derive(Clone)]
pub enum Way {
    /// It leads to the server.
    Open,
    /// It is reset once the request has been sent.
    Reset,
    /// It is answered with these bytes, whatever was asked.
    Says(String),
    /// Nobody says anything.
    Silent,
}

/// The door. It is gone when dropped: connections are refused then.
pub struct Door {
    port: u16,
    inside: watch::Sender<Inside>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Inside {
    way: Way,
    tls: Option<TlsAcceptor>,
}

impl Door {
    /// Opens a door to the server at this origin; over TLS, where there is an acceptor.
    pub async fn to(origin: &str, tls: Option<TlsAcceptor>) -> Self {
        Self::at(0, origin, tls).await
    }

    /// The same on this port.
    pub async fn at(port: u16, origin: &str, tls: Option<TlsAcceptor>) -> Self {
        let server = origin.split_once("://").map_or(origin, |(_, rest)| rest).to_owned();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a loopback port");
        let port = listener.local_addr().expect("bound").port();
        let (inside, changes) = watch::channel(Inside { way: Way::Open, tls });
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, mut changes) = (server.clone(), changes.clone());
                let inside = changes.borrow_and_update().clone();
                tokio::spawn(async move {
                    // A connection that was kept open would still go the old way.
                    tokio::select! {
                        () = enter(stream, &server, inside) => {}
                        _ = changes.changed() => {}
                    }
                });
            }
        });
        Self { port, inside, task }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets new connections go this way.
    pub fn set(&self, way: Way) {
        self.inside.send_modify(|inside| inside.way = way);
    }

    /// Shows another certificate from now on.
    pub fn set_tls(&self, tls: TlsAcceptor) {
        self.inside.send_modify(|inside| inside.tls = Some(tls));
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn enter(mut stream: TcpStream, server: &str, inside: Inside) {
    if let Way::Reset = inside.way {
        if let Ok(1..) = stream.read(&mut [0; 1024]).await {
            stream.set_zero_linger().ok();
        }
        return;
    }
    match inside.tls {
        None => pass(stream, server, inside.way).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                pass(stream, server, inside.way).await;
            }
        }
    }
}

async fn pass<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, server: &str, way: Way) {
    match way {
        Way::Open => {
            if let Ok(mut server) = TcpStream::connect(server).await {
                copy_bidirectional(&mut stream, &mut server).await.ok();
            }
        }
        Way::Says(answer) => {
            if let Ok(1..) = stream.read(&mut [0; 4096]).await {
                stream.write_all(answer.as_bytes()).await.ok();
                stream.shutdown().await.ok();
            }
        }
        Way::Silent => std::future::pending().await,
        Way::Reset => {}
    }
}
