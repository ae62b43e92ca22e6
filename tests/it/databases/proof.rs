//! The proof of a policy: a server under write load is backed up by the argv that the program injects,
//! its files are captured the way the policy is for, and a fresh server must have them, with every
//! write that was acknowledged before.
//!
//! One round a test, and none is timed. `QUIESCENT_ROUNDS=20` makes a proof run of it: so many rounds
//! for each policy, spread over the versions that it names, the same without a hook, and a row for
//! each in the policy's `proof.json`.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};

use quiescent::library::{Capture, Row, entries};
use serde_json::Value;

use super::{
    capture::{at_one_instant, one_after_another, size},
    harness::{Phase, Pod},
    installation::Installation,
    server::{Place, Server},
    writers::{Record, Session, WRITERS, Writers},
};
use crate::library::versions;

/// An engine as a proof needs it.
pub trait Engine: Sized {
    /// Whether the server keeps all that it acknowledges. One that may lose the last moment by itself
    /// owes a snapshot only what was acknowledged before the hook began.
    const DURABLE: bool = true;

    /// Starts a fresh server with nothing in it, with small caches, so that its files churn.
    fn start(installation: &Installation) -> Self;

    /// Starts a server on the files that another one left in its folder.
    ///
    /// # Errors
    /// What the server said when it does not come up.
    fn open(installation: &Installation, place: Place) -> Result<Self, String>;

    /// The process, its folder and its port.
    fn server(&self) -> &Server;

    /// What this is, and its version: `PostgreSQL 15.18`.
    fn version(&self) -> String;

    /// A pod beside this server, as its users write it, with the label of the method if it needs one.
    fn pod(&self) -> Value;

    /// Gives the server the pod's volumes, where it writes there itself.
    fn mount(&self, _pod: &Pod) {}

    /// Makes the tables of the writers, and awkward data for the engine.
    fn fill(&self);

    /// A session of a writer.
    fn session(&self, writer: usize) -> Session;

    /// Looks whether all is well: the engine's own check, the awkward data, the invariants of the
    /// writers. Says for each writer up to which number nothing is missing.
    ///
    /// # Errors
    /// What is wrong.
    fn written(&self) -> Result<Record, String>;

    /// Brings a dump back: into a fresh server, by the restore hook.
    ///
    /// # Errors
    /// What the hook or the server said.
    fn restore(installation: &Installation, backup: &Pod) -> Result<Self, String> {
        let fresh = Self::start(installation);
        let pod = Pod::inject(&fresh.pod(), &[]).restored_from(backup);
        let outcome = pod.run(Phase::Restore, &installation.container());
        if outcome.code == Some(0) {
            Ok(fresh)
        } else {
            Err(format!("{outcome:?}"))
        }
    }
}

/// Proves a policy on one version of its server.
pub fn prove<E: Engine>(policy: &str, installation: &Installation, capture: Capture) {
    let Some(rounds) = rounds(policy) else {
        let round = round::<E>(policy, installation, capture, true, 0);
        assert_eq!(round.missing, Ok(0), "{policy} on {}", round.server);
        return;
    };
    let hooked = run::<E>(policy, installation, capture, true, rounds);
    keep(policy, &hooked);
    assert!(hooked.is_good(), "{policy}: {hooked:?}");
}

/// So many rounds show what a copy without a hook is worth.
const NAKED_ROUNDS: u32 = 3;

/// In a proof run: what becomes of the same server when its files are captured without a hook.
pub fn naked<E: Engine>(policy: &str, installation: &Installation, capture: Capture) {
    if rounds(policy).is_some() {
        let row = run::<E>(policy, installation, capture, false, NAKED_ROUNDS);
        keep(policy, &row);
    }
}

/// In a proof run: the share of one version in the rounds of a policy.
fn rounds(policy: &str) -> Option<u32> {
    let rounds = std::env::var("QUIESCENT_ROUNDS").ok()?;
    let rounds: u32 = rounds.parse().expect("QUIESCENT_ROUNDS is a number");
    let entries = entries();
    let entry = entries.iter().find(|entry| entry.policy.name == policy);
    let proven = entry.unwrap().policy.about.proven.as_ref().unwrap();
    let versions = u32::try_from(versions(proven).len()).unwrap();
    Some(rounds.div_ceil(versions))
}

/// What came out of one round.
struct Round {
    server: String,
    /// How many acknowledged writes are not there after the restore, or why there was none.
    missing: Result<u64, String>,
    stop: Duration,
    quiet: Duration,
    throughput: f64,
    hook: Duration,
    bytes: u64,
}

fn round<E: Engine>(
    policy: &str,
    installation: &Installation,
    capture: Capture,
    hook: bool,
    number: u32,
) -> Round {
    let server = E::start(installation);
    server.fill();
    let pod = Pod::inject(&server.pod(), &[]);
    server.mount(&pod);
    assert!(pod.follows(policy), "the pod is for {policy}");
    let container = installation.container();
    let beside = pod.start_coordinator(&container);
    let writers = Writers::start(|writer| server.session(writer));
    writers.have_written(100);

    let quiet_from = Instant::now();
    if rounds(policy).is_some() {
        std::thread::sleep(Duration::from_secs(2));
    }
    writers.have_written(20);
    let before = writers.record();
    let from = Instant::now();
    if hook {
        pod.run(Phase::Pre, &container).is_ok();
    }
    let to = Instant::now();
    let after = writers.record();

    let captured = match capture {
        Capture::Dump => None,
        Capture::Block => Some(at_one_instant(server.server())),
        Capture::FileCopy => Some(one_after_another(server.server(), number % 2 == 1)),
    };
    let ended = Instant::now();
    // Nobody writes for as long as a coordinator holds.
    let held = hook && beside.is_some();
    if !held {
        writers.have_written(20);
    }
    if hook {
        pod.run(Phase::Post, &container).is_ok();
    }
    if held {
        writers.have_written(20);
    }
    let (quiet, during) = (
        writers.pace(quiet_from, from),
        writers.pace(from, if hook { to } else { ended }),
    );
    writers.stop();

    let version = server.version();
    let bytes = match &captured {
        Some((folder, _)) => size(folder.path()),
        None => size(&pod.volume()),
    };
    drop(server);
    let least = if captured.is_some() && E::DURABLE {
        after
    } else {
        before
    };
    // What a damaged server does to its clients is the result of a naked copy, not of the test.
    let missing = catch_unwind(AssertUnwindSafe(|| {
        let restored = match captured {
            Some(place) => E::open(installation, place),
            None => E::restore(installation, &pod),
        }?;
        let written = restored.written()?;
        Ok((0..WRITERS)
            .map(|writer| least[writer].saturating_sub(written[writer]))
            .sum())
    }))
    .unwrap_or_else(|_| Err("the restored server failed in the middle".to_owned()));
    Round {
        server: version,
        missing,
        stop: during.silence,
        quiet: quiet.silence,
        throughput: during.rate / quiet.rate,
        hook: to - from,
        bytes,
    }
}

fn run<E: Engine>(
    policy: &str,
    installation: &Installation,
    capture: Capture,
    hook: bool,
    rounds: u32,
) -> Row {
    let rounds: Vec<Round> = (0..rounds)
        .map(|number| {
            let round = round::<E>(policy, installation, capture, hook, number);
            if let Err(why) = &round.missing {
                eprintln!("{policy}, {}, hook {hook}: {why}", round.server);
            }
            round
        })
        .collect();
    let worst = |what: fn(&Round) -> Duration| {
        let worst = rounds.iter().map(what).max().unwrap_or_default();
        u64::try_from(worst.as_millis()).unwrap()
    };
    let median = |what: fn(&Round) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(what).collect();
        values.sort_by(f64::total_cmp);
        (values[values.len() / 2] * 100.0).round() / 100.0
    };
    Row {
        server: rounds[0].server.clone(),
        capture,
        hook,
        rounds: u32::try_from(rounds.len()).unwrap(),
        restored: u32::try_from(rounds.iter().filter(|it| it.missing == Ok(0)).count()).unwrap(),
        lost: rounds
            .iter()
            .filter_map(|round| round.missing.as_ref().ok().copied())
            .max()
            .unwrap_or_default(),
        stop_ms: worst(|round| round.stop),
        quiet_ms: worst(|round| round.quiet),
        throughput: median(|round| round.throughput),
        seconds: median(|round| round.hook.as_secs_f64()),
        bytes: rounds.last().unwrap().bytes,
        date: today(),
    }
}

fn today() -> String {
    super::server::output(std::process::Command::new("date").args(["-u", "+%Y-%m-%d"]))
}

/// Puts a row into the policy's file in the place of the one for the same version and capture.
fn keep(policy: &str, row: &Row) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock();
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("policies")
        .join(policy)
        .join("proof.json");
    let mut rows: Vec<Row> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let key = |row: &Row| {
        let (name, version) = row.server.rsplit_once(' ').unwrap_or((&row.server, ""));
        let major: u32 = version
            .split('.')
            .next()
            .unwrap()
            .parse()
            .unwrap_or_default();
        (
            name.to_owned(),
            major,
            row.server.clone(),
            row.capture as u8,
            !row.hook,
        )
    };
    rows.retain(|other| key(other) != key(row));
    rows.push(row.clone());
    rows.sort_by_key(key);
    let mut text = serde_json::to_string_pretty(&rows).unwrap();
    text.push('\n');
    fs::write(file, text).unwrap();
}
