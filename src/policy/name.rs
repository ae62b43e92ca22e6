//! Names that Kubernetes takes.

/// The longest name of a policy: `quiescent-<name>-<10 hex digits>` names a ConfigMap and fits a volume's 63.
pub const LONGEST_POLICY: usize = 40;

/// A DNS label (RFC 1123): small letters, digits and `-`, at most 63, a letter or digit at both ends.
#[must_use]
pub fn is_dns_label(name: &str) -> bool {
    let bytes = name.as_bytes();
    let inside = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == b'-';
    !bytes.is_empty()
        && bytes.len() <= 63
        && bytes.iter().all(inside)
        && bytes.first() != Some(&b'-')
        && bytes.last() != Some(&b'-')
}

/// DNS labels with dots between them (RFC 1123), at most 253 characters.
#[must_use]
pub fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns_label)
}

/// The key of a ConfigMap's entry.
#[must_use]
pub fn is_config_map_key(name: &str) -> bool {
    let inside = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= 253 && name.bytes().all(inside)
}

/// A Kubernetes quantity above zero, such as `10Gi` or `1.5G`.
#[must_use]
pub fn is_quantity(text: &str) -> bool {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let suffix = matches!(
        suffix,
        "" | "k" | "M" | "G" | "T" | "P" | "E" | "Ki" | "Mi" | "Gi" | "Ti" | "Pi" | "Ei"
    );
    suffix && number.parse::<f64>().is_ok_and(|number| number > 0.0)
}
