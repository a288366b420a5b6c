//! Looking for what the company's identity provider says of itself (OpenID Connect Discovery,
//! RFC 8414), and sending the person there where no ID token is at hand.

use std::collections::VecDeque;

use super::attempt::Attempt;
use super::extensions::IdentityProvider;
use super::in_browser::InBrowser;
use super::reviving::Reviving;
use super::vouching::{Vouching, at_provider};
use super::{Asked, Ground, Input, Next, Run, SignInError, Site, State, Turn, failed, is_not_here};
use crate::grant::Grant;
use crate::metadata::{AuthorizationServer, BadMetadata, IssuerSource};
use crate::scope::OFFLINE_ACCESS;
use crate::text;
use crate::trace::Step;
use crate::well_known::{MetadataForm, authorization_server};
use crate::wire::{NoAnswer, Request, Response};

#[derive(Debug)]
pub(super) struct FindingProvider {
    pub(super) attempt: Attempt,
    provider: IdentityProvider,
    asked: Asked,
    rest: VecDeque<(MetadataForm, String)>,
}

impl FindingProvider {
    /// `attempt` is the one at the server's sign-in service.
    pub(super) fn enter(mut attempt: Attempt, run: &mut Run, input: &Input<'_>) -> Turn {
        let Some(provider) = run.plan.extensions.identity_provider.clone() else {
            let issuer = attempt.issuer().to_owned();
            return failed(SignInError::NoRegistrationRoute { issuer, refused: None });
        };
        // The provider decides how long the access lasts, and no refresh token goes past it.
        attempt.scopes.retain(|scope| scope != OFFLINE_ACCESS);
        if let (Some(id_token), Some(endpoint)) = (&provider.id_token, &provider.token_endpoint) {
            let registration = at_provider(&provider, None, &run.plan.redirect_uri, input.now);
            return Vouching::enter(attempt, &registration, endpoint, id_token, input);
        }
        let is_of_use = |grant: &&Grant| provider.id_token.is_none() && grant.can_renew();
        match provider.grant.as_deref().filter(is_of_use) {
            Some(grant) => Reviving::enter(attempt, &provider, grant.clone(), run, input),
            None => Self::look(attempt, provider, input),
        }
    }

    /// Looks for what the provider says of itself.
    pub(super) fn look(attempt: Attempt, provider: IdentityProvider, input: &Input<'_>) -> Turn {
        let mut places: VecDeque<_> = authorization_server(&provider.issuer).into();
        // OpenID providers have the one, and other services the other.
        places.make_contiguous().sort_by_key(|(form, _)| *form != MetadataForm::OpenId);
        Self::ask_next(attempt, provider, places, input)
    }

    fn ask_next(
        attempt: Attempt,
        provider: IdentityProvider,
        mut places: VecDeque<(MetadataForm, String)>,
        input: &Input<'_>,
    ) -> Turn {
        let Some((_, url)) = places.pop_front() else {
            let url = text::without_query(&provider.issuer);
            return failed(SignInError::Metadata { url, cause: BadMetadata::NotMetadata });
        };
        let request = Request::get_json(&url);
        let asked = Asked::now(Step::ServerMetadata, url, input);
        let state = Self { attempt, provider, asked, rest: places };
        (State::FindingProvider(state), Next::Fetch(request))
    }

    pub(super) fn on(
        self,
        answer: Result<Response, NoAnswer>,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Result<Turn, SignInError> {
        let asked = self.asked.clone();
        let line = |result: String| asked.line(result, input);
        let response = asked.answered(answer, run, input)?;
        let Self { attempt, provider, rest, .. } = self;
        let source = IssuerSource::Configured;
        Ok(match AuthorizationServer::parse(&response, &provider.issuer, source) {
            Ok(server) => {
                run.trace.push(line("found".to_owned()).decision("your identity provider"));
                Self::found(attempt, &provider, server, run, input)
            }
            Err(BadMetadata::NotMetadata)
                if is_not_here(response.status) || response.status < 400 =>
            {
                run.trace.push(line(format!("HTTP {}", response.status)).decision("not here"));
                Self::ask_next(attempt, provider, rest, input)
            }
            Err(BadMetadata::NotMetadata) => {
                run.trace.push(line(format!("HTTP {}", response.status)).warn());
                failed(asked.out_of_order(&response))
            }
            Err(cause) => {
                run.trace.push(line(cause.to_string()).decision("not used").warn());
                failed(SignInError::Metadata { url: text::without_query(&asked.url), cause })
            }
        })
    }

    fn found(
        attempt: Attempt,
        provider: &IdentityProvider,
        server: AuthorizationServer,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        let redirect_uri = &run.plan.redirect_uri;
        let registration = at_provider(provider, Some(&server), redirect_uri, input.now);
        if let Some(id_token) = &provider.id_token {
            let endpoint = &server.token_endpoint;
            return Vouching::enter(attempt, &registration, endpoint, id_token, input);
        }
        let mut scopes = ["openid", "email"].map(str::to_owned).to_vec();
        // The person is then asked once, for all servers and as long as the provider likes.
        if server.lists_scope(OFFLINE_ACCESS) {
            scopes.push(OFFLINE_ACCESS.to_owned());
        }
        let site = Site { ground: Ground { challenge: None, resource: None }, server };
        let visit = Attempt {
            site,
            registration,
            tried: attempt.tried.clone(),
            is_reused: false,
            scopes,
            resource: None,
            errand: Some(Box::new(attempt)),
        };
        InBrowser::enter(visit, run, input)
    }
}
