//! The name (slug) of a server: what the user sees, and the first segment of its local path.

use keyfob_auth::ServerUrl;

/// First segments that the gateway needs for itself.
const RESERVED: [&str; 6] = ["authorize", "callback", "go", "k", "register", "token"];

/// Why a name cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// It has other characters than it may.
    #[error(
        "a name is made of lower-case letters, digits and hyphens, at most 40, and begins with a letter or digit; {0:?} is not"
    )]
    Characters(String),
    /// The gateway needs it.
    #[error("the name {0} is needed by the gateway itself")]
    Reserved(String),
}

/// Checks a name, which becomes a path segment.
///
/// # Errors
/// When it cannot be one.
pub fn check_name(name: &str) -> Result<(), InvalidName> {
    let is_fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 40 || !name.chars().all(is_fit) || name.starts_with('-') {
        return Err(InvalidName::Characters(keyfob_auth::text::Shown::quotation(name).into()));
    }
    if RESERVED.contains(&name) {
        return Err(InvalidName::Reserved(name.to_owned()));
    }
    Ok(())
}

/// A name made from the URL's host that is not taken: `mcp.notion.com` becomes `notion`.
pub fn suggest_name(url: &ServerUrl, is_taken: impl Fn(&str) -> bool) -> String {
    let host = url.url().host_str().unwrap_or_default().to_ascii_lowercase();
    let is_address = host.parse::<std::net::IpAddr>().is_ok() || host.starts_with('[');
    let labels: Vec<&str> = host.split('.').filter(|label| !label.is_empty()).collect();
    let base = match labels.as_slice() {
        _ if is_address => "server",
        [.., name, _] => name,
        [name] => name,
        [] => "server",
    };
    let mut base: String =
        base.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(32).collect();
    base = base.trim_matches('-').to_owned();
    if check_name(&base).is_err() {
        base = format!("{base}-server").trim_start_matches('-').to_owned();
    }
    let numbered = (2..).map(|n: u32| format!("{base}-{n}"));
    let mut candidates = std::iter::once(base.clone()).chain(numbered);
    candidates.find(|name| !is_taken(name)).unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use keyfob_auth::ServerUrl;

    use super::{check_name, suggest_name};

    #[test]
    fn names_are_path_segments() {
        for good in ["notion", "a", "server-2", "0x"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in
            ["", "-a", "A", "a/b", "..", ".well-known", "k", "callback", "ä", &"x".repeat(41)]
        {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_come_from_the_host() {
        let name = |url: &str, taken: &[&str]| {
            suggest_name(&ServerUrl::parse(url).expect("a URL"), |name| taken.contains(&name))
        };
        assert_eq!(name("https://mcp.notion.com/mcp", &[]), "notion");
        assert_eq!(name("https://mcp.notion.com/mcp", &["notion", "notion-2"]), "notion-3");
        assert_eq!(name("http://127.0.0.1:1/mcp", &[]), "server");
        assert_eq!(name("http://localhost:1/mcp", &[]), "localhost");
        assert_eq!(name("https://token.dev/x", &[]), "token-server");
    }
}
