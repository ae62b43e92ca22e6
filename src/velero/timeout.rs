//! Durations as Go's `time.ParseDuration` reads them, which is how Velero does.
//!
//! Written by hand because what Velero cannot read it silently replaces by 30 seconds: this is the
//! only place where somebody is told.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time in nanoseconds; Go's may be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timeout(i64);

const SECOND: i64 = 1_000_000_000;

/// Usual timeouts: seconds and how they are displayed.
const USUAL: [(i64, &str); 12] = [
    (5, "5s"),
    (10, "10s"),
    (20, "20s"),
    (30, "30s"),
    (60, "1m"),
    (120, "2m"),
    (300, "5m"),
    (600, "10m"),
    (900, "15m"),
    (1_200, "20m"),
    (1_800, "30m"),
    (3_600, "1h"),
];

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeoutError {
    #[error("{0:?} has no unit")]
    MissingUnit(String),
    #[error("{unit:?} in {text:?} is no unit of time")]
    UnknownUnit { unit: String, text: String },
    #[error("{0:?} is no duration")]
    Invalid(String),
}

impl Timeout {
    #[must_use]
    pub const fn from_seconds(seconds: u32) -> Self {
        Self(seconds as i64 * SECOND)
    }

    #[must_use]
    pub const fn nanoseconds(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down; negative ones are 0.
    #[must_use]
    pub fn seconds(self) -> u64 {
        u64::try_from(self.0 / SECOND).unwrap_or(0)
    }

    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    #[must_use]
    pub const fn saturating_mul(self, times: i64) -> Self {
        Self(self.0.saturating_mul(times))
    }

    /// As it is displayed. What most policies say need not be spelled out each time.
    #[must_use]
    pub fn text(self) -> Cow<'static, str> {
        let mut usual = USUAL.into_iter();
        match usual.find(|(seconds, _)| self.0 == seconds * SECOND) {
            Some((_, text)) => text.into(),
            None => self.to_string().into(),
        }
    }

    /// The time for which a program may sleep or wait; negative ones are none.
    #[must_use]
    pub const fn to_std(self) -> Duration {
        if self.is_positive() {
            Duration::from_nanos(self.0.unsigned_abs())
        } else {
            Duration::ZERO
        }
    }
}

impl FromStr for Timeout {
    type Err = TimeoutError;

    fn from_str(text: &str) -> Result<Self, TimeoutError> {
        let invalid = || TimeoutError::Invalid(text.to_owned());
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        // Go adds in 64 bits without a sign, so that the smallest negative duration has a text.
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (whole, after) = digits(rest);
            let (fraction, after) = match after.strip_prefix('.') {
                Some(after) => digits(after),
                None => ("", after),
            };
            if whole.is_empty() && fraction.is_empty() {
                return Err(invalid());
            }
            let end = after
                .find(|c: char| c == '.' || c.is_ascii_digit())
                .unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            let scale = match unit {
                "" => return Err(TimeoutError::MissingUnit(text.to_owned())),
                "ns" => 1,
                // The micro sign, and the Greek letter that looks like it.
                "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000_u64,
                _ => {
                    return Err(TimeoutError::UnknownUnit {
                        unit: unit.to_owned(),
                        text: text.to_owned(),
                    });
                }
            };
            total = term(whole, fraction, scale)
                .and_then(|term| total.checked_add(term))
                .filter(|total| *total <= 1 << 63)
                .ok_or_else(invalid)?;
            rest = after;
        }
        if negative {
            return Ok(Self(0_i64.wrapping_sub_unsigned(total)));
        }
        i64::try_from(total).map(Self).map_err(|_| invalid())
    }
}

fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// `whole.fraction` times `scale`, or `None` when 63 bits cannot hold it. What is below one is a
/// floating-point number for Go, so that `0.263m` may be a nanosecond short.
fn term(whole: &str, fraction: &str, scale: u64) -> Option<u64> {
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok().filter(|whole| *whole <= 1 << 63)?
    };
    let value = whole.checked_mul(scale).filter(|value| *value <= 1 << 63)?;
    let (mut below, mut place) = (0_u64, 1_f64);
    for digit in fraction.bytes() {
        let longer = below.checked_mul(10);
        let longer = longer.and_then(|it| it.checked_add(u64::from(digit - b'0')));
        // Go drops the digits that 63 bits cannot hold.
        let Some(longer) = longer.filter(|longer| *longer <= 1 << 63) else {
            break;
        };
        below = longer;
        place *= 10.0;
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "Go does so"
    )]
    let part = (below as f64 * (scale as f64 / place)) as u64;
    value.checked_add(part)
}

/// The shortest text that Go reads back: `10m`, `1h30m`, `1.5s`.
impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.unsigned_abs();
        let second = SECOND.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        if total == 0 {
            return f.write_str("0s");
        }
        if total < second {
            let (scale, unit) = match total {
                0..1_000 => (1, "ns"),
                1_000..1_000_000 => (1_000, "\u{b5}s"),
                _ => (1_000_000, "ms"),
            };
            return write!(f, "{}{unit}", Decimal(total, scale));
        }
        let (minutes, rest) = (total / (60 * second), total % (60 * second));
        if minutes >= 60 {
            write!(f, "{}h", minutes / 60)?;
        }
        if !minutes.is_multiple_of(60) {
            write!(f, "{}m", minutes % 60)?;
        }
        if rest > 0 {
            write!(f, "{}s", Decimal(rest, second))?;
        }
        Ok(())
    }
}

/// A number in units of another, without the zeros at its end.
struct Decimal(u64, u64);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value, unit) = self;
        write!(f, "{}", value / unit)?;
        let (mut rest, mut place) = (value % unit, *unit);
        if rest > 0 {
            f.write_str(".")?;
        }
        while rest > 0 {
            place /= 10;
            write!(f, "{}", rest / place)?;
            rest %= place;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Timeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl serde::de::Visitor<'_> for Text {
            type Value = Timeout;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timeout, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Timeout, E> {
                Err(E::custom(TimeoutError::MissingUnit(number.to_string())))
            }
        }

        deserializer.deserialize_any(Text)
    }
}

impl Serialize for Timeout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Timeout {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A Go duration above zero, such as 30s, 5m or 1h30m.",
            "pattern": r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))*$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_timeouts_are_spelled_as_others_are() {
        for (seconds, text) in USUAL {
            assert_eq!(Timeout(seconds * SECOND).to_string(), text);
        }
    }
}
