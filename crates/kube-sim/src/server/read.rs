//! Reading one object, and lists.

use std::{ops::ControlFlow, sync::Arc};

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    State,
    answer::{Answer, Refusal},
    listing::{ListOptions, parse_revision},
    negotiate::{Form, Shape},
    request::Request,
};
use crate::{
    clock::Clock,
    registry::Served,
    status::Status,
    store::{
        Range,
        object::{Stored, key},
        page::Token,
    },
};

/// GET of one object.
pub(super) fn get(
    state: &State,
    clock: &Clock,
    request: &Request<'_>,
    served: &Served,
) -> Result<Answer, Refusal> {
    let form = Form::of(request, served, Shape::One, clock.now())?;
    let name = request.target.name.as_deref().unwrap_or("");
    let key = key(request.namespace(), name);
    let collection = &served.resource.storage;
    let revision = match request.query("resourceVersion") {
        "0" => state.stale_revision(),
        "" => u64::MAX,
        text => {
            check_future(state, parse_revision(text).map_err(Status::internal)?)?;
            u64::MAX
        }
    };
    let stored = if revision >= state.store.revision() {
        state.store.get(collection, &key).cloned()
    } else {
        let then = state.store.get_at(collection, &key, revision);
        then.unwrap_or_else(|_| state.store.get(collection, &key).cloned())
    };
    match stored {
        Some(stored) => Ok(Answer::json(StatusCode::OK, form.show(served, &stored))),
        None => Err(Status::not_found(served.named(name)).into()),
    }
}

/// GET of a collection.
pub(super) fn list(
    state: &mut State,
    clock: &Clock,
    request: &Request<'_>,
    served: &Served,
) -> Result<Answer, Refusal> {
    let form = Form::of(request, served, Shape::List, clock.now())?;
    let options = ListOptions::read(request, served)?;
    state.check_initialized()?;
    let page = Page::read(state, served, request.namespace(), &options)?;
    let body = form.list(served, &page.items, page.metadata());
    Ok(Answer::json(StatusCode::OK, body.into()))
}

/// A page of a list.
struct Page {
    items: Vec<Arc<Stored>>,
    revision: u64,
    next: Option<Token>,
    remaining: Option<usize>,
}

impl Page {
    fn read(
        state: &State,
        served: &Served,
        namespace: Option<&str>,
        options: &ListOptions,
    ) -> Result<Self, Status> {
        let collection = &served.resource.storage;
        let current = state.store.revision();
        let at = match (&options.token, options.revision) {
            (Some(token), _) => {
                let at = token.revision.unwrap_or(current);
                check_future(state, at)?;
                at
            }
            (None, Some(0)) => state.stale_revision(),
            (None, Some(revision)) => {
                check_future(state, revision)?;
                if options.exact { revision } else { current }
            }
            (None, None) => current,
        };
        // What may be stale comes from a cache, which knows no pages.
        let limit = options.limit.filter(|_| options.revision != Some(0));
        let start = options.token.as_ref().map(|token| match namespace {
            Some(namespace) => format!("{namespace}/{}", token.start),
            None => token.start.clone(),
        });
        let mut items: Vec<Arc<Stored>> = Vec::new();
        let mut more = 0;
        let range = Range {
            namespace,
            start: start.as_deref(),
        };
        let scanned = state.store.scan(collection, range, at, &mut |stored| {
            let is_full = limit.is_some_and(|limit| items.len() >= limit);
            if is_full && !options.selector.names_one() {
                more += 1;
                // How much more there is is only told where it is cheap to know: without a
                // selector. With one, what is left may come to nothing.
                return if options.selector.is_everything() {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                };
            }
            if !options.selector.matches(served, stored) {
                return ControlFlow::Continue(());
            }
            items.push(Arc::clone(stored));
            ControlFlow::Continue(())
        });
        if scanned.is_err() {
            return Err(expired(options.token.as_ref()));
        }
        let next = items.last().filter(|_| more > 0).map(|last| {
            let key = match namespace {
                Some(_) => last.name(),
                None => &last.key,
            };
            Token::behind(key, at)
        });
        Ok(Self {
            items,
            revision: at,
            next,
            remaining: Some(more).filter(|more| *more > 0 && options.selector.is_everything()),
        })
    }

    fn metadata(&self) -> Value {
        let mut metadata = json!({ "resourceVersion": self.revision.to_string() });
        if let Some(next) = &self.next {
            metadata["continue"] = next.encode().into();
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
        metadata
    }
}

/// 410: the revision of a list is too old; a page can go on with what is there now.
fn expired(token: Option<&Token>) -> Status {
    let Some(token) = token else {
        return Status::expired("The resourceVersion for the provided list is too old.");
    };
    let inconsistent = Token {
        revision: None,
        start: token.start.clone(),
    };
    Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can \
         start a new list without the continue parameter, or use the continue token in this \
         response to retrieve the remainder of the results. Continuing with the provided token \
         results in an inconsistent list - objects that were created, modified, or deleted between \
         the time the first chunk was returned and now may show up in the list.",
    )
    .with_continue(inconsistent.encode())
}

/// 504: a revision that has not been reached.
pub(super) fn check_future(state: &State, revision: u64) -> Result<(), Status> {
    let current = state.store.revision();
    if revision <= current {
        return Ok(());
    }
    let message = format!("Too large resource version: {revision}, current: {current}");
    let cause = json!([{
        "reason": "ResourceVersionTooLarge",
        "message": "Too large resource version",
    }]);
    Err(Status::new(
        StatusCode::GATEWAY_TIMEOUT,
        "Timeout",
        format!("Timeout: {message}"),
    )
    .with_detail("causes", cause)
    .with_detail("retryAfterSeconds", 1))
}

impl State {
    /// As of which revision a read that does not mind is answered.
    pub(super) fn stale_revision(&self) -> u64 {
        let stale = self.store.revision().saturating_sub(self.lag);
        stale.max(self.store.compacted())
    }

    /// 429 if the caches are not filled yet.
    pub(super) fn check_initialized(&mut self) -> Result<(), Status> {
        if self.initializing == 0 {
            return Ok(());
        }
        self.initializing -= 1;
        Err(Status::new(
            StatusCode::TOO_MANY_REQUESTS,
            "TooManyRequests",
            "storage is (re)initializing",
        )
        .with_detail("retryAfterSeconds", 1))
    }
}
