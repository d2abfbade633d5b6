//! Short stand-ins for what is too long to be written out.

use sha2::{Digest, Sha256};

/// The first `digits` hexadecimal digits, in lower case, of the SHA-256 of `text`.
pub(crate) fn sha256(text: &str, digits: usize) -> String {
    let digest = Sha256::digest(text);
    let nibbles = digest.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    let digit = |nibble| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    nibbles.map(digit).take(digits).collect()
}

/// Whether `text` could be what [`sha256`] answers for this many digits.
pub(crate) fn is_digest(text: &str, digits: usize) -> bool {
    let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    text.len() == digits && text.bytes().all(is_hex)
}
