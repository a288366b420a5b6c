//! Driving one sign-in: sends what the flow wants sent, opens the browser, waits for the person.

use std::sync::Arc;
use std::time::Duration;

use keyfob_auth::authorize::AuthorizationResponse;
use keyfob_auth::flow::{Event, Memo, Next, Outcome, Plan, SignIn, SignInError, Visit};
use keyfob_auth::grant::Grant;
use keyfob_auth::reach::Reach;
use keyfob_auth::trace::{Step, TraceStep};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::at_provider::{AtProvider, Turns};
use super::report::{Report, ServerReport};
use super::shared_service::SharedServices;
use super::turn::Turn;
use crate::browser::Browser;
use crate::clock;
use crate::fetch::Fetch;
use crate::gateway::callbacks::{Callbacks, PageNews};
use crate::problem::{Code, Problem};
use crate::site;
use crate::typed::Typed;
use crate::vault::{EntryId, Vault};
use crate::view::Progress;

#[cfg(test)]
mod tests;

/// How long a person has.
pub const WINDOW: Duration = Duration::from_secs(600);

/// What the person can do meanwhile.
#[derive(Clone, Copy, Debug)]
pub enum Wish {
    /// The next rung.
    AnotherWay,
    /// No more.
    Cancel,
    /// The same page in the browser once more.
    OpenAgain,
    /// No browser came, and nobody is there to open the link.
    NoBrowser,
}

/// One sign-in with all that it needs.
pub(super) struct Task {
    /// The server's id.
    pub server: String,
    /// Its name, for the pages.
    pub name: String,
    /// What the flow is given.
    pub plan: Plan,
    /// What the user typed of that, but for the identity provider.
    pub typed: Typed,
    /// Services that may not be used without a yes.
    pub(super) shared: SharedServices,
    /// Until when it may take.
    pub deadline: Instant,
    /// How links are opened.
    pub browser: Browser,
    /// Whether a person may be sent to it.
    pub may_visit: bool,
    /// The person's grant at the identity provider, once it is this sign-in's turn.
    pub at_provider: Option<AtProvider>,
    /// Whose turn that is.
    pub provider_turns: Turns,
    /// The origin of the one-time links.
    pub origin: String,
    /// Where requests go through.
    pub fetch: Fetch,
    /// More certificate authorities, for the browser that follows links itself.
    pub ca_file: Option<std::path::PathBuf>,
    /// Where the browser's answers arrive.
    pub callbacks: Arc<Callbacks>,
    /// Where the grant goes.
    pub vault: Vault,
    /// Under which name.
    pub entry: EntryId,
    /// Whose turn it is to write it.
    pub(super) turn: Turn,
    /// In which epoch this began.
    pub epoch: u64,
    /// The way to the broker.
    pub reports: mpsc::UnboundedSender<Report>,
    /// The way to wish for oneself.
    pub wishing: mpsc::UnboundedSender<Wish>,
    /// What the person wishes.
    pub wishes: mpsc::UnboundedReceiver<Wish>,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum End {
    /// The server needs no sign-in.
    Open,
    /// The grant is in the vault.
    SignedIn {
        /// The grant.
        grant: Box<Grant>,
        /// The epoch that it began. In a later one it has been ended again.
        epoch: u64,
    },
    /// The flow came to nothing.
    Failed(SignInError),
    /// The grant could not be put into the vault.
    NotKept(Problem),
}

impl Task {
    /// Runs it to its end, which is reported.
    pub async fn run(mut self) {
        let (news, page) = watch::channel(PageNews::Working);
        let end = match self.drive(&news, &page).await {
            Ok(Outcome::Open) => End::Open,
            Ok(Outcome::Failed(error)) => End::Failed(error),
            // Only a survey ends like this.
            Ok(Outcome::Surveyed(_)) => End::Failed(SignInError::Cancelled),
            Ok(Outcome::SignedIn(grant)) => self.keep(grant).await,
            Err(problem) => End::NotKept(problem),
        };
        self.at_provider = None;
        let redirect_uri = self.plan.redirect_uri.clone();
        news.send_replace(match &end {
            End::Open | End::SignedIn { .. } => PageNews::Done,
            End::Failed(error) => {
                let problem = Problem::from_sign_in(
                    error,
                    &self.name,
                    self.plan.server.as_str(),
                    &redirect_uri,
                );
                PageNews::Failed(problem.to_string())
            }
            End::NotKept(problem) => PageNews::Failed(problem.to_string()),
        });
        self.report(ServerReport::SignInEnded(end));
        // The page may still be on its way to the browser.
        tokio::time::sleep(Duration::from_secs(15)).await;
        drop(news);
        self.callbacks.forget_pages();
    }

    async fn drive(
        &mut self,
        news: &watch::Sender<PageNews>,
        page: &watch::Receiver<PageNews>,
    ) -> Result<Outcome, Problem> {
        if let Some(error) = self.take_turn().await? {
            return Ok(Outcome::Failed(error));
        }
        let mut typed = self.typed();
        let entropy = || clock::entropy().map_err(Problem::internal);
        let (mut flow, mut next) = SignIn::start(self.plan.clone(), clock::now(), &entropy()?);
        let mut visits = 0;
        loop {
            self.tell(&mut flow, typed.reach()).await;
            let event = match next {
                Next::Over(Outcome::SignedIn(mut grant)) => {
                    grant.reach = Some(typed.reach());
                    return Ok(Outcome::SignedIn(grant));
                }
                Next::Over(outcome) => return Ok(outcome),
                Next::Fetch(request) => {
                    let fetch = self.fetch.clone();
                    let sending = fetch.ask(request, &mut typed);
                    tokio::pin!(sending);
                    loop {
                        tokio::select! {
                            answer = &mut sending => break Event::Answer(answer),
                            wish = self.wishes.recv() => match wish {
                                // There is no way yet of which another could be tried.
                                Some(Wish::AnotherWay | Wish::OpenAgain | Wish::NoBrowser) => {}
                                Some(Wish::Cancel) | None => break Event::Cancelled,
                            },
                            () = tokio::time::sleep_until(self.deadline) => break Event::TimedOut,
                        }
                    }
                }
                Next::Browse(_) if !self.may_visit => {
                    // What was thought to make it need nobody is not there.
                    self.report(ServerReport::Memos(vec![Memo::ProviderGrantGone]));
                    return Err(Problem::new(Code::SignInNeeded).with("server", &self.name));
                }
                Next::Browse(visit) => {
                    self.say_who_uses_it(&flow)?;
                    // Others need not wait for this one's person.
                    if let Some(at_provider) = &mut self.at_provider {
                        at_provider.step_aside();
                    }
                    visits += 1;
                    if visits > 1 {
                        news.send_replace(PageNews::AnotherWay);
                    }
                    next = self.visit(&mut flow, visit, page.clone(), typed.reach()).await?;
                    if !matches!(next, Next::Over(_)) {
                        news.send_replace(PageNews::Working);
                    }
                    continue;
                }
                // Only a visit waits, and it waits inside itself.
                Next::Wait => return Err(Problem::internal("the sign-in lost its place")),
            };
            next = flow.step(event, clock::now(), &entropy()?);
        }
    }

    /// Tells the person who will use what they are about to allow.
    ///
    /// # Errors
    /// The question that is to be answered first, where there is one.
    fn say_who_uses_it(&self, flow: &SignIn) -> Result<(), Problem> {
        let Some(issuer) = flow.registration().map(|registration| &registration.issuer) else {
            return Ok(());
        };
        // What is allowed there is for the sign-in service that it vouches at.
        let provider = self.plan.extensions.identity_provider.as_ref();
        if provider.is_some_and(|provider| provider.issuer == *issuer) {
            return Ok(());
        }
        let server = self.plan.server.as_str();
        if let Some(question) = self.shared.question(&self.name, server, issuer) {
            return Err(question);
        }
        if let Some(text) = site::notice(server, issuer) {
            self.report(ServerReport::Progress(Progress::Notice { text }));
        }
        Ok(())
    }

    /// Waits for this sign-in's turn at the identity provider; gives why it does not come.
    async fn take_turn(&mut self) -> Result<Option<SignInError>, Problem> {
        let taken = {
            let turns = self.provider_turns.clone();
            let taking = AtProvider::take(&mut self.plan, &self.vault, turns);
            tokio::pin!(taking);
            loop {
                tokio::select! {
                    taken = &mut taking => break taken?,
                    wish = self.wishes.recv() => if let Some(Wish::Cancel) | None = wish {
                        return Ok(Some(SignInError::Cancelled));
                    },
                    () = tokio::time::sleep_until(self.deadline) => {
                        return Ok(Some(SignInError::TimedOut));
                    }
                }
            }
        };
        self.at_provider = taken;
        Ok(None)
    }

    /// One visit of the browser, up to something that changes the flow.
    async fn visit(
        &mut self,
        flow: &mut SignIn,
        visit: Visit,
        page: watch::Receiver<PageNews>,
        reach: Reach,
    ) -> Result<Next, Problem> {
        if !reach.allows_visit(visit.url.expose()) {
            let issuer = self.plan.server.origin().to_owned();
            return Ok(Next::Over(Outcome::Failed(SignInError::UnsafeLink { issuer })));
        }
        let (answers, mut came) = mpsc::unbounded_channel::<AuthorizationResponse>();
        // By address or by name, as this try has asked for.
        let redirect_uri = match flow.registration() {
            Some(registration) => registration.redirect_uri.clone(),
            None => self.plan.redirect_uri.clone(),
        };
        let authority = redirect_uri.split('/').nth(2).unwrap_or_default();
        self.callbacks.expect(&visit.state, &self.name, authority, answers, page);
        let (mut nonce, mut cause) = self.open(&visit).await?;
        self.tell(flow, reach).await;
        let next = loop {
            let event = tokio::select! {
                Some(response) = came.recv() => Event::Callback(response),
                wish = self.wishes.recv() => match wish {
                    // The browser has come back already.
                    Some(Wish::OpenAgain) if !self.callbacks.awaits(&visit.state) => continue,
                    Some(Wish::OpenAgain) => {
                        self.callbacks.forget_link(&nonce);
                        match self.open(&visit).await {
                            Ok(opened) => (nonce, cause) = opened,
                            // It came back just now.
                            Err(_) if !self.callbacks.awaits(&visit.state) => {}
                            Err(problem) => return Err(problem),
                        }
                        continue;
                    }
                    Some(Wish::AnotherWay) => Event::TryAnotherWay,
                    Some(Wish::NoBrowser) => Event::BrowserFailed(cause.as_str().into()),
                    Some(Wish::Cancel) | None => Event::Cancelled,
                },
                () = tokio::time::sleep_until(self.deadline) => Event::TimedOut,
            };
            let entropy = clock::entropy().map_err(Problem::internal)?;
            let next = flow.step(event, clock::now(), &entropy);
            self.tell(flow, reach).await;
            if !matches!(next, Next::Wait) {
                break next;
            }
        };
        self.callbacks.forget(&visit.state);
        self.callbacks.forget_link(&nonce);
        Ok(next)
    }

    /// Sends the browser to a fresh one-time link; gives its nonce, and why no browser came where
    /// none did.
    async fn open(&mut self, visit: &Visit) -> Result<(String, String), Problem> {
        let link = self.callbacks.link(&visit.url, &visit.state).map_err(Problem::internal)?;
        let nonce = link.ok_or_else(|| Problem::internal("nobody awaits the browser"))?;
        let until = clock::now().plus(self.deadline.saturating_duration_since(Instant::now()));
        let link = format!("{}/go/{nonce}", self.origin);
        let wishing = self.wishing.clone();
        let dead_end = move || {
            let _ = wishing.send(Wish::AnotherWay);
        };
        let opened = self.browser.open(&link, self.ca_file.as_deref(), dead_end).await;
        self.report(ServerReport::Progress(Progress::Link {
            link: visit.url.expose().to_owned(),
            until: clock::rfc3339(until),
            is_opened: opened.is_ok() && self.browser != Browser::None,
        }));
        let Err(cause) = opened else { return Ok((nonce, String::new())) };
        let line = TraceStep::new(clock::now(), Step::Browser, "not opened").reason(&cause).warn();
        self.report(ServerReport::Trace(vec![line]));
        self.report(ServerReport::BrowserFailed(cause.clone()));
        Ok((nonce, cause))
    }

    /// A sign-in has worked when its grant is in the vault.
    async fn keep(&mut self, grant: Box<Grant>) -> End {
        let started = clock::now();
        let Some(_writing) = self.turn.write(self.epoch).await else {
            return End::Failed(SignInError::Cancelled);
        };
        // What is being renewed of an older grant must not take the place of this one.
        self.turn.advance();
        let epoch = self.turn.epoch();
        let kept = self.vault.put(&self.entry, grant.encode()).await;
        let line = |said: String| TraceStep::new(clock::now(), Step::Vault, said).since(started);
        match kept {
            Ok(()) => {
                self.report(ServerReport::Trace(vec![line("kept".to_owned())]));
                End::SignedIn { grant, epoch }
            }
            Err(error) => {
                self.report(ServerReport::Trace(vec![line(error.to_string()).warn()]));
                End::NotKept(super::vault_problem(&error))
            }
        }
    }

    /// All that the user typed for it.
    fn typed(&self) -> Typed {
        let mut typed = self.typed.clone();
        if let Some(provider) = &self.plan.extensions.identity_provider {
            let known = provider.grant.as_ref().and_then(|grant| grant.reach);
            let urls = [Some(provider.issuer.as_str()), provider.token_endpoint.as_deref()];
            for url in urls.into_iter().flatten().filter_map(|url| url::Url::parse(url).ok()) {
                typed.add(&url, known);
            }
        }
        typed
    }

    async fn tell(&mut self, flow: &mut SignIn, reach: Reach) {
        let mut memos: Vec<Memo> = flow.take_memos();
        for memo in &mut memos {
            if let Memo::ProviderGrant(grant) = memo {
                grant.reach = Some(reach);
            }
        }
        if let Some(at_provider) = &mut self.at_provider {
            for memo in &memos {
                at_provider.keep(memo).await;
            }
        }
        if !memos.is_empty() {
            self.report(ServerReport::Memos(memos));
        }
        let lines = flow.take_trace();
        if !lines.is_empty() {
            self.report(ServerReport::Trace(lines));
        }
    }

    fn report(&self, report: ServerReport) {
        let _ = self.reports.send(Report { server: self.server.clone(), report });
    }
}
