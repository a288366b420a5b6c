//! Asking a running broker.

use std::io;
use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::protocol::{Hello, Reply, Request, VERSION};
use super::socket;
use crate::paths::Paths;
use crate::problem::Problem;
use crate::view::Progress;

/// A connection that carries one request.
#[derive(Debug)]
pub struct Connection {
    lines: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

/// Connects to the broker of a profile; `None` when there is none.
pub async fn connect(paths: &Paths) -> Option<Connection> {
    for place in socket::places(paths) {
        // In the folder of another user lies nothing of ours.
        if socket::is_ours_alone(&place)
            && let Some(connection) = connect_at(&place).await
        {
            return Some(connection);
        }
    }
    None
}

async fn connect_at(place: &Path) -> Option<Connection> {
    let stream = UnixStream::connect(place).await.ok()?;
    // Secrets go this way: whoever else may have made this socket gets none.
    if stream.peer_cred().ok()?.uid() != rustix::process::geteuid().as_raw() {
        tracing::warn!("the control socket belongs to another user; it is not used");
        return None;
    }
    let (read, write) = stream.into_split();
    Some(Connection { lines: BufReader::new(read), write })
}

impl Connection {
    /// Asks, reports what comes on the way, and returns the answer.
    ///
    /// # Errors
    /// The broker's problem, or that it went away.
    pub async fn ask(
        &mut self,
        request: Request,
        mut progress: impl FnMut(Progress),
    ) -> Result<Value, Problem> {
        self.send(request).await.map_err(went_away)?;
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).await.map_err(went_away)? == 0 {
                return Err(went_away(io::Error::from(io::ErrorKind::UnexpectedEof)));
            }
            match serde_json::from_str(&line).map_err(went_away)? {
                Reply::Progress(step) => progress(step),
                Reply::Done(value) => return Ok(value),
                Reply::Problem(problem) => return Err(problem),
            }
        }
    }

    /// Sends the request and hands the connection over, for [`Request::Stdio`].
    ///
    /// # Errors
    /// When the broker went away.
    pub async fn hand_over(
        mut self,
        request: Request,
    ) -> io::Result<(BufReader<OwnedReadHalf>, OwnedWriteHalf)> {
        self.send(request).await?;
        Ok((self.lines, self.write))
    }

    async fn send(&mut self, request: Request) -> io::Result<()> {
        let hello = Hello { keyfob: VERSION, request };
        let mut line = serde_json::to_vec(&hello)?;
        line.push(b'\n');
        self.write.write_all(&line).await
    }
}

fn went_away(error: impl std::fmt::Display) -> Problem {
    Problem::internal(format_args!("the running Keyfob went away ({error})"))
}
