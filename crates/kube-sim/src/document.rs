//! Answers that are documents about the server: JSON, and cacheable by an entity tag.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY},
};
use serde_json::Value;
use sha2::{Digest, Sha512};

/// 200 with a body of this type.
pub(crate) fn answer(content_type: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// 200 with JSON.
pub(crate) fn json(document: &Value) -> Response<Bytes> {
    answer("application/json", document.to_string())
}

/// Nothing that the client accepts, without a body, as the documents' handlers say it.
pub(crate) fn not_acceptable() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NOT_ACCEPTABLE;
    response
}

/// Adds the entity tag, and takes the body away from a client that has it already.
pub(crate) fn cacheable(mut response: Response<Bytes>, request: &HeaderMap) -> Response<Bytes> {
    let tag = format!("\"{}\"", hash(response.body()));
    let known = request
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim() == tag);
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Bytes::new();
    }
    let headers = response.headers_mut();
    headers.insert(
        ETAG,
        HeaderValue::try_from(tag).expect("hexadecimal digits in quotes"),
    );
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    response
}

/// The name of a content: its SHA-512 in capital hexadecimal digits.
pub(crate) fn hash(content: &[u8]) -> String {
    let mut hash = String::new();
    for byte in Sha512::digest(content) {
        write!(hash, "{byte:02X}").expect("a string takes everything");
    }
    hash
}

/// The first of the media types in `Accept` for which `offer` has something; without the header,
/// what there is for `*/*`.
///
/// `offer` is given the type and its parameters.
pub(crate) fn negotiate<T>(
    request: &HeaderMap,
    offer: impl Fn(&str, &[(&str, &str)]) -> Option<T>,
) -> Option<T> {
    let mut accepted = request
        .get_all(http::header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|range| !range.is_empty())
        .peekable();
    if accepted.peek().is_none() {
        return offer("*/*", &[]);
    }
    accepted.find_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next()?;
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        offer(media_type, &parameters)
    })
}

/// Whether JSON is one of the types that this range stands for.
pub(crate) fn is_json(media_type: &str) -> bool {
    matches!(media_type, "application/json" | "application/*" | "*/*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_knows_the_document_is_not_sent_it_again() {
        let request = HeaderMap::new();
        let first = cacheable(json(&Value::from(1)), &request);
        assert_eq!(first.status(), StatusCode::OK);
        let mut request = HeaderMap::new();
        request.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        let second = cacheable(json(&Value::from(1)), &request);
        assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
        assert!(second.body().is_empty());
        let third = cacheable(json(&Value::from(2)), &request);
        assert_eq!(third.status(), StatusCode::OK);
    }

    #[test]
    fn the_first_accepted_type_that_is_offered_is_taken() {
        let check = |accept: Option<&str>, expected: Option<&str>| {
            let mut request = HeaderMap::new();
            if let Some(accept) = accept {
                request.insert(http::header::ACCEPT, accept.parse().unwrap());
            }
            let offer = |media_type: &str, parameters: &[(&str, &str)]| {
                is_json(media_type).then_some(match parameters {
                    [] | [("q", _)] => "plain",
                    _ => "special",
                })
            };
            assert_eq!(negotiate(&request, offer), expected, "{accept:?}");
        };
        check(None, Some("plain"));
        check(Some(""), Some("plain"));
        check(Some("application/json, */*"), Some("plain"));
        check(Some("text/html, */*;q=0.8"), Some("plain"));
        check(
            Some("application/vnd.kubernetes.protobuf,application/json"),
            Some("plain"),
        );
        check(
            Some("application/json;as=Table;v=v1;g=meta.k8s.io,application/json"),
            Some("special"),
        );
        check(Some("application/yaml"), None);
    }
}
