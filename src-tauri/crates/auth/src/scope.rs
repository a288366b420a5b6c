//! Which scopes to ask for (MCP 2026-07-28 authorization, "Scope Selection Strategy" and
//! "Step-Up Authorization Flow").

use std::collections::BTreeSet;

/// Most scopes that are taken over from a server's list.
const MOST: usize = 200;

/// The longest list of scopes that is taken from a server, in bytes.
pub const LONGEST: usize = 4096;

/// As many of a server's scopes as are asked for: their list goes into a link.
fn capped(scopes: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut length = 0;
    let within = scopes.into_iter().take(MOST).take_while(|scope| {
        length += scope.len() + 1;
        length <= LONGEST
    });
    within.collect()
}

/// Splits a scope string (RFC 6749 section 3.3). What is no scope is left out.
pub fn split(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().filter(|scope| is_scope(scope)).map(str::to_owned).collect()
}

/// How many words of a scope string are no scopes.
pub fn count_odd(text: &str) -> usize {
    text.split_ascii_whitespace().filter(|scope| !is_scope(scope)).count()
}

/// Whether it is one scope (RFC 6749 appendix A.4): printable ASCII but for the blank, the quotation
/// mark and the backslash.
pub fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| matches!(c, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// Joins scopes in order, each once.
pub fn join(scopes: &[String]) -> String {
    let mut seen = BTreeSet::new();
    let kept: Vec<&str> =
        scopes.iter().map(String::as_str).filter(|scope| seen.insert(*scope)).collect();
    kept.join(" ")
}

/// Everything that bears on the choice of scopes.
#[derive(Clone, Debug, Default)]
pub struct Wishes<'a> {
    /// Scopes the user wrote for this server.
    pub configured: &'a [String],
    /// The challenge's `scope`.
    pub challenged: Option<&'a str>,
    /// `scopes_supported` of the protected resource metadata.
    pub supported: Option<&'a [String]>,
    /// Scopes that were asked for or granted before, when more are wanted now.
    pub had: &'a [String],
    /// Whether the authorization server lists `offline_access`.
    pub offline_access: bool,
}

/// The scopes to ask for: the user's, else the challenge's, else all that the resource supports,
/// else none; joined with what was had before, and with `offline_access` where it is on offer.
///
/// An empty choice stays empty: adding `offline_access` to it would turn "the server's default"
/// into "nothing but offline access".
pub fn choose(wishes: &Wishes<'_>) -> Vec<String> {
    let base = match (wishes.configured, wishes.challenged, wishes.supported) {
        (configured, _, _) if !configured.is_empty() => configured.to_vec(),
        (_, Some(challenged), _) if !challenged.trim().is_empty() => capped(split(challenged)),
        (_, _, Some(supported)) => capped(supported.iter().cloned()),
        (_, _, None) => Vec::new(),
    };
    let mut seen = BTreeSet::new();
    let mut chosen: Vec<String> = wishes
        .had
        .iter()
        .chain(&base)
        .filter(|scope| !scope.is_empty() && seen.insert((*scope).clone()))
        .cloned()
        .collect();
    if let (Some(challenged), false) = (wishes.challenged, wishes.had.is_empty()) {
        chosen.extend(
            capped(split(challenged)).into_iter().filter(|scope| seen.insert(scope.clone())),
        );
    }
    if wishes.offline_access && !chosen.is_empty() && !seen.contains(OFFLINE_ACCESS) {
        chosen.push(OFFLINE_ACCESS.to_owned());
    }
    chosen
}

/// The scope that asks for a refresh token (OpenID Connect Core section 11).
pub const OFFLINE_ACCESS: &str = "offline_access";

/// Whether every scope in `wanted` is in `had`.
pub fn covers(had: &[String], wanted: &[String]) -> bool {
    wanted.iter().all(|scope| had.contains(scope))
}

#[cfg(test)]
mod tests {
    use super::{Wishes, choose, count_odd, covers, is_scope, split};

    fn list(text: &str) -> Vec<String> {
        split(text)
    }

    #[test]
    fn the_users_scopes_come_first_then_the_challenge_then_the_resource() {
        let (mine, offered) = (list("mine"), list("r1 r2"));
        let wishes = Wishes { supported: Some(&offered), ..Wishes::default() };
        assert_eq!(choose(&wishes), list("r1 r2"));
        let wishes = Wishes { challenged: Some("c"), ..wishes };
        assert_eq!(choose(&wishes), list("c"));
        let wishes = Wishes { configured: &mine, ..wishes };
        assert_eq!(choose(&wishes), list("mine"));
        assert!(choose(&Wishes::default()).is_empty());
    }

    #[test]
    fn offline_access_is_never_added_to_nothing() {
        assert!(choose(&Wishes { offline_access: true, ..Wishes::default() }).is_empty());
        let wishes = Wishes { challenged: Some("a"), offline_access: true, ..Wishes::default() };
        assert_eq!(choose(&wishes), list("a offline_access"));
    }

    #[test]
    fn a_step_up_asks_for_the_union_even_of_disjoint_scopes() {
        let (had, offered) = (list("basic"), list("x y"));
        let wishes = Wishes {
            had: &had,
            challenged: Some("write"),
            supported: Some(&offered),
            ..Wishes::default()
        };
        assert_eq!(choose(&wishes), list("basic write"));
        let configured = list("mine");
        let wishes = Wishes { configured: &configured, ..wishes };
        assert_eq!(choose(&wishes), list("basic mine write"));
    }

    #[test]
    fn a_servers_list_is_taken_over_up_to_a_bound() {
        let many: Vec<String> = (0..1000).map(|n| format!("s{n}")).collect();
        let chosen = choose(&Wishes { supported: Some(&many), ..Wishes::default() });
        assert_eq!(chosen, many[..200]);
        let long = [vec!["a".repeat(4000)], vec!["b".repeat(4000)]].concat().join(" ");
        let chosen = choose(&Wishes { challenged: Some(&long), ..Wishes::default() });
        assert_eq!(chosen, ["a".repeat(4000)]);
        let chosen = choose(&Wishes { configured: &many, ..Wishes::default() });
        assert_eq!(chosen, many, "the user's own are the user's own");
    }

    #[test]
    fn what_is_no_scope_is_left_out_and_counted() {
        for scope in ["a", "!#[]~", "https://h/x.read", "repo:status", "a'b"] {
            assert!(is_scope(scope), "{scope}");
        }
        for odd in ["", "a b", "a\"", "a\\", "a\u{1b}[2J", "ü", "a\u{202e}", "a\u{7f}"] {
            assert!(!is_scope(odd), "{odd:?}");
        }
        let said = "read wr\u{1b}]0;x\u{7}ite \"all\" admin";
        assert_eq!((split(said), count_odd(said)), (list("read admin"), 2));
    }

    #[test]
    fn coverage_is_by_set() {
        assert!(covers(&list("b a"), &list("a b")) && !covers(&list("a"), &list("a b")));
    }
}
