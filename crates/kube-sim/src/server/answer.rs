//! Answers to requests.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER, WARNING},
};
use serde_json::Value;

use super::body::ResponseBody;
use crate::status::Status;

/// What a request is answered with.
#[derive(Debug)]
pub(super) struct Answer {
    code: StatusCode,
    content_type: &'static str,
    body: ResponseBody,
    warnings: Vec<String>,
    retry_after: Option<u64>,
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
        Self {
            code,
            content_type: "application/json",
            body: ResponseBody::whole(body),
            warnings: Vec::new(),
            retry_after: None,
            refusal: None,
        }
    }

    pub(super) fn value(body: &Value) -> Self {
        Self::json(StatusCode::OK, Bytes::from(body.to_string()))
    }

    pub(super) fn text(code: StatusCode, text: impl Into<Bytes>) -> Self {
        Self {
            content_type: "text/plain; charset=utf-8",
            ..Self::json(code, text.into())
        }
    }

    pub(super) fn stream(body: ResponseBody) -> Self {
        Self {
            body,
            ..Self::json(StatusCode::OK, Bytes::new())
        }
    }

    pub(super) fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

    pub(super) fn into_response(self) -> Response<ResponseBody> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.code;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        for warning in &self.warnings {
            let text = format!("299 - {}", Value::from(warning.as_str()));
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.append(WARNING, value);
            }
        }
        response
    }

    /// The body as JSON, or the refusal.
    pub(super) fn into_json(self) -> Result<Value, Status> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        let bytes = self.body.into_bytes().unwrap_or_default();
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Status(status) => {
                let body = Bytes::from(status.to_json().to_string());
                Self {
                    retry_after: status.retry_after(),
                    refusal: Some(*status.clone()),
                    ..Self::json(status.code(), body)
                }
            }
            Refusal::Text(code, text) => Self {
                refusal: Some(Status::new(code, "", text.trim_end())),
                ..Self::text(code, text)
            },
        }
    }
}
