//! The custom kinds that are installed before anything else, so that the real server's collector
//! knows them from the beginning.

use serde_json::{Value, json};

pub(crate) const GROUP: &str = "conformance.example.com";

/// The group and version of all of them.
pub(crate) const V1: &str = "conformance.example.com/v1";

/// Their definitions.
pub(crate) fn definitions() -> [Value; 3] {
    let widget = json!({
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "size": {"type": "integer", "minimum": 0, "maximum": 100},
                    "colour": {"type": "string", "enum": ["red", "green"]},
                    "note": {"type": "string", "default": "none"},
                    "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
                },
            },
            "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
        },
    });
    let free = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let mut widgets = definition(GROUP, "Namespaced", "widgets", "Widget", &widget);
    widgets["spec"]["names"]["shortNames"] = json!(["wd"]);
    let version = &mut widgets["spec"]["versions"][0];
    version["subresources"] = json!({"status": {}});
    version["additionalPrinterColumns"] = json!([
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Phase", "type": "string", "jsonPath": ".status.phase", "priority": 1},
    ]);
    [
        widgets,
        definition(GROUP, "Namespaced", "crates", "Crate", &free),
        definition(GROUP, "Cluster", "planets", "Planet", &free),
    ]
}

/// A definition with one version, `v1`.
pub(crate) fn definition(
    group: &str,
    scope: &str,
    plural: &str,
    kind: &str,
    schema: &Value,
) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
}
