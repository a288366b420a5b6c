//! The servers of the demo.

use keyfob_tests::authserver::{Cimd, Consent, Start, Switches};
use keyfob_tests::random::names;
use keyfob_tests::{AuthorizationServer, DocumentHost, McpServer};

use crate::failure;

/// How a server wants to be signed in to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Its authorization server takes client documents.
    Cimd,
    /// Its authorization server knows only registration.
    Dcr,
    /// Its authorization server says that it takes client documents, and does not.
    Refused,
    /// It needs no sign-in.
    Open,
}

/// One MCP server and what stands before it.
pub(crate) struct House {
    pub(crate) name: String,
    pub(crate) way: Way,
    pub(crate) story: &'static str,
    pub(crate) authority: Option<AuthorizationServer>,
    pub(crate) mcp: McpServer,
}

/// One server for each way.
pub(crate) async fn build(documents: &DocumentHost) -> Vec<House> {
    let ways = [
        (Way::Cimd, Some(Cimd::On), "signs in with CIMD"),
        (Way::Dcr, Some(Cimd::Off), "knows DCR only"),
        (Way::Refused, Some(Cimd::RefusedByPage), "offers CIMD, then refuses it with a page"),
        (Way::Open, None, "needs no sign-in"),
    ];
    failure::remember("the host of the client document", documents.journal());
    let mut houses = Vec::new();
    for ((way, cimd, story), name) in ways.into_iter().zip(names(4)) {
        let (authority, mcp) = match cimd {
            None => (None, McpServer::start_open(&name).await),
            Some(cimd) => {
                let switches = Switches { cimd, consent: Consent::Page, ..Switches::default() };
                let trusted_ca = Some(documents.ca_pem().to_owned());
                let start = Start { trusted_ca, switches, ..Start::default() };
                let authority = AuthorizationServer::start_with(start).await;
                let mcp = McpServer::start(&name, &authority).await;
                (Some(authority), mcp)
            }
        };
        failure::remember(&name, mcp.journal());
        if let Some(authority) = &authority {
            failure::remember(&format!("the sign-in service of {name}"), authority.journal());
        }
        houses.push(House { name, way, story, authority, mcp });
    }
    houses
}
