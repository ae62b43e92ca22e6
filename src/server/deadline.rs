//! How long a review may take: what the caller asks for, or our own limit where that is shorter.
use std::time::Duration;

use axum::http::Uri;

/// The time for the review at `uri`, at most `own`.
///
/// The API server appends `?timeout=10s`. What cannot be read there is as if it were not there.
/// A tenth is kept back, so that the caller gets our sentence before it hangs up.
pub(super) fn allowance(uri: &Uri, own: Duration) -> Duration {
    let asked = uri
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|pair| pair.strip_prefix("timeout="))
        .and_then(duration);
    match asked {
        Some(asked) => own.min(asked.saturating_sub(asked / 10)),
        None => own,
    }
}

/// A Go duration of hours, minutes, seconds and milliseconds, or bare seconds. Never zero.
fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
                .len();
        let number: f64 = rest.get(..digits)?.parse().ok()?;
        let after = rest.get(digits..)?;
        let letters = after.len() - after.trim_start_matches(char::is_alphabetic).len();
        let seconds = match after.get(..letters)? {
            "h" => 3600.0,
            "m" => 60.0,
            "s" | "" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = after.get(letters..)?;
    }
    (total > Duration::ZERO).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Duration = Duration::from_secs(10);

    fn millis(uri: &str) -> u128 {
        allowance(&uri.parse().unwrap(), OWN).as_millis()
    }

    #[test]
    fn the_caller_gets_an_answer_shortly_before_it_gives_up() {
        assert_eq!(millis("/mutate?timeout=3s"), 2_700);
        assert_eq!(millis("/mutate?x=1&timeout=500ms"), 450);
        assert_eq!(millis("/mutate?timeout=1.5s"), 1_350);
        assert_eq!(millis("/mutate?timeout=4"), 3_600);
    }

    #[test]
    fn nobody_gets_more_than_our_own_limit() {
        assert_eq!(millis("/mutate?timeout=30s"), 10_000);
        assert_eq!(millis("/mutate?timeout=1m0s"), 10_000);
        assert_eq!(millis("/mutate?timeout=99999999999999999999h"), 10_000);
    }

    #[test]
    fn what_cannot_be_read_is_not_there() {
        for query in [
            "",
            "?",
            "?timeout",
            "?timeout=",
            "?timeout=0s",
            "?timeout=soon",
            "?timeout=-3s",
            "?timeout=1s-1s",
            "?timeout=..s",
            "?timeout=3%20s",
        ] {
            assert_eq!(millis(&format!("/mutate{query}")), 10_000, "{query}");
        }
    }
}
