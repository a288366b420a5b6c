//! OAuth and MCP authorization without I/O.
//!
//! Everything here is a function of its arguments: HTTP is a value that is returned and a value
//! that is given ([`wire`]), time and entropy are passed in. The crate can name no socket, clock
//! or runtime.
//!
//! The heart is [`flow::SignIn`]: a state machine, one file per state, from the first look at a
//! server to a [`grant::Grant`].

pub mod authorize;
pub mod challenge;
pub mod client_assertion;
pub mod client_document;
pub mod dcr;
pub mod dpop;
pub mod error_code;
pub mod flow;
pub mod grant;
mod id_jag;
pub mod jwt;
pub mod metadata;
pub mod reach;
pub mod registration;
mod renewal;
pub mod scope;
pub mod secret;
pub mod server_url;
pub mod text;
pub mod time;
pub mod token;
pub mod trace;
pub mod well_known;
pub mod wire;

pub use secret::Secret;
pub use server_url::ServerUrl;
pub use time::Timestamp;
