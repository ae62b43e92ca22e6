//! Strings as JSON writes them.

use std::io::Write as _;

use super::word::special;

/// Writes a text in quotes.
pub fn quote(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, out);
    out.push(b'"');
}

/// Writes a text as it stands between quotes.
pub fn escape(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(plain) = special(rest) {
        let (before, from) = rest.split_at(plain);
        out.extend_from_slice(before);
        match from[0] {
            special @ (b'"' | b'\\') => out.extend([b'\\', special]),
            b'\n' => out.extend(*b"\\n"),
            b'\t' => out.extend(*b"\\t"),
            control => {
                let written = write!(out, "\\u{control:04x}");
                written.expect("memory takes everything");
            }
        }
        rest = &from[1..];
    }
    out.extend_from_slice(rest);
}
