//! What a hook's timeout should be, from the time that it took.
use std::time::Duration;

use crate::velero::{LONGEST_TIMEOUT, Timeout};

/// A timeout is this many times what was measured: a database grows, and a backup is made when others are.
const SPARE: u32 = 4;

/// A hook that takes more than this part of its timeout is one bad night away from it.
const ENOUGH: u32 = 2;

/// The timeouts that people write, in seconds.
const USUAL: [u32; 11] = [30, 60, 120, 180, 300, 600, 900, 1_800, 3_600, 7_200, 14_400];

/// What is wrong with a timeout, and what would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// It is so many times what the hook needs.
    Lower {
        times: u64,
        to: Timeout,
    },
    Raise {
        to: Timeout,
    },
    /// The hook needs more than Velero gives any.
    TooLong,
}

impl Proposal {
    pub const fn timeout(self) -> Option<Timeout> {
        match self {
            Self::Lower { to, .. } | Self::Raise { to } => Some(to),
            Self::TooLong => None,
        }
    }
}

/// Holds a timeout against what the hook took. Nothing to say is the usual case.
#[must_use]
pub fn propose(timeout: Timeout, took: Duration) -> Option<Proposal> {
    let wanted = took.saturating_mul(SPARE);
    let usual = USUAL.map(Timeout::from_seconds);
    let fit = usual.into_iter().find(|it| it.to_std() >= wanted);
    let given = timeout.to_std();
    if took.saturating_mul(ENOUGH) > given {
        return Some(match fit {
            Some(to) => Proposal::Raise { to },
            None if timeout >= LONGEST_TIMEOUT => Proposal::TooLong,
            None => Proposal::Raise {
                to: LONGEST_TIMEOUT,
            },
        });
    }
    let to = fit.filter(|to| to.saturating_mul(2) <= timeout)?;
    // A hook that is done at once is no reason to count.
    let times = given.as_secs() / took.as_secs().max(1);
    Some(Proposal::Lower { times, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(timeout: &str, milliseconds: u64, expected: Option<Proposal>) {
        let timeout = timeout.parse().unwrap();
        let found = propose(timeout, Duration::from_millis(milliseconds));
        assert_eq!(found, expected, "{timeout} {milliseconds}");
    }

    fn to(text: &str) -> Timeout {
        text.parse().unwrap()
    }

    #[test]
    fn a_timeout_has_room_for_four_times_what_was_measured() {
        check(
            "10m",
            41_200,
            Some(Proposal::Lower {
                times: 14,
                to: to("3m"),
            }),
        );
        check("5m", 41_200, None);
        check("3m", 41_200, None);
        check("30s", 100, None);
        check(
            "1m",
            100,
            Some(Proposal::Lower {
                times: 60,
                to: to("30s"),
            }),
        );
    }

    #[test]
    fn a_hook_that_needs_more_than_half_of_its_time_wants_more() {
        check("1m", 41_200, Some(Proposal::Raise { to: to("3m") }));
        check("3h", 2 * 3_600_000, Some(Proposal::Raise { to: to("4h") }));
        check("4h", 3 * 3_600_000, Some(Proposal::TooLong));
    }
}
