//! Base64, RFC 4648, as far as the server needs it.

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// With padding.
pub(crate) fn standard(bytes: &[u8]) -> String {
    let mut text = encode(bytes, STANDARD);
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// Safe in URLs, without padding.
pub(crate) fn url(bytes: &[u8]) -> String {
    encode(bytes, URL)
}

/// What [`url`] has made, or else at which byte it is something else.
pub(crate) fn from_url(text: &str) -> Result<Vec<u8>, usize> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for (number, chunk) in text.as_bytes().chunks(4).enumerate() {
        let mut bits = 0_u32;
        for (digit, character) in chunk.iter().enumerate() {
            let value = (0..).zip(URL).find(|(_, known)| *known == character);
            let (value, _): (u32, _) = value.ok_or(4 * number + digit)?;
            bits |= value << (18 - 6 * digit);
        }
        if chunk.len() == 1 {
            return Err(4 * number);
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Ok(bytes)
}

fn encode(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(group);
        for digit in 0..=chunk.len() {
            let index = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(alphabet[index as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_standard_are_encoded() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(standard(bytes.as_bytes()), text);
            let back = from_url(&url(bytes.as_bytes()));
            assert_eq!(back.as_deref(), Ok(bytes.as_bytes()));
        }
        assert_eq!(from_url("bogus"), Err(4));
        assert_eq!(from_url("bo$us"), Err(2));
    }
}
