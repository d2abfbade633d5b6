//! Continue tokens: where a page ends, and of which revision it was.
//!
//! The form is that of `k8s.io/apiserver/pkg/storage/continue.go`, so that a token of another
//! form is refused in the same words.

use serde_json::{Value, json};

use crate::status::Status;

/// What a continue token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Nothing in a token that goes on with whatever is there now.
    pub(crate) revision: Option<u64>,
    /// The last key of the page before, relative to the namespace that was listed.
    pub(crate) after: String,
}

impl Token {
    pub(crate) fn encode(&self) -> String {
        let revision = match self.revision {
            Some(revision) => Value::from(revision),
            None => Value::from(-1),
        };
        let start = format!("{}\0", self.after);
        let token = json!({ "v": "meta.k8s.io/v1", "rv": revision, "start": start });
        base64_url(token.to_string().as_bytes())
    }

    pub(crate) fn decode(text: &str) -> Result<Self, Status> {
        let bad = |why: &str| {
            let why = format!("invalid continue token: continue key is not valid: {why}");
            Status::bad_request(why)
        };
        let bytes = from_base64_url(text).ok_or_else(|| bad("illegal base64 data"))?;
        let token: Value =
            serde_json::from_slice(&bytes).map_err(|error| bad(&error.to_string()))?;
        if token["v"] != "meta.k8s.io/v1" {
            return Err(bad(&format!(
                "server does not recognize this encoded version {}",
                token["v"].as_str().unwrap_or_default()
            )));
        }
        let revision = match token["rv"].as_i64() {
            None | Some(0) => {
                return Err(bad(
                    "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
                ));
            }
            Some(-1) => None,
            Some(revision) => Some(revision.unsigned_abs()),
        };
        let start = token["start"].as_str().unwrap_or("");
        if start.is_empty() {
            return Err(bad("encoded start key empty (version meta.k8s.io/v1)"));
        }
        let after = start.strip_suffix('\0').unwrap_or(start).to_owned();
        Ok(Self { revision, after })
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// RFC 4648 base64url without padding.
fn base64_url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(group);
        for digit in 0..=chunk.len() {
            let index = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

fn from_base64_url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for chunk in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for (digit, character) in chunk.iter().enumerate() {
            let index = ALPHABET.iter().position(|known| known == character)?;
            bits |= u32::try_from(index).ok()? << (18 - 6 * digit);
        }
        let count = chunk.len().checked_sub(1).filter(|count| *count > 0)?;
        bytes.extend_from_slice(&bits.to_be_bytes()[1..=count]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_was_put_into_it() {
        for after in ["a", "ab", "abc", "region/blue"] {
            for revision in [Some(7), None] {
                let after = after.to_owned();
                let token = Token { revision, after };
                assert_eq!(Token::decode(&token.encode()), Ok(token));
            }
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["a", "$$$$", "e30", ""] {
            let status = Token::decode(text).expect_err("no token");
            assert_eq!(status.code(), http::StatusCode::BAD_REQUEST, "{text}");
        }
    }
}
