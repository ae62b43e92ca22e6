//! Looks for bytes sixteen at a time, with what every processor of its kind has: most strings are
//! short, and asking for more would cost more than it saves.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined is not compiled for the processor"
)]

use fearless_simd::{Level, Simd, dispatch, mask8x16, prelude::*, u8x16};

const SIZE: usize = 16;

/// The position of the first quote or backslash.
#[inline]
pub(super) fn quote_or_backslash(text: &[u8]) -> Option<usize> {
    dispatch!(Level::baseline(), simd => find(simd, text, |bytes| {
        bytes.simd_eq(u8x16::splat(simd, b'"')) | bytes.simd_eq(u8x16::splat(simd, b'\\'))
    }))
}

/// The position of the first byte that cannot stand in a string as it is.
#[inline]
pub(super) fn special(text: &[u8]) -> Option<usize> {
    dispatch!(Level::baseline(), simd => find(simd, text, |bytes| {
        bytes.simd_eq(u8x16::splat(simd, b'"'))
            | bytes.simd_eq(u8x16::splat(simd, b'\\'))
            | bytes.simd_lt(u8x16::splat(simd, b' '))
    }))
}

/// The same in a step of a JSON pointer, in which `~` and `/` cannot stand either.
#[inline]
pub(super) fn special_in_step(text: &[u8]) -> Option<usize> {
    dispatch!(Level::baseline(), simd => find(simd, text, |bytes| {
        bytes.simd_eq(u8x16::splat(simd, b'"'))
            | bytes.simd_eq(u8x16::splat(simd, b'\\'))
            | bytes.simd_eq(u8x16::splat(simd, b'~'))
            | bytes.simd_eq(u8x16::splat(simd, b'/'))
            | bytes.simd_lt(u8x16::splat(simd, b' '))
    }))
}

#[inline(always)]
fn find<S: Simd>(simd: S, text: &[u8], which: impl Fn(u8x16<S>) -> mask8x16<S>) -> Option<usize> {
    let first = |word: &[u8; SIZE]| {
        let found = which(u8x16::from_slice(simd, word)).to_bitmask();
        (found != 0).then(|| found.trailing_zeros() as usize)
    };
    let (words, rest) = text.as_chunks::<SIZE>();
    for (position, word) in words.iter().enumerate() {
        if let Some(found) = first(word) {
            return Some(position * SIZE + found);
        }
    }
    if rest.is_empty() {
        return None;
    }
    // The last word may begin within the one before it, where nothing was found.
    if let Some(last) = text.last_chunk() {
        return first(last).map(|found| text.len() - SIZE + found);
    }
    let mut last = [b'.'; SIZE];
    last[..rest.len()].copy_from_slice(rest);
    first(&last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_see_what_bytes_do(
            mut text in prop::collection::vec(any::<u8>(), 0..30),
            plain in prop::collection::vec(b'a'..b'e', 0..30),
        ) {
            text.splice(0..0, plain);
            let quote = |byte: &u8| matches!(byte, b'"' | b'\\');
            prop_assert_eq!(quote_or_backslash(&text), text.iter().position(quote));
            let needs_escape = |byte: &u8| quote(byte) || *byte < b' ';
            prop_assert_eq!(special(&text), text.iter().position(needs_escape));
            let in_step = |byte: &u8| needs_escape(byte) || matches!(byte, b'~' | b'/');
            prop_assert_eq!(special_in_step(&text), text.iter().position(in_step));
        }
    }
}
