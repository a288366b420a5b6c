//! Looking for protected resource metadata (RFC 9728), in order.

use super::asked::odd_scopes;
use super::finding_server::FindingServer;
use super::{Asked, Ground, Input, Memo, Next, Run, SignInError, State, Turn, failed, is_not_here};
use crate::challenge::Challenge;
use crate::metadata::{BadMetadata, ProtectedResource, is_plain_text};
use crate::scope;
use crate::server_url::is_usable_endpoint;
use crate::text::{self, Shown, Untrusted};
use crate::trace::{Step, TraceStep};
use crate::well_known::{ResourceRoute, protected_resource};
use crate::wire::{NoAnswer, Request, Response};

#[derive(Debug)]
pub(super) struct FindingResource {
    challenge: Option<Challenge>,
    route: ResourceRoute,
    asked: Asked,
    rest: Vec<(ResourceRoute, String)>,
}

impl FindingResource {
    pub(super) fn enter(challenge: Option<Challenge>, run: &mut Run, input: &Input<'_>) -> Turn {
        let scope = challenge.as_ref().and_then(|c| c.scope.as_ref());
        let odd = scope.map_or(0, |scope| scope::count_odd(scope.raw()));
        if odd > 0 {
            let line = TraceStep::new(input.now, Step::Probe, "odd scopes in the challenge");
            run.trace.push(odd_scopes(line, odd));
        }
        let named = challenge.as_ref().and_then(|c| c.resource_metadata.as_ref());
        let named = named.map(Untrusted::raw);
        if let Some(unusable) = named.filter(|url| !is_usable_endpoint(url)) {
            run.trace.push(
                TraceStep::new(input.now, Step::ResourceMetadata, "not asked")
                    .target(unusable)
                    .reason("only https is used")
                    .warn(),
            );
        }
        let named = named.filter(|url| is_usable_endpoint(url));
        let mut places = protected_resource(&run.plan.server, named);
        places.reverse();
        Self::ask_next(challenge, places, run, input)
    }

    /// `places` is in reverse order.
    fn ask_next(
        challenge: Option<Challenge>,
        mut places: Vec<(ResourceRoute, String)>,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        let Some((route, url)) = places.pop() else {
            return FindingServer::enter(Ground { challenge, resource: None }, run, input);
        };
        let request = Request::get_json(&url);
        let asked = Asked::now(Step::ResourceMetadata, url, input);
        let state = Self { challenge, route, asked, rest: places };
        (State::FindingResource(state), Next::Fetch(request))
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
        if is_not_here(response.status) {
            run.trace.push(line(format!("HTTP {}", response.status)).decision("not here"));
            return Ok(Self::ask_next(self.challenge, self.rest, run, input));
        }
        if response.status != 200 && !(300..400).contains(&response.status) {
            run.trace.push(line(format!("HTTP {}", response.status)).warn());
            return Err(asked.out_of_order(&response));
        }
        Ok(match ProtectedResource::parse(&response, self.route, &run.plan.server) {
            Ok(resource) => {
                let issuers: Vec<String> = resource
                    .authorization_servers
                    .iter()
                    .map(Untrusted::raw)
                    .filter(|issuer| is_usable_endpoint(issuer))
                    .map(str::to_owned)
                    .collect();
                let named: Vec<_> =
                    resource.authorization_servers.iter().map(Untrusted::to_string).collect();
                let mut found =
                    line("found".to_owned()).decision(match named.join(", ").as_str() {
                        "" => "it names no sign-in service".to_owned(),
                        named => format!("sign-in service: {}", Shown::quotation(named)),
                    });
                if !resource.is_exact {
                    found = found.reason(format!(
                        "it is about {}, which covers this server without being its exact name",
                        text::without_query(&resource.resource)
                    ));
                }
                if is_plain_text(&response) {
                    found = found.reason("it came as plain text");
                }
                run.trace.push(found);
                asked.left_out(&resource.left_out, run, input);
                run.memos.push(Memo::Issuers(issuers));
                let ground = Ground { challenge: self.challenge, resource: Some(resource) };
                FindingServer::enter(ground, run, input)
            }
            Err(BadMetadata::NotMetadata) => {
                run.trace.push(line("no metadata document".to_owned()).decision("not here"));
                Self::ask_next(self.challenge, self.rest, run, input)
            }
            Err(cause) => {
                run.trace.push(line(cause.to_string()).decision("not used").warn());
                failed(SignInError::Metadata { url: text::without_query(&asked.url), cause })
            }
        })
    }
}
