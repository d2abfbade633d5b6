//! The `Status` objects with which an API server refuses a request, or confirms one that leaves
//! nothing to answer.
//!
//! Codes, reasons and wording follow `k8s.io/apimachinery/pkg/api/errors`.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::field::FieldError;

/// What an API server says instead of an object: why it refuses, or that something is done.
///
/// Not every answer to a bad request is a `Status`: a path that is not served is answered with
/// plain text.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    code: StatusCode,
    reason: &'static str,
    message: String,
    /// Some answers carry details with nothing in them, others none at all.
    details: Option<Map<String, Value>>,
    /// Where a list can go on that could not be continued as it was begun.
    resume: Option<String>,
}

/// A resource as errors name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named<'a> {
    /// The API group, empty for the core group.
    pub(crate) group: &'a str,
    /// The plural name of the resource, or the kind where the server names that.
    pub(crate) resource: &'a str,
    /// The object.
    pub(crate) name: &'a str,
}

impl Named<'_> {
    pub(crate) fn details(self) -> Map<String, Value> {
        let mut details = Map::new();
        for (key, value) in [
            ("name", self.name),
            ("group", self.group),
            ("kind", self.resource),
        ] {
            if !value.is_empty() {
                details.insert(key.to_owned(), value.into());
            }
        }
        details
    }

    /// `networks.region.example.com`, or `configmaps` in the core group.
    pub(crate) fn qualified(self) -> String {
        if self.group.is_empty() {
            self.resource.to_owned()
        } else {
            format!("{}.{}", self.resource, self.group)
        }
    }
}

impl Status {
    /// A refusal with everything spelled out.
    pub(crate) fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
            resume: None,
        }
    }

    /// 404: there is no such object.
    pub(crate) fn not_found(object: Named<'_>) -> Self {
        let message = format!("{} \"{}\" not found", object.qualified(), object.name);
        Self::about(StatusCode::NOT_FOUND, "NotFound", message, object)
    }

    /// 409: there is such an object already.
    pub(crate) fn already_exists(object: Named<'_>) -> Self {
        let message = format!("{} \"{}\" already exists", object.qualified(), object.name);
        Self::about(StatusCode::CONFLICT, "AlreadyExists", message, object)
    }

    /// Says something before the message.
    #[must_use]
    pub(crate) fn with_prefix(mut self, prefix: &str) -> Self {
        self.message.insert_str(0, prefix);
        self
    }

    /// 409: a precondition or an optimistic lock failed.
    pub(crate) fn conflict(object: Named<'_>, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{}\": {why}",
            object.qualified(),
            object.name
        );
        Self::about(StatusCode::CONFLICT, "Conflict", message, object)
    }

    /// 403.
    pub(crate) fn forbidden(object: Named<'_>, why: &str) -> Self {
        let message = format!(
            "{} \"{}\" is forbidden: {why}",
            object.qualified(),
            object.name
        );
        Self::about(StatusCode::FORBIDDEN, "Forbidden", message, object)
    }

    /// 422: the object is understood and wrong. `object.resource` is the kind here.
    pub(crate) fn invalid(object: Named<'_>, errors: &[FieldError]) -> Self {
        let causes: Vec<Value> = errors.iter().map(FieldError::cause).collect();
        let list = FieldError::summary(errors);
        let message = format!(
            "{} \"{}\" is invalid: {list}",
            object.qualified(),
            object.name
        );
        Self::about(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message, object)
            .with_detail("causes", causes)
    }

    /// 400.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 410: what was asked for has been compacted away.
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// 422: a patch that cannot be applied, of which the server says no more than that.
    pub(crate) fn rejected() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self {
            code: StatusCode::UNPROCESSABLE_ENTITY,
            reason: "Invalid",
            message: message.to_owned(),
            details: Some(Map::new()),
            resume: None,
        }
    }

    /// 413.
    pub(crate) fn too_large(why: &str) -> Self {
        let message = format!("Request entity too large: {why}");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            message,
        )
    }

    /// 500: what the server did not expect, without a reason.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
    }

    /// 500, with a reason and a cause.
    pub(crate) fn unexpected(why: &str) -> Self {
        let message = format!("Internal error occurred: {why}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
            .with_details()
            .with_detail("causes", json!([{"message": why}]))
    }

    fn about(code: StatusCode, reason: &'static str, message: String, object: Named<'_>) -> Self {
        Self {
            code,
            reason,
            message,
            details: Some(object.details()),
            resume: None,
        }
    }

    /// Has details, with nothing in them yet.
    #[must_use]
    pub(crate) fn with_details(mut self) -> Self {
        self.details.get_or_insert_default();
        self
    }

    /// Adds to the details, for instance `retryAfterSeconds`.
    #[must_use]
    pub(crate) fn with_detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        let details = self.details.get_or_insert_default();
        details.insert(key.to_owned(), value.into());
        self
    }

    /// Adds a token with which the list can go on.
    #[must_use]
    pub(crate) fn with_continue(mut self, token: String) -> Self {
        self.resume = Some(token);
        self
    }

    /// After how many seconds the client may try again, if it is told so.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.details.as_ref()?.get("retryAfterSeconds")?.as_u64()
    }

    /// The HTTP status.
    #[must_use]
    pub fn code(&self) -> StatusCode {
        self.code
    }

    /// The machine-readable reason, such as `Conflict`.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.reason
    }

    /// What is wrong, in the server's words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The object as it goes over the wire.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code.as_u16(),
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if let Some(token) = &self.resume {
            status["metadata"]["continue"] = token.as_str().into();
        }
        if let Some(details) = &self.details {
            status["details"] = Value::Object(details.clone());
        }
        status
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}
