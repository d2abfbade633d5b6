//! Options of lists and watches, and what they select.

use std::borrow::Cow;

use serde_json::Value;

use super::{options, request::Request};
use crate::{
    fault::Verb,
    field::{FieldError, Path},
    registry::Served,
    selector::{FieldSelector, LabelSelector},
    status::Status,
    store::{object::Stored, page::Token},
};

/// What a list or a watch asks for.
#[derive(Debug)]
pub(super) struct ListOptions {
    pub(super) selector: Selector,
    /// Nothing if it is not given.
    pub(super) revision: Option<u64>,
    /// Whether exactly that revision is meant, not one that is at least as new.
    pub(super) exact: bool,
    pub(super) limit: Option<usize>,
    pub(super) token: Option<Token>,
    pub(super) timeout: Option<i64>,
    pub(super) bookmarks: bool,
    pub(super) initial_events: Option<bool>,
}

/// Which objects are asked for.
#[derive(Debug)]
pub(super) struct Selector {
    labels: LabelSelector,
    fields: FieldSelector,
    name: Option<String>,
}

impl ListOptions {
    pub(super) fn read(request: &Request<'_>, served: &Served) -> Result<Self, Status> {
        let timeout = options::number(request, "timeoutSeconds")?;
        let limit = options::number(request, "limit")?;
        let labels = LabelSelector::parse(request.query("labelSelector"))?;
        let known = served.strategy.field_labels();
        let fields = FieldSelector::parse(request.query("fieldSelector"), known)?;
        check_match(request)?;
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.filter(|limit| *limit > 0);
        let token = match request.query("continue") {
            "" => None,
            text => Some(Token::decode(text)?),
        };
        let text = request.query("resourceVersion");
        if token.is_some() && !matches!(text, "" | "0") {
            return Err(Status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        let revision = match text {
            "" => None,
            text => Some(parse_revision(text).map_err(|why| match request.verb {
                Verb::Watch => Status::internal(why),
                _ => Status::bad_request(format!("invalid resource version: {why}")),
            })?),
        };
        let matching = request.query("resourceVersionMatch");
        // Before there was a parameter for it, a limit meant the exact revision.
        let exact = matching == "Exact"
            || matching.is_empty() && limit.is_some() && revision.is_some_and(|it| it > 0);
        Ok(Self {
            selector: Selector {
                labels,
                fields,
                name: request.target.name.clone(),
            },
            revision,
            exact,
            limit,
            token,
            timeout,
            bookmarks: request.query_flag("allowWatchBookmarks").unwrap_or(false),
            initial_events: if begins_anywhere(request) {
                Some(true)
            } else {
                request.query_flag("sendInitialEvents")
            },
        })
    }
}

/// A resource version in a query.
pub(super) fn parse_revision(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
        FieldError::invalid(Path::Root("resourceVersion"), text, why).to_string()
    })
}

/// Whether a watch is to begin with what there is without saying so in today's words, for which
/// the server then puts them.
fn begins_anywhere(request: &Request<'_>) -> bool {
    request.verb == Verb::Watch
        && request.query("resourceVersionMatch").is_empty()
        && request.query_flag("sendInitialEvents").is_none()
        && matches!(request.query("resourceVersion"), "" | "0")
}

/// Whether `resourceVersionMatch` and `sendInitialEvents` go together with the rest.
fn check_match(request: &Request<'_>) -> Result<(), Status> {
    const PATH: Path<'_> = Path::Root("resourceVersionMatch");
    let matching = request.query("resourceVersionMatch");
    let initial_events = request.query_flag("sendInitialEvents");
    let (matching, initial_events) = if begins_anywhere(request) {
        ("NotOlderThan", Some(true))
    } else {
        (matching, initial_events)
    };
    let mut errors = Vec::new();
    let mut forbidden = |why: &str| errors.push(FieldError::forbidden(PATH, why));
    if request.verb == Verb::Watch {
        if initial_events.is_some() && matching != "NotOlderThan" {
            forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
        }
        if !matching.is_empty() {
            if initial_events.is_none() {
                forbidden(
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is \
                     provided",
                );
            }
            if matching != "NotOlderThan" {
                errors.push(FieldError::not_supported(PATH, matching, &["NotOlderThan"]));
            }
        }
        if !request.query("continue").is_empty() {
            let why = "resourceVersionMatch is forbidden when continue is provided";
            errors.push(FieldError::forbidden(PATH, why));
        }
    } else {
        if !matching.is_empty() {
            if request.query("resourceVersion").is_empty() {
                forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided");
            }
            if !request.query("continue").is_empty() {
                forbidden("resourceVersionMatch is forbidden when continue is provided");
            }
            if !matches!(matching, "Exact" | "NotOlderThan") {
                let supported = ["Exact", "NotOlderThan", ""];
                errors.push(FieldError::not_supported(PATH, matching, &supported));
            } else if matching == "Exact" && request.query("resourceVersion") == "0" {
                forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
            }
        }
        if initial_events.is_some() {
            let path = Path::Root("sendInitialEvents");
            let why = "sendInitialEvents is forbidden for list";
            errors.push(FieldError::forbidden(path, why));
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(options::invalid("ListOptions", &errors))
    }
}

impl Selector {
    /// Whether everything is asked for.
    pub(super) fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything() && self.name.is_none()
    }

    /// Whether there is one object at most that is asked for.
    pub(super) fn names_one(&self) -> bool {
        self.name.is_some() || self.fields.exact("metadata.name").is_some()
    }

    pub(super) fn matches(&self, served: &Served, stored: &Stored) -> bool {
        if let Some(name) = &self.name
            && name != stored.name()
        {
            return false;
        }
        if !self.labels.matches(&*stored.labels) {
            return false;
        }
        if self.fields.is_everything() {
            return true;
        }
        // Names are known without a look at the object.
        let object = std::cell::OnceCell::new();
        self.fields.matches(|field| match field {
            "metadata.name" => Cow::Borrowed(stored.name()),
            "metadata.namespace" => Cow::Borrowed(stored.namespace().unwrap_or("")),
            field => {
                let object = object.get_or_init(|| Value::Object(served.read(stored)));
                let pointer = match field {
                    "name" => "/metadata/name".to_owned(),
                    "source" => "/source/component".to_owned(),
                    field => format!("/{}", field.replace('.', "/")),
                };
                Cow::Owned(match object.pointer(&pointer) {
                    Some(Value::String(text)) => text.clone(),
                    Some(Value::Null) | None => String::new(),
                    Some(other) => other.to_string(),
                })
            }
        })
    }
}
