//! The registration ladder: the one place that decides how we are known.

use super::attempt::{self, Attempt};
use super::registering::Registering;
use super::survey::Survey;
use super::{Input, ResourceForm, Run, SignInError, SignInWay, Site, Turn, failed};
use crate::client_document::{ClientDocumentUrl, Listing, listing};
use crate::registration::{AuthMethod, Reason, ReasonCode, Registration, RegistrationKind};
use crate::text::Shown;
use crate::trace::{Step, TraceStep};

/// What this sign-in has tried so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Tried {
    /// What became of our document.
    pub(super) document: DocumentTried,
    /// A stored registration turned out to be gone.
    pub(super) registration_gone: bool,
    /// The form of the resource indicator that is left.
    pub(super) resource: ResourceForm,
    /// The host of our redirect URI.
    pub(super) loopback: Loopback,
    /// `offline_access` was refused.
    pub(super) without_offline_access: bool,
}

/// How our redirect URI names this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Loopback {
    /// `127.0.0.1` (RFC 8252 section 7.3).
    #[default]
    Address,
    /// `localhost`, after the address was refused.
    Name,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum DocumentTried {
    #[default]
    No,
    /// The preflight was refused; whether that is about CIMD shows when DCR is accepted.
    Suspected { said: Shown, status: u16 },
    /// A pushed request was refused, maybe for a redirect URI that it does not list to the letter;
    /// whether so shows when that of a registered client is accepted.
    Unlisted { said: Shown },
    /// Refused by a typed error.
    Refused { said: Shown },
    /// The person asked for another way.
    Left,
}

impl DocumentTried {
    /// What was said to our document, where it was refused.
    pub(super) fn said(&self) -> Option<Shown> {
        match self {
            Self::Suspected { said, .. } | Self::Unlisted { said } | Self::Refused { said } => {
                Some(said.clone())
            }
            Self::No | Self::Left => None,
        }
    }
}

/// The redirect URI to ask this issuer for.
pub(super) fn redirect_uri<'a>(site: &Site, tried: &Tried, run: &'a Run) -> &'a str {
    match tried.loopback {
        Loopback::Address if !run.plan.by_name_at.contains(&site.server.issuer) => {
            &run.plan.redirect_uri
        }
        Loopback::Address | Loopback::Name => &run.plan.redirect_uri_by_name,
    }
}

/// Climbs once more with `localhost` in the redirect URI, since some servers refuse its address;
/// where that has been tried, it is over with `otherwise`.
pub(super) fn by_name(
    site: Site,
    tried: &Tried,
    otherwise: SignInError,
    run: &mut Run,
    input: &Input<'_>,
) -> Turn {
    if redirect_uri(&site, tried, run) == run.plan.redirect_uri_by_name {
        return failed(otherwise);
    }
    run.trace.push(
        TraceStep::new(input.now, Step::Registration, "the redirect address may be refused")
            .target(&site.server.issuer)
            .decision("once more, with localhost in place of 127.0.0.1")
            .warn(),
    );
    let document = match &tried.document {
        // It was refused together with its redirect URI.
        DocumentTried::Suspected { .. } => DocumentTried::No,
        document => document.clone(),
    };
    let tried = Tried { loopback: Loopback::Name, document, ..tried.clone() };
    climb(site, tried, run, input)
}

/// The rung to stand on.
pub(super) enum Rung {
    Own(Registration),
    Document(Registration),
    Dynamic(Reason),
}

/// Takes the highest rung that is left.
pub(super) fn climb(site: Site, tried: Tried, run: &mut Run, input: &Input<'_>) -> Turn {
    let server = &site.server;
    let way = run.plan.extensions.way;
    // PKCE protects a code, and only a browser brings one.
    if way == SignInWay::Browser && !server.is_guessed && !server.supports_s256() {
        let allowed = run.plan.allow_unadvertised_pkce;
        let line = TraceStep::new(input.now, Step::ServerMetadata, "S256 is not advertised")
            .target(&server.issuer)
            .decision(if allowed { "going on, as set for this server" } else { "stopped" });
        run.trace.push(line.warn());
        if !allowed {
            return failed(SignInError::PkceUnsupported { issuer: server.issuer.clone() });
        }
    }
    let rung = match choose(&site, &tried, run, input) {
        Ok(rung) => rung,
        Err(error) => {
            run.trace.push(
                TraceStep::new(input.now, Step::Registration, "another sign-in service")
                    .target(&site.server.issuer)
                    .decision("stopped")
                    .reason("your own client belongs to another one")
                    .warn(),
            );
            return failed(error);
        }
    };
    if run.only_surveys {
        return Survey::found(&site, &tried, &rung, run, input);
    }
    if way != SignInWay::Browser && !matches!(rung, Rung::Own(_)) {
        let issuer = site.server.issuer;
        return failed(SignInError::NoRegistrationRoute { issuer, refused: None });
    }
    match rung {
        Rung::Own(registration) | Rung::Document(registration) => {
            run.trace.push(
                TraceStep::new(input.now, Step::Registration, registration.kind.as_str())
                    .target(&site.server.issuer)
                    .decision(format!("client id {}", registration.client_id))
                    .reason(match registration.kind {
                        RegistrationKind::Cimd => "the server offers CIMD",
                        RegistrationKind::PreRegistered | RegistrationKind::Dcr => {
                            "your own client"
                        }
                    }),
            );
            Attempt::begin(site, registration, tried, false, run, input)
        }
        Rung::Dynamic(reason) => dynamic(site, reason, tried, run, input),
    }
}

fn choose(site: &Site, tried: &Tried, run: &Run, input: &Input<'_>) -> Result<Rung, SignInError> {
    let server = &site.server;
    let registration = |kind, client_id: &str, reason| Registration {
        kind,
        client_id: client_id.to_owned(),
        secret: None,
        auth_method: AuthMethod::None,
        issuer: server.issuer.clone(),
        redirect_uri: redirect_uri(site, tried, run).to_owned(),
        scopes: None,
        registered_at: input.now,
        secret_expires_at: None,
        reason,
        management: None,
    };
    if let Some(own) = &run.plan.own_client {
        if let Some(had) = own.issuer.as_ref().filter(|had| **had != server.issuer) {
            let (had, named) = (had.clone(), server.issuer.clone());
            return Err(SignInError::OtherService { had, named });
        }
        let reason = Reason::new(ReasonCode::OwnClient);
        let mut own_registration =
            registration(RegistrationKind::PreRegistered, &own.client_id, reason);
        if let Some(secret) = own.secret.clone().filter(|s| !s.is_empty()) {
            own_registration.auth_method = AuthMethod::with_secret(server);
            own_registration.secret = Some(secret);
        }
        run.plan.extensions.give_key(&mut own_registration, server);
        return Ok(Rung::Own(own_registration));
    }
    Ok(match document(site, tried, run, input) {
        Ok(url) => {
            let reason = Reason::new(ReasonCode::OfferedAndAccepted);
            Rung::Document(registration(RegistrationKind::Cimd, url.as_str(), reason))
        }
        Err(reason) => Rung::Dynamic(reason),
    })
}

/// Whether our document is used, or the reason why not.
fn document<'a>(
    site: &Site,
    tried: &Tried,
    run: &'a Run,
    input: &Input<'_>,
) -> Result<&'a ClientDocumentUrl, Reason> {
    let server = &site.server;
    if !server.client_id_metadata_document_supported {
        return Err(Reason::new(ReasonCode::NotOffered));
    }
    let Some(url) = run.plan.document.as_ref() else {
        return Err(Reason::new(ReasonCode::NoDocument));
    };
    if listing(redirect_uri(site, tried, run)) == Listing::Absent {
        return Err(Reason::new(ReasonCode::NoDocument));
    }
    match &tried.document {
        DocumentTried::No => {}
        DocumentTried::Suspected { said, .. }
        | DocumentTried::Unlisted { said }
        | DocumentTried::Refused { said } => {
            return Err(Reason::refused(said));
        }
        DocumentTried::Left => return Err(Reason::refused(&"its page showed an error".into())),
    }
    let remembered =
        run.plan.refusals.iter().find(|r| r.holds(&server.issuer, url.as_str(), input.now));
    if let Some(refusal) = remembered {
        return Err(Reason::refused(&refusal.said));
    }
    // Tried all the same where there is nothing else to try.
    if server.allows_public_clients() == Some(false) && server.registration_endpoint.is_some() {
        return Err(Reason::new(ReasonCode::NoPublicClients));
    }
    Ok(url)
}

/// The dynamic registration of an earlier sign-in, where it can be used again.
pub(super) fn live<'a>(
    site: &Site,
    tried: &Tried,
    run: &'a Run,
    input: &Input<'_>,
) -> Option<&'a Registration> {
    let redirect_uri = redirect_uri(site, tried, run);
    let scopes = attempt::scopes(site, tried, run);
    let mut known = run.plan.registrations.iter();
    known.find(|r| {
        !tried.registration_gone
            && r.kind == RegistrationKind::Dcr
            && r.is_good_for(&site.server.issuer, redirect_uri, input.now)
            && r.covers(&scopes)
    })
}

/// The third rung: a live registration again, or a new one.
fn dynamic(site: Site, reason: Reason, tried: Tried, run: &mut Run, input: &Input<'_>) -> Turn {
    let issuer = &site.server.issuer;
    let line = |result: &str| {
        TraceStep::new(input.now, Step::Registration, result)
            .target(&site.server.issuer)
            .reason(reason.text.clone())
    };
    if let Some(live) = live(&site, &tried, run, input) {
        let registration = Registration { reason: reason.clone(), ..live.clone() };
        let decision = format!("client id {}, registered before", registration.client_id);
        run.trace.push(line("dcr").decision(decision));
        return Attempt::begin(site, registration, tried, true, run, input);
    }
    if site.server.registration_endpoint.is_none() {
        let why = reason.text.split(", registered").next().unwrap_or_default();
        run.trace.push(
            TraceStep::new(input.now, Step::Registration, "no way left")
                .target(issuer)
                .decision("a client of your own is needed")
                .reason(why)
                .warn(),
        );
        let (issuer, refused) = (issuer.clone(), tried.document.said());
        return failed(match reason.code {
            ReasonCode::NoDocument => SignInError::NoDocument { issuer },
            _ => SignInError::NoRegistrationRoute { issuer, refused },
        });
    }
    Registering::enter(site, reason, tried, run, input)
}
