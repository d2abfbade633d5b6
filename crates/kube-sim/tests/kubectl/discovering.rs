//! What is served, and by which version.

use serde_json::Value;

use crate::both::{Both, check, make_namespace};

#[test]
fn resources_are_told_as_the_server_tells_them() {
    check(
        "default",
        &[
            "api-resources --api-group=sim.example.com",
            "api-resources --api-group=sim.example.com -o wide",
            "api-resources --api-group=sim.example.com -o name",
            "api-resources --api-group=sim.example.com --namespaced=false",
            "api-resources --api-group=coordination.k8s.io -o wide",
            "api-resources --api-group=apiextensions.k8s.io -o wide",
            "api-resources --api-group=events.k8s.io -o wide",
            "api-resources --api-group='' -o wide --sort-by=name | \
             grep -wE 'configmaps|events|namespaces|secrets|serviceaccounts'",
            "api-resources --categories=platform",
            "api-versions | grep -E '^v1$|^(apiextensions|coordination|events).k8s.io/|sim.example'",
            "get --raw /readyz",
            "get --raw /livez",
            "get --raw /healthz",
            "get --raw /api/v2",
            "get --raw /apis/absent.example.com/v1",
            "get --raw /absent",
        ],
    );
}

#[test]
fn versions_name_the_kubernetes_that_is_mimicked() {
    check("default", &["version -o json | grep -E 'or\": |kustomize'"]);
}

#[test]
fn a_definition_can_be_installed_used_and_taken_away() {
    make_namespace("passing");
    check(
        "passing",
        &[
            "get visitors",
            "create -f visitor.yaml",
            "apply -f passing-definition.yaml",
            "wait --for=condition=Established --timeout=60s crd/visitors.passing.example.com",
            "get crd visitors.passing.example.com",
            "get crd visitors.passing.example.com -o name",
            "create -f visitor.yaml",
            "get visitors",
            "apply -f passing-definition.yaml",
            "label crd visitors.passing.example.com a=b",
            "delete crd visitors.passing.example.com",
            "get crd visitors.passing.example.com",
            "delete -f passing-definition.yaml --ignore-not-found",
        ],
    );
}

#[test]
fn built_in_schemas_are_the_servers_without_descriptions() {
    for place in [
        "api/v1",
        "apis/apiextensions.k8s.io/v1",
        "apis/coordination.k8s.io/v1",
        "apis/events.k8s.io/v1",
    ] {
        let [sim, real] = Both::shared().each(|side| {
            let path = format!("get --raw /openapi/v3/{place}");
            let output = side.kubectl("default", &path).output().expect("kubectl");
            let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            document["components"]["schemas"].clone()
        });
        for (name, schema) in sim.as_object().expect("schemas") {
            let mut expected = real[name].clone();
            remove_descriptions(&mut expected);
            if name.ends_with("DeleteOptions") {
                // Every group has them.
                expected["x-kubernetes-group-version-kind"] =
                    schema["x-kubernetes-group-version-kind"].clone();
            }
            assert_eq!(*schema, expected, "{name} in {place}");
        }
    }
}

/// A property can be called that, too.
fn remove_descriptions(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.retain(|key, value| key != "description" || !value.is_string());
            object.values_mut().for_each(remove_descriptions);
        }
        Value::Array(list) => list.iter_mut().for_each(remove_descriptions),
        _ => {}
    }
}
