//! Continue tokens: where a page ends, and of which revision it was.
//!
//! The form is that of `k8s.io/apiserver/pkg/storage/continue.go`, so that a token of another
//! form is refused in the same words.

use serde_json::Value;

use crate::{base64, json, status::Status};

/// What a continue token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Nothing in a token that goes on with whatever is there now.
    pub(crate) revision: Option<u64>,
    /// The first key of the page, relative to the namespace that is listed.
    pub(crate) start: String,
}

impl Token {
    /// What goes on behind a key.
    pub(crate) fn behind(key: &str, revision: u64) -> Self {
        Self {
            revision: Some(revision),
            // The next key that there could be.
            start: format!("{key}\0"),
        }
    }

    pub(crate) fn encode(&self) -> String {
        let revision = match self.revision {
            Some(revision) => Value::from(revision),
            None => Value::from(-1),
        };
        let token =
            serde_json::json!({ "v": "meta.k8s.io/v1", "rv": revision, "start": self.start });
        base64::url(token.to_string().as_bytes())
    }

    pub(crate) fn decode(text: &str) -> Result<Self, Status> {
        let bad = |why: &str| {
            Status::bad_request(format!(
                "invalid continue token: continue key is not valid: {why}"
            ))
        };
        let bytes = base64::from_url(text)
            .map_err(|byte| bad(&format!("illegal base64 data at input byte {byte}")))?;
        let token = json::parse(&bytes).map_err(|why| bad(&why))?.value;
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
            Some(revision) => u64::try_from(revision).ok(),
        };
        let start = token["start"].as_str().unwrap_or("");
        if start.is_empty() {
            return Err(bad("encoded start key empty (version meta.k8s.io/v1)"));
        }
        if !is_clean(start) {
            return Err(bad(start));
        }
        let start = start.strip_prefix('/').unwrap_or(start).to_owned();
        Ok(Self { revision, start })
    }
}

/// Whether a key leads nowhere else than it says.
fn is_clean(key: &str) -> bool {
    let key = key.strip_prefix('/').unwrap_or(key);
    key.is_empty() || !key.split('/').any(|part| matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_was_put_into_it() {
        for key in ["a", "ab", "abc", "region/blue"] {
            for revision in [Some(7), None] {
                let token = Token {
                    revision,
                    ..Token::behind(key, 7)
                };
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
