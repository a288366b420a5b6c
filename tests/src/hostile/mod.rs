//! A server that is hostile at random: an MCP server and its authorization server at one address,
//! which answer each request as they should, or in one of many ways that nobody should.
//!
//! Every choice comes from the seed, the path, and how often the path was asked for, so that a run
//! can be made again. It writes its answers byte by byte: what it sends is often no HTTP.

mod answer;
mod bend;
mod dice;
mod text;
mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub use dice::Dice;
use wire::Request;

/// A running hostile server. It ends, with all its connections, when dropped.
pub struct Hostile {
    port: u16,
    world: Arc<World>,
    task: JoinHandle<()>,
}

struct World {
    seed: u64,
    origin: String,
    /// Where it tries to send others: the product's own gateway.
    gateway: u16,
    /// How many of a hundred answers are bent.
    bent: usize,
    asked: Mutex<HashMap<String, usize>>,
    /// What was pushed last, by the one client that there is.
    pushed: Mutex<Option<String>>,
    bends: Mutex<Vec<String>>,
}

impl Hostile {
    /// Starts on a port of the system's choice.
    pub async fn start(seed: u64, gateway: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port");
        let port = listener.local_addr().expect("bound").port();
        let bent = Dice::at(seed, "how much").pick(&[10, 20, 35, 60, 100]);
        let world = Arc::new(World {
            seed,
            origin: format!("http://127.0.0.1:{port}"),
            gateway,
            bent,
            asked: Mutex::default(),
            pushed: Mutex::default(),
            bends: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&world)));
        Self { port, world, task }
    }

    /// The address of the MCP server.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.world.asked.lock().expect("asked").values().sum()
    }

    /// What was done wrong, in order.
    pub fn bends(&self) -> Vec<String> {
        self.world.bends.lock().expect("bends").clone()
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, world: Arc<World>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let world = Arc::clone(&world);
        connections.spawn(async move { connection(stream, &world).await });
    }
}

async fn connection(mut stream: TcpStream, world: &World) {
    stream.set_nodelay(true).ok();
    if let Some(request) = wire::read(&mut stream).await {
        let (mut dice, is_bent) = world.choices(&request);
        let mut answer = answer::of(&request, world, &mut dice);
        let mut fault = wire::Fault::None;
        if is_bent {
            let place = answer.place;
            let bend = bend::apply(&mut answer, world, &mut dice, &mut fault);
            world.bends.lock().expect("bends").push(format!("{place}: {bend}"));
        }
        wire::write(&mut stream, &answer, fault, &mut dice).await;
    }
}

impl World {
    /// The choices for this request, and whether its answer is to be bent.
    fn choices(&self, request: &Request) -> (Dice, bool) {
        let count = {
            let mut asked = self.asked.lock().expect("asked");
            let count = asked.entry(request.path.clone()).or_default();
            *count += 1;
            *count
        };
        let mut dice = Dice::at(self.seed, &format!("{} {count}", request.path));
        let is_bent = dice.is_in(self.bent);
        (dice, is_bent)
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}
