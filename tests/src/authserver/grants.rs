//! What was given out: codes, access tokens, refresh tokens, and what became of each.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::assertion::Assertion;
use super::clients::{Client, Origin};
use crate::journal::BearerSeen;
use crate::random::secret;

/// An authorization request that was found good.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) client: Client,
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) challenge: String,
    pub(super) resource: Option<String>,
    pub(super) scope: Vec<String>,
}

/// Who a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The user.
    pub user: String,
    /// The client id.
    pub client_id: String,
    /// How the client came to be known.
    pub origin: Origin,
    /// The granted scopes.
    pub scope: Vec<String>,
}

/// Secrets that were given out; none of them may turn up where it does not belong.
#[derive(Debug, Clone, Default)]
pub struct Issued {
    /// Access tokens.
    pub access: Vec<String>,
    /// Refresh tokens.
    pub refresh: Vec<String>,
    /// ID tokens.
    pub identity: Vec<String>,
    /// Client secrets and registration management tokens.
    pub registration: Vec<String>,
}

impl Issued {
    /// All of them.
    pub fn all(&self) -> Vec<String> {
        [&self.access[..], &self.refresh[..], &self.identity[..], &self.registration[..]].concat()
    }
}

pub(super) struct Code {
    pub(super) request: Request,
    pub(super) until: Instant,
    pub(super) grant: Option<usize>,
}

pub(super) struct Grant {
    pub(super) request: Request,
    pub(super) revoked: bool,
    /// The refresh token that is good; those before it are not.
    pub(super) refresh: Option<String>,
}

pub(super) struct Access {
    pub(super) grant: usize,
    pub(super) until: Instant,
}

#[derive(Default)]
pub(super) struct Store {
    pub(super) resources: BTreeSet<String>,
    pub(super) clients: HashMap<String, Client>,
    pub(super) documents: HashMap<String, Client>,
    pub(super) transactions: HashMap<String, Request>,
    pub(super) pushed: HashMap<String, (String, crate::call::Pairs)>,
    pub(super) codes: HashMap<String, Code>,
    pub(super) grants: Vec<Grant>,
    pub(super) access: HashMap<String, Access>,
    /// Every refresh token ever issued and its grant.
    pub(super) refresh: HashMap<String, usize>,
    /// ID tokens, each with the client that it was given to.
    pub(super) id_tokens: HashMap<String, String>,
    /// What was vouched for and not used yet.
    pub(super) assertions: HashMap<String, Assertion>,
    pub(super) issued: Issued,
}

impl Store {
    pub(super) fn new_code(&mut self, request: Request) -> String {
        let code = secret("code-");
        let until = Instant::now() + Duration::from_secs(60);
        self.codes.insert(code.clone(), Code { request, until, grant: None });
        code
    }

    pub(super) fn new_grant(&mut self, request: Request) -> usize {
        self.grants.push(Grant { request, revoked: false, refresh: None });
        self.grants.len() - 1
    }

    pub(super) fn new_access(&mut self, grant: usize, seconds: u64) -> String {
        let token = secret("at-");
        let until = Instant::now() + Duration::from_secs(seconds);
        self.access.insert(token.clone(), Access { grant, until });
        self.issued.access.push(token.clone());
        token
    }

    pub(super) fn new_refresh(&mut self, grant: usize) -> String {
        let token = secret("rt-");
        self.refresh.insert(token.clone(), grant);
        self.grants[grant].refresh = Some(token.clone());
        self.issued.refresh.push(token.clone());
        token
    }

    pub(super) fn revoke(&mut self, grant: usize) {
        self.grants[grant].revoked = true;
        self.grants[grant].refresh = None;
    }

    pub(super) fn revoke_all(&mut self) {
        for grant in 0..self.grants.len() {
            self.revoke(grant);
        }
    }

    pub(super) fn expire_access_tokens(&mut self) {
        let now = Instant::now();
        for access in self.access.values_mut() {
            access.until = access.until.min(now);
        }
    }

    pub(super) fn introspect(
        &self,
        token: Option<&str>,
        resource: &str,
    ) -> (BearerSeen, Option<Subject>) {
        let Some(token) = token else { return (BearerSeen::Absent, None) };
        let Some(access) = self.access.get(token) else { return (BearerSeen::Unknown, None) };
        let grant = &self.grants[access.grant];
        if grant.revoked {
            return (BearerSeen::Revoked, None);
        }
        if Instant::now() >= access.until {
            return (BearerSeen::Expired, None);
        }
        if grant.request.resource.as_deref().is_some_and(|r| r != resource) {
            return (BearerSeen::Foreign, None);
        }
        let subject = Subject {
            user: "alice".to_owned(),
            client_id: grant.request.client.id.clone(),
            origin: grant.request.client.origin,
            scope: grant.request.scope.clone(),
        };
        (BearerSeen::Issued, Some(subject))
    }
}
