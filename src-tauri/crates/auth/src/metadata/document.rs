//! A metadata document, read member by member: of what is not asked for nothing is kept, and of a
//! list no more than its first entries, however long it is.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{BadMetadata, MOST_ENTRIES};
use crate::wire::Response;

/// The members that are read (RFC 8414 section 2, RFC 9728 section 2).
const MEMBERS: [&str; 17] = [
    "authorization_endpoint",
    "authorization_response_iss_parameter_supported",
    "authorization_servers",
    "client_id_metadata_document_supported",
    "code_challenge_methods_supported",
    "dpop_bound_access_tokens_required",
    "dpop_signing_alg_values_supported",
    "grant_types_supported",
    "issuer",
    "pushed_authorization_request_endpoint",
    "registration_endpoint",
    "require_pushed_authorization_requests",
    "resource",
    "revocation_endpoint",
    "scopes_supported",
    "token_endpoint",
    "token_endpoint_auth_methods_supported",
];

/// The entries of a list that Keyfob needs. They are found at any position.
const LOOKED_FOR: [&str; 9] = [
    "ES256",
    "S256",
    "authorization_code",
    "client_secret_basic",
    "client_secret_post",
    "implicit",
    "none",
    "offline_access",
    "private_key_jwt",
];

/// The members of a document.
#[derive(Debug, Default)]
pub(super) struct Document(BTreeMap<&'static str, Member>);

/// The value of one, as far as it is of use.
#[derive(Debug)]
enum Member {
    Flag(bool),
    Text(String),
    List(List),
    Other,
}

/// The strings of a list.
#[derive(Debug, Default)]
struct List {
    kept: Vec<String>,
    count: usize,
}

impl Document {
    /// RFC 9728 section 3.2 and RFC 8414 section 3.2: 200, JSON, an object.
    pub(super) fn parse(response: &Response) -> Result<Self, BadMetadata> {
        let is_json =
            response.media_type().is_none_or(|t| t == "application/json" || t.ends_with("+json"));
        if response.status != 200 || !(is_json || super::is_plain_text(response)) {
            return Err(BadMetadata::NotMetadata);
        }
        let body = response.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&response.body);
        serde_json::from_slice(body).map_err(|_| BadMetadata::NotMetadata)
    }

    /// A text that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Member::Text(text) if !text.is_empty() => Some(text.clone()),
            _ => None,
        }
    }

    /// The strings of a list.
    pub(super) fn list(&self, name: &str) -> Option<Vec<String>> {
        match self.0.get(name)? {
            Member::List(list) => Some(list.kept.clone()),
            _ => None,
        }
    }

    /// Whether it is `true`.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(Member::Flag(true)))
    }

    /// The lists of which not all was looked at, and how many entries each has.
    pub(super) fn cut(&self) -> Vec<(&'static str, usize)> {
        let cut = self.0.iter().filter_map(|(name, member)| match member {
            Member::List(list) if list.count > MOST_ENTRIES => Some((*name, list.count)),
            _ => None,
        });
        cut.collect()
    }
}

impl List {
    fn see(&mut self, text: &str) {
        let is_wanted = self.count < MOST_ENTRIES || LOOKED_FOR.contains(&text);
        if is_wanted && !self.kept.iter().any(|kept| kept == text) {
            self.kept.push(text.to_owned());
        }
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut document = Document::default();
        while let Some(Name(name)) = map.next_key()? {
            match name {
                // Where a name stands twice the last one counts.
                Some(name) => {
                    document.0.insert(name, map.next_value()?);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(document)
    }
}

/// The name of a member, where it is one of those that are read.
struct Name(Option<&'static str>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl Visitor<'_> for Names {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E>(self, text: &str) -> Result<Name, E> {
                Ok(Name(MEMBERS.into_iter().find(|name| *name == text)))
            }
        }

        deserializer.deserialize_str(Names)
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Member, E> {
        Ok(Member::Flag(flag))
    }

    fn visit_str<E>(self, text: &str) -> Result<Member, E> {
        Ok(Member::Text(text.to_owned()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_unit<E>(self) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Member, A::Error> {
        let mut list = List::default();
        while let Some(Entry(text)) = seq.next_element()? {
            if let Some(text) = text {
                list.see(&text);
            }
            list.count += 1;
        }
        Ok(Member::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }
}

/// An entry of a list: its text, where it is one.
struct Entry(Option<String>);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Member::deserialize(deserializer)? {
            Member::Text(text) => Self(Some(text)),
            Member::Flag(_) | Member::List(_) | Member::Other => Self(None),
        })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use serde_json::json;

    use super::Document;
    use crate::metadata::MOST_ENTRIES;
    use crate::wire::Response;

    fn document(body: String) -> Document {
        let response = Response { status: 200, headers: HeaderMap::new(), body: body.into_bytes() };
        Document::parse(&response).expect("a document")
    }

    #[test]
    fn of_a_list_the_first_entries_are_looked_at_and_what_is_looked_for_is_found() {
        let mut scopes: Vec<String> = (0..1000).map(|n| format!("s{n}")).collect();
        scopes.push("offline_access".to_owned());
        scopes.extend(std::iter::repeat_n("none".to_owned(), 1000));
        let read = document(json!({"scopes_supported": scopes, "unknown": scopes}).to_string());
        let kept = read.list("scopes_supported").expect("a list");
        assert_eq!(kept[..MOST_ENTRIES], scopes[..MOST_ENTRIES]);
        assert_eq!(kept[MOST_ENTRIES..], ["offline_access", "none"]);
        assert_eq!(read.cut(), [("scopes_supported", 2001)]);
        assert!(read.list("unknown").is_none());
    }

    #[test]
    fn a_list_of_so_many_entries_is_read_whole_and_what_is_no_text_is_passed_over() {
        let few: Vec<String> = (0..MOST_ENTRIES).map(|n| n.to_string()).collect();
        let read = document(json!({"scopes_supported": few}).to_string());
        assert_eq!((read.list("scopes_supported"), read.cut()), (Some(few), Vec::new()));
        let mixed = json!({"authorization_servers": [1, -1, 0.5, null, true, ["x"], {"a": ["b"]}, "y"],
            "issuer": {"a": 1}, "resource": null});
        let read = document(mixed.to_string());
        assert_eq!(read.list("authorization_servers"), Some(vec!["y".to_owned()]));
        assert_eq!((read.text("issuer"), read.text("resource")), (None, None));
    }
}
