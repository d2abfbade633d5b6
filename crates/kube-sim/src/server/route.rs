//! From a request to the verb that carries it out.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode, request::Parts};
use serde_json::Value;

use super::{
    ApiServer, State, Transaction,
    answer::{Answer, Refusal},
    create, delete, read,
    request::Request,
    update, watch,
};
use crate::{
    builtin, discovery,
    fault::{Verb, is_escaped},
    openapi,
    registry::{Registry, Served},
    resource::{Origin, Resource},
    status::Status,
    strategy::{Part, Strategy},
};

/// Carries out a request.
pub(super) fn answer(api: &ApiServer, parts: &Parts, body: Bytes) -> Answer {
    carry_out(api, parts, body).unwrap_or_else(Answer::from)
}

fn carry_out(api: &ApiServer, parts: &Parts, body: Bytes) -> Result<Answer, Refusal> {
    if !is_escaped(parts.uri.path()) {
        return Err(Refusal::Text(StatusCode::BAD_REQUEST, "400 Bad Request"));
    }
    let mut state = api.current();
    let Some(request) = Request::read(parts, body) else {
        return document(&state, parts);
    };
    let served = find(&state.registry, &request)?;
    let answer = serve(api, &mut state, &request, &served);
    // What a write has caused is done before anybody else comes, but not before its answer is
    // made.
    api.settle(&mut state);
    answer
}

fn serve(
    api: &ApiServer,
    state: &mut State,
    request: &Request<'_>,
    served: &Arc<Served>,
) -> Result<Answer, Refusal> {
    let part = part(request, served)?;
    let clock = &api.shared.clock;
    let mut warnings: Vec<String> = served.resource.deprecation.iter().cloned().collect();
    let answer = match request.verb {
        Verb::Get => read::get(state, clock, request, served),
        Verb::List => read::list(state, clock, request, served),
        Verb::Watch => watch::watch(api, state, request, served),
        _ => {
            let mut transaction = Transaction::of(state, clock, request);
            let answer = write(&mut transaction, request, served, part);
            warnings.append(&mut transaction.warnings);
            answer
        }
    };
    Ok(answer.unwrap_or_else(Answer::from).with_warnings(&warnings))
}

fn write(
    transaction: &mut Transaction<'_>,
    request: &Request<'_>,
    served: &Arc<Served>,
    part: Part,
) -> Result<Answer, Refusal> {
    match request.verb {
        Verb::Create => create::create(transaction, request, served),
        Verb::Update => update::put(transaction, request, served, part),
        Verb::Patch => update::patch(transaction, request, served, part),
        Verb::Delete => delete::delete(transaction, request, served),
        Verb::DeleteCollection => delete::collection(transaction, request, served),
        _ => Err(method_not_allowed(request, served)),
    }
}

/// The resource that a path names.
fn find(registry: &Registry, request: &Request<'_>) -> Result<Arc<Served>, Refusal> {
    let target = &request.target;
    let Some(served) = registry.find(&target.group, &target.version, &target.resource) else {
        return Err(unknown(registry, request));
    };
    let fits = match (&target.namespace, &target.name) {
        (Some(_), _) => served.resource.namespaced,
        // A namespaced kind can be listed and watched everywhere, and nothing else.
        (None, Some(_)) => !served.resource.namespaced,
        (None, None) => {
            !served.resource.namespaced || matches!(request.verb, Verb::List | Verb::Watch)
        }
    };
    if fits {
        return Ok(Arc::clone(served));
    }
    // There is something at the place of a collection, if only to be read.
    Err(if target.name.is_none() && !served.is_custom() {
        method_not_allowed(request, served)
    } else if served.is_custom() {
        Refusal::unserved()
    } else {
        no_resource()
    })
}

/// There is no such resource: in a group that is built in that is a `Status`.
fn unknown(registry: &Registry, request: &Request<'_>) -> Refusal {
    let target = &request.target;
    let is_built_in = registry.all().iter().any(|served| {
        !served.is_custom()
            && served.resource.group == target.group
            && served.resource.version == target.version
    });
    if is_built_in {
        no_resource()
    } else {
        Refusal::unserved()
    }
}

fn no_resource() -> Refusal {
    let message = "the server could not find the requested resource";
    Status::new(StatusCode::NOT_FOUND, "NotFound", message)
        .with_details()
        .into()
}

/// The part of the object that a path names.
fn part(request: &Request<'_>, served: &Served) -> Result<Part, Refusal> {
    let part = match request.target.subresource.as_deref() {
        None => Part::Main,
        Some("status") if served.resource.status => Part::Status,
        Some("finalize") if served.resource.kind == "Namespace" => Part::Finalize,
        Some(_) if served.is_custom() => {
            // As if it were the object that is not there.
            let name = request.target.name.as_deref().unwrap_or("");
            return Err(Status::not_found(served.named(name)).into());
        }
        Some(_) => return Err(no_resource()),
    };
    let custom = served.is_custom();
    let named = request.target.name.is_some();
    let is_head = request.parts.method == Method::HEAD;
    let allowed = match request.verb {
        // A custom resource does not mind a name in the path.
        Verb::Create => part == Part::Main && (custom || !named),
        Verb::Update | Verb::Patch if !named && custom => {
            return Err(Status::bad_request("name must be provided").into());
        }
        Verb::Update => named,
        Verb::Patch => named && part != Part::Finalize,
        Verb::Delete => part == Part::Main,
        Verb::Get => part != Part::Finalize && (custom || !is_head),
        Verb::List | Verb::Watch => custom || !is_head,
        Verb::DeleteCollection => !matches!(served.strategy, Strategy::Namespace),
        Verb::NonResource => false,
    };
    if allowed {
        Ok(part)
    } else {
        Err(method_not_allowed(request, served))
    }
}

fn method_not_allowed(request: &Request<'_>, served: &Served) -> Refusal {
    let code = StatusCode::METHOD_NOT_ALLOWED;
    let reason = "MethodNotAllowed";
    if !served.is_custom() {
        let message = "the server does not allow this method on the requested resource";
        return Status::new(code, reason, message).with_details().into();
    }
    let named = served.named("");
    let message = format!(
        "{} is not supported on resources of kind \"{}\"",
        request.verb,
        named.qualified()
    );
    let mut status = Status::new(code, reason, message);
    for (key, value) in named.details() {
        status = status.with_detail(&key, value);
    }
    status.into()
}

/// What is asked of the server itself.
fn document(state: &State, parts: &Parts) -> Result<Answer, Refusal> {
    if parts.method != Method::GET {
        return Err(Refusal::unserved());
    }
    let resources = state.registry.visible();
    let schema = |resource: &Resource| schema(state, resource);
    let (path, headers) = (parts.uri.path(), &parts.headers);
    let query = parts.uri.query().unwrap_or("");
    discovery::answer(path, headers, &resources)
        .or_else(|| openapi::answer(path, query, headers, &resources, schema))
        .map(Answer::from)
        .ok_or_else(|| {
            if path.starts_with("/api/") {
                no_resource()
            } else {
                Refusal::unserved()
            }
        })
}

/// The schema of a custom resource, as it stands in its definition.
fn schema(state: &State, resource: &Resource) -> Option<Value> {
    let Origin::Definition { name, .. } = &resource.origin else {
        return None;
    };
    let definition = Value::Object(state.store.get(builtin::DEFINITIONS, name)?.object());
    let versions = definition.pointer("/spec/versions")?.as_array()?;
    let named = |version: &&Value| version["name"] == *resource.version;
    let version = versions.iter().find(named)?;
    version.pointer("/schema/openAPIV3Schema").cloned()
}
