//! One try with one registration: from preflight or push to the browser, and the way down from it.

use super::finding_provider::FindingProvider;
use super::granting::Granting;
use super::in_browser::InBrowser;
use super::ladder::{self, DocumentTried, Tried};
use super::preflighting::Preflighting;
use super::pushing::Pushing;
use super::{Input, Memo, Plan, ResourceForm, Run, SignInError, SignInWay, Site, Turn, failed};
use crate::authorize::{AuthorizationRequest, Binding};
use crate::error_code::ErrorCode;
use crate::id_jag::Wanted;
use crate::jwt::ALGORITHM;
use crate::registration::{Refusal, Registration, RegistrationKind};
use crate::scope::{self, OFFLINE_ACCESS, Wishes};
use crate::text::{Shown, Untrusted};
use crate::trace::{Step, TraceStep};

#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) site: Site,
    pub(super) registration: Registration,
    pub(super) tried: Tried,
    /// The registration was made in an earlier sign-in.
    pub(super) is_reused: bool,
    pub(super) scopes: Vec<String>,
    pub(super) resource: Option<String>,
    /// The attempt at the server's sign-in service for which this one visits the identity
    /// provider; with it this one ends in an ID token and not in a grant.
    pub(super) errand: Option<Box<Self>>,
}

impl Attempt {
    /// Sets out. CIMD is tried out first where this issuer has never accepted our document, and
    /// DCR where it has to show whether a refusal was about CIMD.
    pub(super) fn begin(
        site: Site,
        registration: Registration,
        tried: Tried,
        is_reused: bool,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        let scopes = scopes(&site, &tried, run);
        let resource = resource(&site, &tried, run);
        let attempt = Self { site, registration, tried, is_reused, scopes, resource, errand: None };
        if let Err(error) = attempt.check_dpop(run, input) {
            return failed(error);
        }
        match run.plan.extensions.way {
            SignInWay::Browser => {}
            SignInWay::ClientCredentials => return Granting::enter(attempt, run, input),
            SignInWay::Enterprise => return FindingProvider::enter(attempt, run, input),
        }
        let server = &attempt.site.server;
        if server.require_pushed_authorization_requests {
            return Pushing::enter(attempt, run, input);
        }
        // A step-up has a grant to show that the client is accepted.
        let is_untried = !run.plan.accepted_by.contains(&server.issuer)
            && had_scopes(&attempt.site, run).is_empty();
        let is_suspicion = matches!(attempt.tried.document, DocumentTried::Suspected { .. });
        match attempt.registration.kind {
            RegistrationKind::Cimd if is_untried => Preflighting::enter(attempt, run, input),
            RegistrationKind::Dcr if is_suspicion => Preflighting::enter(attempt, run, input),
            RegistrationKind::Cimd | RegistrationKind::Dcr | RegistrationKind::PreRegistered => {
                InBrowser::enter(attempt, run, input)
            }
        }
    }

    /// The same registration again, with what was learnt.
    pub(super) fn again(self, tried: Tried, run: &mut Run, input: &Input<'_>) -> Turn {
        let scopes = scopes(&self.site, &tried, run);
        let resource = resource(&self.site, &tried, run);
        let attempt = Self { tried, scopes, resource, ..self };
        match run.plan.extensions.way {
            SignInWay::Browser => {}
            SignInWay::ClientCredentials => return Granting::enter(attempt, run, input),
            SignInWay::Enterprise => return FindingProvider::enter(attempt, run, input),
        }
        if attempt.site.server.require_pushed_authorization_requests {
            return Pushing::enter(attempt, run, input);
        }
        InBrowser::enter(attempt, run, input)
    }

    /// A server that lists our algorithm nowhere would only disappoint the person later.
    fn check_dpop(&self, run: &mut Run, input: &Input<'_>) -> Result<(), SignInError> {
        if !run.plan.extensions.wants_dpop(&self.site.ground) {
            return Ok(());
        }
        let listed = self.site.server.dpop_signing_alg_values_supported.as_deref();
        let line = TraceStep::new(input.now, Step::Registration, "bound to a key (DPoP)")
            .target(self.issuer());
        if listed.is_some_and(|listed| listed.iter().all(|name| name != ALGORITHM)) {
            run.trace.push(line.decision("stopped").reason("ES256 is not on its list").warn());
            return Err(SignInError::DpopUnsupported { issuer: self.issuer().to_owned() });
        }
        run.trace.push(match listed {
            Some(_) => line,
            None => line.reason("the sign-in service does not say whether it can"),
        });
        Ok(())
    }

    pub(super) fn request<'a>(
        &'a self,
        binding: &'a Binding,
        plan: &'a Plan,
    ) -> AuthorizationRequest<'a> {
        let is_errand = self.errand.is_some();
        AuthorizationRequest {
            server: &self.site.server,
            registration: &self.registration,
            scopes: &self.scopes,
            resource: self.resource.as_deref(),
            // They are for the server's own sign-in service.
            parameters: if is_errand { &[] } else { &plan.parameters },
            scope_parameter: plan.scope_parameter.as_deref().filter(|_| !is_errand),
            binding,
        }
    }

    /// What the identity provider is asked to vouch for.
    pub(super) fn wanted_assertion(&self) -> Wanted<'_> {
        let resource = self.resource.as_deref();
        Wanted { audience: self.issuer(), resource, scopes: &self.scopes }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.site.server.issuer
    }

    /// An error of the authorization, push or token endpoint: the next rung, another try without
    /// what was refused, or the end.
    pub(super) fn refused(
        self,
        error: ErrorCode,
        otherwise: impl FnOnce(String) -> SignInError,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        if error.refuses_client() {
            return self.step_down(error, run, input);
        }
        // What the others are about is between the server's own sign-in service and us.
        if self.errand.is_some() {
            return failed(otherwise(self.issuer().to_owned()));
        }
        let mut tried = self.tried.clone();
        if let (ErrorCode::InvalidTarget, Some(resource)) = (&error, &self.resource) {
            let (form, decision) = if resource.ends_with('/') {
                (ResourceForm::WithoutSlash, "once more, without the slash at the resource's end")
            } else {
                (ResourceForm::Absent, "once more, without a resource indicator")
            };
            tried.resource = form;
            run.memos.push(Memo::ResourceForm { issuer: self.issuer().to_owned(), form });
            run.trace.push(
                TraceStep::new(input.now, Step::Registration, "invalid_target")
                    .target(self.issuer())
                    .decision(decision)
                    .reason("the server refuses it; this departs from the MCP specification")
                    .warn(),
            );
            return self.again(tried, run, input);
        }
        let asks_offline = self.scopes.iter().any(|scope| scope == OFFLINE_ACCESS);
        let is_users = run.plan.scopes.iter().any(|scope| scope == OFFLINE_ACCESS);
        let is_new = !self.tried.without_offline_access;
        if error == ErrorCode::InvalidScope && asks_offline && !is_users && is_new {
            tried.without_offline_access = true;
            run.trace.push(
                TraceStep::new(input.now, Step::Registration, "invalid_scope")
                    .target(self.issuer())
                    .decision("once more, without offline_access")
                    .warn(),
            );
            return self.again(tried, run, input);
        }
        failed(otherwise(self.issuer().to_owned()))
    }

    fn step_down(mut self, error: ErrorCode, run: &mut Run, input: &Input<'_>) -> Turn {
        let issuer = self.issuer().to_owned();
        let line =
            TraceStep::new(input.now, Step::Registration, error.to_string()).target(&issuer).warn();
        match self.registration.kind {
            RegistrationKind::Cimd => {
                run.trace.push(line.decision("next way: DCR").reason("the server refused CIMD"));
                self.remember_refusal(&error.as_str().into(), run, input);
                self.tried.document = DocumentTried::Refused { said: error.as_str().into() };
                ladder::climb(self.site, self.tried, run, input)
            }
            RegistrationKind::Dcr if self.is_reused => {
                run.trace.push(
                    line.decision("registering anew").reason("the server no longer knows Keyfob"),
                );
                run.memos.push(gone(self.registration));
                self.tried.registration_gone = true;
                ladder::climb(self.site, self.tried, run, input)
            }
            kind @ (RegistrationKind::Dcr | RegistrationKind::PreRegistered) => {
                run.trace.push(line);
                failed(SignInError::ClientRefused { issuer, kind, error })
            }
        }
    }

    pub(super) fn remember_refusal(&self, said: &Shown, run: &mut Run, input: &Input<'_>) {
        if let Some(document) = &run.plan.document {
            run.memos.push(Memo::DocumentRefused(Refusal {
                issuer: self.issuer().to_owned(),
                document: document.as_str().to_owned(),
                at: input.now,
                said: said.clone(),
            }));
        }
    }
}

/// The scopes that this site is asked for.
pub(super) fn scopes(site: &Site, tried: &Tried, run: &Run) -> Vec<String> {
    let mut scopes = scope::choose(&Wishes {
        configured: &run.plan.scopes,
        challenged: site
            .ground
            .challenge
            .as_ref()
            .and_then(|c| c.scope.as_ref())
            .map(Untrusted::raw),
        supported: site.ground.resource.as_ref().and_then(|r| r.scopes_supported.as_deref()),
        had: had_scopes(site, run),
        offline_access: site.server.lists_scope(OFFLINE_ACCESS) && !tried.without_offline_access,
    });
    // Whoever named it, it was refused; only the user insists.
    if tried.without_offline_access && !run.plan.scopes.iter().any(|s| s == OFFLINE_ACCESS) {
        scopes.retain(|scope| scope != OFFLINE_ACCESS);
    }
    scopes
}

/// That the server no longer knows a registration.
pub(super) fn gone(registration: Registration) -> Memo {
    let Registration { issuer, client_id, redirect_uri, .. } = registration;
    Memo::RegistrationGone { issuer, client_id, redirect_uri }
}

/// The scopes had from this issuer. Another one learns nothing of them.
fn had_scopes<'a>(site: &Site, run: &'a Run) -> &'a [String] {
    match &run.plan.had_at {
        Some(issuer) if *issuer == site.server.issuer => &run.plan.had_scopes,
        Some(_) | None => &[],
    }
}

/// The resource indicator: the metadata's own string, else the server's canonical URL.
fn resource(site: &Site, tried: &Tried, run: &Run) -> Option<String> {
    let mut remembered = run.plan.resource_forms.iter();
    let form = match (tried.resource, remembered.find(|(at, _)| *at == site.server.issuer)) {
        (ResourceForm::AsNamed, Some((_, form))) => *form,
        (form, _) => form,
    };
    let named = site.ground.resource.as_ref().map(|r| r.resource.as_str());
    let named = named.unwrap_or_else(|| run.plan.server.as_str());
    match form {
        ResourceForm::AsNamed => Some(named.to_owned()),
        ResourceForm::WithoutSlash => Some(named.trim_end_matches('/').to_owned()),
        ResourceForm::Absent => None,
    }
}
