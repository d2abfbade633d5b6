//! Which calls a rule or a question to the recorder is about.
//!
//! Pure; how often a rule fires is [`super::Rule`]'s business.

use std::{fmt, sync::Arc};

use http::HeaderMap;

use super::call::{Call, Verb};

/// A condition on a [`Call`]: all of its parts must hold, and what is not named is not restricted.
///
/// In particular a match on a resource includes its subresources until [`Match::subresource`] or
/// [`Match::without_subresource`] says otherwise.
#[derive(Clone, Default)]
#[must_use]
pub struct Match {
    conditions: Vec<Condition>,
}

#[derive(Clone)]
struct Condition {
    what: String,
    holds: Arc<dyn Fn(&Call) -> bool + Send + Sync>,
}

impl Match {
    /// Every call, discovery and health included.
    pub fn any() -> Self {
        Self::default()
    }

    /// Calls of one verb.
    pub fn verb(verb: Verb) -> Self {
        Self::any().and(format!("verb {verb}"), move |call| call.verb() == verb)
    }

    /// Calls of any of these verbs.
    pub fn verbs(verbs: impl IntoIterator<Item = Verb>) -> Self {
        let verbs: Vec<Verb> = verbs.into_iter().collect();
        Self::any().and(format!("verbs {verbs:?}"), move |call| {
            verbs.contains(&call.verb())
        })
    }

    /// Calls that change objects; dry runs are not among them.
    pub fn writes() -> Self {
        Self::verbs(Verb::WRITES).and("not a dry run".to_owned(), |call| !call.is_dry_run())
    }

    /// Only calls about this resource, by its plural name.
    pub fn resource(self, plural: impl Into<String>) -> Self {
        let plural = plural.into();
        self.and(format!("resource {plural}"), move |call| {
            call.resource() == Some(&plural)
        })
    }

    /// Only calls to this API group; `""` is the core group.
    pub fn group(self, group: impl Into<String>) -> Self {
        let group = group.into();
        self.and(format!("group {group:?}"), move |call| {
            call.group() == Some(&group)
        })
    }

    /// Only calls within this namespace.
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        let namespace = namespace.into();
        self.and(format!("namespace {namespace}"), move |call| {
            call.namespace() == Some(&namespace)
        })
    }

    /// Only calls that name this object in their path.
    pub fn name(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.and(format!("name {name}"), move |call| {
            call.name() == Some(&name)
        })
    }

    /// Only calls to this subresource.
    pub fn subresource(self, subresource: impl Into<String>) -> Self {
        let subresource = subresource.into();
        self.and(format!("subresource {subresource}"), move |call| {
            call.subresource() == Some(&subresource)
        })
    }

    /// Only calls to the object or collection itself.
    pub fn without_subresource(self) -> Self {
        self.and("no subresource".to_owned(), |call| {
            call.subresource().is_none()
        })
    }

    /// Only calls with this value of a query parameter.
    pub fn query(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.and(format!("query {name}={value}"), move |call| {
            call.query(&name) == Some(&value)
        })
    }

    /// Only calls whose headers satisfy the predicate.
    pub fn headers(self, holds: impl Fn(&HeaderMap) -> bool + Send + Sync + 'static) -> Self {
        self.and("headers".to_owned(), move |call| holds(call.headers()))
    }

    /// Only calls whose body satisfies the predicate.
    pub fn body(self, holds: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        self.and("body".to_owned(), move |call| holds(call.body()))
    }

    /// Only calls that satisfy the predicate.
    pub fn when(self, holds: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Self {
        self.and("predicate".to_owned(), holds)
    }

    /// Whether every condition holds for the call.
    #[must_use]
    pub fn matches(&self, call: &Call) -> bool {
        self.conditions
            .iter()
            .all(|condition| (condition.holds)(call))
    }

    fn and(mut self, what: String, holds: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Self {
        self.conditions.push(Condition {
            what,
            holds: Arc::new(holds),
        });
        self
    }
}

impl fmt::Debug for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Match ")?;
        f.debug_list()
            .entries(self.conditions.iter().map(|condition| &condition.what))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;

    use super::*;

    fn delete_of_blue() -> Call {
        let uri = "/apis/a.example.com/v1/namespaces/region/networks/blue?pretty=true";
        let (parts, ()) = Request::delete(uri)
            .header("user-agent", "test")
            .body(())
            .expect("valid request")
            .into_parts();
        Call::new(1, &parts, Bytes::from("body"))
    }

    #[test]
    fn a_match_holds_only_if_all_of_its_conditions_hold() {
        let rows: Vec<(Match, bool)> = vec![
            (Match::any(), true),
            (Match::verb(Verb::Delete), true),
            (Match::verb(Verb::DeleteCollection), false),
            (Match::verbs([Verb::Get, Verb::Delete]), true),
            (Match::writes(), true),
            (
                Match::any().resource("networks").group("a.example.com"),
                true,
            ),
            (Match::any().resource("networks").group(""), false),
            (Match::any().namespace("region").name("blue"), true),
            (Match::any().namespace("region").name("red"), false),
            (Match::any().namespace("other").name("blue"), false),
            (Match::any().subresource("status"), false),
            (Match::any().without_subresource(), true),
            (Match::any().query("pretty", "true"), true),
            (Match::any().query("pretty", "false"), false),
            (
                Match::any().headers(|headers| headers.contains_key("user-agent")),
                true,
            ),
            (Match::any().body(|body| body == b"body"), true),
            (Match::any().body(<[u8]>::is_empty), false),
            (Match::any().when(|call| call.number() == 1), true),
            (Match::any().when(|call| call.number() == 2), false),
        ];
        let call = delete_of_blue();
        for (matcher, expected) in rows {
            assert_eq!(matcher.matches(&call), expected, "{matcher:?}");
        }
    }

    #[test]
    fn dry_runs_are_no_writes() {
        let by_query = "/api/v1/namespaces/a/pods/p?dryRun=All";
        let (parts, ()) = Request::delete(by_query)
            .body(())
            .expect("valid request")
            .into_parts();
        assert!(!Match::writes().matches(&Call::new(1, &parts, Bytes::new())));

        let plain = "/api/v1/namespaces/a/pods/p";
        let (parts, ()) = Request::delete(plain)
            .body(())
            .expect("valid request")
            .into_parts();
        let by_body = Bytes::from(r#"{"dryRun":["All"]}"#);
        assert!(!Match::writes().matches(&Call::new(1, &parts, by_body)));
    }
}
