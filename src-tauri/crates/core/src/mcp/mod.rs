//! A small MCP client of both eras: for `keyfob tools` and `keyfob call`, and what it shares with
//! the bridge.

mod messages;
mod mirror;
mod session;

use self::messages::{Allowance, MOST_PAGES};
pub use self::messages::{LARGEST, Messages, TooMuch, parsed};
pub use self::mirror::{Mirror, mirrored};
pub use self::session::Session;

/// The last revision with sessions.
pub const LEGACY: &str = "2025-11-25";

/// The first revision without.
pub const MODERN: &str = "2026-07-28";

/// The media types that a client of streamable HTTP accepts.
pub const ACCEPT: &str = "application/json, text/event-stream";
