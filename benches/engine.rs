//! Time and allocations of the engine: of a review's parts, of whole ones, of many policies, and of
//! the same work done the way that most webhooks do it.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that fails says so by panicking"
)]

#[path = "setting.rs"]
mod setting;
#[path = "typed.rs"]
mod typed;

use std::sync::LazyLock;

use divan::{AllocProfiler, Bencher, counter::BytesCount};
use quiescent::{admission::Outcome, policy::PolicySet};

const BODIES: [&str; 3] = ["small", "typical", "big"];

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

static STRANGERS: LazyLock<PolicySet> = LazyLock::new(|| setting::strangers("label", 10_000));
static WITH_LIBRARY: LazyLock<PolicySet> = LazyLock::new(|| setting::with_library("label", 10_000));

fn main() {
    for body in BODIES.map(setting::body) {
        assert_eq!(setting::review(body, &STRANGERS).0, Outcome::Passed);
        let patched = setting::review(body, &WITH_LIBRARY).0;
        assert_eq!(patched, Outcome::Injected);
    }
    divan::main();
}

#[divan::bench(args = BODIES)]
fn parse(bencher: Bencher<'_, '_>, name: &str) {
    let body = setting::body(name);
    bencher
        .counter(BytesCount::of_slice(body))
        .bench(|| setting::parse(body));
}

/// Of 10,000 policies none matches.
#[divan::bench(args = BODIES)]
fn passed(bencher: Bencher<'_, '_>, name: &str) {
    let (body, policies) = (setting::body(name), &*STRANGERS);
    bencher.bench(|| setting::review(body, policies));
}

/// Of 10,000 policies and the library one matches, and the pod gets its hooks.
#[divan::bench(args = BODIES)]
fn patched(bencher: Bencher<'_, '_>, name: &str) {
    let (body, policies) = (setting::body(name), &*WITH_LIBRARY);
    bencher.bench(|| setting::review(body, policies));
}

/// A review that was read already, answered by sets of three sizes.
mod policies {
    use super::{Bencher, setting};

    const COUNTS: [usize; 3] = [10, 1_000, 10_000];

    #[divan::bench(args = COUNTS)]
    fn label(bencher: Bencher<'_, '_>, count: usize) {
        answer(bencher, "label", count);
    }

    #[divan::bench(args = COUNTS)]
    fn image(bencher: Bencher<'_, '_>, count: usize) {
        answer(bencher, "image", count);
    }

    #[divan::bench(args = COUNTS)]
    fn namespace(bencher: Bencher<'_, '_>, count: usize) {
        answer(bencher, "namespace", count);
    }

    #[divan::bench(args = COUNTS)]
    fn negative(bencher: Bencher<'_, '_>, count: usize) {
        answer(bencher, "negative", count);
    }

    fn answer(bencher: Bencher<'_, '_>, mix: &str, count: usize) {
        let policies = setting::strangers(mix, count);
        let review = setting::parse(setting::body("typical"));
        bencher.bench_local(|| setting::answer(&review, &policies));
    }
}

/// The way of most webhooks: the pod as a type, changed, and compared with what came.
mod peers {
    use super::{BODIES, Bencher, setting, typed};

    #[divan::bench(args = BODIES)]
    fn parse(bencher: Bencher<'_, '_>, name: &str) {
        let body = setting::body(name);
        bencher.bench(|| typed::parse(body));
    }

    #[divan::bench(args = BODIES)]
    fn patched(bencher: Bencher<'_, '_>, name: &str) {
        let body = setting::body(name);
        bencher.bench(|| typed::review(body));
    }
}
