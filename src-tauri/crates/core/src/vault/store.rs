//! What the vault needs of a place to keep entries in.

use super::{Lasts, VaultError, name::ProfileId};
use keyfob_auth::Secret;

/// Single entries, each written or deleted as a whole. A name is an account string
/// (see [`super::name`]).
///
/// Implementations block, and are called by one thread only.
pub(super) trait Store {
    /// The entry's text; `None` when there is no such entry.
    fn get_raw(&mut self, name: &str) -> Result<Option<Secret>, VaultError>;

    /// Makes or replaces an entry. `label` is what a keychain viewer shows.
    fn put_raw(&mut self, name: &str, label: &str, text: &Secret) -> Result<(), VaultError>;

    /// Deletes an entry. One that is not there is deleted already.
    fn delete_raw(&mut self, name: &str) -> Result<(), VaultError>;

    /// The names of all of a profile's entries.
    fn list(&mut self, profile: &ProfileId) -> Result<Vec<String>, VaultError>;

    /// How long an entry, which is there, will last.
    fn lasts(&mut self, name: &str) -> Result<Lasts, VaultError>;
}
