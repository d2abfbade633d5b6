//! The refusals are word for word those of a kube-apiserver 1.36.3.

use serde_json::json;

use super::*;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const KEY: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const UNQUALIFIED: &str = "name is neither a standard finalizer name nor is it fully qualified";

fn object(metadata: &Value) -> Value {
    let mut object = json!({"metadata": {"name": "a", "namespace": "default"}});
    let fields = metadata.as_object().cloned().unwrap_or_default();
    object["metadata"]
        .as_object_mut()
        .expect("metadata")
        .extend(fields);
    object
}

/// Both a custom resource and a `ConfigMap` are refused like this.
#[track_caller]
fn check(metadata: &Value, expected: &str) {
    let object = object(metadata);
    let custom = create_custom(&object, true, Vec::new());
    assert_eq!(FieldError::summary(&custom), expected);
    assert_eq!(
        FieldError::summary(&create(BuiltIn::ConfigMap, &object)),
        expected
    );
}

#[test]
fn names_are_checked() {
    let long = "x".repeat(254);
    check(
        &json!({"name": ""}),
        "metadata.name: Required value: name or generateName is required",
    );
    for bad in ["A", "a_b", ".", "..", "a/b", "a%b", "-a", "a."] {
        let expected = format!("metadata.name: Invalid value: \"{bad}\": {SUBDOMAIN}");
        check(&json!({"name": bad}), &expected);
    }
    check(
        &json!({"name": long}),
        &format!("metadata.name: Invalid value: \"{long}\": must be no more than 253 characters"),
    );
    check(
        &json!({"generateName": "A"}),
        &format!("metadata.generateName: Invalid value: \"A\": {SUBDOMAIN}"),
    );
    check(
        &json!({"generateName": "-"}),
        &format!("metadata.generateName: Invalid value: \"-\": {SUBDOMAIN}"),
    );
    check(&json!({"generateName": "a--"}), "[]");
    let namespace = |name: &str| create(BuiltIn::Namespace, &json!({"metadata": {"name": name}}));
    assert_eq!(
        FieldError::summary(&namespace("A")),
        format!("metadata.name: Invalid value: \"A\": {LABEL}")
    );
    assert_eq!(
        FieldError::summary(&namespace("a.b")),
        "metadata.name: Invalid value: \"a.b\": must not contain dots"
    );
}

#[test]
fn labels_and_annotations_are_checked() {
    let long = "x".repeat(64);
    check(
        &json!({"labels": {"a/b/c": "d"}}),
        &format!(
            "metadata.labels: Invalid value: \"a/b/c\": a valid label key {KEY} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ),
    );
    check(
        &json!({"labels": {"a": long}}),
        &format!("metadata.labels: Invalid value: \"{long}\": must be no more than 63 bytes"),
    );
    check(
        &json!({"labels": {"A B": "x y"}}),
        &format!(
            "[metadata.labels: Invalid value: \"A B\": name part {KEY}, metadata.labels: Invalid value: \"x y\": {VALUE}]"
        ),
    );
    check(
        &json!({"labels": {"": "x"}}),
        &format!(
            "[metadata.labels: Invalid value: \"\": name part must be non-empty, metadata.labels: Invalid value: \"\": name part {KEY}]"
        ),
    );
    check(&json!({"annotations": {"A.B/c": "d"}}), "[]");
    check(
        &json!({"annotations": {"a": "x".repeat(300_000)}}),
        "metadata.annotations: Too long: may not be more than 262144 bytes",
    );
}

#[test]
fn finalizers_are_checked() {
    let custom = |finalizers: &Value| {
        let object = object(&json!({"finalizers": finalizers}));
        FieldError::summary(&create_custom(&object, true, Vec::new()))
    };
    let core = |finalizers: &Value| {
        let object = object(&json!({"finalizers": finalizers}));
        FieldError::summary(&create(BuiltIn::ConfigMap, &object))
    };
    for good in ["x/y", "x.y/z", "kubernetes", "orphan"] {
        assert_eq!(
            (custom(&json!([good])), core(&json!([good]))),
            ("[]".to_owned(), "[]".to_owned())
        );
    }
    assert_eq!(custom(&json!(["x", "a.b"])), "[]");
    assert_eq!(
        core(&json!(["x", "x"])),
        format!(
            "[metadata.finalizers[0]: Invalid value: \"x\": {UNQUALIFIED}, metadata.finalizers[1]: Invalid value: \"x\": {UNQUALIFIED}]"
        )
    );
    check(
        &json!({"finalizers": [format!("x.y/{}", "z".repeat(64))]}),
        &format!(
            "metadata.finalizers: Invalid value: \"x.y/{}\": name part must be no more than 63 bytes",
            "z".repeat(64)
        ),
    );
    check(
        &json!({"finalizers": ["orphan", "foregroundDeletion"]}),
        "metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\"]: finalizer orphan and foregroundDeletion cannot be both set",
    );
}

#[test]
fn finalizers_without_a_prefix_are_warned_of() {
    let new = json!({"metadata": {"finalizers": ["x", "a.b", "q.r/s", "orphan", "old"]}});
    let old = json!({"metadata": {"finalizers": ["old"]}});
    assert_eq!(
        finalizer_warnings(&new, Some(&old)),
        [
            "metadata.finalizers: \"a.b\": prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers",
            "metadata.finalizers: \"x\": prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers",
        ]
    );
}

#[test]
fn owners_are_checked() {
    check(
        &json!({"ownerReferences": [{}]}),
        "[metadata.ownerReferences.apiVersion: Invalid value: \"\": version must not be empty, metadata.ownerReferences.kind: Invalid value: \"\": must not be empty, metadata.ownerReferences.name: Invalid value: \"\": must not be empty, metadata.ownerReferences.uid: Invalid value: \"\": must not be empty]",
    );
    check(
        &json!({"ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "e", "uid": "u"}]}),
        "metadata.ownerReferences: Invalid value: {\"apiVersion\":\"v1\",\"kind\":\"Event\",\"name\":\"e\",\"uid\":\"u\"}: /v1, Kind=Event is disallowed from being an owner",
    );
    check(
        &json!({"ownerReferences": [{"apiVersion": "a/b/c", "kind": "X", "name": "e", "uid": "u"}]}),
        "metadata.ownerReferences.apiVersion: Invalid value: \"a/b/c\": version must not be empty",
    );
    check(
        &json!({"ownerReferences": [
            {"apiVersion": "v1", "kind": "X", "name": "e", "uid": "u", "controller": true},
            {"apiVersion": "v1", "kind": "X", "name": "f", "uid": "v", "controller": true},
        ]}),
        "metadata.ownerReferences: Invalid value: [{\"apiVersion\":\"v1\",\"kind\":\"X\",\"name\":\"e\",\"uid\":\"u\",\"controller\":true},{\"apiVersion\":\"v1\",\"kind\":\"X\",\"name\":\"f\",\"uid\":\"v\",\"controller\":true}]: Only one reference can have Controller set to true. Found \"true\" in references for X/e and X/f",
    );
}

#[test]
fn owners_are_taken_once() {
    let owner = json!({"apiVersion": "v1", "kind": "X", "name": "e", "uid": "u"});
    let mut object = object(&json!({"ownerReferences": [owner, owner]}));
    let warning = duplicate_owners(&mut object).expect("they are the same");
    assert!(
        warning.ends_with("duplicate UID(s) observed: u"),
        "{warning}"
    );
    assert_eq!(object["metadata"]["ownerReferences"], json!([owner]));
    assert_eq!(duplicate_owners(&mut object), None);
}

/// What is wrong with an update of a terminating object, and how often the causes say so for a
/// custom resource and for a `ConfigMap`.
#[track_caller]
fn check_update(change: &Value, expected: &str, causes: (usize, usize)) {
    let old = object(&json!({
        "uid": "1", "resourceVersion": "5", "finalizers": ["x.y/a"],
        "deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0,
    }));
    let mut new = old.clone();
    let change = change.as_object().cloned().unwrap_or_default();
    new["metadata"]
        .as_object_mut()
        .expect("metadata")
        .extend(change);
    let custom = update_custom(&new, &old, true, Vec::new());
    let built_in = update(BuiltIn::ConfigMap, &new, &old);
    assert_eq!(FieldError::summary(&custom), expected);
    assert_eq!(FieldError::summary(&built_in), expected);
    assert_eq!((custom.len(), built_in.len()), causes);
}

#[test]
fn updates_are_checked() {
    check_update(&json!({}), "[]", (0, 0));
    check_update(
        &json!({"finalizers": ["x.y/a", "x.y/c", "q.r/d"]}),
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"q.r/d\", \"x.y/c\"}",
        (2, 2),
    );
    check_update(&json!({"finalizers": []}), "[]", (0, 0));
    check_update(&json!({"labels": {"a": "b"}}), "[]", (0, 0));
    check_update(
        &json!({"labels": {"a": "x/y"}}),
        &format!("metadata.labels: Invalid value: \"x/y\": {VALUE}"),
        (3, 4),
    );
    check_update(
        &json!({"uid": "2"}),
        "metadata.uid: Invalid value: \"2\": field is immutable",
        (2, 2),
    );
    check_update(
        &json!({"deletionGracePeriodSeconds": 77}),
        "metadata.deletionGracePeriodSeconds: Invalid value: 77: field is immutable",
        (2, 2),
    );
}

#[test]
fn the_content_of_core_kinds_is_checked() {
    let with = |content: &Value| {
        let mut object = object(&json!({}));
        let content = content.as_object().cloned().unwrap_or_default();
        object.as_object_mut().expect("an object").extend(content);
        object
    };
    let frozen = "field is immutable when `immutable` is set";
    for (kind, content, expected) in [
        (BuiltIn::Secret, json!({"type": "Opaque"}), "[]".to_owned()),
        (BuiltIn::Secret, json!({"type": "kubernetes.io/tls"}), "[data[tls.crt]: Required value, data[tls.key]: Required value]".to_owned()),
        (BuiltIn::Secret, json!({"type": "kubernetes.io/basic-auth"}), "[data[username]: Required value, data[password]: Required value]".to_owned()),
        (BuiltIn::Secret, json!({"type": "kubernetes.io/ssh-auth"}), "data[ssh-privatekey]: Required value".to_owned()),
        (BuiltIn::Secret, json!({"type": "kubernetes.io/dockercfg"}), "data[.dockercfg]: Required value".to_owned()),
        (BuiltIn::Secret, json!({"type": "kubernetes.io/dockercfg", "data": {".dockercfg": "eA=="}}), "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": invalid character 'x' looking for beginning of value".to_owned()),
        (BuiltIn::Secret, json!({"type": "kubernetes.io/service-account-token"}), "metadata.annotations[kubernetes.io/service-account.name]: Required value".to_owned()),
        (BuiltIn::Secret, json!({"data": {"c d": ""}}), "data[c d]: Invalid value: \"c d\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')".to_owned()),
        (BuiltIn::ConfigMap, json!({"data": {"a": "x".repeat(1_100_000)}}), "[]: Too long: may not be more than 1048576 bytes".to_owned()),
        (BuiltIn::Lease, json!({"spec": {"leaseDurationSeconds": -1, "leaseTransitions": -1}}), "[spec.leaseDurationSeconds: Invalid value: -1: must be greater than 0, spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0]".to_owned()),
    ] {
        assert_eq!(FieldError::summary(&create(kind, &with(&content))), expected);
    }
    let mut old = with(&json!({"immutable": true, "data": {"a": "eA=="}, "type": "Opaque"}));
    old["metadata"]["resourceVersion"] = "5".into();
    let mut new = old.clone();
    new["type"] = "x".into();
    new["immutable"] = false.into();
    new["data"] = json!({"a": "eQ=="});
    assert_eq!(
        FieldError::summary(&update(BuiltIn::Secret, &new, &old)),
        format!(
            "[type: Invalid value: \"x\": field is immutable, immutable: Forbidden: {frozen}, data: Forbidden: {frozen}]"
        )
    );
}

#[test]
fn events_are_checked_by_the_rules_of_their_group() {
    let core = BuiltIn::Event {
        group: EventGroup::Core,
    };
    let events = BuiltIn::Event {
        group: EventGroup::Events,
    };
    let event = |change: Value| {
        let mut object = json!({
            "metadata": {"name": "e", "namespace": "default"}, "involvedObject": {},
            "source": {}, "firstTimestamp": null, "lastTimestamp": null, "eventTime": null,
            "reportingComponent": "", "reportingInstance": "",
        });
        let change = change.as_object().cloned().unwrap_or_default();
        object.as_object_mut().expect("an object").extend(change);
        object
    };
    let time = "2020-01-01T00:00:00.000000Z";
    for (kind, change, expected) in [
        (core, json!({}), "[]".to_owned()),
        (core, json!({"metadata": {"name": "A_", "namespace": "default"}}), "[]".to_owned()),
        (
            core,
            json!({"involvedObject": {"namespace": "other"}}),
            "involvedObject.namespace: Invalid value: \"other\": does not match event.namespace".to_owned(),
        ),
        (
            core,
            json!({"eventTime": time}),
            format!("[reportingComponent: Required value, reportingComponent: Invalid value: \"\": name part must be non-empty, reportingComponent: Invalid value: \"\": name part {KEY}, reportingInstance: Required value, action: Required value, reason: Required value]"),
        ),
        (
            events,
            json!({}),
            "[eventTime: Required value, type: Invalid value: \"\": has invalid value: ]".to_owned(),
        ),
        (
            events,
            json!({
                "eventTime": time, "reportingComponent": "a.b/c", "reportingInstance": "i",
                "action": "a", "reason": "r", "type": "Foo", "count": 1, "series": {"count": 1},
                "firstTimestamp": "2020-01-01T00:00:00Z", "source": {"component": "x"},
            }),
            "[series.count: Invalid value: \"\": should be at least 2, series.lastObservedTime: Required value, type: Invalid value: \"\": has invalid value: Foo, firstTimestamp: Invalid value: \"\": needs to be unset, count: Invalid value: \"\": needs to be unset, source: Invalid value: \"\": needs to be unset]".to_owned(),
        ),
    ] {
        assert_eq!(FieldError::summary(&create(kind, &event(change))), expected);
    }
    let good = json!({
        "eventTime": time, "reportingComponent": "a.b/c", "reportingInstance": "i",
        "action": "a", "reason": "r", "type": "Normal", "message": "n",
        "involvedObject": {"namespace": "default", "name": "q"},
        "metadata": {"name": "e", "namespace": "default", "resourceVersion": "1"},
    });
    let immutable = "field is immutable";
    for (key, value, expected) in [
        (
            "message",
            json!("m"),
            format!("message: Invalid value: \"m\": {immutable}"),
        ),
        (
            "reason",
            json!("x"),
            format!("reason: Invalid value: \"x\": {immutable}"),
        ),
        (
            "series",
            json!({"count": 2, "lastObservedTime": time}),
            "[]".to_owned(),
        ),
        (
            "involvedObject",
            json!({"namespace": "default", "name": "z"}),
            format!(
                "involvedObject: Invalid value: {{\"Kind\":\"\",\"Namespace\":\"default\",\"Name\":\"z\",\"UID\":\"\",\"APIVersion\":\"\",\"ResourceVersion\":\"\",\"FieldPath\":\"\"}}: {immutable}"
            ),
        ),
        (
            "reportingComponent",
            json!("x"),
            format!("reportingController: Invalid value: \"x\": {immutable}"),
        ),
    ] {
        let old = event(good.clone());
        let mut new = old.clone();
        new[key] = value;
        assert_eq!(FieldError::summary(&update(events, &new, &old)), expected);
    }
}
