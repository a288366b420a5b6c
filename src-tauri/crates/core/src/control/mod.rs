//! The control channel: how CLI, bridge and a second start talk to the broker. Versioned JSON
//! lines over a Unix socket that only its owner can reach.

#[cfg(unix)]
pub mod client;
pub mod protocol;
#[cfg(unix)]
pub mod server;
#[cfg(unix)]
pub mod socket;
