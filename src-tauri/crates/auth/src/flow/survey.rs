//! How a server would be signed in to, found out without registering or opening anything.

use super::attempt;
use super::ladder::{self, Rung, Tried};
use super::{Input, Outcome, Run, Site, Turn, over};
use crate::registration::{Reason, ReasonCode};

/// What a look at a server has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Where to sign in.
    pub issuer: String,
    /// The rung that a sign-in would take.
    pub way: Way,
    /// Why no higher one.
    pub reason: ReasonCode,
    /// What would be asked for.
    pub scopes: Vec<String>,
}

/// The rungs of the ladder, before anything is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The user's own client, which is known.
    OwnClient,
    /// Our client document.
    Document,
    /// A dynamic registration.
    Dynamic,
    /// None is left: the user has to register a client by hand.
    Ask,
}

impl Survey {
    pub(super) fn found(
        site: &Site,
        tried: &Tried,
        rung: &Rung,
        run: &Run,
        input: &Input<'_>,
    ) -> Turn {
        let can_register = || {
            site.server.registration_endpoint.is_some()
                || ladder::live(site, tried, run, input).is_some()
        };
        let (way, reason) = match rung {
            Rung::Own(_) => (Way::OwnClient, ReasonCode::OwnClient),
            Rung::Document(_) => (Way::Document, ReasonCode::OfferedAndAccepted),
            Rung::Dynamic(Reason { code, .. }) if can_register() => (Way::Dynamic, *code),
            Rung::Dynamic(Reason { code, .. }) => (Way::Ask, *code),
        };
        let scopes = attempt::scopes(site, tried, run);
        let issuer = site.server.issuer.clone();
        over(Outcome::Surveyed(Box::new(Self { issuer, way, reason, scopes })))
    }
}
