//! The broker, the vault, the gateway: all of Keyfob that does I/O.

pub mod bridge;
pub mod broker;
pub mod browser;
pub mod client_key;
pub mod client_setup;
pub mod clock;
pub mod config;
pub mod control;
pub mod environment;
pub mod extensions;
pub mod fetch;
pub mod gateway;
pub mod identity;
pub mod locale;
pub mod mcp;
pub mod paths;
pub mod problem;
pub mod process_memory;
pub mod reach;
pub mod remembered;
pub mod server;
pub mod server_name;
pub mod site;
pub mod typed;
pub mod vault;
pub mod view;
mod wiped;

pub use keyfob_auth as auth;
