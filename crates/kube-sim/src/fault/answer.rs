//! Answers that stand in for the server's.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde_json::{Value, json};

/// A made-up answer of the API server, or of something in front of it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    /// A Kubernetes `Status`, serialized at the end so that its setters can still change it.
    Status(Value),
    Raw(Bytes),
}

impl Answer {
    /// A Kubernetes `Status` with the reason that the API machinery gives this code.
    ///
    /// For 410 that is `Expired`, as for a watch or a continue token that is too old.
    pub fn status(status: StatusCode) -> Self {
        Self::new(
            status,
            "application/json",
            Content::Status(status_object(status)),
        )
    }

    /// A plain text, such as the `404 page not found` of a path that is not served.
    pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self::raw(status, "text/plain; charset=utf-8", text)
    }

    /// An HTML page, as load balancers send them.
    pub fn html(status: StatusCode, page: impl Into<Bytes>) -> Self {
        Self::raw(status, "text/html", page)
    }

    /// A JSON document.
    pub fn json(status: StatusCode, document: &Value) -> Self {
        Self::raw(status, "application/json", document.to_string())
    }

    /// Any bytes.
    pub fn raw(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::new(status, content_type, Content::Raw(body.into()))
    }

    /// Replaces the reason of a Kubernetes `Status`; without effect on other bodies.
    pub fn reason(self, reason: &str) -> Self {
        self.set("reason", json!(reason))
    }

    /// Replaces the message of a Kubernetes `Status`; without effect on other bodies.
    pub fn message(self, message: &str) -> Self {
        self.set("message", json!(message))
    }

    /// Asks the client to wait: the header, and `details.retryAfterSeconds` in a `Status`.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        self.set("details", json!({ "retryAfterSeconds": seconds }))
    }

    /// Sets a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(super) fn response(&self) -> Response<Bytes> {
        let body = match &self.content {
            Content::Status(status) => Bytes::from(status.to_string()),
            Content::Raw(body) => body.clone(),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }

    fn new(status: StatusCode, content_type: &'static str, content: Content) -> Self {
        let headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Self {
            status,
            headers,
            content,
        }
    }

    fn set(mut self, field: &str, value: Value) -> Self {
        if let Content::Status(status) = &mut self.content {
            status[field] = value;
        }
        self
    }
}

/// The `Status` object for a code, also the payload of a watch's ERROR event.
pub(super) fn status_object(status: StatusCode) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": if status.is_success() { "Success" } else { "Failure" },
        "message": format!("injected fault: {status}"),
        "reason": reason(status),
        "code": status.as_u16(),
    })
}

/// `StatusReason` of `k8s.io/apimachinery/pkg/apis/meta/v1`, as its constructors assign them.
fn reason(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "BadRequest",
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
        StatusCode::NOT_ACCEPTABLE => "NotAcceptable",
        StatusCode::CONFLICT => "Conflict",
        StatusCode::GONE => "Expired",
        StatusCode::PAYLOAD_TOO_LARGE => "RequestEntityTooLarge",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "UnsupportedMediaType",
        StatusCode::UNPROCESSABLE_ENTITY => "Invalid",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        StatusCode::INTERNAL_SERVER_ERROR => "InternalError",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
        StatusCode::GATEWAY_TIMEOUT => "Timeout",
        _ => "",
    }
}
