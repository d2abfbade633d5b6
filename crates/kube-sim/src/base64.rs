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

/// What a text with padding stands for, or else at which byte Go finds it wrong. Line breaks are
/// allowed anywhere, and bits that the padding leaves over are not looked at.
pub(crate) fn from_standard(text: &str) -> Result<Vec<u8>, usize> {
    decode(text, STANDARD, true)
}

/// Safe in URLs, without padding.
pub(crate) fn url(bytes: &[u8]) -> String {
    encode(bytes, URL)
}

/// What [`url`] has made, or else at which byte it is something else.
pub(crate) fn from_url(text: &str) -> Result<Vec<u8>, usize> {
    decode(text, URL, false)
}

fn decode(text: &str, alphabet: &[u8; 64], is_padded: bool) -> Result<Vec<u8>, usize> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut digits) = (0, 0);
    let all = text.bytes().enumerate();
    let mut input = all.filter(|(_, byte)| !matches!(byte, b'\r' | b'\n'));
    while let Some((at, byte)) = input.next() {
        if is_padded && byte == b'=' {
            match digits {
                0 | 1 => return Err(at),
                2 => match input.next() {
                    Some((_, b'=')) => {}
                    Some((at, _)) => return Err(at - 1),
                    None => return Err(text.len()),
                },
                _ => {}
            }
            push_group(&mut bytes, bits, digits);
            return input.next().map_or(Ok(bytes), |(at, _)| Err(at));
        }
        bits = bits << 6 | digit(byte, alphabet).ok_or(at)?;
        digits += 1;
        if digits == 4 {
            push_group(&mut bytes, bits, digits);
            (bits, digits) = (0, 0);
        }
    }
    match digits {
        0 => Ok(bytes),
        2 | 3 if !is_padded => {
            push_group(&mut bytes, bits, digits);
            Ok(bytes)
        }
        // Where the group begins that is not whole.
        _ => Err(text.len() - digits),
    }
}

/// Appends what two to four digits stand for.
fn push_group(bytes: &mut Vec<u8>, bits: u32, digits: usize) {
    let aligned = bits << (6 * (4 - digits));
    bytes.extend_from_slice(&aligned.to_be_bytes()[1..digits]);
}

fn digit(byte: u8, alphabet: &[u8; 64]) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        _ if byte == alphabet[62] => 62,
        _ if byte == alphabet[63] => 63,
        _ => return None,
    };
    Some(value.into())
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
            assert_eq!(from_standard(text).as_deref(), Ok(bytes.as_bytes()));
            let back = from_url(&url(bytes.as_bytes()));
            assert_eq!(back.as_deref(), Ok(bytes.as_bytes()));
        }
        assert_eq!(from_url("bogus"), Err(4));
        assert_eq!(from_url("bo$us"), Err(2));
        assert_eq!(from_url("+/"), Err(0));
        assert_eq!(from_url("Zg=="), Err(2));
        assert_eq!(from_url("Zm\n9v").as_deref(), Ok(b"foo".as_slice()));
    }

    #[test]
    fn text_that_is_no_base64_is_wrong_where_go_says() {
        for (text, expected) in [
            ("aGVs\nbG8=\r\n", Ok("hello")),
            ("Zh==", Ok("f")),
            ("aA=\n=", Ok("h")),
            ("+/", Err(0)),
            ("-_==", Err(0)),
            ("aGV\n\n", Err(2)),
            ("aG\nV", Err(1)),
            ("aA==aA==", Err(4)),
            ("aA==\nx", Err(5)),
            ("aA=", Err(3)),
            ("aA=x", Err(2)),
            ("aAA\n=a", Err(5)),
            ("a===", Err(1)),
            ("====", Err(0)),
        ] {
            let expected = expected.map(|text: &str| text.as_bytes().to_vec());
            assert_eq!(from_standard(text), expected, "{text:?}");
        }
    }
}
