//! Looking for the authorization server's metadata (RFC 8414, OpenID Connect Discovery), in order.

use std::collections::VecDeque;

use super::filling_in::FillingIn;
use super::{
    Asked, Ground, Input, Next, Outcome, Run, SignInError, Site, State, Turn, failed, is_not_here,
    ladder, over,
};
use crate::metadata::{AuthorizationServer, BadMetadata, IssuerSource, is_plain_text};
use crate::server_url::is_usable_endpoint;
use crate::text;
use crate::trace::{Step, TraceStep};
use crate::well_known::{MetadataForm, authorization_server};
use crate::wire::{NoAnswer, Request, Response};

#[derive(Debug)]
pub(super) struct FindingServer {
    ground: Ground,
    issuer: Candidate,
    asked: Asked,
    rest: VecDeque<(MetadataForm, String)>,
    others: VecDeque<Candidate>,
    first_failure: Option<SignInError>,
}

#[derive(Clone, Debug)]
struct Candidate {
    issuer: String,
    source: IssuerSource,
}

impl FindingServer {
    pub(super) fn enter(ground: Ground, run: &mut Run, input: &Input<'_>) -> Turn {
        let candidates = candidates(&ground, run, input);
        Self::try_next(ground, candidates, None, run, input)
    }

    fn try_next(
        ground: Ground,
        mut candidates: VecDeque<Candidate>,
        first_failure: Option<SignInError>,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        let Some(issuer) = candidates.pop_front() else {
            let error = first_failure.unwrap_or(SignInError::NoAuthorizationServer);
            return Self::ended(error, run, input);
        };
        let mut places: VecDeque<_> = authorization_server(&issuer.issuer).into();
        // An issuer has at least two locations.
        let Some((_, url)) = places.pop_front() else {
            let error = first_failure.unwrap_or(SignInError::NoAuthorizationServer);
            return Self::ended(error, run, input);
        };
        if issuer.source == IssuerSource::Origin {
            run.trace.push(
                TraceStep::new(input.now, Step::ServerMetadata, "old-style sign-in")
                    .target(&issuer.issuer)
                    .reason("the server names no sign-in service, so it is asked itself")
                    .info(),
            );
        }
        let request = Request::get_json(&url);
        let state = Self {
            ground,
            issuer,
            asked: Asked::now(Step::ServerMetadata, url, input),
            rest: places,
            others: candidates,
            first_failure,
        };
        (State::FindingServer(state), Next::Fetch(request))
    }

    pub(super) fn on(
        mut self,
        answer: Result<Response, NoAnswer>,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        let asked = self.asked.clone();
        let line = |result: String| asked.line(result, input);
        let response = match asked.answered(answer, run, input) {
            Ok(response) => response,
            Err(error) => return self.give_up(error, run, input),
        };
        let status = response.status;
        let parsed = AuthorizationServer::parse(&response, &self.issuer.issuer, self.issuer.source);
        let is_elsewhere = is_not_here(status)
            || (matches!(status, 200 | 300..400) && parsed == Err(BadMetadata::NotMetadata));
        if is_elsewhere {
            run.trace.push(line(format!("HTTP {status}")).decision("not here"));
            if let Some((_, url)) = self.rest.pop_front() {
                let request = Request::get_json(&url);
                let asked = Asked::now(Step::ServerMetadata, url, input);
                let state = Self { asked, ..self };
                return (State::FindingServer(state), Next::Fetch(request));
            }
            return self.nowhere(run, input);
        }
        if status != 200 {
            run.trace.push(line(format!("HTTP {status}")).warn());
            let error = asked.out_of_order(&response);
            return self.give_up(error, run, input);
        }
        match parsed {
            Ok(server) => {
                let mut found = line("found".to_owned()).decision(describe(&server));
                if is_plain_text(&response) {
                    found = found.reason("it came as plain text");
                }
                run.trace.push(found);
                asked.left_out(&server.left_out, run, input);
                let other_form =
                    self.rest.into_iter().filter(|(form, _)| *form == MetadataForm::OpenId);
                let is_first = asked.url.contains("/.well-known/oauth-authorization-server");
                let rest = if is_first { other_form.collect() } else { VecDeque::new() };
                FillingIn::enter(Site { ground: self.ground, server }, rest, run, input)
            }
            Err(cause) => {
                run.trace.push(line(cause.to_string()).decision("not used").warn());
                let url = text::without_query(&asked.url);
                self.give_up(SignInError::Metadata { url, cause }, run, input)
            }
        }
    }

    /// There is nobody left to ask. Where the server answers freely and no longer describes any
    /// sign-in, none is needed any more.
    fn ended(error: SignInError, run: &mut Run, input: &Input<'_>) -> Turn {
        if run.answers_freely && error == SignInError::NoAuthorizationServer {
            run.trace.push(
                TraceStep::new(input.now, Step::ServerMetadata, "none")
                    .decision("no sign-in needed")
                    .reason("the server answers freely and describes no sign-in any more"),
            );
            return over(Outcome::Open);
        }
        failed(error)
    }

    /// No location has a document.
    fn nowhere(self, run: &mut Run, input: &Input<'_>) -> Turn {
        if self.issuer.source == IssuerSource::Origin && run.plan.allow_guessed_endpoints {
            run.trace.push(
                TraceStep::new(input.now, Step::ServerMetadata, "none")
                    .target(&self.issuer.issuer)
                    .decision("endpoints are guessed")
                    .reason("old-style sign-in is allowed for this server")
                    .info(),
            );
            let server = AuthorizationServer::guessed(&self.issuer.issuer);
            return ladder::climb(
                Site { ground: self.ground, server },
                Default::default(),
                run,
                input,
            );
        }
        let error = match self.issuer.source {
            IssuerSource::Origin => SignInError::NoAuthorizationServer,
            IssuerSource::Configured | IssuerSource::Resource | IssuerSource::Realm => {
                SignInError::Metadata {
                    url: text::without_query(&self.issuer.issuer),
                    cause: BadMetadata::NotMetadata,
                }
            }
        };
        self.give_up(error, run, input)
    }

    /// Goes on to the next candidate. What cannot be told must not slide into old-style sign-in.
    fn give_up(self, error: SignInError, run: &mut Run, input: &Input<'_>) -> Turn {
        let cannot_tell = matches!(
            error,
            SignInError::Unreachable { .. }
                | SignInError::OutOfOrder { .. }
                | SignInError::Metadata { cause: BadMetadata::OtherIssuer { .. }, .. }
        );
        let next_is_origin = self.others.front().is_some_and(|c| c.source == IssuerSource::Origin);
        let first_failure = Some(self.first_failure.unwrap_or(error));
        let others = if cannot_tell && next_is_origin { VecDeque::new() } else { self.others };
        Self::try_next(self.ground, others, first_failure, run, input)
    }
}

/// Most issuers of one resource that are asked.
const MOST_ISSUERS: usize = 5;

/// Whom to ask, in order: the issuer from the configuration; those of the resource metadata; the
/// realm; the server's own origin.
fn candidates(ground: &Ground, run: &mut Run, input: &Input<'_>) -> VecDeque<Candidate> {
    if let Some(issuer) = run.plan.issuer.clone() {
        return [Candidate { issuer, source: IssuerSource::Configured }].into();
    }
    let named = ground.resource.iter().flat_map(|r| &r.authorization_servers);
    let (usable, unusable): (Vec<_>, Vec<_>) =
        named.map(|issuer| issuer.raw().to_owned()).partition(|issuer| is_usable_endpoint(issuer));
    for issuer in unusable {
        run.trace.push(
            TraceStep::new(input.now, Step::ServerMetadata, "not asked")
                .target(&issuer)
                .reason("only https is used")
                .warn(),
        );
    }
    // Named, but none that may be asked: that is no server of the old style.
    let names_any = ground.resource.as_ref().is_some_and(|r| !r.authorization_servers.is_empty());
    if names_any {
        let source = IssuerSource::Resource;
        let ordered = in_order(usable, run, input).into_iter();
        return ordered.map(|issuer| Candidate { issuer, source }).collect();
    }
    let realm = ground.challenge.as_ref().and_then(|c| c.realm.as_ref());
    let realm = realm.map(|realm| realm.raw().to_owned());
    let realm = realm.filter(|realm| is_usable_endpoint(realm) && !realm.contains('?'));
    let realm = realm.map(|issuer| Candidate { issuer, source: IssuerSource::Realm });
    let origin = run.plan.server.origin().to_owned();
    let origin = Candidate { issuer: origin, source: IssuerSource::Origin };
    realm.into_iter().chain([origin]).collect()
}

/// Those that know us first (MCP leaves the choice to the client, RFC 9728 section 7.6): the one of
/// the last sign-in, the one of the user's own client, those that we hold a registration with;
/// then the server's order.
fn in_order(named: Vec<String>, run: &mut Run, input: &Input<'_>) -> Vec<String> {
    if let Some(chosen) = run.plan.chosen_issuer.as_ref().filter(|c| !named.contains(c)) {
        run.trace.push(
            TraceStep::new(input.now, Step::ServerMetadata, "no longer named")
                .target(chosen)
                .decision("asking the one that is named now")
                .reason("the server names another sign-in service than at the last sign-in")
                .warn(),
        );
    }
    let plan = &run.plan;
    let own = plan.own_client.as_ref().and_then(|own| own.issuer.as_ref());
    let rank = |issuer: &String| {
        if plan.chosen_issuer.as_ref() == Some(issuer) {
            0
        } else if own == Some(issuer) {
            1
        } else if plan.registrations.iter().any(|held| held.issuer == *issuer) {
            2
        } else {
            3
        }
    };
    let mut ordered = named;
    ordered.sort_by_key(rank);
    if ordered.len() > MOST_ISSUERS {
        run.trace.push(
            TraceStep::new(input.now, Step::ServerMetadata, "too many sign-in services")
                .decision(format!("asking the first {MOST_ISSUERS} of {}", ordered.len()))
                .warn(),
        );
        ordered.truncate(MOST_ISSUERS);
    }
    ordered
}

pub(super) fn describe(server: &AuthorizationServer) -> String {
    let cimd = if server.client_id_metadata_document_supported { "CIMD" } else { "no CIMD" };
    let dcr = if server.registration_endpoint.is_some() { "DCR" } else { "no DCR" };
    format!("it offers {cimd}, {dcr}")
}
