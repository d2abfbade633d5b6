//! From a request to the verb that carries it out.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode, request::Parts};

use super::{
    ApiServer, State, Transaction,
    answer::{Answer, Refusal},
    create, delete, read,
    request::Request,
    update, watch,
};
use crate::{
    discovery,
    fault::Verb,
    openapi,
    registry::{Registry, Served},
    status::Status,
    strategy::Part,
};

/// Carries out a request.
pub(super) fn answer(server: &ApiServer, parts: &Parts, body: Bytes) -> Answer {
    carry_out(server, parts, body).unwrap_or_else(Answer::from)
}

fn carry_out(server: &ApiServer, parts: &Parts, body: Bytes) -> Result<Answer, Refusal> {
    let mut state = server.current();
    let Some(request) = Request::read(parts, body) else {
        return document(&state.registry, parts);
    };
    let served = find(&state.registry, &request)?;
    let answer = serve(server, &mut state, &request, &served);
    // What a write has caused is done before anybody else comes, but not before its answer is
    // made.
    server.settle(&mut state);
    answer
}

fn serve(
    server: &ApiServer,
    state: &mut State,
    request: &Request<'_>,
    served: &Arc<Served>,
) -> Result<Answer, Refusal> {
    let part = part(request, served)?;
    let clock = &server.shared.clock;
    match request.verb {
        Verb::Get => read::get(state, clock, request, served),
        Verb::List => read::list(state, clock, request, served),
        Verb::Watch => watch::watch(server, state, request, served),
        Verb::Create => {
            create::create(&mut Transaction::of(state, clock, request), request, served)
        }
        Verb::Update => {
            let transaction = &mut Transaction::of(state, clock, request);
            update::put(transaction, request, served, part)
        }
        Verb::Patch => {
            let transaction = &mut Transaction::of(state, clock, request);
            update::patch(transaction, request, served, part)
        }
        Verb::Delete => {
            delete::delete(&mut Transaction::of(state, clock, request), request, served)
        }
        Verb::DeleteCollection => {
            delete::collection(&mut Transaction::of(state, clock, request), request, served)
        }
        Verb::NonResource => Err(method_not_allowed()),
    }
}

/// The resource that a path names.
fn find(registry: &Registry, request: &Request<'_>) -> Result<Arc<Served>, Refusal> {
    let target = &request.target;
    let served = registry
        .find(&target.group, &target.version, &target.resource)
        .ok_or_else(Refusal::unserved)?;
    let fits = match (&target.namespace, &target.name) {
        (Some(_), _) => served.resource.namespaced,
        // A namespaced kind can be listed and watched everywhere, and nothing else.
        (None, Some(_)) => !served.resource.namespaced,
        (None, None) => true,
    };
    if !fits {
        return Err(Refusal::unserved());
    }
    Ok(Arc::clone(served))
}

/// The part of the object that a path names.
fn part(request: &Request<'_>, served: &Served) -> Result<Part, Refusal> {
    let part = match request.target.subresource.as_deref() {
        None => Part::Main,
        Some("status") if served.resource.status => Part::Status,
        Some("finalize") if served.resource.kind == "Namespace" => Part::Finalize,
        Some(_) => return Err(Refusal::unserved()),
    };
    let allowed = match request.verb {
        Verb::Create | Verb::Delete => part == Part::Main,
        Verb::DeleteCollection => {
            // What is namespaced is deleted namespace by namespace.
            request.namespace().is_some() || !served.resource.namespaced
        }
        Verb::Get | Verb::Patch => part != Part::Finalize,
        Verb::NonResource => false,
        _ => true,
    };
    if !allowed {
        return Err(method_not_allowed());
    }
    let named = request.target.name.is_some();
    match request.verb {
        Verb::Create if named => Err(method_not_allowed()),
        Verb::Update | Verb::Patch if !named => Err(method_not_allowed()),
        _ => Ok(part),
    }
}

fn method_not_allowed() -> Refusal {
    Status::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    )
    .into()
}

/// What is asked of the server itself.
fn document(registry: &Registry, parts: &Parts) -> Result<Answer, Refusal> {
    if parts.method != Method::GET {
        return Err(Refusal::unserved());
    }
    let resources = registry.visible();
    let (path, headers) = (parts.uri.path(), &parts.headers);
    let query = parts.uri.query().unwrap_or("");
    discovery::answer(path, headers, &resources)
        .or_else(|| openapi::answer(path, query, headers, &resources, |_| None))
        .map(Answer::from)
        .ok_or_else(Refusal::unserved)
}
