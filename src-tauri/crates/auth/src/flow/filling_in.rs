//! Reading the other form's document of the same issuer, where the first lacks something. It may
//! fill gaps; it never overrides, and its failure never fails the sign-in.

use std::collections::VecDeque;

use super::finding_server::describe;
use super::{Asked, Input, Next, Run, Site, State, Turn, ladder};
use crate::metadata::{AuthorizationServer, BadMetadata, IssuerSource};
use crate::trace::Step;
use crate::well_known::MetadataForm;
use crate::wire::{NoAnswer, Request, Response};

#[derive(Debug)]
pub(super) struct FillingIn {
    site: Site,
    asked: Asked,
    rest: VecDeque<(MetadataForm, String)>,
}

impl FillingIn {
    pub(super) fn enter(
        site: Site,
        mut rest: VecDeque<(MetadataForm, String)>,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        if !site.server.lacks_something() {
            return ladder::climb(site, Default::default(), run, input);
        }
        let Some((_, url)) = rest.pop_front() else {
            return ladder::climb(site, Default::default(), run, input);
        };
        let request = Request::get_json(&url);
        let asked = Asked::now(Step::ServerMetadata, url, input);
        (State::FillingIn(Self { site, asked, rest }), Next::Fetch(request))
    }

    pub(super) fn on(
        mut self,
        answer: Result<Response, NoAnswer>,
        run: &mut Run,
        input: &Input<'_>,
    ) -> Turn {
        let asked = self.asked.clone();
        let line = |result: String| asked.line(result, input);
        let parsed = match &answer {
            Ok(response) => AuthorizationServer::parse(
                response,
                &self.site.server.issuer,
                IssuerSource::Resource,
            )
            .map_err(|cause| {
                let is_foreign = matches!(cause, BadMetadata::OtherIssuer { .. });
                (format!("HTTP {}: {cause}", response.status), is_foreign)
            }),
            Err(cause) => Err((cause.to_string(), false)),
        };
        match parsed {
            Ok(other) => {
                let left_out = other.left_out.clone();
                self.site.server.fill_from(other);
                let all = describe(&self.site.server);
                run.trace
                    .push(line("found".to_owned()).decision(all).reason("both documents together"));
                asked.left_out(&left_out, run, input);
                ladder::climb(self.site, Default::default(), run, input)
            }
            Err((why, is_foreign)) => {
                let line = line(why).decision("left aside");
                // It claims to be of another issuer: somebody's mistake, or an attempt.
                run.trace.push(if is_foreign { line.warn() } else { line });
                Self::enter(self.site, self.rest, run, input)
            }
        }
    }
}
