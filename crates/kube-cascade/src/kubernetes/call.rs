//! One API call: its deadline, and the class of its failure.
//!
//! Owns how an answer of the server is read; what to do about it is the caller's.

use std::{error::Error, fmt, future::Future, time::Duration};

use kube::Client;
use serde::de::DeserializeOwned;

use crate::consumer::ParkReason;

/// The longest that one call may take.
///
/// The server cuts a request without a watch at 34 s with a 504 (observed on 1.36); one second more
/// lets that answer arrive, because it says more than our own time-out does.
pub(crate) const DEADLINE: Duration = Duration::from_secs(35);

/// The longest that a server's `Retry-After` is heeded; its own flow control asks for 32 s at most.
const LONGEST_PATIENCE: Duration = Duration::from_secs(300);

/// How long what people cure is left alone: permissions and definitions. They expect work to go on
/// within a minute.
const CURE: Duration = Duration::from_secs(60);

/// What to do about an error.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Disposition {
    /// Try again, with a backoff.
    Retry,
    /// Try again, but not before this long.
    RetryAfter(Duration),
    /// Trying the same again changes nothing.
    Permanent,
}

/// A call to the API server that did not succeed.
///
/// Says what was attempted; [`class`](Self::class) says what to make of it.
#[derive(Debug, thiserror::Error)]
#[error("failed to {attempted}{}", Explained(.class))]
pub struct CallError {
    attempted: String,
    class: Class,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What a failed call means for whoever made it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Class {
    /// The object does not exist: the server said so in a `Status` that names it.
    NotFound,
    /// The kind is not served: a 404 that names no object, usually in plain text.
    NotServed,
    /// The server knows us and refuses (403), or does not know us (401).
    Forbidden,
    /// The object is not as the preconditions or the resource version say (409).
    Conflict,
    /// The resource version or the continue token is too old (410).
    Expired,
    /// The request can never succeed as it is (400, 422).
    Invalid,
    /// The server asks for patience (429, or an error with `Retry-After`), at least this long.
    Throttled(Duration),
    /// No answer within the deadline, or a lost connection: a write may have happened.
    Unknown,
    /// Any other failure of the server (5xx), or an answer that cannot be read.
    Unavailable,
}

impl CallError {
    pub(crate) fn new(attempted: impl Into<String>, class: Class) -> Self {
        Self {
            attempted: attempted.into(),
            class,
            source: None,
        }
    }

    pub(crate) fn from_kube(attempted: impl Into<String>, source: kube::Error) -> Self {
        let class = classify(&source);
        let source: Box<dyn Error + Send + Sync> = match source {
            // Printed as it is, the error would repeat the whole status, twice.
            kube::Error::Api(status) => status.message.into(),
            other => Box::new(other),
        };
        Self {
            attempted: attempted.into(),
            class,
            source: Some(source),
        }
    }

    /// What to make of it.
    #[must_use]
    pub fn class(&self) -> &Class {
        &self.class
    }

    /// What was attempted, for instance `list Network.region.example.com in namespace region`.
    #[must_use]
    pub fn attempted(&self) -> &str {
        &self.attempted
    }

    /// What to do about it.
    ///
    /// A missing permission or definition is tried again after a minute, because people cure it. An
    /// object that does not exist may be created.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self.class {
            Class::Invalid => Disposition::Permanent,
            Class::Forbidden | Class::NotServed => Disposition::RetryAfter(CURE),
            Class::Throttled(after) => Disposition::RetryAfter(after),
            Class::NotFound
            | Class::Conflict
            | Class::Expired
            | Class::Unknown
            | Class::Unavailable => Disposition::Retry,
        }
    }

    /// Why to set work aside rather than to try again ever more slowly: permissions and
    /// definitions are cured by people, who expect work to go on within a minute.
    pub(crate) fn park_reason(&self) -> Option<ParkReason> {
        match self.class {
            Class::Forbidden => Some(ParkReason::Forbidden),
            Class::NotServed => Some(ParkReason::NotServed),
            _ => None,
        }
    }

    /// How long the server asked to be left alone, when it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.class {
            Class::Throttled(after) => Some(after),
            _ => None,
        }
    }
}

/// Runs `future` within [`DEADLINE`] and classifies its failure.
///
/// `attempted` completes the sentence "failed to …" and is only built on failure.
pub(crate) async fn call<T>(
    attempted: impl Fn() -> String,
    future: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(CallError::from_kube(attempted(), source)),
        Err(_) => Err(CallError::new(attempted(), Class::Unknown)),
    }
}

/// Sends a request that kube built and reads a `T` out of the answer, within [`DEADLINE`].
pub(crate) async fn request<T: DeserializeOwned>(
    client: &Client,
    attempted: impl Fn() -> String,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<T, CallError> {
    let request = request
        .map_err(|source| CallError::from_kube(attempted(), kube::Error::BuildRequest(source)))?;
    call(attempted, client.request::<T>(request)).await
}

fn classify(error: &kube::Error) -> Class {
    match error {
        kube::Error::Api(status) => classify_status(status),
        kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => {
            Class::Unknown
        }
        kube::Error::BuildRequest(_) => Class::Invalid,
        _ => Class::Unavailable,
    }
}

fn classify_status(status: &kube::core::Status) -> Class {
    let details = status.details.as_ref();
    let retry_after = details.map_or(0, |details| details.retry_after_seconds);
    match status.code {
        404 if status.reason == "NotFound" && details.is_some_and(|d| !d.name.is_empty()) => {
            Class::NotFound
        }
        404 => Class::NotServed,
        401 | 403 => Class::Forbidden,
        409 => Class::Conflict,
        410 => Class::Expired,
        429 => Class::Throttled(patience(retry_after.max(1))),
        504 => Class::Unknown,
        500.. if retry_after > 0 => Class::Throttled(patience(retry_after)),
        400..500 => Class::Invalid,
        _ => Class::Unavailable,
    }
}

/// How long to leave a server alone that asks for it, within reason: whoever can answer in its place
/// (a proxy, a webhook) could otherwise stop a cascade for good.
fn patience(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds)).min(LONGEST_PATIENCE)
}

/// What [`Class`] adds to the sentence where the source says too little.
struct Explained<'a>(&'a Class);

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Class::NotServed => f.write_str(": the server does not serve this kind"),
            Class::Unknown => f.write_str(": no answer came back, its outcome is unknown"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api_error(code: u16, reason: &str, name: &str, retry_after: u32) -> kube::Error {
        let details = serde_json::from_value(serde_json::json!({
            "name": name, "retryAfterSeconds": retry_after,
        }))
        .expect("details are valid");
        let status = kube::core::Status::failure("message", reason).with_code(code);
        kube::Error::Api(status.with_details(details).boxed())
    }

    #[test]
    fn fault_32_a_404_means_an_object_only_when_it_names_one() {
        let plain = kube::core::Status::failure("404 page not found", "Failed to parse error data");
        let plain = kube::Error::Api(plain.with_code(404).boxed());
        assert_eq!(classify(&plain), Class::NotServed);
        assert_eq!(
            classify(&api_error(404, "NotFound", "", 0)),
            Class::NotServed
        );
        assert_eq!(classify(&api_error(404, "", "p1", 0)), Class::NotServed);
        assert_eq!(
            classify(&api_error(404, "NotFound", "p1", 0)),
            Class::NotFound
        );
    }

    #[test]
    fn each_status_has_the_class_its_reader_acts_on() {
        for (code, retry_after, class) in [
            (400, 0, Class::Invalid),
            (401, 0, Class::Forbidden),
            (403, 0, Class::Forbidden),
            (409, 0, Class::Conflict),
            (410, 0, Class::Expired),
            (422, 0, Class::Invalid),
            (429, 0, Class::Throttled(Duration::from_secs(1))),
            (429, 32, Class::Throttled(Duration::from_secs(32))),
            (429, u32::MAX, Class::Throttled(LONGEST_PATIENCE)),
            (500, 0, Class::Unavailable),
            (503, 5, Class::Throttled(Duration::from_secs(5))),
            (504, 0, Class::Unknown),
        ] {
            assert_eq!(
                classify(&api_error(code, "Some", "n", retry_after)),
                class,
                "{code}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn fault_40_a_server_that_never_answers_costs_less_than_40_seconds() {
        let started = tokio::time::Instant::now();
        let stalled = std::future::pending::<Result<(), kube::Error>>();
        let error = call(|| "get something".to_owned(), stalled)
            .await
            .expect_err("it times out");
        assert_eq!(error.class(), &Class::Unknown);
        assert!(started.elapsed() < Duration::from_secs(40));
    }
}
