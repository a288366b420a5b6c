//! What was promised, held against the journals of the servers.

use keyfob_tests::{BearerSeen, DocumentHost};

use super::street::{House, Way};
use super::table::Row;

/// One promise.
pub(crate) struct Check {
    pub(crate) says: String,
    pub(crate) holds: bool,
}

fn check(holds: bool, says: impl Into<String>) -> Check {
    Check { says: says.into(), holds }
}

/// Everything that was promised of a server.
pub(crate) fn all(
    house: &House,
    row: &Row,
    documents: &DocumentHost,
    document_url: &str,
) -> Vec<Check> {
    let mut checks = table(house, row, document_url);
    checks.extend(registration(house, documents, document_url));
    checks.push(tool_call(house));
    checks
}

/// The table itself.
fn table(house: &House, row: &Row, document_url: &str) -> Vec<Check> {
    let (state, kind, reason) = match house.way {
        Way::Cimd => ("ready", Some("cimd"), Some("offered-and-accepted")),
        Way::Dcr => ("ready", Some("dcr"), Some("not-offered")),
        Way::Refused => ("ready", Some("dcr"), Some("refused")),
        Way::Open => ("open", None, None),
    };
    let mut checks = vec![check(
        row.state == state
            && row.registration.as_deref() == kind
            && row.reason.as_deref() == reason,
        match (kind, reason) {
            (Some(kind), Some(reason)) => format!("{state}, registered by {kind} ({reason})"),
            _ => format!("{state}, without a registration"),
        },
    )];
    if kind.is_some() {
        let same = row.client_id.as_deref() == Some(document_url);
        checks.push(match house.way {
            Way::Cimd => check(same, "its client id is the URL of the client document"),
            _ => check(!same, "its client id was given out by the server"),
        });
    }
    checks
}

/// How the authorization server came to know Keyfob.
fn registration(house: &House, documents: &DocumentHost, document_url: &str) -> Vec<Check> {
    let Some(authority) = &house.authority else { return Vec::new() };
    let journal = authority.journal();
    let registrations = journal.registrations().len();
    let fetches = journal.document_fetches();
    let mut checks = Vec::new();
    match house.way {
        Way::Cimd => {
            let fetched = fetches.iter().any(|f| f.accepted() && f.path == document_url);
            let served = documents.journal().entries().iter().any(|e| e.status == Some(200));
            let says = format!("fetched {document_url} over TLS");
            checks.push(check(fetched && served, says));
        }
        Way::Dcr => {
            let seen = journal.mentions(document_url);
            checks.push(check(!seen, "was never shown the URL of the client document"));
        }
        Way::Refused => {
            let refused = journal
                .authorizations()
                .iter()
                .any(|a| a.status == Some(400) && a.param("client_id") == Some(document_url));
            checks.push(check(refused, "refused the client document with an error page"));
        }
        Way::Open => {}
    }
    let wanted = usize::from(house.way != Way::Cimd);
    let plural = if registrations == 1 { "" } else { "s" };
    checks.push(check(registrations == wanted, format!("{registrations} registration{plural}")));
    checks
}

/// The one tool call, and with what credential it came.
fn tool_call(house: &House) -> Check {
    let calls = house.mcp.journal().tool_calls("whoami");
    let good: Vec<_> = calls.iter().filter(|c| c.accepted()).collect();
    let (wanted, with) = match house.way {
        Way::Open => (BearerSeen::Absent, "without a token"),
        _ => (BearerSeen::Issued, "with the token that was issued"),
    };
    let holds = good.len() == 1 && good.iter().all(|c| c.bearer == Some(wanted));
    let plural = if good.len() == 1 { "" } else { "s" };
    check(holds, format!("{} tool call{plural}, {with}", good.len()))
}
