//! Servers and tools to test Keyfob against, from the outside.
//!
//! Nothing here uses the product's crates: it is a reading of the RFCs of its own, so that a
//! mistake there is not repeated here.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "test code: a fixture that cannot start has nothing to recover to"
)]

pub mod authserver;
pub mod browser;
pub mod call;
pub mod desktop;
pub mod dochost;
pub mod door;
pub mod flood;
pub mod flow;
pub mod host;
pub mod hostile;
pub mod journal;
pub mod keychain;
pub mod machine;
pub mod mcp;
pub mod network;
pub mod oddity;
pub mod proxy;
pub mod random;
pub mod raw;
pub mod rpc;
pub mod scan;
pub mod world;

pub use authserver::AuthorizationServer;
pub use dochost::{Document, DocumentHost};
pub use journal::{BearerSeen, Entry, Journal, Kind};
pub use mcp::McpServer;
pub use oddity::Oddity;
pub use rpc::RpcClient;
pub use world::{Keyfob, Output, Scene, Setup, Store, Visit};
