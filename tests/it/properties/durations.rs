//! That durations are read as Go's `time.ParseDuration` reads them, and are written so that it reads
//! them back.

use proptest::{prelude::*, sample::select};
use quiescent::velero::Timeout;

use super::config;

/// Mostly what could be a duration, and sometimes anything.
fn text() -> impl Strategy<Value = String> {
    let number = "[0-9]{0,4}(\\.[0-9]{0,4})?|[0-9]{17,21}(\\.[0-9]{17,21})?|0?\\.[0-9]{5,22}|[0-9]";
    let unit = select(vec![
        "ns", "us", "µs", "μs", "ms", "s", "m", "h", "h", "", "d", "S", " s", "ss", "m-",
    ]);
    let term = (number, unit).prop_map(|(number, unit)| format!("{number}{unit}"));
    let terms = ("[-+]?", prop::collection::vec(term, 0..5))
        .prop_map(|(sign, terms)| sign + &terms.concat());
    prop_oneof![8 => terms, 1 => ".{0,12}"]
}

/// `time.ParseDuration` of Go, line by line.
#[expect(clippy::many_single_char_names, reason = "Go's own names")]
fn go(text: &str) -> Option<i64> {
    const MOST: u64 = 1 << 63;
    let mut s = text.as_bytes();
    let negative = match s {
        [sign @ (b'-' | b'+'), rest @ ..] => {
            s = rest;
            *sign == b'-'
        }
        _ => false,
    };
    if s == b"0" {
        return Some(0);
    }
    if s.is_empty() {
        return None;
    }
    let mut d: u64 = 0;
    while !s.is_empty() {
        if !(s[0] == b'.' || s[0].is_ascii_digit()) {
            return None;
        }
        let before = s.len();
        let mut v: u64 = 0;
        while let [digit @ b'0'..=b'9', rest @ ..] = s {
            if v > MOST / 10 {
                return None;
            }
            v = v * 10 + u64::from(digit - b'0');
            if v > MOST {
                return None;
            }
            s = rest;
        }
        let pre = s.len() != before;
        let (mut f, mut scale, mut post) = (0_u64, 1_f64, false);
        if let [b'.', rest @ ..] = s {
            s = rest;
            let before = s.len();
            let mut overflow = false;
            while let [digit @ b'0'..=b'9', rest @ ..] = s {
                s = rest;
                if overflow {
                    continue;
                }
                if f > (MOST - 1) / 10 {
                    overflow = true;
                    continue;
                }
                let y = f * 10 + u64::from(digit - b'0');
                if y > MOST {
                    overflow = true;
                    continue;
                }
                f = y;
                scale *= 10.0;
            }
            post = s.len() != before;
        }
        if !pre && !post {
            return None;
        }
        let end = s.iter().position(|c| *c == b'.' || c.is_ascii_digit());
        let (unit, rest) = s.split_at(end.unwrap_or(s.len()));
        s = rest;
        let unit: u64 = match std::str::from_utf8(unit).unwrap() {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        if v > MOST / unit {
            return None;
        }
        v *= unit;
        if f > 0 {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "Go does so"
            )]
            let part = (f as f64 * (unit as f64 / scale)) as u64;
            v += part;
            if v > MOST {
                return None;
            }
        }
        d += v;
        if d > MOST {
            return None;
        }
    }
    if negative {
        return Some(0_i64.wrapping_sub_unsigned(d));
    }
    i64::try_from(d).ok()
}

proptest! {
    #![proptest_config(config(3_000))]

    #[test]
    fn a_duration_is_what_go_reads(text in text()) {
        let ours = text.parse::<Timeout>().ok().map(Timeout::nanoseconds);
        prop_assert_eq!(ours, go(&text));
    }

    #[test]
    fn every_duration_is_read_back_from_how_it_is_written(
        number in any::<i64>(),
        scale in select(vec![1_i64, 1_000, 1_000_000, 1_000_000_000, 60_000_000_000]),
    ) {
        let written = number.wrapping_mul(scale);
        let read = go(&format!("{written}ns")).unwrap();
        prop_assert_eq!(read, written);
        let timeout: Timeout = format!("{written}ns").parse().unwrap();
        prop_assert_eq!(go(&timeout.to_string()), Some(written));
        prop_assert_eq!(timeout.to_string().parse(), Ok(timeout));
    }
}
