//! The connections that clients have open. One that has not shown a key yet is a stranger's: there
//! are only so many of those, and each may be ended for a newer one. One that has shown a key stays
//! for as long as the key is good.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};

use super::peer::Peer;
use super::seat::Revocation;
use super::{Gateway, Listeners};

/// Longest time that a client may take for its request's head, and that it may stay without one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest request head, in bytes.
const LARGEST_HEAD: usize = 64 * 1024;

/// What is read ahead, in bytes: more than a head, so that the limit of that decides alone.
const READ_BUFFER: usize = LARGEST_HEAD + 16 * 1024;

/// Most connections without a key, where descriptors are plenty: as many as honest clients may
/// open at one moment.
const MOST_KEYLESS: usize = 1024;

/// Most of them that have begun a request, for each of which up to [`READ_BUFFER`] is kept. Honest
/// clients send their key in the first piece, and are not among them for longer than it is read.
/// Where descriptors are few it is half of those without a key, so that there is always room for
/// new ones.
const MOST_BEGUN: usize = 128;

/// The part of all descriptors that connections without a key may have. The others are for those
/// with one, each of which needs one more for its server, and for the broker itself.
const KEYLESS_PART: usize = 4;

/// The open connections.
#[derive(Debug)]
pub struct Connections {
    open: Mutex<Open>,
    most_keyless: usize,
    most_begun: usize,
}

/// They end when their sender is dropped.
#[derive(Debug, Default)]
struct Open {
    /// How many places were given out.
    places: u64,
    /// Those on which nothing has come; the oldest first.
    silent: BTreeMap<u64, End>,
    /// Those on which something has come but no key; the first to begin first.
    begun: BTreeMap<u64, End>,
    keyed: HashMap<u64, (End, Revocation)>,
}

type End = oneshot::Sender<Infallible>;

impl Open {
    fn next(&mut self) -> u64 {
        self.places += 1;
        self.places
    }

    fn keyless(&self) -> usize {
        self.silent.len() + self.begun.len()
    }

    /// Gives a place up.
    fn take(&mut self, place: u64) -> Option<End> {
        let keyless = self.silent.remove(&place).or_else(|| self.begun.remove(&place));
        keyless.or_else(|| self.keyed.remove(&place).map(|(end, _)| end))
    }
}

/// A place among the connections; given up when this is dropped.
#[derive(Debug)]
pub struct Connection {
    connections: Arc<Connections>,
    place: Mutex<Place>,
}

#[derive(Debug)]
struct Place {
    number: u64,
    shown: Option<Revocation>,
}

impl Default for Connections {
    fn default() -> Self {
        Self::with_descriptors(descriptors())
    }
}

impl Connections {
    fn with_descriptors(limit: Option<usize>) -> Self {
        let part = limit.map_or(MOST_KEYLESS, |limit| limit / KEYLESS_PART);
        let most_keyless = part.clamp(2, MOST_KEYLESS);
        Self { open: Mutex::default(), most_keyless, most_begun: MOST_BEGUN.min(most_keyless / 2) }
    }

    /// Enters a new connection, and what tells it to end.
    fn enter(self: &Arc<Self>) -> (Connection, oneshot::Receiver<Infallible>) {
        let (end, ended) = oneshot::channel();
        let mut open = self.open();
        let number = open.next();
        open.silent.insert(number, end);
        drop(open);
        let place = Mutex::new(Place { number, shown: None });
        (Connection { connections: self.clone(), place }, ended)
    }

    /// How many have shown no key.
    fn keyless(&self) -> usize {
        self.open().keyless()
    }

    /// Ends those that have been silent, then those that have been without a key for longest, until
    /// there are fewer than `most`.
    fn make_room(&self, most: usize) {
        let mut open = self.open();
        while open.keyless() >= most {
            if open.silent.pop_first().is_none() && open.begun.pop_first().is_none() {
                break;
            }
        }
    }

    /// Ends the connections whose key has been revoked, with everything that is under way on them.
    pub fn end_revoked(&self) {
        self.open().keyed.retain(|_, (_, key)| !key.is_revoked());
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        lock(&self.open)
    }
}

impl Connection {
    /// Something has come on it. Whoever has begun and not gone on for longest makes room.
    fn begin(&self) {
        let mut place = lock(&self.place);
        let mut open = self.connections.open();
        let Some(end) = open.take(place.number) else { return };
        while open.begun.len() >= self.connections.most_begun {
            open.begun.pop_first();
        }
        place.number = open.next();
        open.begun.insert(place.number, end);
    }

    /// Notes the key of a request. Gives whether it is still good: one that is revoked from now on
    /// ends the connection.
    pub fn show(&self, key: &Revocation) -> bool {
        let mut place = lock(&self.place);
        if place.shown.as_ref() != Some(key) {
            let mut open = self.connections.open();
            if let Some(end) = open.take(place.number) {
                open.keyed.insert(place.number, (end, key.clone()));
            }
            drop(open);
            place.shown = Some(key.clone());
        }
        !key.is_revoked()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let number = lock(&self.place).number;
        self.connections.open().take(number);
    }
}

impl Gateway {
    /// Answers until `stop` changes, then lets open requests end for as long as `grace`.
    pub async fn serve(
        self,
        listeners: Listeners,
        mut stop: watch::Receiver<bool>,
        grace: Duration,
    ) {
        let graceful = GracefulShutdown::new();
        let gateway = Arc::new(self);
        loop {
            tokio::select! {
                accepted = listeners.accept() => match accepted {
                    Ok((stream, _)) => {
                        gateway.make_room().await;
                        gateway.clone().answer_on(stream, &graceful, stop.clone());
                    }
                    // Out of descriptors, most likely.
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        gateway.connections.make_room(gateway.connections.keyless());
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                _ = stop.changed() => break,
            }
        }
        drop(listeners);
        let _ = tokio::time::timeout(grace, graceful.shutdown()).await;
    }

    /// Makes room for one more connection. Those that are there come first: whoever has sent its
    /// key already has shown it by then, and is not taken for a stranger.
    async fn make_room(&self) {
        let most = self.connections.most_keyless;
        if self.connections.keyless() >= most {
            tokio::task::yield_now().await;
            self.connections.make_room(most);
        }
    }

    fn answer_on(
        self: Arc<Self>,
        stream: TcpStream,
        graceful: &GracefulShutdown,
        mut stop: watch::Receiver<bool>,
    ) {
        let _ = stream.set_nodelay(true);
        let presence = self.activity.enter();
        let peer = self.peers.of(&stream);
        let (entered, mut ended) = self.connections.enter();
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            // Nothing is set aside for a connection on which nothing has come.
            let mut first = [0];
            tokio::select! {
                first = tokio::time::timeout(HEAD_TIMEOUT, stream.peek(&mut first)) => {
                    if !matches!(first, Ok(Ok(1..))) {
                        return;
                    }
                }
                _ = &mut ended => return,
                _ = stop.changed() => return,
            }
            drop(stop);
            entered.begin();
            // On the heap, or a silent one would be as large.
            Box::pin(self.answer_all(stream, peer, entered, watcher, ended)).await;
            drop(presence);
        });
    }

    /// Answers the requests of a connection until either side has had enough.
    async fn answer_all(
        self: Arc<Self>,
        stream: TcpStream,
        peer: Peer,
        entered: Connection,
        watcher: Watcher,
        ended: oneshot::Receiver<Infallible>,
    ) {
        let client = Arc::new((peer, entered));
        let service = service_fn(move |request| {
            let (gateway, client) = (self.clone(), client.clone());
            async move {
                let (peer, entered) = &*client;
                Ok::<_, Infallible>(match peer.refusal().await {
                    Some(refusal) => refusal,
                    None => gateway.respond(request, entered).await,
                })
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_header_size(LARGEST_HEAD)
            .max_buf_size(READ_BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            served = watcher.watch(connection) => if let Err(error) = served {
                tracing::debug!(%error, "a connection ended early");
            },
            _ = ended => tracing::debug!("a connection was ended"),
        }
    }
}

/// How many files this process may have open.
fn descriptors() -> Option<usize> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};
        getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok())
    }
    #[cfg(not(unix))]
    None
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use tokio::sync::oneshot::error::TryRecvError;

    use super::{Connections, MOST_BEGUN, MOST_KEYLESS};
    use crate::gateway::seat::Revocation;

    #[test]
    fn strangers_have_a_part_of_the_descriptors_and_never_more_than_a_crowd() {
        let most = |limit| {
            let connections = Connections::with_descriptors(limit);
            (connections.most_keyless, connections.most_begun)
        };
        assert_eq!(
            [most(Some(256)), most(Some(1024)), most(Some(0))],
            [(64, 32), (256, 128), (2, 1)]
        );
        assert_eq!([most(Some(1 << 20)), most(None)], [(MOST_KEYLESS, MOST_BEGUN); 2]);
    }

    const GOES_ON: Result<Infallible, TryRecvError> = Err(TryRecvError::Empty);
    const ENDS: Result<Infallible, TryRecvError> = Err(TryRecvError::Closed);

    #[test]
    fn the_oldest_without_a_key_makes_room_and_never_one_with_a_key() {
        let connections = Arc::new(Connections::with_descriptors(Some(0)));
        let (honest, mut honest_end) = connections.enter();
        let (begun, mut begun_end) = connections.enter();
        let (_first, mut first_end) = connections.enter();
        let (_second, mut second_end) = connections.enter();
        assert!(honest.show(&Revocation::default()));
        begun.begin();
        connections.make_room(3);
        assert_eq!(first_end.try_recv(), ENDS, "the oldest that is silent");
        assert_eq!(second_end.try_recv(), GOES_ON, "there is room for it");
        connections.make_room(2);
        assert_eq!((second_end.try_recv(), begun_end.try_recv()), (ENDS, GOES_ON));
        connections.make_room(0);
        assert_eq!((begun_end.try_recv(), honest_end.try_recv()), (ENDS, GOES_ON));
        drop(honest);
        assert_eq!(honest_end.try_recv(), ENDS);
        assert!(connections.open().keyed.is_empty() && connections.keyless() == 0);
    }

    #[test]
    fn who_begins_and_does_not_go_on_makes_room_for_who_begins_later() {
        let connections = Arc::new(Connections::with_descriptors(None));
        let (early, mut early_end) = connections.enter();
        let strangers: Vec<_> = (0..MOST_BEGUN).map(|_| connections.enter()).collect();
        strangers.iter().for_each(|(stranger, _)| stranger.begin());
        early.begin();
        assert_eq!(early_end.try_recv(), GOES_ON, "it came first and begins last");
        let ended = strangers.into_iter().map(|(_, mut end)| end.try_recv() == ENDS);
        assert_eq!(ended.collect::<Vec<_>>()[..2], [true, false]);
        assert_eq!(connections.keyless(), 1);
    }

    #[test]
    fn a_revoked_key_ends_the_connections_that_showed_it_last() {
        let connections = Arc::new(Connections::with_descriptors(None));
        let (revoked, other) = (Revocation::default(), Revocation::default());
        let (one, mut one_end) = connections.enter();
        let (two, mut two_end) = connections.enter();
        let (late, _) = connections.enter();
        assert!(one.show(&other) && one.show(&revoked));
        assert!(two.show(&revoked) && two.show(&other));
        revoked.revoke();
        connections.end_revoked();
        assert_eq!(one_end.try_recv(), ENDS);
        assert_eq!(two_end.try_recv(), GOES_ON, "another client's by now");
        assert!(!late.show(&revoked), "it came between the check of its key and its end");
    }
}
