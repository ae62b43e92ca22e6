//! Looks for bytes eight at a time, without the cost of a call: most strings are short.

const SIZE: usize = 8;
const ONES: u64 = u64::from_le_bytes([1; SIZE]);
const HIGH: u64 = u64::from_le_bytes([0x80; SIZE]);

/// The position of the first quote or backslash.
#[inline]
pub(super) fn quote_or_backslash(text: &[u8]) -> Option<usize> {
    find(text, |word| equal(word, b'"') | equal(word, b'\\'))
}

/// The position of the first byte that cannot stand in a string as it is.
#[inline]
pub(super) fn special(text: &[u8]) -> Option<usize> {
    find(text, |word| {
        equal(word, b'"') | equal(word, b'\\') | less(word, b' ')
    })
}

/// `which` marks bytes by their high bit. Of what it marks only the first need be true.
#[inline]
fn find(text: &[u8], which: impl Fn(u64) -> u64) -> Option<usize> {
    let (words, rest) = text.as_chunks::<SIZE>();
    for (position, word) in words.iter().enumerate() {
        let found = which(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(position * SIZE + found.trailing_zeros() as usize / 8);
        }
    }
    let mut last = [b'.'; SIZE];
    last[..rest.len()].copy_from_slice(rest);
    let found = which(u64::from_le_bytes(last));
    (found != 0).then(|| words.len() * SIZE + found.trailing_zeros() as usize / 8)
}

#[inline]
const fn equal(word: u64, byte: u8) -> u64 {
    let word = word ^ (ONES * byte as u64);
    word.wrapping_sub(ONES) & !word & HIGH
}

#[inline]
const fn less(word: u64, byte: u8) -> u64 {
    word.wrapping_sub(ONES * byte as u64) & !word & HIGH
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
        }
    }
}
