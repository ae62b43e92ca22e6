//! The command is stopped, and killed, at each of its steps.
use std::time::Instant;

use super::{
    faults::{NAMESPACE, Pair, WAITS},
    ground::Taken,
};
use crate::{
    apiserver::kit::eventually,
    cluster::{Steps, node::SOON},
    stress,
};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The last pre hook runs, the first pod is held.
    Pre,
    /// All are held, no snapshot is cut.
    Cut,
    /// All are cut, the first post hook runs.
    Post,
    /// Nothing is held any more, the snapshots are not ready.
    Ready,
}

const STEPS: [Step; 4] = [Step::Pre, Step::Cut, Step::Post, Step::Ready];

/// Once each; with `QUIESCENT_STRESS` all of them again and again.
pub fn at_every_step(pair: &Pair, steps: &Steps) {
    let until = stress::span().map(|span| Instant::now() + span);
    for step in STEPS {
        let signal = match step {
            Step::Pre | Step::Post => "INT",
            Step::Cut | Step::Ready => "TERM",
        };
        stopped(pair, steps, step, signal);
    }
    killed(pair, steps, Step::Cut);
    while until.is_some_and(|until| Instant::now() < until) {
        for step in STEPS {
            for signal in ["INT", "TERM"] {
                stopped(pair, steps, step, signal);
            }
            killed(pair, steps, step);
        }
    }
}

/// Runs it up to a step, and sends the signal there. What kept it in the step goes on then.
fn at(pair: &Pair, step: Step, signal: &str) -> Taken {
    let (pre, post) = match step {
        Step::Pre => (WAITS, ":"),
        Step::Post => (":", WAITS),
        Step::Cut | Step::Ready => (":", ":"),
    };
    pair.hooks(pre, post);
    let still = matches!(step, Step::Cut).then(|| pair.ground.part("node/driver").stands_still());
    let taking = match step {
        Step::Ready => pair.begin_of_class("csi-upload", &[]),
        Step::Pre | Step::Cut | Step::Post => pair.begin(&[]),
    };
    match step {
        Step::Pre => pair.has_begun("pre", 1),
        Step::Cut => {
            pair.is_held();
            pair.is_asked_for();
        }
        Step::Post => pair.has_begun("post", 1),
        Step::Ready => {
            pair.has_begun("post", 1);
            pair.is_asked_for();
            eventually("nothing is held", SOON, || {
                pair.hold().is_none().then_some(())
            });
        }
    }
    taking.signal(signal);
    match step {
        Step::Pre => {
            // It lets go at once, and waits for the hook that still runs.
            if signal != "KILL" {
                pair.has_begun("post", 1);
            }
            pair.go();
        }
        Step::Post => pair.go(),
        Step::Cut | Step::Ready => {}
    }
    let taken = taking.ended();
    drop(still);
    taken
}

fn stopped(pair: &Pair, steps: &Steps, step: Step, signal: &str) {
    let since = Instant::now();
    let taken = at(pair, step, signal);
    match step {
        Step::Pre | Step::Cut => {
            taken.is("stopped", 2);
            pair.ground.nothing_is_stored();
        }
        Step::Ready => {
            taken.is("not_ready", 1);
            pair.none_is_called_consistent();
        }
        // It had all that it wanted when the last hook had ended.
        Step::Post => {
            assert!(
                ["consistent", "not_ready"].contains(&taken.verdict()),
                "{taken:#?}"
            );
            if taken.verdict() != "consistent" {
                pair.none_is_called_consistent();
            }
        }
    }
    let stood = pair.goes_on(since);
    pair.ground.forgets(NAMESPACE);
    steps.done(&format!(
        "SIG{signal} at {step:?}: {}, writers stood for {stood:.1?}",
        taken.verdict()
    ));
}

fn killed(pair: &Pair, steps: &Steps, step: Step) {
    let since = Instant::now();
    let taken = at(pair, step, "KILL");
    assert_eq!(taken.code, None, "{taken:#?}");
    let stood = pair.goes_on(since);
    pair.none_is_called_consistent();
    pair.ground.frees_claims(NAMESPACE);
    pair.ground.forgets(NAMESPACE);
    pair.is_fine();
    steps.done(&format!(
        "SIGKILL at {step:?}: writers stood for {stood:.1?}, the next one is consistent"
    ));
}
