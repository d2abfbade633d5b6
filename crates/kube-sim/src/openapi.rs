//! `OpenAPI` v3: what clients ask before they apply a change.
//!
//! `kubectl` looks here whether the server validates fields, and whether a kind takes strategic
//! merge patches and by which keys they merge lists. The documents have no descriptions of fields
//! that are built in. The document of `OpenAPI` v2 is empty: `kubectl` looks there for what it does
//! not find here, and gives up if there is nothing to look into.

use std::{collections::BTreeMap, sync::LazyLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header::LOCATION};
use serde_json::{Map, Value, json};

use crate::{
    document,
    resource::{Origin, Resource},
};

const SCHEMAS: &str = "#/components/schemas/";
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// The schemas of what is built in, as the real server tells them, without their descriptions.
static BUILT_IN: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("openapi/schemas.json")).expect("a test has read it")
});

/// Answers a read of this path, if it is one of `OpenAPI`'s.
///
/// `schema` is asked for the schema of a custom resource, as it stands in the definition.
pub(crate) fn answer(
    path: &str,
    query: &str,
    headers: &HeaderMap,
    resources: &[&Resource],
    schema: impl Fn(&Resource) -> Option<Value>,
) -> Option<Response<Bytes>> {
    if path == "/openapi/v2" {
        return Some(empty(headers));
    }
    let wanted = path.strip_prefix("/openapi/v3")?;
    let mut groups: BTreeMap<String, Vec<&Resource>> = BTreeMap::new();
    for resource in resources {
        groups.entry(place(resource)).or_default().push(resource);
    }
    if wanted.is_empty() || wanted == "/" {
        return Some(index(&groups, schema));
    }
    let (place, served) = groups.get_key_value(wanted.strip_prefix('/')?)?;
    if document::negotiate(headers, |media_type, _| {
        document::is_json(media_type).then_some(())
    })
    .is_none()
    {
        return Some(document::not_acceptable());
    }
    let response = document::json(&describe(served, &schema));
    let hash = document::hash(response.body());
    let known = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "hash");
    Some(match known {
        Some((_, known)) if *known != *hash => moved(&url(place, &hash)),
        _ => document::cacheable(response, headers),
    })
}

/// `OpenAPI` v2 without a path and without a definition, in protobuf as it is asked for.
fn empty(headers: &HeaderMap) -> Response<Bytes> {
    /// Field 1, the version of the format, is a text of three bytes.
    const DOCUMENT: &[u8] = b"\x0a\x032.0";
    let asked = document::negotiate(headers, |media_type, _| {
        // Clients ask by the first name, the second one is registered.
        let known = [
            "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
            "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
        ];
        known.contains(&media_type).then_some(())
    });
    match asked {
        Some(()) => document::answer(
            "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
            DOCUMENT,
        ),
        None => document::not_acceptable(),
    }
}

/// Where the document of a resource's group and version is, below the index.
fn place(resource: &Resource) -> String {
    let prefix = if resource.group.is_empty() {
        "api"
    } else {
        "apis"
    };
    format!("{prefix}/{}", resource.api_version())
}

fn url(place: &str, hash: &str) -> String {
    format!("/openapi/v3/{place}?hash={hash}")
}

/// All documents, under names that change with their content.
fn index(
    groups: &BTreeMap<String, Vec<&Resource>>,
    schema: impl Fn(&Resource) -> Option<Value>,
) -> Response<Bytes> {
    let paths: Map<String, Value> = groups
        .iter()
        .map(|(place, served)| {
            let hash = document::hash(describe(served, &schema).to_string().as_bytes());
            let url = url(place, &hash);
            (place.clone(), json!({ "serverRelativeURL": url }))
        })
        .collect();
    // The type is the server's, odd as it is.
    document::answer(
        "text/plain; charset=utf-8",
        json!({ "paths": paths }).to_string(),
    )
}

fn moved(url: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(url) = HeaderValue::try_from(url) {
        response.headers_mut().insert(LOCATION, url);
    }
    response
}

/// The document of one group and version.
fn describe(served: &[&Resource], schema: &impl Fn(&Resource) -> Option<Value>) -> Value {
    let mut paths = Map::new();
    let mut components = Map::new();
    for resource in served {
        let name = schema_name(resource);
        if resource.origin != Origin::BuiltIn {
            let schema = schema(resource).unwrap_or_else(|| json!({ "type": "object" }));
            components.insert(name.clone(), custom_schema(resource, schema));
            components.insert(format!("{name}List"), list_schema(resource, &name));
        }
        add_paths(&mut paths, resource, &name);
    }
    close(&paths.clone().into(), &mut components);
    json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": "v1.36" },
        "paths": paths,
        "components": { "schemas": components },
    })
}

/// Adds the built-in schemas that something refers to, and what those refer to.
fn close(from: &Value, components: &mut Map<String, Value>) {
    let mut unseen: Vec<String> = Vec::new();
    collect_references(from, &mut unseen);
    for schema in components.values() {
        collect_references(schema, &mut unseen);
    }
    while let Some(name) = unseen.pop() {
        if let (false, Some(schema)) = (components.contains_key(&name), BUILT_IN.get(&name)) {
            collect_references(schema, &mut unseen);
            components.insert(name, schema.clone());
        }
    }
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(name) = object
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| reference.strip_prefix(SCHEMAS))
            {
                found.push(name.to_owned());
            }
            for value in object.values() {
                collect_references(value, found);
            }
        }
        Value::Array(list) => {
            for value in list {
                collect_references(value, found);
            }
        }
        _ => {}
    }
}

/// `io.k8s.api.core.v1.ConfigMap`, or `com.example.sim.v1.Network` of a definition.
fn schema_name(resource: &Resource) -> String {
    if resource.origin == Origin::BuiltIn {
        let found = built_in(&resource.group, &resource.version, &resource.kind);
        return found.map(|(name, _)| name.to_owned()).unwrap_or_default();
    }
    let group: Vec<&str> = resource.group.rsplit('.').collect();
    format!("{}.{}.{}", group.join("."), resource.version, resource.kind)
}

/// The schema of a kind that is built in, and its name.
fn built_in(group: &str, version: &str, kind: &str) -> Option<(&'static str, &'static Value)> {
    let wanted = |known: &Value| {
        known["group"] == group && known["version"] == version && known["kind"] == kind
    };
    BUILT_IN
        .iter()
        .find(|(_, schema)| {
            let kinds = schema["x-kubernetes-group-version-kind"].as_array();
            kinds.is_some_and(|kinds| kinds.iter().any(wanted))
        })
        .map(|(name, schema)| (name.as_str(), schema))
}

fn kind(resource: &Resource, kind: &str) -> Value {
    json!({ "group": resource.group, "version": resource.version, "kind": kind })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{SCHEMAS}{name}") })
}

/// The schema of a definition, with what all objects have.
fn custom_schema(resource: &Resource, mut schema: Value) -> Value {
    let metadata = json!({ "allOf": [reference(&format!("{META}ObjectMeta"))] });
    schema["properties"]["apiVersion"] = json!({ "type": "string" });
    schema["properties"]["kind"] = json!({ "type": "string" });
    schema["properties"]["metadata"] = metadata;
    schema["x-kubernetes-group-version-kind"] = json!([kind(resource, &resource.kind)]);
    schema
}

fn list_schema(resource: &Resource, name: &str) -> Value {
    json!({
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": { "allOf": [reference(&format!("{META}ListMeta"))] },
            "items": { "type": "array", "items": reference(name) },
        },
        "x-kubernetes-group-version-kind": [kind(resource, &resource.list_kind)],
    })
}

fn add_paths(paths: &mut Map<String, Value>, resource: &Resource, schema: &str) {
    let prefix = format!("/{}", place(resource));
    let plural = &resource.plural;
    let (root, mut parameters) = if resource.namespaced {
        (
            format!("{prefix}/namespaces/{{namespace}}/{plural}"),
            vec![path_parameter("namespace")],
        )
    } else {
        (format!("{prefix}/{plural}"), Vec::new())
    };
    let operation = |action| Operation {
        resource,
        schema,
        action,
    };
    if resource.namespaced {
        let list = json!({ "get": operation("list").describe() });
        paths.insert(format!("{prefix}/{plural}"), list);
    }
    let mut collection = json!({
        "parameters": parameters,
        "get": operation("list").describe(),
        "post": operation("post").describe(),
    });
    // Namespaces are deleted one by one.
    if resource.origin != Origin::BuiltIn || plural != "namespaces" {
        collection["delete"] = operation("deletecollection").describe();
    }
    paths.insert(root.clone(), collection);
    parameters.push(path_parameter("name"));
    let part = json!({
        "parameters": parameters,
        "get": operation("get").describe(),
        "put": operation("put").describe(),
        "patch": operation("patch").describe(),
    });
    let mut item = part.clone();
    item["delete"] = operation("delete").describe();
    paths.insert(format!("{root}/{{name}}"), item);
    if resource.status {
        paths.insert(format!("{root}/{{name}}/status"), part);
    }
}

/// What can be done at a path.
struct Operation<'a> {
    resource: &'a Resource,
    /// The name of the resource's schema.
    schema: &'a str,
    action: &'static str,
}

impl Operation<'_> {
    fn describe(&self) -> Value {
        let status = format!("{META}Status");
        let list = format!("{}List", self.schema);
        let answer = match self.action {
            "list" => &list,
            "delete" | "deletecollection" => &status,
            _ => self.schema,
        };
        let mut operation = json!({
            "operationId": format!("{}{}", self.action, self.schema),
            "parameters": self.parameters(),
            "responses": {
                "200": { "description": "OK", "content": content(&["application/json"], answer) },
            },
            "x-kubernetes-action": self.action,
            "x-kubernetes-group-version-kind": kind(self.resource, &self.resource.kind),
        });
        if let Some(body) = self.body() {
            operation["requestBody"] = body;
        }
        operation
    }

    fn parameters(&self) -> Vec<Value> {
        let names: &[(&str, &str)] = match self.action {
            "list" => &[
                ("allowWatchBookmarks", "boolean"),
                ("continue", "string"),
                ("fieldSelector", "string"),
                ("labelSelector", "string"),
                ("limit", "integer"),
                ("resourceVersion", "string"),
                ("resourceVersionMatch", "string"),
                ("sendInitialEvents", "boolean"),
                ("timeoutSeconds", "integer"),
                ("watch", "boolean"),
            ],
            "deletecollection" => &[
                ("dryRun", "string"),
                ("fieldSelector", "string"),
                ("gracePeriodSeconds", "integer"),
                ("labelSelector", "string"),
                ("propagationPolicy", "string"),
            ],
            "delete" => &[
                ("dryRun", "string"),
                ("gracePeriodSeconds", "integer"),
                ("propagationPolicy", "string"),
            ],
            "get" => &[],
            _ => &[
                ("dryRun", "string"),
                ("fieldManager", "string"),
                ("fieldValidation", "string"),
            ],
        };
        names
            .iter()
            .map(|(name, kind)| json!({ "name": name, "in": "query", "schema": { "type": kind } }))
            .collect()
    }

    fn body(&self) -> Option<Value> {
        let content = match self.action {
            "post" | "put" => content(&["application/json"], self.schema),
            "patch" => content(self.patch_types(), &format!("{META}Patch")),
            "delete" | "deletecollection" => {
                content(&["application/json"], &format!("{META}DeleteOptions"))
            }
            _ => return None,
        };
        Some(json!({ "content": content }))
    }

    /// Nobody knows by which keys the lists of custom resources could be merged.
    fn patch_types(&self) -> &'static [&'static str] {
        match self.resource.origin {
            Origin::BuiltIn => &[
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/strategic-merge-patch+json",
            ],
            Origin::Definition { .. } => &[
                "application/json-patch+json",
                "application/merge-patch+json",
            ],
        }
    }
}

fn path_parameter(name: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
}

fn content(media_types: &[&str], schema: &str) -> Value {
    let content: Map<String, Value> = media_types
        .iter()
        .map(|name| ((*name).to_owned(), json!({ "schema": reference(schema) })))
        .collect();
    content.into()
}

#[cfg(test)]
mod tests;
