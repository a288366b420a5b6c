//! Text that must not be printed, logged or serialised.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A token, code, verifier, client secret or key.
///
/// It has no `Display` and no `Serialize`; `Debug` prints a placeholder. Its buffer is wiped when
/// it is dropped. What was copied out by [`Secret::expose`] is wiped where all memory is that is
/// given back: in every program with `keyfob-core`.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The boundary: from here on the caller answers for where the text goes.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text at all. An empty secret is no secret.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Eq for Secret {}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_never_shows_the_text() {
        let shown = format!("{:?} {:#?}", Secret::new("hunter2"), Some(Secret::new("hunter2")));
        assert!(!shown.contains("hunter2"), "a secret was printed: {shown}");
    }
}
