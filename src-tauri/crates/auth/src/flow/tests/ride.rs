//! One sign-in through a random world, with everything noted that the properties are about.

use super::random_world::{EVIL, RandomWorld, Served, Tape};
use super::world::{NOW, entropy, form, page, plain, query, reply};
use crate::authorize::{AuthorizationResponse, Binding};
use crate::flow::{Event, Memo, Next, Outcome, SignIn, Visit};
use crate::wire::Request;

/// More things to do than any sign-in has.
pub(super) const MOST_TURNS: usize = 40;
/// After so many events the person's ten minutes are over.
const MOST_EVENTS: usize = 200;

/// A request, and what was known when it was sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) request: Request,
    /// The document of the issuer that the person was last sent to.
    pub(super) visited: Option<Served>,
    /// The verifier of that visit.
    pub(super) verifier: Option<String>,
    /// The code that came back from that visit in an answer that may be believed.
    pub(super) approved: Option<String>,
}

#[derive(Debug)]
pub(super) struct Ride {
    world: RandomWorld,
    sign_in: SignIn,
    given: u8,
    visits: Vec<Visit>,
    codes: usize,
    approved: Option<String>,
    pub(super) sent: Vec<Sent>,
    /// Requests and visits together.
    pub(super) turns: usize,
    pub(super) memos: Vec<Memo>,
    /// What is wrong with a visit: its link does not lead back to the listener that is told of it.
    pub(super) stray_visits: Vec<String>,
    /// Everything that may be logged, shown or printed.
    pub(super) printed: Vec<String>,
    /// What the sign-in did when it was over already.
    pub(super) after_over: Vec<String>,
    /// Whether the code that led to the grant came in an answer that may be believed.
    pub(super) was_approved: bool,
    pub(super) outcome: Option<Outcome>,
}

impl Ride {
    pub(super) fn through(bytes: Vec<u8>) -> Self {
        let mut world = RandomWorld::new(Tape::new(bytes));
        let (sign_in, mut next) = SignIn::start(world.plan(), NOW, &entropy(0));
        let mut ride = Self {
            world,
            sign_in,
            given: 0,
            visits: Vec::new(),
            codes: 0,
            approved: None,
            sent: Vec::new(),
            turns: 0,
            memos: Vec::new(),
            stray_visits: Vec::new(),
            printed: Vec::new(),
            after_over: Vec::new(),
            was_approved: false,
            outcome: None,
        };
        let mut awaited = None;
        for count in 0.. {
            match next {
                Next::Fetch(request) => {
                    ride.printed.push(format!("{request:?}"));
                    ride.turns += 1;
                    ride.note(&request);
                    awaited = Some(request);
                }
                Next::Browse(visit) => {
                    ride.printed.push(format!("{visit:?}"));
                    ride.turns += 1;
                    ride.approved = None;
                    ride.stray_visits.extend(ride.is_stray(&visit));
                    ride.visits.push(visit);
                    awaited = None;
                }
                Next::Wait => {}
                Next::Over(outcome) => {
                    ride.end(outcome);
                    return ride;
                }
            }
            let event = match &awaited {
                _ if count > MOST_EVENTS || ride.turns > MOST_TURNS => Event::TimedOut,
                Some(request) => ride.answer(request),
                None => ride.person(),
            };
            next = ride.step(event);
        }
        ride
    }

    fn step(&mut self, event: Event) -> Next {
        self.given = self.given.wrapping_add(1);
        let next = self.sign_in.step(event, NOW, &entropy(self.given));
        for line in self.sign_in.take_trace() {
            let json = serde_json::to_string(&line).expect("JSON");
            self.printed.push(format!("{line:?} {json}"));
        }
        for memo in self.sign_in.take_memos() {
            self.printed.push(format!("{memo:?}"));
            self.memos.push(memo);
        }
        next
    }

    /// A browser that is sent out must come back to a listener that waits for it: under the
    /// `state` of this visit, which was never used before, at the redirect URI of this try.
    fn is_stray(&self, visit: &Visit) -> Option<String> {
        let link = query(visit.url.expose());
        let sent = match link.get("request_uri") {
            // Pushed: what was pushed last is what the link stands for.
            Some(_) => form(&self.sent.last()?.request),
            None => link,
        };
        let is_told = sent.get("state").map(String::as_str) == Some(visit.state.expose());
        let is_fresh = self.visits.iter().all(|earlier| earlier.state != visit.state)
            && !self.sent.iter().any(|earlier| earlier.request.url.contains(visit.state.expose()));
        let at = self.sign_in.registration().map(|registration| &registration.redirect_uri);
        let is_at_home = sent.get("redirect_uri") == at;
        (!(is_told && is_fresh && is_at_home))
            .then(|| format!("told {is_told}, fresh {is_fresh}, at home {is_at_home}"))
    }

    fn note(&mut self, request: &Request) {
        self.sent.push(Sent {
            request: request.clone(),
            visited: self.visited().cloned(),
            verifier: self.binding_of_visit().map(|b| b.verifier.expose().to_owned()),
            approved: self.approved.clone(),
        });
    }

    fn visited(&self) -> Option<&Served> {
        self.world.served.get(plain(self.visits.last()?.url.expose()))
    }

    fn binding_of_visit(&self) -> Option<Binding> {
        let visit = self.visits.last()?;
        self.bindings().into_iter().find(|binding| binding.state == visit.state)
    }

    /// All pairs of state and verifier that this run can have made.
    pub(super) fn bindings(&self) -> Vec<Binding> {
        (0..=self.given).map(|number| Binding::new(&entropy(number))).collect()
    }

    /// What happens while an answer is awaited: mostly the answer.
    fn answer(&mut self, request: &Request) -> Event {
        if self.world.tape.is_stubborn() {
            return Event::Answer(self.world.answer(request));
        }
        let kinds = ["answer"; 8];
        let others = ["again", "other way", "no browser", "time", "cancel"];
        match self.world.tape.choose(&[&kinds[..], &others].concat()) {
            "again" => match self.visits.last().cloned() {
                Some(visit) => self.callback("code=again-CODE-MARKER", visit.state.expose()),
                None => Event::TryAnotherWay,
            },
            "other way" => Event::TryAnotherWay,
            "no browser" => Event::BrowserFailed("no browser".into()),
            "time" => Event::TimedOut,
            "cancel" => Event::Cancelled,
            _ => Event::Answer(self.world.answer(request)),
        }
    }

    fn callback(&self, query: &str, state: &str) -> Event {
        let text = format!("{query}&state={state}");
        Event::Callback(AuthorizationResponse::parse(&text).expect("a response"))
    }

    /// What comes of a visit.
    fn person(&mut self) -> Event {
        let state = self.visits.last().expect("a visit").state.expose().to_owned();
        let served = self.visited().cloned();
        let issuer = served.as_ref().and_then(|s| s.issuer.clone()).unwrap_or_default();
        self.world.tape.turn_to("the person");
        let iss = self.world.tape.choose(&[
            Some(issuer.clone()),
            Some(issuer.clone()),
            Some(issuer.clone()),
            None,
            None,
            Some(EVIL.to_owned()),
            Some(format!("{issuer}/")),
        ]);
        let is_believable = match (&served, &iss) {
            (Some(Served { issuer: None, .. }), _) => true,
            (Some(Served { issuer: Some(issuer), .. }), Some(iss)) => issuer == iss,
            (Some(Served { issuer: Some(issuer), .. }), None) => {
                !self.world.promised.contains(issuer)
            }
            (None, _) => false,
        };
        let with_iss = |query: String| match &iss {
            Some(iss) => format!("{query}&iss={iss}"),
            None => query,
        };
        let codes = ["code"; 6];
        let errors = [
            "invalid_client",
            "unauthorized_client",
            "invalid_target",
            "invalid_scope",
            "access_denied",
            "server_error",
        ];
        let others =
            ["foreign state", "old state", "other way", "no browser", "time", "cancel", "stray"];
        match self.world.tape.choose(&[&codes[..], &errors, &errors[..4], &others].concat()) {
            "code" => {
                self.codes += 1;
                let code = format!("code-{}-CODE-MARKER", self.codes);
                self.approved = is_believable.then(|| code.clone());
                self.callback(&with_iss(format!("code={code}")), &state)
            }
            "foreign state" => {
                self.callback(&with_iss("code=planted-CODE-MARKER".into()), "foreign")
            }
            "old state" => {
                // Of an earlier visit, of a preflight, or made and never used.
                let mut others = self.bindings();
                others.retain(|binding| binding.state.expose() != state);
                let old = self.world.tape.choose(&others).state;
                self.callback(&with_iss("code=old-CODE-MARKER".into()), old.expose())
            }
            "other way" => Event::TryAnotherWay,
            "no browser" => Event::BrowserFailed("no browser".into()),
            "time" => Event::TimedOut,
            "cancel" => Event::Cancelled,
            "stray" => {
                let token = serde_json::json!({"access_token": "stray-MARKER"});
                Event::Answer(reply(200, token))
            }
            error => self.callback(&with_iss(format!("error={error}")), &state),
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.was_approved = self.approved.is_some();
        match &outcome {
            // Printed for programmers, an error holds the server's own words, whatever they are.
            Outcome::Failed(error) => self.printed.push(error.to_string()),
            Outcome::Open | Outcome::Surveyed(_) | Outcome::SignedIn(_) => {
                self.printed.push(format!("{outcome:?}"))
            }
        }
        self.outcome = Some(outcome);
        let state = self.visits.last().map_or("none".to_owned(), |v| v.state.expose().to_owned());
        for late in [
            Event::Answer(page(404)),
            self.callback("code=late-CODE-MARKER", &state),
            self.callback("error=access_denied", &state),
            Event::TryAnotherWay,
            Event::BrowserFailed("late".into()),
            Event::TimedOut,
            Event::Cancelled,
        ] {
            let next = self.step(late);
            self.after_over.push(format!("{next:?}"));
        }
    }

    /// The requests that carry a code or any verifier of this run anywhere.
    pub(super) fn telling(&self) -> Vec<&Sent> {
        let verifiers: Vec<String> =
            self.bindings().iter().map(|b| b.verifier.expose().to_owned()).collect();
        let tells = |sent: &&Sent| {
            let body = String::from_utf8_lossy(&sent.request.body);
            let everything = format!("{} {:?} {body}", sent.request.url, sent.request.headers);
            everything.contains("code_verifier")
                || form(&sent.request).contains_key("code")
                || verifiers.iter().any(|verifier| everything.contains(verifier))
                || everything.contains("CODE-MARKER")
        };
        self.sent.iter().filter(tells).collect()
    }
}
