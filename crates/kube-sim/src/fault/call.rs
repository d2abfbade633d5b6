//! One request as the API server's request-info filter would read it.
//!
//! Owns the mapping from method, path and query to verb and resource; [`super::Match`] asks it.

use std::{collections::VecDeque, fmt};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header::AUTHORIZATION, request::Parts};
use percent_encoding::percent_decode_str;

use crate::json;

/// What a call asks of a resource, in the API server's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Verb {
    /// GET of one object.
    Get,
    /// GET of a collection.
    List,
    /// GET of a collection with `watch` set.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH.
    Patch,
    /// DELETE of one object.
    Delete,
    /// DELETE of a collection.
    DeleteCollection,
    /// Everything that is no resource request: discovery, version, health.
    NonResource,
}

impl Verb {
    /// The verbs that change objects (unless they are dry runs).
    pub const WRITES: [Self; 5] = [
        Self::Create,
        Self::Update,
        Self::Patch,
        Self::Delete,
        Self::DeleteCollection,
    ];

    /// The name that RBAC rules use; empty for [`Verb::NonResource`].
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::NonResource => "",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One API call as it arrived, with its whole body.
///
/// Its `Debug` form does not show the value of the `Authorization` header.
#[derive(Clone, Debug)]
pub struct Call {
    number: u64,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    query: Vec<(String, String)>,
    verb: Verb,
    target: Option<Target>,
}

impl Call {
    pub(super) fn new(number: u64, parts: &Parts, body: Bytes) -> Self {
        let mut headers = parts.headers.clone();
        if let Some(credentials) = headers.get_mut(AUTHORIZATION) {
            credentials.set_sensitive(true);
        }
        let query = parameters(&parts.uri);
        let (target, watch_path) = Target::parse(parts.uri.path());
        let verb = match &target {
            Some(_) if watch_path => Verb::Watch,
            Some(target) => verb(&parts.method, target.name.is_some(), &query),
            None => Verb::NonResource,
        };
        Self {
            number,
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers,
            body,
            query,
            verb,
            target,
        }
    }

    /// Place in the order of arrival, from 1, over everything one [`super::Faults`] saw.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What the call asks for.
    #[must_use]
    pub fn verb(&self) -> Verb {
        self.verb
    }

    /// The API group, empty for the core group; `None` if this is no resource request.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.target.as_ref().map(|target| target.group.as_str())
    }

    /// The API version within the group.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.target.as_ref().map(|target| target.version.as_str())
    }

    /// The plural name of the resource, without the subresource.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.target.as_ref().map(|target| target.resource.as_str())
    }

    /// The namespace in the path. A call about a Namespace itself has a name and no namespace.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.target.as_ref()?.namespace.as_deref()
    }

    /// The name in the path.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.target.as_ref()?.name.as_deref()
    }

    /// The subresource, such as `status`.
    #[must_use]
    pub fn subresource(&self) -> Option<&str> {
        self.target.as_ref()?.subresource.as_deref()
    }

    /// The HTTP method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path as it was sent.
    #[must_use]
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The first value of a query parameter, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether the server is asked to change nothing.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.query("dryRun").is_some_and(|value| !value.is_empty())
            || self.json()["dryRun"]
                .as_array()
                .is_some_and(|values| !values.is_empty())
    }

    /// The request's headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The request's body, byte for byte.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The request's body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        json::read(&self.body).unwrap_or_default()
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {} {}", self.number, self.method, self.uri)
    }
}

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) resource: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

impl Target {
    /// The target, and whether the path has the deprecated `watch` prefix.
    ///
    /// The rules are those of `RequestInfoFactory` in `k8s.io/apiserver`.
    pub(crate) fn parse(path: &str) -> (Option<Self>, bool) {
        let mut segments: VecDeque<String> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let group = match segments.pop_front().as_deref() {
            Some("api") => Some(String::new()),
            Some("apis") => segments.pop_front(),
            _ => None,
        };
        let (Some(group), Some(version)) = (group, segments.pop_front()) else {
            return (None, false);
        };
        let watch = segments.front().is_some_and(|segment| segment == "watch");
        if watch {
            segments.pop_front();
        }
        // `namespaces/a` and `namespaces/a/status` are about the Namespace itself.
        let within = segments.len() > 2
            && segments[0] == "namespaces"
            && !(segments.len() == 3 && matches!(segments[2].as_str(), "status" | "finalize"));
        let namespace = if within {
            segments.pop_front();
            segments.pop_front()
        } else {
            None
        };
        let Some(resource) = segments.pop_front() else {
            return (None, false);
        };
        let name = segments.pop_front();
        let rest: Vec<String> = segments.into();
        let subresource = (!rest.is_empty()).then(|| rest.join("/"));
        (
            Some(Self {
                group,
                version,
                resource,
                namespace,
                name,
                subresource,
            }),
            watch,
        )
    }
}

/// The parameters in a query. Go passes over those that it cannot read: with a broken escape, or a
/// semicolon.
pub(crate) fn parameters(uri: &Uri) -> Vec<(String, String)> {
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs
        .filter(|pair| is_escaped(pair) && !pair.contains(';'))
        .flat_map(|pair| form_urlencoded::parse(pair.as_bytes()).into_owned())
        .collect()
}

/// Whether each percent sign begins the code of a byte.
pub(crate) fn is_escaped(text: &str) -> bool {
    let mut codes = text.split('%').skip(1);
    codes.all(|rest| {
        let code = rest.as_bytes().get(..2);
        code.is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit))
    })
}

pub(crate) fn verb(method: &Method, named: bool, query: &[(String, String)]) -> Verb {
    match *method {
        Method::GET | Method::HEAD if named => Verb::Get,
        Method::GET | Method::HEAD if asks_to_watch(query) => Verb::Watch,
        Method::GET | Method::HEAD => Verb::List,
        Method::POST => Verb::Create,
        Method::PUT => Verb::Update,
        Method::PATCH => Verb::Patch,
        Method::DELETE if named => Verb::Delete,
        Method::DELETE => Verb::DeleteCollection,
        _ => Verb::NonResource,
    }
}

/// As the API machinery converts a query value to a boolean: present means true, unless the value
/// says false.
fn asks_to_watch(query: &[(String, String)]) -> bool {
    query
        .iter()
        .find(|(key, _)| key == "watch")
        .is_some_and(|(_, value)| value != "0" && !value.eq_ignore_ascii_case("false"))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn call(method: Method, uri: &str) -> Call {
        let (parts, ()) = Request::builder()
            .method(method)
            .uri(uri)
            .body(())
            .expect("valid request")
            .into_parts();
        Call::new(1, &parts, Bytes::new())
    }

    #[test]
    fn method_path_and_query_are_read_as_the_api_server_reads_them() {
        // verb, group, resource, namespace, name, subresource
        type Expected = (
            Verb,
            Option<&'static str>,
            Option<&'static str>,
            Option<&'static str>,
            Option<&'static str>,
            Option<&'static str>,
        );
        #[rustfmt::skip]
        let rows: &[(Method, &str, Expected)] = &[
            (Method::GET, "/api/v1/namespaces", (Verb::List, Some(""), Some("namespaces"), None, None, None)),
            (Method::GET, "/api/v1/namespaces/a", (Verb::Get, Some(""), Some("namespaces"), None, Some("a"), None)),
            (Method::PUT, "/api/v1/namespaces/a/finalize", (Verb::Update, Some(""), Some("namespaces"), None, Some("a"), Some("finalize"))),
            (Method::GET, "/api/v1/namespaces/a/pods", (Verb::List, Some(""), Some("pods"), Some("a"), None, None)),
            (Method::GET, "/api/v1/namespaces/a/pods/p/log", (Verb::Get, Some(""), Some("pods"), Some("a"), Some("p"), Some("log"))),
            (Method::GET, "/api/v1/pods?watch=1", (Verb::Watch, Some(""), Some("pods"), None, None, None)),
            (Method::GET, "/api/v1/pods?watch=false", (Verb::List, Some(""), Some("pods"), None, None, None)),
            (Method::GET, "/api/v1/watch/namespaces/a/pods", (Verb::Watch, Some(""), Some("pods"), Some("a"), None, None)),
            (Method::POST, "/apis/apps/v1/namespaces/a/deployments", (Verb::Create, Some("apps"), Some("deployments"), Some("a"), None, None)),
            (Method::PATCH, "/apis/a.example.com/v1/networks/n/status", (Verb::Patch, Some("a.example.com"), Some("networks"), None, Some("n"), Some("status"))),
            (Method::DELETE, "/apis/a.example.com/v1/networks/n", (Verb::Delete, Some("a.example.com"), Some("networks"), None, Some("n"), None)),
            (Method::DELETE, "/apis/a.example.com/v1/networks", (Verb::DeleteCollection, Some("a.example.com"), Some("networks"), None, None, None)),
            (Method::GET, "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode", (Verb::Get, Some("rbac.authorization.k8s.io"), Some("clusterroles"), None, Some("system:node"), None)),
            (Method::GET, "/apis/apps/v1", (Verb::NonResource, None, None, None, None, None)),
            (Method::GET, "/apis", (Verb::NonResource, None, None, None, None, None)),
            (Method::GET, "/readyz/ping", (Verb::NonResource, None, None, None, None, None)),
        ];
        for (method, uri, expected) in rows {
            let call = call(method.clone(), uri);
            let found = (
                call.verb(),
                call.group(),
                call.resource(),
                call.namespace(),
                call.name(),
                call.subresource(),
            );
            assert_eq!(&found, expected, "{method} {uri}");
        }
    }

    #[test]
    fn query_values_are_decoded() {
        let call = call(
            Method::GET,
            "/api/v1/pods?labelSelector=example.com%2Fproject%3Dp1&limit=5",
        );
        assert_eq!(call.query("labelSelector"), Some("example.com/project=p1"));
        assert_eq!(call.query("limit"), Some("5"));
        assert_eq!(call.query("continue"), None);
    }

    #[test]
    fn credentials_are_not_shown() {
        let (parts, ()) = Request::get("/api/v1/pods")
            .header(AUTHORIZATION, "Bearer hunter2")
            .body(())
            .expect("valid request")
            .into_parts();
        let call = Call::new(1, &parts, Bytes::new());
        assert!(!format!("{call:?}").contains("hunter2"));
        assert_eq!(call.headers()[AUTHORIZATION], "Bearer hunter2");
    }
}
