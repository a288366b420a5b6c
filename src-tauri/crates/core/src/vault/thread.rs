//! The one thread that talks to the keychain.
//!
//! The keychain's calls block, and may block for as long as a prompt is open. So they happen on a
//! thread of their own, which callers wait for with a deadline and which nobody ever joins: the
//! process can exit while it is stuck. A call whose caller has stopped waiting is not begun.
//!
//! A call has its deadline from when the keychain begins with it: those before it cost it nothing,
//! as long as the keychain gets on with them. One that has run out of time goes on (its prompt may
//! be answered yet), but makes way at its next step as soon as another call waits.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use keyfob_auth::Secret;
use tokio::sync::oneshot;

use super::{Failure, Lasts, VaultError, name::ProfileId, store::Store};

/// No more calls than this wait for the thread; the next one is told at once that the keychain
/// does not answer.
const MOST_WAITING: usize = 64;

/// So many deadlines a call waits for those before it.
const LONGEST_WAIT: u32 = 6;

/// Makes the store, on the thread; again after a crash in it.
pub(super) type Open = Box<dyn Fn() -> Box<dyn Store> + Send + Sync>;

/// The thread's handle. Dropping it lets the thread end once it has nothing to do.
pub(super) struct VaultThread {
    shared: Arc<Shared>,
    deadline: Duration,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Something has changed in the queue.
    changed: Condvar,
    open: Open,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Box<dyn Call>>,
    /// When the keychain has last done anything.
    moved_at: Option<Instant>,
    /// Whether the thread has been started. It is, by the first call.
    started: bool,
    closed: bool,
}

impl Queue {
    /// Whether somebody waits for a call that has not begun.
    fn is_awaited(&self) -> bool {
        self.waiting.iter().any(|call| !call.given_up())
    }
}

/// What is to be done on the thread, and where the answer goes.
trait Call: Send {
    /// Whether nobody waits for the answer any more.
    fn given_up(&self) -> bool;
    fn run(self: Box<Self>, store: &mut dyn Store, shared: &Shared);
}

struct Answered<W, T> {
    work: W,
    begins: oneshot::Sender<()>,
    answer: oneshot::Sender<Result<T, VaultError>>,
}

impl<W, T> Call for Answered<W, T>
where
    W: FnOnce(&mut dyn Store) -> Result<T, VaultError> + Send,
    T: Send,
{
    fn given_up(&self) -> bool {
        self.answer.is_closed()
    }

    fn run(self: Box<Self>, store: &mut dyn Store, shared: &Shared) {
        let Self { work, begins, answer } = *self;
        let _ = begins.send(());
        let result = work(&mut Steps { store, shared, given_up: &|| answer.is_closed() });
        // The caller may have stopped waiting meanwhile; that is its right.
        let _ = answer.send(result);
    }
}

/// The store as one call has it: step by step, with an end where it must make way.
struct Steps<'a> {
    store: &'a mut dyn Store,
    shared: &'a Shared,
    given_up: &'a dyn Fn() -> bool,
}

impl Steps<'_> {
    /// A call that is cut short between two steps leaves the old text or the new one.
    fn step<T>(
        &mut self,
        step: impl FnOnce(&mut dyn Store) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        if (self.given_up)() && self.shared.lock().is_awaited() {
            return Err(VaultError::TimedOut);
        }
        let done = step(self.store);
        self.shared.lock().moved_at = Some(Instant::now());
        done
    }
}

impl Store for Steps<'_> {
    fn get_raw(&mut self, name: &str) -> Result<Option<Secret>, VaultError> {
        self.step(|store| store.get_raw(name))
    }

    fn put_raw(&mut self, name: &str, label: &str, text: &Secret) -> Result<(), VaultError> {
        self.step(|store| store.put_raw(name, label, text))
    }

    fn delete_raw(&mut self, name: &str) -> Result<(), VaultError> {
        self.step(|store| store.delete_raw(name))
    }

    fn list(&mut self, profile: &ProfileId) -> Result<Vec<String>, VaultError> {
        self.step(|store| store.list(profile))
    }

    fn lasts(&mut self, name: &str) -> Result<Lasts, VaultError> {
        self.step(|store| store.lasts(name))
    }
}

impl VaultThread {
    pub(super) fn new(open: Open, deadline: Duration) -> Self {
        let queue = Mutex::new(Queue::default());
        Self { shared: Arc::new(Shared { queue, changed: Condvar::new(), open }), deadline }
    }

    /// Runs `work` on the thread, after all that was called before.
    ///
    /// # Errors
    ///
    /// Those of `work`; [`VaultError::TimedOut`] when the keychain has not done it by the deadline,
    /// does not get on with what comes before, or has too much before it; [`Failure::Thread`] when
    /// there is no thread or it crashed in this call.
    pub(super) async fn call<T, W>(&self, work: W) -> Result<T, VaultError>
    where
        W: FnOnce(&mut dyn Store) -> Result<T, VaultError> + Send + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let (begins, begun) = oneshot::channel();
        self.enqueue(Box::new(Answered { work, begins, answer }))?;
        self.turn(begun).await?;
        match tokio::time::timeout(self.deadline, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_crashed)) => Err(VaultError::failed(Failure::Thread)),
            Err(_elapsed) => Err(VaultError::TimedOut),
        }
    }

    /// Waits until the keychain begins with a call, for as long as it gets on with the others.
    async fn turn(&self, mut begun: oneshot::Receiver<()>) -> Result<(), VaultError> {
        let queued_at = Instant::now();
        let longest = queued_at + self.deadline * LONGEST_WAIT;
        let mut until = queued_at + self.deadline;
        loop {
            let wait = until.min(longest).saturating_duration_since(Instant::now());
            match tokio::time::timeout(wait, &mut begun).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_dropped)) => return Err(VaultError::failed(Failure::Thread)),
                Err(_elapsed) => {}
            }
            let moved_at = self.shared.lock().moved_at.unwrap_or(queued_at);
            let now = Instant::now();
            until = moved_at + self.deadline;
            if until <= now || longest <= now {
                return Err(VaultError::TimedOut);
            }
        }
    }

    fn enqueue(&self, call: Box<dyn Call>) -> Result<(), VaultError> {
        let mut queue = self.shared.lock();
        queue.waiting.retain(|call| !call.given_up());
        if queue.waiting.len() >= MOST_WAITING {
            return Err(VaultError::TimedOut);
        }
        if !queue.started {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("vault".to_owned());
            thread
                .spawn(move || shared.serve())
                .map_err(|_| VaultError::failed(Failure::Thread))?;
            queue.started = true;
        }
        queue.waiting.push_back(call);
        self.shared.changed.notify_one();
        Ok(())
    }
}

impl Drop for VaultThread {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        let mut store = (self.open)();
        while let Some(call) = self.next() {
            if call.given_up() {
                continue;
            }
            // The keychain's crates panic on a poisoned lock, among others. The call's answer is
            // dropped by that, which tells its caller.
            if catch_unwind(AssertUnwindSafe(|| call.run(&mut *store, self))).is_err() {
                tracing::error!("the keychain's code has crashed");
                store = (self.open)();
            }
        }
    }

    fn next(&self) -> Option<Box<dyn Call>> {
        let mut queue = self.lock();
        loop {
            if let Some(call) = queue.waiting.pop_front() {
                return Some(call);
            }
            if queue.closed {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        process::Command,
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
    };

    use super::*;
    use crate::vault::memory::MemoryStore;

    const SOON: Duration = Duration::from_millis(60);

    fn thread(deadline: Duration) -> VaultThread {
        VaultThread::new(Box::new(|| Box::<MemoryStore>::default()), deadline)
    }

    /// Makes the thread wait, as a prompt does, until the sender is used or dropped.
    async fn stuck(thread: &VaultThread) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel::<()>();
        let call = thread.call(move |_| {
            let _ = released.recv();
            Ok(())
        });
        assert_eq!(call.await, Err(VaultError::TimedOut));
        release
    }

    #[tokio::test]
    async fn a_stuck_thread_costs_its_callers_the_deadline_and_recovers() {
        let thread = thread(SOON);
        let release = stuck(&thread).await;
        let begun = Instant::now();
        assert_eq!(thread.call(|_| Ok(1)).await, Err(VaultError::TimedOut));
        assert!(begun.elapsed() < SOON * 5);
        release.send(()).unwrap();
        assert_eq!(thread.call(|_| Ok(2)).await, Ok(2));
    }

    #[tokio::test]
    async fn a_call_that_waits_is_served_when_the_prompt_is_answered() {
        let thread = thread(Duration::from_secs(5));
        let (release, released) = mpsc::channel::<()>();
        let prompt = thread.call(move |_| {
            let _ = released.recv();
            Ok(1)
        });
        let answer = async {
            tokio::time::sleep(SOON).await;
            release.send(()).unwrap();
        };
        let (first, second, ()) = tokio::join!(prompt, thread.call(|_| Ok(2)), answer);
        assert_eq!((first, second), (Ok(1), Ok(2)));
    }

    #[tokio::test]
    async fn calls_do_not_pile_up_and_those_given_up_are_not_begun() {
        static BEGUN: AtomicUsize = AtomicUsize::new(0);
        let thread = thread(SOON);
        let release = stuck(&thread).await;
        for _ in 0..3 {
            let call = |_: &mut dyn Store| {
                BEGUN.fetch_add(1, Ordering::SeqCst);
                Ok(())
            };
            assert_eq!(thread.call(call).await, Err(VaultError::TimedOut));
        }
        assert_eq!(thread.shared.lock().waiting.len(), 1, "the newest; the others were dropped");
        let many: Vec<_> = (0..MOST_WAITING + 10)
            .map(|_| {
                let (answer, answered) = oneshot::channel::<Result<(), VaultError>>();
                let (begins, _) = oneshot::channel();
                let work = |_: &mut dyn Store| Ok(());
                (thread.enqueue(Box::new(Answered { work, begins, answer })), answered)
            })
            .collect();
        let refused = many.iter().filter(|(queued, _)| queued.is_err()).count();
        assert_eq!(refused, 10);
        drop(many);
        release.send(()).unwrap();
        assert_eq!(thread.call(|_| Ok(4)).await, Ok(4));
        assert_eq!(BEGUN.load(Ordering::SeqCst), 0);
    }

    /// A keychain that takes its time for each step, and which entries it was asked for.
    #[derive(Default)]
    struct Slow {
        store: MemoryStore,
        step: Duration,
        written: Arc<Mutex<Vec<String>>>,
    }

    impl Store for Slow {
        fn get_raw(&mut self, name: &str) -> Result<Option<Secret>, VaultError> {
            std::thread::sleep(self.step);
            self.store.get_raw(name)
        }

        fn put_raw(&mut self, name: &str, label: &str, text: &Secret) -> Result<(), VaultError> {
            std::thread::sleep(self.step);
            self.written.lock().unwrap().push(name.to_owned());
            self.store.put_raw(name, label, text)
        }

        fn delete_raw(&mut self, name: &str) -> Result<(), VaultError> {
            self.store.delete_raw(name)
        }

        fn list(&mut self, profile: &ProfileId) -> Result<Vec<String>, VaultError> {
            self.store.list(profile)
        }

        fn lasts(&mut self, name: &str) -> Result<Lasts, VaultError> {
            self.store.lasts(name)
        }
    }

    fn slow(deadline: Duration, step: Duration) -> (VaultThread, Arc<Mutex<Vec<String>>>) {
        let written = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&written);
        let open = move || -> Box<dyn Store> {
            Box::new(Slow { step, written: Arc::clone(&seen), ..Slow::default() })
        };
        (VaultThread::new(Box::new(open), deadline), written)
    }

    /// A write of this many steps.
    async fn write(
        thread: &VaultThread,
        name: &'static str,
        steps: usize,
    ) -> Result<(), VaultError> {
        let work = move |store: &mut dyn Store| {
            (0..steps).try_for_each(|_| store.put_raw(name, "", &Secret::new("x")))
        };
        thread.call(work).await
    }

    /// attack-B4: a text that takes the keychain longer than its caller waits.
    #[tokio::test]
    async fn a_write_that_takes_too_long_makes_way_for_the_next() {
        let deadline = Duration::from_millis(300);
        let (thread, written) = slow(deadline, Duration::from_millis(20));
        let begun = Instant::now();
        let (long, next) = tokio::join!(write(&thread, "long", 1000), write(&thread, "next", 1));
        assert_eq!((long, next), (Err(VaultError::TimedOut), Ok(())));
        assert!(begun.elapsed() < deadline * 3, "waited for {:?}", begun.elapsed());
        let names: BTreeSet<_> = written.lock().unwrap().iter().cloned().collect();
        assert_eq!(names, BTreeSet::from(["long".to_owned(), "next".to_owned()]));
        let steps = written.lock().unwrap().len();
        assert!(steps < 1000, "it was not cut short");
    }

    /// What nobody waits behind may come to its end: a prompt may be answered late.
    #[tokio::test]
    async fn a_late_write_goes_on_while_nobody_else_waits() {
        let (thread, written) = slow(SOON, Duration::from_millis(20));
        assert_eq!(write(&thread, "late", 10).await, Err(VaultError::TimedOut));
        let begun = Instant::now();
        while written.lock().unwrap().len() < 10 {
            assert!(begun.elapsed() < Duration::from_secs(5), "it was cut short");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_deadline_counts_from_when_the_keychain_begins() {
        let deadline = Duration::from_millis(400);
        let (thread, _) = slow(deadline, Duration::from_millis(25));
        let begun = Instant::now();
        // Each takes half its time; the last waits for longer than a deadline.
        let write = |name| write(&thread, name, 8);
        let all = tokio::join!(write("a"), write("b"), write("c"), write("d"));
        assert_eq!(all, (Ok(()), Ok(()), Ok(()), Ok(())));
        assert!(begun.elapsed() > deadline, "they were too quick to tell");
    }

    #[tokio::test]
    async fn a_crash_is_told_and_survived() {
        let thread = thread(Duration::from_secs(5));
        let crash = |_: &mut dyn Store| -> Result<(), VaultError> { panic!("a poisoned lock") };
        assert_eq!(thread.call(crash).await, Err(VaultError::failed(Failure::Thread)));
        assert_eq!(thread.call(|_| Ok(3)).await, Ok(3));
    }

    #[tokio::test]
    async fn dropping_the_handle_ends_an_idle_thread() {
        let thread = thread(Duration::from_secs(5));
        thread.call(|_| Ok(())).await.unwrap();
        let shared = Arc::downgrade(&thread.shared);
        drop(thread);
        let begun = Instant::now();
        while shared.strong_count() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(5), "the thread is still there");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[test]
    fn a_stuck_thread_does_not_keep_the_process() {
        const CHILD: &str = "KEYFOB_TEST_STUCK_CHILD";
        let runtime = tokio::runtime::Runtime::new().unwrap();
        if std::env::var_os(CHILD).is_some() {
            let thread = thread(SOON);
            // Never released: the sender outlives the process.
            std::mem::forget(runtime.block_on(stuck(&thread)));
            return;
        }
        let name = std::thread::current().name().unwrap().to_owned();
        let begun = Instant::now();
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", &name]).env(CHILD, "1").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        assert!(begun.elapsed() < Duration::from_secs(3), "took {:?}", begun.elapsed());
    }
}
