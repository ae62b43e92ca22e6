//! Strings and numbers as JSON writes them.

use super::word::{special, special_in_step};

/// Writes a number.
pub fn number(number: usize, out: &mut Vec<u8>) {
    match u8::try_from(number) {
        // Most are positions.
        Ok(digit @ 0..10) => out.push(b'0' + digit),
        _ => out.extend_from_slice(number.to_string().as_bytes()),
    }
}

/// Writes a text in quotes.
pub fn quote(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, out);
    out.push(b'"');
}

/// Writes a text as it stands between quotes.
pub fn escape(text: &str, out: &mut Vec<u8>) {
    spell(text, special, out);
}

/// Writes a step of a JSON pointer (RFC 6901) as it stands between quotes.
pub fn escape_step(step: &str, out: &mut Vec<u8>) {
    spell(step, special_in_step, out);
}

#[inline]
fn spell(text: &str, special: impl Fn(&[u8]) -> Option<usize>, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(plain) = special(rest) {
        let (before, from) = rest.split_at(plain);
        out.extend_from_slice(before);
        match from[0] {
            special @ (b'"' | b'\\') => out.extend([b'\\', special]),
            b'~' => out.extend(*b"~0"),
            b'/' => out.extend(*b"~1"),
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
