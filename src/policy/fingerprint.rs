//! Short names for contents.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The first hexadecimal digits of the SHA-256 of some parts, with the length of each before it so
/// that no two lists of parts look the same.
#[must_use]
pub fn fingerprint<'p>(parts: impl IntoIterator<Item = &'p [u8]>, digits: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let mut text = String::with_capacity(digits + 1);
    for byte in hash.finalize().iter().take(digits.div_ceil(2)) {
        let _ = write!(text, "{byte:02x}");
    }
    text.truncate(digits);
    text
}
