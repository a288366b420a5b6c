//! What a token may be made of, and how long.

/// Longest token that is taken, in bytes. It goes into a header and into the keychain.
pub const LONGEST_TOKEN: usize = 16 * 1024;

/// Checks a token against RFC 6749 appendices A.12 and A.17 as far as a header can hold it: visible
/// ASCII.
pub(crate) fn check_token(token: &str, faults: TokenFaults) -> Result<(), &'static str> {
    if token.len() > LONGEST_TOKEN {
        return Err(faults.too_long);
    }
    match token.bytes().all(|c| c.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(faults.not_visible),
    }
}

/// What is said of a token that is not taken.
#[derive(Clone, Copy)]
pub(crate) struct TokenFaults {
    pub(crate) too_long: &'static str,
    pub(crate) not_visible: &'static str,
}

/// The members of an answer that hold tokens.
pub(super) const TOKENS: [(&str, TokenFaults); 3] = [
    (
        "access_token",
        TokenFaults {
            too_long: "its access token has more than 16 kB",
            not_visible: "its access token has characters other than visible ASCII",
        },
    ),
    (
        "refresh_token",
        TokenFaults {
            too_long: "its refresh token has more than 16 kB",
            not_visible: "its refresh token has characters other than visible ASCII",
        },
    ),
    (
        "id_token",
        TokenFaults {
            too_long: "its ID token has more than 16 kB",
            not_visible: "its ID token has characters other than visible ASCII",
        },
    ),
];
