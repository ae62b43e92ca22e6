//! Finds the end of an object or array without looking at what is in it, 64 bytes at a time.
//!
//! Each block becomes four sets of bits, one bit a byte: quotes, backslashes, opening and closing
//! brackets. Bits say which brackets stand within strings; what is left is counted. The idea is
//! that of simdjson (Langdale and Lemire, "Parsing Gigabytes of JSON per Second", 2019).

#![expect(
    clippy::inline_always,
    reason = "what is not inlined is not compiled for the processor that was found"
)]

use std::sync::LazyLock;

use fearless_simd::{Level, Simd, dispatch, prelude::*, u8x64};

const SIZE: usize = 64;

/// Which bytes of a block are what. The first byte is the lowest bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bits {
    quotes: u64,
    backslashes: u64,
    opening: u64,
    closing: u64,
}

/// What the processor can do.
pub(super) static LEVEL: LazyLock<Level> = LazyLock::new(Level::new);

/// The length of the object or array with which a text begins, if it ends.
pub(super) fn end_of_nested(text: &[u8]) -> Option<usize> {
    dispatch!(*LEVEL, simd => end_with(simd, text))
}

/// The position of the quote that ends the string within which a text begins, if there is one.
pub(super) fn end_of_string(text: &[u8]) -> Option<usize> {
    dispatch!(*LEVEL, simd => quote_with(simd, text))
}

#[inline(always)]
fn quote_with<S: Simd>(simd: S, text: &[u8]) -> Option<usize> {
    let mut strings = Strings::default();
    let (blocks, rest) = text.as_chunks::<SIZE>();
    for (position, block) in blocks.iter().enumerate() {
        if let Some(quote) = strings.first_quote(Bits::of(simd, block)) {
            return Some(position * SIZE + quote);
        }
    }
    let mut last = [b' '; SIZE];
    last[..rest.len()].copy_from_slice(rest);
    let quote = strings.first_quote(Bits::of(simd, &last))?;
    Some(blocks.len() * SIZE + quote)
}

#[inline(always)]
fn end_with<S: Simd>(simd: S, text: &[u8]) -> Option<usize> {
    let mut strings = Strings::default();
    let mut depth = 0;
    let (blocks, rest) = text.as_chunks::<SIZE>();
    for (position, block) in blocks.iter().enumerate() {
        if let Some(end) = end_within(Bits::of(simd, block), &mut strings, &mut depth) {
            return Some(position * SIZE + end);
        }
    }
    let mut last = [b' '; SIZE];
    last[..rest.len()].copy_from_slice(rest);
    let end = end_within(Bits::of(simd, &last), &mut strings, &mut depth)?;
    Some(blocks.len() * SIZE + end)
}

/// The position behind the bracket that ends the value, if that is in this block.
#[inline(always)]
fn end_within(bits: Bits, strings: &mut Strings, depth: &mut u32) -> Option<usize> {
    let outside = !strings.inside(bits.quotes, bits.backslashes);
    let mut opening = bits.opening & outside;
    let mut closing = bits.closing & outside;
    let closed = closing.count_ones();
    if closed < *depth {
        *depth += opening.count_ones();
        *depth -= closed;
        return None;
    }
    while closing != 0 {
        let bracket = closing.trailing_zeros();
        let before = (1 << bracket) - 1;
        *depth += (opening & before).count_ones();
        *depth -= 1;
        if *depth == 0 {
            return Some(bracket as usize + 1);
        }
        opening &= !before;
        closing &= closing - 1;
    }
    *depth += opening.count_ones();
    None
}

/// What a block must know of the one before it.
#[derive(Default)]
struct Strings {
    /// All ones while a string goes on.
    open: u64,
    /// One when the first byte is escaped.
    escaped: u64,
}

impl Strings {
    /// Which bytes stand within a string, the quote that opens it included.
    #[inline(always)]
    fn inside(&mut self, quotes: u64, backslashes: u64) -> u64 {
        let quotes = quotes & !self.escapes(backslashes);
        let inside = prefix_xor(quotes) ^ self.open;
        self.open = 0_u64.wrapping_sub(inside >> 63);
        inside
    }

    /// The first quote that no backslash escapes.
    #[inline(always)]
    fn first_quote(&mut self, bits: Bits) -> Option<usize> {
        let quotes = bits.quotes & !self.escapes(bits.backslashes);
        (quotes != 0).then(|| quotes.trailing_zeros() as usize)
    }

    /// Which bytes a backslash escapes: of a run of backslashes every second one, and what follows a
    /// run that is odd. Adding carries a bit from where a run begins to where it ends.
    #[inline(always)]
    fn escapes(&mut self, backslashes: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        if backslashes == 0 {
            return std::mem::take(&mut self.escaped);
        }
        let backslashes = backslashes & !self.escaped;
        let behind = backslashes << 1 | self.escaped;
        let odd_starts = backslashes & !EVEN & !behind;
        let (ends, beyond) = odd_starts.overflowing_add(backslashes);
        self.escaped = beyond.into();
        (EVEN ^ ends << 1) & behind
    }
}

/// Each bit is how many bits up to it are set, modulo two.
#[inline(always)]
const fn prefix_xor(mut bits: u64) -> u64 {
    let mut width = 1;
    while width < u64::BITS {
        bits ^= bits << width;
        width *= 2;
    }
    bits
}

impl Bits {
    /// `[` and `{` differ in one bit, as `]` and `}` do.
    const CASE: u8 = 0x20;

    #[inline(always)]
    fn of<S: Simd>(simd: S, block: &[u8; SIZE]) -> Self {
        let bytes = u8x64::from_slice(simd, block);
        let folded = bytes | u8x64::splat(simd, Self::CASE);
        let which = |bytes: u8x64<S>, byte| bytes.simd_eq(u8x64::splat(simd, byte)).to_bitmask();
        Self {
            quotes: which(bytes, b'"'),
            backslashes: which(bytes, b'\\'),
            opening: which(folded, b'{'),
            closing: which(folded, b'}'),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_end_is_found_behind_strings_escapes_and_brackets() {
        for (text, end) in [
            ("{}", Some(2)),
            ("[[],{}] ,", Some(7)),
            (r#"{"}":"]"}x"#, Some(9)),
            (r#"{"a\"}":1}"#, Some(10)),
            (r#"{"a\\":1}}"#, Some(9)),
            ("{", None),
            (r#"{"a}"#, None),
            ("", None),
        ] {
            assert_eq!(end_of_nested(text.as_bytes()), end, "{text}");
        }
    }

    /// Byte by byte.
    fn plain(text: &[u8]) -> Option<usize> {
        let (mut depth, mut string, mut escaped) = (0_u32, false, false);
        for (position, byte) in text.iter().enumerate() {
            match (string, escaped, byte) {
                (true, true, _) => escaped = false,
                (true, false, b'\\') => escaped = true,
                (_, _, b'"') => string = !string,
                (false, _, b'{' | b'[') => depth += 1,
                (false, _, b'}' | b']') => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(position + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    proptest! {
        #[test]
        fn blocks_see_what_bytes_do(text in r#"[{}\[\]"a]{0,40}"#, pad in 0_usize..70) {
            let text = format!("[\"{}\",{text}]", "x".repeat(pad));
            prop_assert_eq!(end_of_nested(text.as_bytes()), plain(text.as_bytes()));
        }

        #[test]
        fn the_quote_that_ends_a_string_is_found(text in r#"[\\"a]{0,20}"#, pad in 0_usize..130) {
            let text = format!("{}{text}", "x".repeat(pad));
            let mut escaped = false;
            let end = text.bytes().position(|byte| {
                let ends = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                ends
            });
            prop_assert_eq!(end_of_string(text.as_bytes()), end);
        }

        #[test]
        fn escapes_may_stand_at_any_edge(count in 0_usize..5, pad in 0_usize..130) {
            let text = format!("[\"{}{}\"]]\"]", "x".repeat(pad), "\\".repeat(count));
            prop_assert_eq!(end_of_nested(text.as_bytes()), plain(text.as_bytes()));
        }
    }
}
