//! Strings as JSON writes them.

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
                let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
                out.extend(*b"\\u00");
                out.extend([digit(control >> 4), digit(control & 0xf)]);
            }
        }
        rest = &from[1..];
    }
    out.extend_from_slice(rest);
}
