//! What the browser sees of us: the one-time link, the redirect URI, and a page for the person.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use keyfob_auth::Secret;
use keyfob_auth::authorize::AuthorizationResponse;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};

use crate::clock;

/// What became of a sign-in, for the page that the person sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageNews {
    /// Not known yet.
    Working,
    /// Another page was opened, because the first way was refused.
    AnotherWay,
    /// It worked.
    Done,
    /// It came to nothing; the sentence for the person.
    Failed(String),
}

/// A sign-in that waits for its browser.
#[derive(Clone, Debug)]
struct Pending {
    server: String,
    /// `host:port` of its redirect URI.
    authority: String,
    answers: mpsc::UnboundedSender<AuthorizationResponse>,
    news: watch::Receiver<PageNews>,
}

/// A page to be shown once the code has been taken out of the address.
#[derive(Clone, Debug)]
pub struct Page {
    /// The server's name.
    pub server: String,
    /// What became of it.
    pub news: watch::Receiver<PageNews>,
    /// Whether it has been shown.
    was_shown: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Callbacks {
    pending: Mutex<HashMap<[u8; 32], Pending>>,
    links: Mutex<HashMap<String, Secret>>,
    pages: Mutex<HashMap<String, Page>>,
}

/// What a request to the redirect URI came to.
#[derive(Debug)]
pub enum Arrival {
    /// Nothing is awaited, or nothing of this kind.
    NotAwaited,
    /// It was handed on; the person is sent to this page.
    Accepted {
        /// The page's name.
        page: String,
    },
}

impl Callbacks {
    /// Awaits an answer with this state.
    pub fn expect(
        &self,
        state: &Secret,
        server: &str,
        authority: &str,
        answers: mpsc::UnboundedSender<AuthorizationResponse>,
        news: watch::Receiver<PageNews>,
    ) {
        let pending =
            Pending { server: server.to_owned(), authority: authority.to_owned(), answers, news };
        lock(&self.pending).insert(name(state), pending);
    }

    /// No longer awaits it.
    pub fn forget(&self, state: &Secret) {
        lock(&self.pending).remove(&name(state));
    }

    /// Whether an answer with this state is awaited.
    pub fn awaits(&self, state: &Secret) -> bool {
        lock(&self.pending).contains_key(&name(state))
    }

    /// Makes a one-time link to `url`, from where a browser comes back with `state`; process
    /// arguments can be read by others, this cannot be used twice. `None` where nobody awaits that
    /// state: no browser is sent out before there is somebody to come back to.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn link(&self, url: &Secret, state: &Secret) -> Result<Option<String>, getrandom::Error> {
        if !self.awaits(state) {
            return Ok(None);
        }
        let nonce = clock::random_hex(16)?;
        lock(&self.links).insert(nonce.clone(), url.clone());
        Ok(Some(nonce))
    }

    /// Takes a link; it works once.
    pub fn take_link(&self, nonce: &str) -> Option<Secret> {
        lock(&self.links).remove(nonce)
    }

    /// Takes back a link that was not followed.
    pub fn forget_link(&self, nonce: &str) {
        lock(&self.links).remove(nonce);
    }

    /// Whether anything is awaited at all.
    pub fn is_idle(&self) -> bool {
        lock(&self.pending).is_empty()
    }

    /// Something came to the redirect URI under the given `host:port`. Only a known state is
    /// taken, and only once; everything else changes nothing.
    pub fn arrive(&self, query: &str, authority: &str) -> Arrival {
        let Ok(response) = AuthorizationResponse::parse(query) else { return Arrival::NotAwaited };
        let key = name(&response.state);
        let mut all = lock(&self.pending);
        if all.get(&key).is_none_or(|pending| pending.authority != authority) {
            return Arrival::NotAwaited;
        }
        let Some(pending) = all.remove(&key) else { return Arrival::NotAwaited };
        drop(all);
        let Ok(page) = clock::random_hex(16) else { return Arrival::NotAwaited };
        let shown = Page { server: pending.server, news: pending.news, was_shown: false };
        lock(&self.pages).insert(page.clone(), shown);
        if pending.answers.send(response).is_err() {
            return Arrival::NotAwaited;
        }
        Arrival::Accepted { page }
    }

    /// The page of that name, which is shown now.
    pub fn page(&self, name: &str) -> Option<Page> {
        let mut pages = lock(&self.pages);
        let page = pages.get_mut(name)?;
        page.was_shown = true;
        Some(page.clone())
    }

    /// Whether a browser is on its way to a page.
    pub fn awaits_a_look(&self) -> bool {
        lock(&self.pages).values().any(|page| !page.was_shown)
    }

    /// Forgets the pages whose sign-in is over and whose person has had time to see them.
    pub fn forget_pages(&self) {
        lock(&self.pages).retain(|_, page| page.news.has_changed().is_ok());
    }
}

/// States are kept as digests: a lookup tells nothing about how close a guess was.
fn name(state: &Secret) -> [u8; 32] {
    Sha256::digest(state.expose().as_bytes()).into()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use keyfob_auth::Secret;
    use tokio::sync::{mpsc, watch};

    use super::{Arrival, Callbacks, PageNews};

    #[test]
    fn only_a_known_state_on_its_own_host_is_taken_and_only_once() {
        let callbacks = Callbacks::default();
        let (answers, mut came) = mpsc::unbounded_channel();
        let (_news, page) = watch::channel(PageNews::Working);
        let state = Secret::new("s1");
        callbacks.expect(&state, "notion", "127.0.0.1:1", answers, page);
        for (query, host) in [
            ("code=c", "127.0.0.1:1"),
            ("code=c&state=other", "127.0.0.1:1"),
            ("error=access_denied&state=other", "127.0.0.1:1"),
            ("code=c&code=d&state=s1", "127.0.0.1:1"),
            ("state=s1", "127.0.0.1:1"),
            ("code=c&state=s1", "localhost:1"),
        ] {
            assert!(matches!(callbacks.arrive(query, host), Arrival::NotAwaited), "{query}");
            assert!(came.try_recv().is_err(), "{query} changed something");
        }
        assert!(matches!(
            callbacks.arrive("code=c&state=s1", "127.0.0.1:1"),
            Arrival::Accepted { .. }
        ));
        assert!(came.try_recv().is_ok());
        let again = callbacks.arrive("code=c&state=s1", "127.0.0.1:1");
        assert!(matches!(again, Arrival::NotAwaited), "a replay was taken");
    }

    #[test]
    fn a_link_works_once_and_only_where_somebody_waits_behind_it() {
        let callbacks = Callbacks::default();
        let (url, state) = (Secret::new("https://a/authorize"), Secret::new("s1"));
        let link = || callbacks.link(&url, &state).expect("randomness");
        assert_eq!(link(), None, "nobody would wait for the browser");
        let (_news, page) = watch::channel(PageNews::Working);
        callbacks.expect(&state, "notion", "127.0.0.1:1", mpsc::unbounded_channel().0, page);
        let nonce = link().expect("a link");
        assert!(callbacks.take_link(&nonce).is_some());
        assert!(callbacks.take_link(&nonce).is_none());
    }
}
