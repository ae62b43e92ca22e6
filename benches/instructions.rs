//! Instructions of whole reviews, beside those of skipping the same body with `serde_json`: counted
//! by valgrind, and so the same on a busy machine. `benches/gate` judges them.

#[path = "setting.rs"]
mod setting;

use gungraun::{library_benchmark, library_benchmark_group, main};
use quiescent::{admission::Outcome, policy::PolicySet};
use serde::de::IgnoredAny;

/// Enough for an index; reading 10,000 of them would take valgrind minutes.
const POLICIES: usize = 100;

type Case = (&'static [u8], &'static PolicySet);

fn passed_by(name: &str) -> Case {
    let policies = setting::strangers("label", POLICIES);
    warm(name, policies, Outcome::Passed)
}

fn patched_by(name: &str) -> Case {
    let policies = setting::with_library("label", POLICIES);
    warm(name, policies, Outcome::Injected)
}

/// Once before, as a process that has run for a while.
fn warm(name: &str, policies: PolicySet, outcome: Outcome) -> Case {
    let (body, policies) = (setting::body(name), Box::leak(Box::new(policies)));
    assert_eq!(setting::review(body, policies).0, outcome);
    (body, policies)
}

#[library_benchmark(setup = setting::body)]
#[bench::small("small")]
#[bench::typical("typical")]
#[bench::big("big")]
fn skip(body: &[u8]) -> IgnoredAny {
    serde_json::from_slice(body).expect("the bodies are JSON")
}

#[library_benchmark(setup = passed_by)]
#[bench::small("small")]
#[bench::typical("typical")]
#[bench::big("big")]
fn passed((body, policies): Case) -> (Outcome, Vec<u8>) {
    setting::review(body, policies)
}

#[library_benchmark(setup = patched_by)]
#[bench::small("small")]
#[bench::typical("typical")]
#[bench::big("big")]
fn patched((body, policies): Case) -> (Outcome, Vec<u8>) {
    setting::review(body, policies)
}

library_benchmark_group!(name = reviews, benchmarks = [skip, passed, patched]);

main!(library_benchmark_groups = reviews);
