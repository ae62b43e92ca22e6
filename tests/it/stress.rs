//! The webhook under stress: the real process behind real sockets, while it is restarted, while its
//! files are swapped, and while its callers behave badly.
//!
//! `QUIESCENT_STRESS=10m` lets each of the tests that repeat something go on for so long,
//! `QUIESCENT_SEED=7` lets them choose otherwise.

mod bounds;
mod caller;
mod certificates;
mod client_ca;
mod connections;

#[path = "../../src/certs/fixture.rs"]
pub mod fixture;
mod load;
mod memory;

mod policies;
mod process;
mod raw;
mod restarts;
mod reviews;

use std::{
    fmt::Display,
    str::FromStr,
    time::{Duration, Instant},
};

use quiescent::velero::Timeout;
use tokio::time;

/// What a test waits for at most. Only a test that fails ever waits so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Until when a test that repeats something goes on, having done what it must.
fn end() -> Instant {
    Instant::now() + span().unwrap_or_default()
}

/// For how long each test that repeats something shall go on, if anybody said so.
pub fn span() -> Option<Duration> {
    given("QUIESCENT_STRESS").map(Timeout::to_std)
}

fn given<T: FromStr<Err: Display>>(variable: &str) -> Option<T> {
    let value = std::env::var(variable).ok()?;
    match value.parse() {
        Ok(value) => Some(value),
        Err(because) => panic!("{variable}={value}: {because}"),
    }
}

/// Asks again and again until there is an answer; what is waited for is told when it never comes.
async fn until<T>(what: impl Display, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        time::sleep(Duration::from_millis(5)).await;
    }
}

/// The choices of a test, which another run with the same seed makes again.
pub struct Choices(u64);

impl Choices {
    pub fn seeded(test: &str) -> Self {
        let seed = given("QUIESCENT_SEED").unwrap_or(1);
        eprintln!("{test}: QUIESCENT_SEED={seed}");
        Self(seed.max(1))
    }

    /// A number below `bound`: xorshift, by George Marsaglia.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 32).unwrap() % bound
    }
}
