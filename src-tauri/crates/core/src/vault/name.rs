//! What an entry is called in the keychain: `<profile>.<kind>.<id>`, and `#<generation>.<part>`
//! after it for a part.

use std::fmt;

/// The longest [`EntryId`], in bytes. It keeps a part's envelope far below the size of a part.
const LONGEST_ID: usize = 128;

/// A name that the vault cannot use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// A profile's id is sixteen characters out of `0-9a-f`.
    #[error("a profile's id is 16 characters out of 0-9 and a-f")]
    Profile,
    /// An entry's id is 1 to 128 characters out of `a-z`, `0-9` and `-`.
    #[error("an entry's id is 1 to 128 characters out of a-z, 0-9 and -")]
    Id,
}

/// Whose entries these are. Config folders, tests and demos share one keychain; each of them has
/// an id that its owner made at random and keeps, and never sees an entry of another.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProfileId(String);

impl ProfileId {
    /// A profile's id as its owner has kept it.
    ///
    /// # Errors
    ///
    /// [`BadName::Profile`] unless it is sixteen characters out of `0-9a-f`.
    pub fn new(text: impl Into<String>) -> Result<Self, BadName> {
        let text = text.into();
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 16 && text.bytes().all(hex) {
            Ok(Self(text))
        } else {
            Err(BadName::Profile)
        }
    }

    /// A new profile's id out of eight random bytes.
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(format!("{:016x}", u64::from_be_bytes(bytes)))
    }

    /// The sixteen characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ProfileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// The tokens of one server, with their registration.
    Grant,
    /// A registration that outlives a grant.
    Registration,
    /// A client secret that the user typed.
    ClientSecret,
    /// The private key of the user's own client.
    ClientKey,
    /// The secret of the user's own client at an identity provider.
    IdpSecret,
    /// The person's tokens at an identity provider, with their registration there.
    IdpGrant,
    /// Request headers that the user typed.
    Headers,
}

impl EntryKind {
    /// The word that stands for it in the keychain. It is part of what is stored: never change it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Registration => "registration",
            Self::ClientSecret => "client-secret",
            Self::ClientKey => "client-key",
            Self::IdpSecret => "idp-secret",
            Self::IdpGrant => "idp-grant",
            Self::Headers => "headers",
        }
    }
}

/// Names one entry within a profile.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EntryId {
    kind: EntryKind,
    id: String,
}

impl EntryId {
    /// Names an entry. The id is seen by whoever looks into the keychain; it is no secret.
    ///
    /// # Errors
    ///
    /// [`BadName::Id`] unless the id is 1 to 128 characters out of `a-z0-9-`.
    pub fn new(kind: EntryKind, id: impl Into<String>) -> Result<Self, BadName> {
        let id = id.into();
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(plain) {
            Ok(Self { kind, id })
        } else {
            Err(BadName::Id)
        }
    }

    /// What it is for.
    pub fn kind(&self) -> EntryKind {
        self.kind
    }

    /// Which one of its kind.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// An entry's place in the keychain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) profile: ProfileId,
    /// The account string of the head.
    pub(super) name: String,
    /// What a keychain viewer shows, where the keychain has room for it.
    pub(super) label: String,
}

impl Account {
    pub(super) fn of(profile: &ProfileId, entry: &EntryId) -> Self {
        Self::build(profile, entry.kind.as_str(), &entry.id)
    }

    /// The entry of the self-test. Its name is fixed, so a test that was cut short leaves nothing
    /// that the next one does not take away.
    pub(super) fn of_check(profile: &ProfileId) -> Self {
        Self::build(profile, "check", "self-test")
    }

    /// The account of a head that was found in a list.
    pub(super) fn found(profile: &ProfileId, head: &str) -> Self {
        Self { profile: profile.clone(), name: head.to_owned(), label: "Keyfob".to_owned() }
    }

    fn build(profile: &ProfileId, kind: &str, id: &str) -> Self {
        Self {
            profile: profile.clone(),
            name: format!("{}.{kind}.{id}", profile.as_str()),
            label: format!("Keyfob: {kind}"),
        }
    }

    /// The account string of one part of one generation.
    pub(super) fn part(&self, generation: u64, index: usize) -> String {
        format!("{}#{generation}.{index}", self.name)
    }
}

/// A part's account string, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartName<'a> {
    pub(super) head: &'a str,
    pub(super) generation: u64,
    pub(super) index: usize,
}

impl<'a> PartName<'a> {
    /// `None` for a head, and for what the vault has not written.
    pub(super) fn parse(name: &'a str) -> Option<Self> {
        let (head, rest) = name.split_once('#')?;
        let (generation, index) = rest.split_once('.')?;
        Some(Self { head, generation: generation.parse().ok()?, index: index.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_sixteen_lower_case_hex_digits() {
        assert_eq!(ProfileId::from_bytes([0, 1, 2, 3, 4, 5, 6, 255]).as_str(), "00010203040506ff");
        assert!(ProfileId::new("00010203040506ff").is_ok());
        for bad in ["", "00010203040506f", "00010203040506FF", "0001020304050 ff", "é0010203040506"]
        {
            assert_eq!(ProfileId::new(bad), Err(BadName::Profile), "{bad}");
        }
    }

    #[test]
    fn an_id_cannot_break_out_of_its_account() {
        for bad in ["", "a.b", "a#1.0", "A", "a b", "ü", &"x".repeat(LONGEST_ID + 1)] {
            assert_eq!(EntryId::new(EntryKind::Grant, bad), Err(BadName::Id), "{bad}");
        }
        assert!(EntryId::new(EntryKind::Grant, "x".repeat(LONGEST_ID)).is_ok());
    }

    #[test]
    fn a_part_carries_its_heads_account_and_generation() {
        let profile = ProfileId::from_bytes([7; 8]);
        let id = EntryId::new(EntryKind::ClientSecret, "linear-2").unwrap();
        let account = Account::of(&profile, &id);
        assert_eq!(account.name, "0707070707070707.client-secret.linear-2");
        assert_eq!(account.label, "Keyfob: client-secret");
        let part = account.part(12, 3);
        assert_eq!(part, "0707070707070707.client-secret.linear-2#12.3");
        let parsed = PartName::parse(&part);
        assert_eq!(parsed, Some(PartName { head: &account.name, generation: 12, index: 3 }));
        assert_eq!(PartName::parse(&account.name), None);
        assert_eq!(PartName::parse("x#1"), None);
        assert_eq!(PartName::parse("x#1.y"), None);
    }
}
