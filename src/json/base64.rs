//! Bytes as JSON has them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fearless_simd::{Simd, dispatch, prelude::*, u8x16, u8x32, u32x8};

use super::block::LEVEL;

#[cfg(target_endian = "big")]
compile_error!("base64 is written for processors that have the lowest byte of a number first");

/// How many bytes become 32 characters at a time, how many are loaded for each half of them, and
/// from where to where that reaches.
const BLOCK: usize = 24;
const LOADED: usize = 16;
const WINDOW: usize = BLOCK / 2 + LOADED;

/// Writes bytes in base64.
pub fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len().div_ceil(3) * 4);
    let done = dispatch!(*LEVEL, simd => blocks(simd, bytes, out));
    let mut rest = [0; WINDOW.div_ceil(3) * 4];
    let length = STANDARD.encode_slice(&bytes[done..], &mut rest);
    out.extend_from_slice(&rest[..length.expect("less than a window is left")]);
}

/// Writes whole blocks, and gives the number of bytes that are in them.
///
/// Six bits become a character by their kind, as Muła and Lemire have it in "Faster Base64 Encoding
/// and Decoding using AVX2 Instructions" (2018).
#[inline(always)]
fn blocks<S: Simd>(simd: S, bytes: &[u8], out: &mut Vec<u8>) -> usize {
    /// Three bytes become a number, the first one its highest.
    const ORDER: [u8; 16] = [2, 1, 0, 0, 5, 4, 3, 3, 8, 7, 6, 6, 11, 10, 9, 9];
    /// What is added to six bits to make a small letter, a digit, `+`, `/`, a capital letter.
    const SHIFT: [u8; 16] = {
        let mut shift = [b'0'.wrapping_sub(52); 16];
        shift[0] = b'a' - 26;
        shift[11] = b'+'.wrapping_sub(62);
        shift[12] = b'/'.wrapping_sub(63);
        shift[CAPITAL as usize] = b'A';
        shift
    };
    const CAPITAL: u8 = 13;

    let half = |half: &[u8]| u8x16::from_slice(simd, half);
    let (order, shift) = (half(&ORDER), half(&SHIFT));
    let (order, shift) = (order.combine(order), shift.combine(shift));
    let mut done = 0;
    for window in bytes.windows(WINDOW).step_by(BLOCK) {
        let both = half(&window[..LOADED]).combine(half(&window[BLOCK / 2..]));
        let triples: u32x8<S> = both.swizzle_dyn_within_blocks(order).bitcast();
        let sixes = (triples >> 18 & 0x3f)
            | (triples >> 4 & 0x3f00)
            | (triples << 10 & 0x3f_0000)
            | (triples << 24 & 0x3f00_0000);
        let sixes: u8x32<S> = sixes.bitcast();
        let capital = u8x32::splat(simd, CAPITAL);
        let kind = sixes.simd_lt(26).select(capital, sixes.saturating_sub(51));
        let mut text = [0; BLOCK / 3 * 4];
        (sixes + shift.swizzle_dyn_within_blocks(kind)).store_slice(&mut text);
        out.extend_from_slice(&text);
        done += BLOCK;
    }
    done
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_are_written_as_bytes_are(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut text = b"before".to_vec();
            base64(&bytes, &mut text);
            prop_assert_eq!(&text, &format!("before{}", STANDARD.encode(&bytes)).into_bytes());
        }
    }
}
