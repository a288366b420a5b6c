//! Random strings and readable random names.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A random string with this prefix; 192 bits.
pub fn secret(prefix: &str) -> String {
    let mut bytes = [0_u8; 24];
    getrandom::fill(&mut bytes).expect("entropy");
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// A random number below `end`.
pub fn below(end: usize) -> usize {
    let mut bytes = [0_u8; 4];
    getrandom::fill(&mut bytes).expect("entropy");
    u32::from_le_bytes(bytes) as usize % end
}

const ADJECTIVES: [&str; 24] = [
    "amber", "brisk", "calm", "clever", "copper", "cosy", "dapper", "eager", "fuzzy", "gentle",
    "golden", "humble", "ivory", "jolly", "keen", "lucky", "mellow", "nimble", "plucky", "quiet",
    "rustic", "silver", "sunny", "tidy",
];
const NOUNS: [&str; 24] = [
    "badger", "beacon", "canyon", "cedar", "comet", "falcon", "fjord", "garden", "harbor", "heron",
    "island", "lantern", "maple", "meadow", "orchard", "otter", "pebble", "pelican", "quarry",
    "river", "sparrow", "tulip", "walnut", "willow",
];

/// `count` different names like `amber-otter`.
pub fn names(count: usize) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    while found.len() < count {
        let name = format!("{}-{}", ADJECTIVES[below(ADJECTIVES.len())], NOUNS[below(NOUNS.len())]);
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// A loopback port that is free on both families, outside the usual ephemeral ranges.
///
/// An ephemeral one could be handed to somebody else between this check and its use.
pub fn free_port() -> u16 {
    for _ in 0..500 {
        let port = 16_000 + u16::try_from(below(15_000)).expect("small");
        let v4 = std::net::TcpListener::bind(("127.0.0.1", port));
        let v6 = std::net::TcpListener::bind(("::1", port));
        let v6_free = v6.map_or_else(|e| e.kind() != std::io::ErrorKind::AddrInUse, |_| true);
        if v4.is_ok() && v6_free {
            return port;
        }
    }
    panic!("no free loopback port between 16000 and 31000");
}
