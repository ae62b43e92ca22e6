//! What is to be snapshot.

use std::{fmt, str::FromStr};

use crate::live;

/// What somebody wants a snapshot of, as kubectl writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Claim(String),
    /// All claims of pods.
    Pods(live::Target),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some(("pvc" | "persistentvolumeclaim" | "persistentvolumeclaims", name)) => {
                if name.is_empty() || name.contains('/') {
                    return Err("write pvc/NAME".to_owned());
                }
                Ok(Self::Claim(name.to_owned()))
            }
            _ => text.parse().map(Self::Pods),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(name) => write!(f, "pvc/{name}"),
            Self::Pods(target) => target.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_claim_or_pods() {
        for (text, target) in [
            ("pvc/data-pg-0", "pvc/data-pg-0"),
            ("pod/pg-0", "pod/pg-0"),
            ("pg-0", "pod/pg-0"),
            ("sts/pg", "statefulsets/pg"),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), target);
        }
        for text in ["pvc/", "pvc/a/b", "job/pg", ""] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
