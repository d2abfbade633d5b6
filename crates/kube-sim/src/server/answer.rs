//! Answers to requests.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER, WARNING},
};
use serde_json::Value;

use super::body::ResponseBody;
use crate::{json, status::Status};

/// What a request is answered with.
#[derive(Debug)]
pub(super) struct Answer {
    response: Response<ResponseBody>,
    refusal: Option<Status>,
}

/// What a request is refused with.
#[derive(Debug)]
pub(super) enum Refusal {
    Status(Box<Status>),
    /// What no handler of the API answers is answered in plain text.
    Text(StatusCode, &'static str),
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl Refusal {
    /// What is asked for is not served.
    pub(super) fn unserved() -> Self {
        Self::Text(StatusCode::NOT_FOUND, "404 page not found\n")
    }
}

impl Answer {
    pub(super) fn json(code: StatusCode, body: Bytes) -> Self {
        Self::new(code, "application/json", ResponseBody::whole(body))
    }

    pub(super) fn stream(body: ResponseBody) -> Self {
        Self::new(StatusCode::OK, "application/json", body)
    }

    fn new(code: StatusCode, content_type: &'static str, body: ResponseBody) -> Self {
        let mut response = Response::new(body);
        *response.status_mut() = code;
        let content_type = HeaderValue::from_static(content_type);
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        Self {
            response,
            refusal: None,
        }
    }

    /// Has the client warned, in the order in which it is to read it.
    pub(super) fn with_warnings(mut self, warnings: &[String]) -> Self {
        for warning in curtailed(warnings) {
            let text = format!("299 - {}", Value::from(warning));
            if let Ok(value) = HeaderValue::from_str(&text) {
                self.response.headers_mut().append(WARNING, value);
            }
        }
        self
    }

    pub(super) fn into_response(self) -> Response<ResponseBody> {
        self.response
    }

    /// The body as JSON, or the refusal.
    pub(super) fn into_json(self) -> Result<Value, Status> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        let bytes = self.response.into_body().into_bytes().unwrap_or_default();
        Ok(json::read(&bytes).unwrap_or_default())
    }
}

/// What the client is told of its warnings, so that no header grows without end: once they have more
/// than 4096 characters, the first 256 of each, and no further ones while those still have so many.
fn curtailed(warnings: &[String]) -> Vec<&str> {
    const ALL: usize = 4096;
    let length = |text: &str| text.chars().count();
    let (mut told, mut all, mut is_cut) = (Vec::new(), 0, false);
    for text in warnings {
        if is_cut && all >= ALL {
            break;
        }
        let text = if is_cut { beginning(text) } else { text };
        told.push(text);
        all += length(text);
        if !is_cut && all > ALL {
            is_cut = true;
            told = told.into_iter().map(beginning).collect();
            all = told.iter().map(|text| length(text)).sum();
        }
    }
    told
}

fn beginning(text: &str) -> &str {
    const EACH: usize = 256;
    let end = text.char_indices().nth(EACH);
    &text[..end.map_or(text.len(), |(end, _)| end)]
}

impl From<Response<Bytes>> for Answer {
    fn from(response: Response<Bytes>) -> Self {
        Self {
            response: response.map(ResponseBody::whole),
            refusal: None,
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Status(status) => {
                let body = Bytes::from(status.to_json().to_string());
                let mut answer = Self::json(status.code(), body);
                if let Some(seconds) = status.retry_after() {
                    let headers = answer.response.headers_mut();
                    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
                answer.refusal = Some(*status);
                answer
            }
            Refusal::Text(code, text) => {
                let body = ResponseBody::whole(Bytes::from_static(text.as_bytes()));
                let mut answer = Self::new(code, "text/plain; charset=utf-8", body);
                answer.refusal = Some(Status::new(code, "", text.trim_end()));
                answer
            }
        }
    }
}
