//! Memory that is given back is wiped first, in every program that this crate is part of.
//!
//! [`Secret`](keyfob_auth::Secret) wipes its own text. But a token also passes through buffers that
//! are not ours to wipe: of HTTP, of the keychain's library, of JSON that is parsed or written, and
//! of a text that has outgrown its place. All of them come from this allocator and go back to it.

use std::alloc::System;

use zeroizing_alloc::ZeroAlloc;

#[global_allocator]
static WIPED: ZeroAlloc<System> = ZeroAlloc(System);
