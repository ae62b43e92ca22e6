//! A size in bytes, as Kubernetes writes memory: `32Mi`.

use std::{fmt, str::FromStr};

/// Bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    pub bytes: usize,
    written: String,
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no size: write a whole number and Ki, Mi or Gi, such as 32Mi")]
pub struct NoSize(String);

impl FromStr for Size {
    type Err = NoSize;

    fn from_str(text: &str) -> Result<Self, NoSize> {
        let bytes = || {
            let end = text.find(|c: char| !c.is_ascii_digit());
            let (number, unit) = text.split_at(end.unwrap_or(text.len()));
            let unit: usize = match unit {
                "" => 1,
                "k" => 1_000,
                "M" => 1_000_000,
                "G" => 1_000_000_000,
                "Ki" => 1 << 10,
                "Mi" => 1 << 20,
                "Gi" => 1 << 30,
                _ => return None,
            };
            number.parse::<usize>().ok()?.checked_mul(unit)
        };
        match bytes() {
            Some(bytes) => Ok(Self {
                bytes,
                written: text.to_owned(),
            }),
            None => Err(NoSize(text.to_owned())),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_kubernetes() {
        let bytes = |text: &str| text.parse::<Size>().ok().map(|size| size.bytes);
        assert_eq!(bytes("32Mi"), Some(32 << 20));
        assert_eq!(bytes("1G"), Some(1_000_000_000));
        assert_eq!(bytes("65536"), Some(65_536));
        for wrong in [
            "",
            "Mi",
            "1.5Gi",
            "-1Mi",
            "1mb",
            "99999999999999999999",
            "99999999999Gi",
        ] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
