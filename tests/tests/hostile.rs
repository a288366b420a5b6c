//! Sign-ins at servers that are hostile at random, all by one broker: it does not panic, no sign-in
//! lasts longer than it may, its memory stays flat, and an honest sign-in works at the end.
//!
//! `KEYFOB_HOSTILE_SEED` repeats a run, `KEYFOB_HOSTILE_COUNT` says how many sign-ins; with the seed
//! that a failure names and a count of 1 that sign-in alone is repeated.
#![expect(clippy::unwrap_used, reason = "test code")]
#![expect(clippy::print_stderr, reason = "the seed and the figures of a run")]

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use keyfob_tests::hostile::{Dice, Hostile};
use keyfob_tests::random::below;
use keyfob_tests::world::Stdin;
use keyfob_tests::{Output, Scene, Visit};

/// How many sign-ins go on at the same time.
const AT_ONCE: usize = 8;

/// What a person has for one sign-in, in seconds.
const DEADLINE: u64 = 4;

/// What a sign-in may take beyond its deadline: what `keyfob connect` grants the broker, and a
/// second for a machine that is busy.
const BEYOND: Duration = Duration::from_secs(4 + 1);

/// How long a command may take that only asks the broker.
const ANSWER: Duration = Duration::from_secs(10);

/// How long a server may take to be removed: the service that has signed in is told, with half a
/// minute for each of two tokens and for the registration.
const REMOVAL: Duration = Duration::from_secs(3 * 30 + 5);

/// The allocator gives back at once what is freed, so that what is left is what the broker keeps.
const GIVING_BACK: [(&str, &str); 3] = [
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_MMAP_THRESHOLD_", "65536"),
    ("MALLOC_TRIM_THRESHOLD_", "65536"),
];

/// How much larger than ever in the first half of a run the broker may be at its end, in KiB.
const GROWTH: u64 = 16 * 1024;

/// What a run has come to.
#[derive(Default)]
struct Figures {
    signed_in: usize,
    requests: usize,
    bends: usize,
    longest: Duration,
    /// The memory of the broker after every tenth of the run, in KiB.
    memory: Vec<u64>,
}

async fn run(seed: u64, count: usize) -> Figures {
    eprintln!(
        "{count} hostile sign-ins; again with KEYFOB_HOSTILE_SEED={seed} KEYFOB_HOSTILE_COUNT={count}"
    );
    let mut scene = Scene::with(|s| s.serve = false).await;
    for (name, value) in GIVING_BACK {
        scene.keyfob.set_env(name, value);
    }
    scene.keyfob.serve().await;
    let pid = scene.keyfob.broker().pid().unwrap();
    honest(&scene, "before").await;
    let mut figures = Figures::default();
    let seeds = (0..count).map(|n| seed.wrapping_add(n as u64));
    let ins = seeds.map(|seed| sign_in(&scene, seed));
    let mut ins = std::pin::pin!(futures_util::stream::iter(ins).buffer_unordered(AT_ONCE));
    let mut done = 0;
    while let Some(one) = ins.next().await {
        figures.signed_in += usize::from(one.signed_in);
        figures.requests += one.requests;
        figures.bends += one.bends;
        figures.longest = figures.longest.max(one.longest);
        done += 1;
        if done % count.div_ceil(10) == 0 {
            figures.memory.push(memory(pid));
        }
    }
    let list = scene.keyfob.run(&["list", "--json"]).await.ok().json();
    assert_eq!(list.as_array().map(Vec::len), Some(0), "seed {seed}: servers are left: {list}");
    honest(&scene, "after").await;
    assert_eq!(scene.keyfob.broker().pid(), Some(pid), "seed {seed}: another broker");
    let logged = scene.keyfob.broker().printed();
    assert!(!logged.contains("panicked"), "seed {seed}: {}", around(&logged, "panicked"));
    // What ended last has been given back.
    tokio::time::sleep(Duration::from_secs(2)).await;
    figures.memory.push(memory(pid));
    eprintln!(
        "{count} sign-ins, {} to their end; {} requests, {} of them answered wrongly; the longest \
         command took {:.1} s; memory of the broker in KiB: {:?}",
        figures.signed_in,
        figures.requests,
        figures.bends,
        figures.longest.as_secs_f64(),
        figures.memory
    );
    figures
}

/// What became of one sign-in.
struct One {
    signed_in: bool,
    requests: usize,
    bends: usize,
    longest: Duration,
}

async fn sign_in(scene: &Scene, seed: u64) -> One {
    let hostile = Hostile::start(seed, scene.keyfob.port()).await;
    let mut dice = Dice::at(seed, "person");
    let name = format!("s{seed}");
    let url = hostile.url();
    let visit = dice.pick(&[Visit::Allow, Visit::Allow, Visit::Allow, Visit::Deny]);
    let browser = scene.keyfob.browser(visit).display().to_string();
    let deadline = DEADLINE.to_string();
    let mut longest = Duration::ZERO;
    let mut check = |output: Output, most: Duration| {
        let story = || format!("seed {seed}: {}\n{output}", hostile.bends().join("\n"));
        assert!(!output.late && output.took <= most, "stuck for {:?}: {}", output.took, story());
        assert!(output.signal.is_none() && output.code < Some(100), "it broke: {}", story());
        assert!(!output.to_string().contains("panicked"), "it panicked: {}", story());
        longest = longest.max(output.took);
        output
    };
    let added = command(scene, &["add", "--name", &name, &url], ANSWER).await;
    check(added, ANSWER).ok();
    let most = Duration::from_secs(DEADLINE) + BEYOND;
    let arguments = ["connect", "--deadline", &deadline, "--browser", &browser, &name];
    let signed_in = check(command(scene, &arguments, most).await, most).code == Some(0);
    if signed_in {
        // The answer may take as long as it likes: whoever asks has left by then.
        command(scene, &["tools", &name], Duration::from_secs(3)).await;
    }
    // The broker has let go of it, too.
    let given_up = Instant::now() + ANSWER;
    loop {
        let status = check(command(scene, &["status", "--json", &name], ANSWER).await, ANSWER);
        let status = status.ok().json();
        if status["state"] != "signing-in" {
            break;
        }
        assert!(Instant::now() < given_up, "seed {seed}: it goes on signing in: {status}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    check(command(scene, &["remove", &name], REMOVAL).await, REMOVAL).ok();
    let bends = hostile.bends().len();
    One { signed_in, requests: hostile.requests(), bends, longest }
}

/// Runs a command. What it prints is not kept for the report of a failure: it may be very much.
async fn command(scene: &Scene, arguments: &[&str], patience: Duration) -> Output {
    scene.keyfob.start(arguments, Stdin::Empty).finish(patience).await
}

async fn honest(scene: &Scene, name: &str) {
    scene.add(name, &[]).await.ok();
    scene.connect(name, Visit::Allow).await.ok();
    scene.echo(name, "still here").await;
    scene.keyfob.run(&["remove", name]).await.ok();
}

/// The resident memory of a process in KiB, as anybody may read it.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    assert!(number.is_some(), "the broker is gone");
    number.unwrap()
}

/// The lines of a log around a word.
fn around(log: &str, word: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    let at = lines.iter().position(|line| line.contains(word)).unwrap_or_default();
    lines[at.saturating_sub(3)..lines.len().min(at + 10)].join("\n")
}

fn told<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn some_hostile_sign_ins() {
    run(9, 40).await;
}

/// For `make soak`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn many_hostile_sign_ins() {
    let seed = told("KEYFOB_HOSTILE_SEED").unwrap_or_else(|| below(1 << 30) as u64);
    let count = told("KEYFOB_HOSTILE_COUNT").unwrap_or(500);
    let memory = run(seed, count).await.memory;
    let warm = memory[..memory.len() / 2].iter().max().unwrap();
    let end = memory.last().unwrap();
    assert!(*end <= warm + GROWTH, "seed {seed}: from {warm} to {end} KiB");
}
