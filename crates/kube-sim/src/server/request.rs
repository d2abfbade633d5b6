//! A request of a resource, as it is asked.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use http::{StatusCode, header::CONTENT_TYPE, request::Parts};
use http_body::Body;
use http_body_util::BodyExt as _;

use crate::{
    fault::{Target, Verb, parameters, verb},
    protobuf,
    status::Status,
};

/// The largest body that is read: twice what etcd takes, see `MaxRequestBodyBytes` of the generic
/// API server.
const LARGEST: usize = 3 * 1024 * 1024;

/// What is read of a body that is larger, and dropped: a client that is still writing would see a reset
/// instead of the answer.
const DRAINED: usize = 64 * 1024 * 1024;

/// A body, but no more of it than is enough to refuse it.
pub(super) async fn whole<B: Body<Data = Bytes>>(body: B) -> Result<Bytes, B::Error> {
    let mut body = pin!(body);
    let (mut read, mut seen) = (BytesMut::new(), 0);
    while seen <= DRAINED
        && let Some(frame) = body.frame().await
    {
        let data = frame?.into_data().unwrap_or_default();
        seen += data.len();
        if read.len() <= LARGEST {
            read.extend_from_slice(&data);
        }
    }
    Ok(read.freeze())
}

/// A request that asks something of a resource.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) parts: &'a Parts,
    pub(super) body: Bytes,
    pub(super) target: Target,
    pub(super) verb: Verb,
    query: Vec<(String, String)>,
}

impl<'a> Request<'a> {
    /// Nothing if the path names no resource.
    pub(super) fn read(parts: &'a Parts, body: Bytes) -> Option<Self> {
        let (target, watch_path) = Target::parse(parts.uri.path());
        let target = target?;
        let query = parameters(&parts.uri);
        let verb = match verb(&parts.method, target.name.is_some(), &query) {
            Verb::Get | Verb::List if watch_path => Verb::Watch,
            verb => verb,
        };
        Some(Self {
            parts,
            body,
            target,
            verb,
            query,
        })
    }

    /// The first value of a query parameter; empty if it is missing.
    pub(super) fn query(&self, name: &str) -> &str {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// All values of a query parameter.
    pub(super) fn query_all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        let named = self.query.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }

    /// A query parameter as the API machinery reads a boolean: there, and not false.
    pub(super) fn query_flag(&self, name: &str) -> Option<bool> {
        let (_, value) = self.query.iter().find(|(key, _)| key == name)?;
        Some(value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// The namespace in the path.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.target.namespace.as_deref()
    }

    /// Refuses a body that is larger than the server reads.
    pub(super) fn check_size(&self) -> Result<(), Status> {
        if self.body.len() <= LARGEST {
            return Ok(());
        }
        Err(Status::too_large(&format!("limit is {LARGEST}")))
    }

    /// The media type of the body, without parameters; JSON if there is none.
    pub(super) fn content_type(&self) -> &str {
        let header = self.parts.headers.get(CONTENT_TYPE);
        let text = header.and_then(|value| value.to_str().ok()).unwrap_or("");
        let media = text.split(';').next().unwrap_or("").trim();
        if media.is_empty() {
            "application/json"
        } else {
            media
        }
    }
}

/// 415: the body is of a type that is not understood; `accepted` names what would be, if that is
/// not what every object can be sent as.
pub(super) fn unsupported_media_type(content_type: &str, accepted: &str) -> Status {
    let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let refuse = |message: String| Status::new(code, "UnsupportedMediaType", message);
    match content_type {
        // The server would understand these.
        "application/yaml" | "application/apply-patch+yaml" | protobuf::MEDIA_TYPE => {
            refuse(format!("kube-sim does not understand {content_type} here"))
        }
        _ => refuse(format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            match accepted {
                "" => "application/json, application/yaml, application/vnd.kubernetes.protobuf",
                accepted => accepted,
            }
        )),
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    #[tokio::test]
    async fn no_more_of_a_body_is_kept_than_is_enough_to_refuse_it() {
        let part = Bytes::from(vec![b' '; 1024 * 1024]);
        let endless = stream::repeat(part).map(|part| Ok::<_, std::io::Error>(Frame::data(part)));
        let read = whole(StreamBody::new(endless))
            .await
            .expect("no part fails");
        assert_eq!(read.len(), 4 * 1024 * 1024);
    }
}
