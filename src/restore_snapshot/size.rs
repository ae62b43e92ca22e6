//! Which of two quantities of Kubernetes is less.

/// What follows a number, and what it is worth.
const SUFFIXES: [(&str, f64); 13] = [
    ("", 1.0),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
];

/// Of one that cannot be read nothing is said: the API server will.
pub fn less(one: &str, other: &str) -> bool {
    matches!((bytes(one), bytes(other)), (Some(one), Some(other)) if one < other)
}

fn bytes(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let (number, suffix) = text.split_at(end.unwrap_or(text.len()));
    let (_, worth) = SUFFIXES.iter().find(|(it, _)| *it == suffix)?;
    Some(number.parse::<f64>().ok()? * worth)
}

#[cfg(test)]
mod tests {
    use super::less;

    #[test]
    fn quantities_are_compared_by_what_they_are_worth() {
        for (one, other) in [
            ("1G", "1Gi"),
            ("512Mi", "1Gi"),
            ("1073741823", "1Gi"),
            ("0.5Gi", "1Gi"),
            ("999M", "1G"),
        ] {
            assert!(less(one, other), "{one} {other}");
            assert!(!less(other, one), "{one} {other}");
        }
        assert!(!less("1024Mi", "1Gi") && !less("1Gi", "1024Mi"));
        assert!(!less("1Zi", "2Gi"));
    }
}
