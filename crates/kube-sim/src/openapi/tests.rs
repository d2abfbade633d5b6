use http::header::{ACCEPT, CONTENT_TYPE};

use super::*;

fn resource(group: &str, version: &str, kind: &str, plural: &str, origin: Origin) -> Resource {
    Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        singular: kind.to_lowercase(),
        list_kind: format!("{kind}List"),
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced: !matches!(plural, "namespaces" | "customresourcedefinitions"),
        status: plural == "networks",
        storage: plural.into(),
        origin,
        deprecation: None,
        columns: Vec::new(),
    }
}

fn resources() -> Vec<Resource> {
    let definitions = "customresourcedefinitions";
    let extensions = "apiextensions.k8s.io";
    let built_in = [
        ("", "ConfigMap", "configmaps"),
        ("", "Event", "events"),
        ("", "Namespace", "namespaces"),
        ("", "Secret", "secrets"),
        ("", "ServiceAccount", "serviceaccounts"),
        ("coordination.k8s.io", "Lease", "leases"),
        ("events.k8s.io", "Event", "events"),
        (extensions, "CustomResourceDefinition", definitions),
    ];
    let mut resources: Vec<Resource> = built_in
        .into_iter()
        .map(|(group, kind, plural)| resource(group, "v1", kind, plural, Origin::BuiltIn))
        .collect();
    let definition = Origin::Definition {
        uid: "7".into(),
        name: "networks.sim.example.com".into(),
    };
    resources.push(resource(
        "sim.example.com",
        "v1",
        "Network",
        "networks",
        definition,
    ));
    resources
}

fn get(url: &str, headers: &HeaderMap) -> Option<Response<Bytes>> {
    let resources = resources();
    let resources: Vec<&Resource> = resources.iter().collect();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    answer(path, query, headers, &resources, |resource| {
        assert_eq!(resource.plural, "networks");
        Some(json!({
            "type": "object",
            "properties": { "spec": { "type": "object", "required": ["cidr"] } },
        }))
    })
}

fn document(url: &str) -> Value {
    let response = get(url, &HeaderMap::new()).expect(url);
    assert_eq!(response.status(), StatusCode::OK, "{url}");
    serde_json::from_slice(response.body()).unwrap()
}

/// As `kubectl` looks for the PATCH of a kind.
fn patch_of<'a>(document: &'a Value, kind: &str) -> &'a Value {
    let paths = document["paths"].as_object().unwrap();
    paths
        .values()
        .map(|path| &path["patch"])
        .find(|patch| patch["x-kubernetes-group-version-kind"]["kind"] == kind)
        .unwrap()
}

#[test]
fn the_index_leads_to_every_document_by_its_hash() {
    let index = document("/openapi/v3");
    let paths = index["paths"].as_object().unwrap();
    let places: Vec<_> = paths.keys().collect();
    assert_eq!(
        places,
        [
            "api/v1",
            "apis/apiextensions.k8s.io/v1",
            "apis/coordination.k8s.io/v1",
            "apis/events.k8s.io/v1",
            "apis/sim.example.com/v1",
        ]
    );
    for entry in paths.values() {
        let url = entry["serverRelativeURL"].as_str().unwrap();
        assert_eq!(document(url)["openapi"], "3.0.0", "{url}");
    }
}

#[test]
fn a_document_that_has_changed_is_found_at_its_new_hash() {
    let response = get("/openapi/v3/api/v1?hash=OLD", &HeaderMap::new()).unwrap();
    assert_eq!(response.status(), StatusCode::MOVED_PERMANENTLY);
    let url = response.headers()[LOCATION].to_str().unwrap();
    assert_eq!(document(url)["openapi"], "3.0.0");
}

#[test]
fn every_kind_says_that_fields_are_validated_and_how_it_is_patched() {
    let strategic = "application/strategic-merge-patch+json";
    let merge = "application/merge-patch+json";
    for resource in resources() {
        let document = document(&format!("/openapi/v3/{}", place(&resource)));
        let patch = patch_of(&document, &resource.kind);
        let parameters = patch["parameters"].as_array().unwrap();
        let validates = |parameter: &Value| {
            parameter["name"] == "fieldValidation" && parameter["in"] == "query"
        };
        assert!(parameters.iter().any(validates), "{}", resource.kind);
        let types = &patch["requestBody"]["content"];
        assert!(types[merge].is_object(), "{}", resource.kind);
        let built_in = resource.origin == Origin::BuiltIn;
        assert_eq!(types[strategic].is_object(), built_in, "{}", resource.kind);
    }
}

#[test]
fn documents_refer_to_nothing_that_they_lack() {
    for resource in resources() {
        let document = document(&format!("/openapi/v3/{}", place(&resource)));
        let mut references = Vec::new();
        collect_references(&document, &mut references);
        assert!(!references.is_empty());
        for name in references {
            let schema = &document["components"]["schemas"][&name];
            assert!(schema.is_object(), "{name} for {}", resource.kind);
        }
    }
}

#[test]
fn lists_merge_by_the_keys_of_the_server() {
    let document = document("/openapi/v3/api/v1");
    let schemas = &document["components"]["schemas"];
    let meta = &schemas["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"];
    assert_eq!(
        meta["ownerReferences"]["x-kubernetes-patch-merge-key"],
        "uid"
    );
    assert_eq!(meta["finalizers"]["x-kubernetes-patch-strategy"], "merge");
    let account = &schemas["io.k8s.api.core.v1.ServiceAccount"]["properties"];
    assert_eq!(account["secrets"]["x-kubernetes-patch-merge-key"], "name");
}

#[test]
fn a_definition_brings_its_schema() {
    let document = document("/openapi/v3/apis/sim.example.com/v1");
    let schema = &document["components"]["schemas"]["com.example.sim.v1.Network"];
    assert_eq!(schema["properties"]["spec"]["required"][0], "cidr");
    assert_eq!(schema["properties"]["kind"]["type"], "string");
    assert_eq!(
        schema["x-kubernetes-group-version-kind"],
        json!([{ "group": "sim.example.com", "version": "v1", "kind": "Network" }])
    );
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(
        paths,
        [
            "/apis/sim.example.com/v1/namespaces/{namespace}/networks",
            "/apis/sim.example.com/v1/namespaces/{namespace}/networks/{name}",
            "/apis/sim.example.com/v1/namespaces/{namespace}/networks/{name}/status",
            "/apis/sim.example.com/v1/networks",
        ]
    );
}

#[test]
fn other_forms_and_other_paths_are_not_served() {
    let mut headers = HeaderMap::new();
    let protobuf = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf";
    headers.insert(ACCEPT, protobuf.parse().unwrap());
    let refused = get("/openapi/v3/api/v1", &headers).unwrap();
    assert_eq!(refused.status(), StatusCode::NOT_ACCEPTABLE);
    let index = get("/openapi/v3", &HeaderMap::new()).unwrap();
    assert_eq!(index.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
    let refused = get("/openapi/v2", &HeaderMap::new()).unwrap();
    assert_eq!(refused.status(), StatusCode::NOT_ACCEPTABLE);
    for path in ["/openapi/v3/api/v2", "/openapi/v3/apis"] {
        assert!(get(path, &HeaderMap::new()).is_none(), "{path}");
    }
}
