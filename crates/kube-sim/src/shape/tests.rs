//! The refusals are word for word those of a kube-apiserver 1.36.3.

use serde_json::json;

use super::*;

fn config_map(mut object: Value) -> (Result<Vec<String>, String>, Value) {
    let read = read(&CONFIG_MAP, &mut object);
    (read, object)
}

#[test]
fn fields_that_hold_nothing_go() {
    let (read, object) = config_map(json!({
        "kind": "ConfigMap",
        "metadata": {
            "name": "a", "generateName": "", "labels": {}, "annotations": null, "finalizers": [],
            "creationTimestamp": null, "deletionGracePeriodSeconds": 0,
            "ownerReferences": [{"uid": "u", "controller": false}],
        },
        "data": {"a": null}, "binaryData": {}, "immutable": false,
    }));
    assert_eq!(read, Ok(Vec::new()));
    assert_eq!(
        object,
        json!({
            "kind": "ConfigMap",
            "metadata": {
                "name": "a", "deletionGracePeriodSeconds": 0,
                "ownerReferences": [{
                    "apiVersion": "", "kind": "", "name": "", "uid": "u", "controller": false,
                }],
            },
            "data": {"a": ""}, "immutable": false,
        })
    );
}

#[test]
fn unknown_fields_are_told_and_go() {
    let (read, object) = config_map(json!({
        "foo": 1,
        "metadata": {"name": "a", "Name": "b", "ownerReferences": [{"uid": "u", "foo": 1}]},
    }));
    assert_eq!(
        read.expect("no type is wrong"),
        [
            "unknown field \"foo\"",
            "unknown field \"metadata.Name\"",
            "unknown field \"metadata.ownerReferences[0].foo\"",
        ]
    );
    assert_eq!(object.get("foo"), None);
    assert_eq!(object["metadata"].get("Name"), None);
}

#[test]
fn other_types_are_refused() {
    let field = "json: cannot unmarshal";
    for (object, expected) in [
        (
            json!({"metadata": {"name": 5}}),
            "number into Go struct field ObjectMeta.metadata.name of type string",
        ),
        (
            json!({"metadata": {"labels": 5}}),
            "number into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
        (
            json!({"metadata": {"labels": {"a": 5}}}),
            "number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            json!({"metadata": {"ownerReferences": {}}}),
            "object into Go struct field ObjectMeta.metadata.ownerReferences of type []v1.OwnerReference",
        ),
        (
            json!({"metadata": {"ownerReferences": [{"controller": "x"}]}}),
            "string into Go struct field OwnerReference.metadata.ownerReferences.controller of type bool",
        ),
        (
            json!({"metadata": 5}),
            "number into Go struct field ConfigMap.metadata of type v1.ObjectMeta",
        ),
        (
            json!({"data": []}),
            "array into Go struct field ConfigMap.data of type map[string]string",
        ),
        (
            json!({"immutable": "x"}),
            "string into Go struct field ConfigMap.immutable of type bool",
        ),
    ] {
        assert_eq!(config_map(object).0, Err(format!("{field} {expected}")));
    }
    for (spec, expected) in [
        (
            json!({"leaseDurationSeconds": 1.5}),
            "number 1.5 into Go struct field LeaseSpec.spec.leaseDurationSeconds of type int32",
        ),
        (
            json!({"leaseDurationSeconds": 99_999_999_999_i64}),
            "number 99999999999 into Go struct field LeaseSpec.spec.leaseDurationSeconds of type int32",
        ),
        (
            json!({"holderIdentity": 5}),
            "number into Go struct field LeaseSpec.spec.holderIdentity of type string",
        ),
    ] {
        assert_eq!(
            read(&LEASE, &mut json!({"spec": spec})),
            Err(format!("{field} {expected}"))
        );
    }
    for (metadata, expected) in [
        (
            json!({"labels": 5}),
            "number into Go struct field ObjectMeta.labels of type map[string]string",
        ),
        (
            json!({"generation": "x"}),
            "string into Go struct field ObjectMeta.generation of type int64",
        ),
        (
            json!({"ownerReferences": [{"controller": "x"}]}),
            "string into Go struct field OwnerReference.ownerReferences.controller of type bool",
        ),
        (json!([]), "array into Go value of type v1.ObjectMeta"),
    ] {
        let read = read_metadata(&mut json!({"metadata": metadata}), "");
        assert_eq!(read, Err(format!("{field} {expected}")));
    }
    let secret = |value: Value| read(&SECRET, &mut json!({"data": {"a": value}}));
    assert_eq!(secret(json!([1, null, 255])), Ok(Vec::new()));
    for (list, expected) in [
        (json!([256]), "number 256"),
        (json!([-1]), "number -1"),
        (json!([1.5]), "number 1.5"),
        (json!([1, "x"]), "string"),
    ] {
        let into = "into Go struct field Secret.data of type uint8";
        assert_eq!(secret(list), Err(format!("{field} {expected} {into}")));
    }
    assert_eq!(
        secret("!".into()),
        Err("illegal base64 data at input byte 0".to_owned())
    );
    assert_eq!(
        secret(5.into()),
        Err(format!(
            "{field} number into Go struct field Secret.data of type []uint8"
        ))
    );
}

#[test]
fn times_come_to_utc() {
    let lease = |time: &str| {
        let mut object = json!({"spec": {"renewTime": time}});
        read(&LEASE, &mut object).map(|_| object["spec"]["renewTime"].clone())
    };
    let layout = "as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse";
    for (time, expected) in [
        (
            "2020-01-01T00:00:00.123456Z",
            Ok("2020-01-01T00:00:00.123456Z"),
        ),
        (
            "2020-01-01T02:00:00.000000+02:00",
            Ok("2020-01-01T00:00:00.000000Z"),
        ),
        (
            "9999-12-31T23:59:59.000000-01:00",
            Ok("10000-01-01T00:59:59.000000Z"),
        ),
        (
            "0000-01-01T00:00:00.000000+01:00",
            Ok("-0001-12-31T23:00:00.000000Z"),
        ),
        (
            "2000-02-29T00:00:00.000000Z",
            Ok("2000-02-29T00:00:00.000000Z"),
        ),
        (
            "0001-01-01T00:00:00.000001Z",
            Ok("0001-01-01T00:00:00.000001Z"),
        ),
        ("x", Err("\"x\" as \"2006\"")),
        ("2020-01-01T00:00:00Z", Err("\"Z\" as \".000000\"")),
        (
            "2020-01-01T00:00:00.123456789Z",
            Err("\"789Z\" as \"Z07:00\""),
        ),
    ] {
        let expected = expected
            .map(Value::from)
            .map_err(|why| format!("parsing time \"{time}\" {layout} {why}"));
        assert_eq!(lease(time), expected);
    }
    // Go's time of none.
    assert_eq!(lease("0001-01-01T01:00:00.000000+01:00"), Ok(Value::Null));
    let mut object = json!({"metadata": {"creationTimestamp": "2001-01-01T02:00:00.9+02:00"}});
    assert_eq!(read_metadata(&mut object, ""), Ok(Vec::new()));
    assert_eq!(
        object["metadata"]["creationTimestamp"],
        json!("2001-01-01T00:00:00Z")
    );
}

#[test]
fn structs_show_what_they_always_show() {
    let mut object = json!({});
    assert_eq!(read(&EVENT, &mut object), Ok(Vec::new()));
    assert_eq!(
        object,
        json!({
            "metadata": {}, "involvedObject": {}, "source": {}, "firstTimestamp": null,
            "lastTimestamp": null, "eventTime": null, "reportingComponent": "",
            "reportingInstance": "",
        })
    );
}

#[test]
fn a_schema_is_read_at_any_depth() {
    let schema = json!({
        "type": "object", "foo": 1,
        "properties": {"a": {"type": "array", "items": {"type": "string", "foo": 1}}},
        "additionalProperties": {"bar": 1},
    });
    let version = json!({"name": "v1", "schema": {"openAPIV3Schema": schema}});
    let mut object = json!({"spec": {"versions": [version]}});
    let at = "spec.versions[0].schema.openAPIV3Schema";
    assert_eq!(
        read(&DEFINITION, &mut object),
        Ok(vec![format!("unknown field \"{at}.foo\"")])
    );
    let schema = &object["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    assert_eq!(
        schema["properties"]["a"]["items"],
        json!({"type": "string"})
    );
    assert_eq!(schema["additionalProperties"], json!({}));
}
