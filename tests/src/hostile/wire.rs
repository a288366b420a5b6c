//! HTTP byte by byte: requests are read leniently, answers are written as they are told.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::answer::Answer;
use super::{Dice, text};

const LARGEST_HEAD: usize = 256 * 1024;
const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// What is used of a request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) query: String,
    pub(super) is_authorized: bool,
    pub(super) body: Vec<u8>,
}

/// What goes wrong on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// The connection ends without a byte.
    Closed,
    /// Nobody says anything.
    Silence,
    /// The head ends in the middle.
    HalfHead,
    /// The body is shorter than announced.
    ShortBody,
    /// A byte now and then.
    Drip,
    /// The body never ends; it comes as fast as it is read.
    Endless,
    /// Chunks with sizes that are none.
    BadChunks,
    /// A length and chunks.
    LengthAndChunks,
    /// Two lengths that differ.
    TwoLengths,
    /// A length beyond every number.
    HugeLength,
    /// Interim answers without an end.
    Interim,
    /// It claims to be compressed.
    FalseGzip,
    /// It unpacks to very much.
    GzipBomb,
    /// No HTTP at all.
    Garbage,
    /// The answer to a question that nobody asked comes behind the right one.
    Behind,
}

pub(super) const FAULTS: [Fault; 15] = [
    Fault::Closed,
    Fault::Silence,
    Fault::HalfHead,
    Fault::ShortBody,
    Fault::Drip,
    Fault::Endless,
    Fault::BadChunks,
    Fault::LengthAndChunks,
    Fault::TwoLengths,
    Fault::HugeLength,
    Fault::Interim,
    Fault::FalseGzip,
    Fault::GzipBomb,
    Fault::Garbage,
    Fault::Behind,
];

/// Reads a request; nothing where none came.
pub(super) async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if bytes.len() > LARGEST_HEAD || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.split("\r\n");
    let target = lines.next()?.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    let mut is_authorized = false;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "authorization" => is_authorized = true,
            _ => {}
        }
    }
    let mut body = bytes.split_off(head + 4);
    while body.len() < length.min(LARGEST_BODY) {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Request { path: path.to_owned(), query: query.to_owned(), is_authorized, body })
}

/// Writes an answer, and ends the connection.
pub(super) async fn write(stream: &mut TcpStream, answer: &Answer, fault: Fault, dice: &mut Dice) {
    // Whoever has hung up needs no answer.
    let _ = write_all(stream, answer, fault, dice).await;
    let _ = stream.shutdown().await;
}

async fn write_all(
    stream: &mut TcpStream,
    answer: &Answer,
    fault: Fault,
    dice: &mut Dice,
) -> std::io::Result<()> {
    let length = answer.body.len();
    let plain = format!("content-length: {length}\r\n");
    match fault {
        Fault::Closed => Ok(()),
        Fault::Silence => {
            std::future::pending::<()>().await;
            Ok(())
        }
        Fault::HalfHead => {
            let head = head(answer, &plain);
            stream.write_all(&head[..dice.below(head.len())]).await
        }
        Fault::None => whole(stream, &head(answer, &plain), &answer.body).await,
        Fault::ShortBody => {
            let more = format!("content-length: {}\r\n", length + 1 + dice.below(100_000));
            whole(stream, &head(answer, &more), &answer.body).await
        }
        Fault::Drip => {
            stream.write_all(&head(answer, &plain)).await?;
            for byte in &answer.body {
                stream.write_all(&[*byte]).await?;
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
            Ok(())
        }
        Fault::Endless => {
            stream.write_all(&head(answer, "")).await?;
            let filling = dice.pick(&[b' ', b'[', b'a', b'\n', 0]);
            let block = [filling; 16 * 1024];
            loop {
                stream.write_all(&block).await?;
            }
        }
        Fault::BadChunks => {
            let size = dice.pick(&["zz", "-1", "ffffffffffffffffff", "5;", "", "1\n"]);
            let head = head(answer, "transfer-encoding: chunked\r\n");
            whole(stream, &head, format!("{size}\r\nhello\r\n0\r\n\r\n").as_bytes()).await
        }
        Fault::LengthAndChunks => {
            let more = format!("{plain}transfer-encoding: chunked\r\n");
            whole(stream, &head(answer, &more), b"5\r\nhello\r\n0\r\n\r\n").await
        }
        Fault::TwoLengths => {
            let more = format!("{plain}content-length: 3\r\n");
            whole(stream, &head(answer, &more), &answer.body).await
        }
        Fault::HugeLength => {
            let length = dice.pick(&["18446744073709551616", "9223372036854775807", "-5"]);
            let more = format!("content-length: {length}\r\n");
            whole(stream, &head(answer, &more), &answer.body).await
        }
        Fault::Interim => loop {
            stream.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n").await?;
            tokio::time::sleep(Duration::from_millis(1)).await;
        },
        Fault::FalseGzip => {
            let more = format!("{plain}content-encoding: gzip\r\n");
            whole(stream, &head(answer, &more), &answer.body).await
        }
        Fault::GzipBomb => {
            let bomb = text::gzip_bomb(400_000);
            let more = format!("content-length: {}\r\ncontent-encoding: gzip\r\n", bomb.len());
            whole(stream, &head(answer, &more), &bomb).await
        }
        Fault::Garbage => {
            let garbage = dice.pick(&[
                &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
                b"220 mail ESMTP\r\n",
                b"HTTP/9.9 200 OK\r\n\r\n",
                b"HTTP/1.1 999999 \r\n\r\n",
                b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
                b"HTTP/1.1 200 OK\r\na\x00b: c\r\n\r\n",
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            ]);
            stream.write_all(garbage).await
        }
        Fault::Behind => {
            whole(stream, &head(answer, &plain), &answer.body).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await
        }
    }
}

fn head(answer: &Answer, more: &str) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} Said\r\n", answer.status).into_bytes();
    for (name, value) in &answer.headers {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(more.as_bytes());
    head.extend_from_slice(b"\r\n");
    head
}

async fn whole(stream: &mut TcpStream, head: &[u8], body: &[u8]) -> std::io::Result<()> {
    stream.write_all(head).await?;
    stream.write_all(body).await
}
