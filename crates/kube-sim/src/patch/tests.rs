//! Results and refusals are those of a kube-apiserver 1.36.3 for the same patches.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const REJECTED: &str = "the server rejected our request due to an error in our request";

fn network() -> Value {
    json!({
        "apiVersion": "r.example.com/v1",
        "kind": "Network",
        "metadata": {"name": "a", "labels": {"l": "1"}},
        "spec": {
            "x": 1, "s": "a<b", "list": [1, 2, 3], "m": {"k": null, "o": 1},
            "objs": [{"a": 1}], "n": null,
        },
    })
}

fn apply_to(kind: PatchKind, object: &Value, patch: &str) -> Result<Patched, Status> {
    let name = object["kind"].as_str().unwrap_or_default();
    apply(kind, name, object, patch.as_bytes(), FieldValidation::Warn)
}

/// The spec after a JSON patch, or the code and message of the refusal.
fn json_patch(patch: &str) -> Result<Value, (u16, String)> {
    match apply_to(PatchKind::Json, &network(), patch) {
        Ok(patched) => Ok(patched.object["spec"].clone()),
        Err(status) => Err((status.code().as_u16(), status.message().to_owned())),
    }
}

#[test]
fn json_patches_are_applied_as_the_server_does() {
    let changed = |key: &str, value: Value| {
        let mut spec = network()["spec"].clone();
        spec[key] = value;
        spec
    };
    let same = network()["spec"].clone();
    for (patch, expected) in [
        ("[]", same.clone()),
        ("null", same.clone()),
        (
            r#"[{"op":"test","path":"/spec/x","value":1}]"#,
            same.clone(),
        ),
        (
            r#"[{"op":"test","path":"/spec/missing","value":null}]"#,
            same.clone(),
        ),
        (r#"[{"op":"test","path":"/spec/missing"}]"#, same.clone()),
        (
            r#"[{"op":"test","path":"/spec/n","value":null}]"#,
            same.clone(),
        ),
        (
            r#"[{"op":"test","path":"/spec/m","value":{"o":1, "k":null}}]"#,
            same.clone(),
        ),
        (
            r#"[{"op":"test","path":"/spec/s","value":"a\u003cb"}]"#,
            same.clone(),
        ),
        (
            r#"[{"op":"test","path":"/spec/list/-1","value":3}]"#,
            same.clone(),
        ),
        (
            r#"[{"op":"replace","path":"/spec/missing","value":1}]"#,
            changed("missing", json!(1)),
        ),
        (
            r#"[{"op":"replace","path":"/spec/x"}]"#,
            changed("x", json!(null)),
        ),
        (
            r#"[{"op":"add","path":"/spec/new"}]"#,
            changed("new", json!(null)),
        ),
        (
            r#"[{"op":"add","path":"a/spec/x","value":7}]"#,
            changed("x", json!(7)),
        ),
        (
            r#"[{"op":"add","path":"/spec/list/-","value":1}]"#,
            changed("list", json!([1, 2, 3, 1])),
        ),
        (
            r#"[{"op":"add","path":"/spec/list/0","value":0}]"#,
            changed("list", json!([0, 1, 2, 3])),
        ),
        (
            r#"[{"op":"remove","path":"/spec/list/1"}]"#,
            changed("list", json!([1, 3])),
        ),
        (
            r#"[{"op":"copy","from":"/spec/missing","path":"/spec/y"}]"#,
            changed("y", json!(null)),
        ),
        (
            r#"[{"op":"copy","from":"/spec/x","path":"/spec/y"}]"#,
            changed("y", json!(1)),
        ),
        (
            r#"[{"op":"add","path":"/spec/~01~1","value":1}]"#,
            changed("~1/", json!(1)),
        ),
    ] {
        assert_eq!(json_patch(patch), Ok(expected), "{patch}");
    }
    let moved = json_patch(r#"[{"op":"move","from":"/spec/x","path":"/spec/y"}]"#).expect("moves");
    assert_eq!((&moved["x"], &moved["y"]), (&json!(null), &json!(1)));
}

#[test]
fn json_patches_that_do_not_apply_are_rejected() {
    for patch in [
        r#"{"op":"test","path":"/spec/x","value":2}"#,
        r#"{"op":"test","path":"/spec/x"}"#,
        r#"{"op":"test","path":"/spec/x","value":1.0}"#,
        r#"{"op":"test","path":"/spec/missing","value":1}"#,
        r#"{"op":"test","path":"/spec/m","value":{"o":1}}"#,
        r#"{"op":"test","path":"/spec/s","value":"a<b"}"#,
        r#"{"op":"test","path":"","value":{}}"#,
        r#"{"op":"test","path":"/a/b/c","value":1}"#,
        r#"{"op":"test","path":"/spec/list/9","value":1}"#,
        r#"{"op":"test","path":"/spec/list/-","value":3}"#,
        r#"{"op":"remove","path":"/spec/missing"}"#,
        r#"{"op":"remove","path":"/a/b"}"#,
        r#"{"op":"remove","path":"/spec/list/9"}"#,
        r#"{"op":"remove","path":""}"#,
        r#"{"op":"replace","path":"/spec/list/9","value":1}"#,
        r#"{"op":"replace","path":"/a/b","value":1}"#,
        r#"{"op":"replace","path":"","value":5}"#,
        r#"{"op":"add","path":"/spec/list/9","value":1}"#,
        r#"{"op":"add","path":"/spec/list/","value":1}"#,
        r#"{"op":"add","path":"/spec/list/99999999999999999999","value":1}"#,
        r#"{"op":"add","path":"/spec/list/-9","value":1}"#,
        r#"{"op":"add","path":"/spec/x/y","value":1}"#,
        r#"{"op":"add","path":"","value":{}}"#,
        r#"{"op":"add","path":"spec","value":{}}"#,
        r#"{"op":"add","value":1}"#,
        r#"{"path":"/spec/x","value":1}"#,
        r#"{"op":"nope","path":"/spec/x"}"#,
        r#"{"op":"move","from":"/spec/missing","path":"/spec/y"}"#,
        r#"{"op":"move","from":"/spec/x","path":"/a/b"}"#,
        r#"{"op":"copy","from":"/spec/list/9","path":"/spec/y"}"#,
        r#"{"op":"copy","path":"/spec/y"}"#,
        "null",
    ] {
        let refused = json_patch(&format!("[{patch}]"));
        assert_eq!(refused, Err((422, REJECTED.to_owned())), "{patch}");
    }
}

#[test]
fn json_patches_that_are_none_are_bad_requests() {
    let unmarshal = |what: &str| format!("error decoding patch: json: cannot unmarshal {what}");
    for (patch, message) in [
        (
            "",
            "error decoding patch: unexpected end of JSON input".to_owned(),
        ),
        (
            "{}",
            unmarshal("object into Go value of type []handlers.jsonPatchOp"),
        ),
        (
            "[5]",
            unmarshal("number into Go value of type handlers.jsonPatchOp"),
        ),
        (
            r#"[{"op":"add","path":5}]"#,
            unmarshal("number into Go struct field jsonPatchOp.path of type string"),
        ),
    ] {
        assert_eq!(json_patch(patch), Err((400, message)), "{patch}");
    }
    let lenient = |patch: &str| {
        let object = network();
        apply(
            PatchKind::Json,
            "",
            &object,
            patch.as_bytes(),
            FieldValidation::Ignore,
        )
        .map_err(|status| status.message().to_owned())
    };
    for (patch, message) in [
        ("", "unexpected end of JSON input"),
        (
            "{}",
            "json: cannot unmarshal object into Go value of type jsonpatch.Patch",
        ),
        (
            "[5]",
            "json: cannot unmarshal number into Go value of type jsonpatch.Operation",
        ),
        (r#"[{"op":"add","path":5}]"#, REJECTED),
    ] {
        assert_eq!(lenient(patch), Err(message.to_owned()), "{patch}");
    }
    let many = format!(
        "[{}]",
        vec![r#"{"op":"test","path":"/a"}"#; 10_001].join(",")
    );
    let (code, message) = json_patch(&many).expect_err("too many");
    assert_eq!(code, 413);
    assert_eq!(
        message,
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
    );
}

#[test]
fn what_a_json_patch_copies_is_limited() {
    let size = 1022;
    let big = format!(
        r#"{{"op":"add","path":"/spec/x","value":"{}"}}"#,
        "x".repeat(size)
    );
    let copy = r#"{"op":"copy","from":"/spec/x","path":"/spec/y"}"#;
    let copied = |times: usize| {
        let operations = format!("[{big}{}]", format!(",{copy}").repeat(times));
        json_patch(&operations).map(drop)
    };
    // With its quotes the text has 1024 bytes: 3072 are 3 MiB.
    assert_eq!(copied(3072), Ok(()));
    assert_eq!(copied(3073), Err((422, REJECTED.to_owned())));
    let twice = r#"{"op":"copy","from":"/spec","path":"/spec/NAME"}"#;
    let doubling: Vec<String> = (0..60)
        .map(|number| twice.replace("NAME", &number.to_string()))
        .collect();
    let refused = json_patch(&format!("[{}]", doubling.join(",")));
    assert_eq!(refused.map(drop), Err((422, REJECTED.to_owned())));
}

#[test]
fn no_json_patch_nests_deeper_than_can_be_read() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let add = |path: &str, depth: usize| {
        let value = nested(depth);
        format!(r#"{{"op":"add","path":"{path}","value":{value}}}"#)
    };
    let all = |operations: &[String]| json_patch(&format!("[{}]", operations.join(","))).map(drop);
    assert_eq!(all(&[add("/spec/x", 120)]), Ok(()));
    let innermost = format!("/spec/x{}/-", "/0".repeat(99));
    let rejected = Err((422, REJECTED.to_owned()));
    for (further, outcome) in [(25, Ok(())), (26, rejected.clone())] {
        let steps = [add("/spec/x", 100), add(&innermost, further)];
        assert_eq!(all(&steps), outcome, "{further}");
    }
    let replace = |depth: usize| add(&innermost.replace('-', "0"), depth).replace("add", "replace");
    for (deep, outcome) in [(25, Ok(())), (26, rejected.clone())] {
        let steps = [add("/spec/x", 100), add(&innermost, 1), replace(deep)];
        assert_eq!(all(&steps), outcome, "{deep}");
    }
    let wrap = [
        r#"{"op":"add","path":"/y","value":{}}"#,
        r#"{"op":"move","from":"/spec","path":"/y/y"}"#,
        r#"{"op":"move","from":"/y","path":"/spec"}"#,
    ]
    .map(str::to_owned);
    // The specification is three deep, and stands in two when it is moved.
    assert_eq!(all(&vec![wrap.clone(); 123].concat()), Ok(()));
    assert_eq!(all(&vec![wrap; 124].concat()), rejected);
    let copy = r#"{"op":"copy","from":"/spec","path":"/spec/x"}"#.to_owned();
    assert_eq!(all(&vec![copy.clone(); 100]), Ok(()));
    assert_eq!(all(&vec![copy; 200]), rejected);
}

#[test]
fn what_is_no_object_afterwards_is_invalid() {
    let (code, message) = json_patch(r#"[{"op":"replace","path":"","value":[]}]"#).expect_err("[]");
    assert_eq!(code, 422);
    assert_eq!(
        message,
        r#" "" is invalid: patch: Invalid value: "[]": couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#
    );
}

#[test]
fn a_strict_server_hears_of_fields_that_no_patch_has() {
    let patch = r#"[{"op":"add","op":"add","path":"/spec/x","value":1,"extra":1}]"#;
    let patched = apply_to(PatchKind::Json, &network(), patch).expect("applies");
    assert_eq!(
        patched.strict,
        [
            "json patch duplicate field \"[0].op\"",
            "json patch unknown field \"[0].extra\""
        ]
    );
    let patched = apply_to(PatchKind::Merge, &network(), r#"{"spec":{"x":1,"x":2}}"#);
    assert_eq!(
        patched.expect("applies").strict,
        ["duplicate field \"spec.x\""]
    );
}

#[test]
fn merge_patches_are_applied_as_the_server_does() {
    for (patch, key, expected) in [
        (r#"{"spec":null}"#, "/spec", None),
        (r#"{"spec":5}"#, "/spec", Some(json!(5))),
        (r#"{"spec":{"x":null}}"#, "/spec/x", None),
        (
            r#"{"spec":{"m":{"k":1}}}"#,
            "/spec/m",
            Some(json!({"k": 1, "o": 1})),
        ),
        (
            r#"{"spec":{"m":{"o":2}}}"#,
            "/spec/m",
            Some(json!({"k": null, "o": 2})),
        ),
        (
            r#"{"spec":{"y":{"z":null,"w":[{"q":null}]}}}"#,
            "/spec/y",
            Some(json!({"w": [{}]})),
        ),
        (
            r#"{"spec":{"list":[null,1]}}"#,
            "/spec/list",
            Some(json!([null, 1])),
        ),
        (
            r#"{"spec":{"m":[{"q":null}]}}"#,
            "/spec/m",
            Some(json!([{"q": null}])),
        ),
        (
            r#"{"spec":{"deep":{"n":null}}}"#,
            "/spec/deep",
            Some(json!({})),
        ),
        (
            r#"{"metadata":{"labels":{"l":null}}}"#,
            "/metadata/labels",
            Some(json!({})),
        ),
    ] {
        let patched = apply_to(PatchKind::Merge, &network(), patch).expect(patch);
        assert_eq!(patched.object.pointer(key).cloned(), expected, "{patch}");
    }
    let map = "Go value of type map[string]interface {}";
    for (patch, message) in [
        ("null", "Invalid JSON Patch".to_owned()),
        (
            "",
            "error decoding patch: unexpected end of JSON input".to_owned(),
        ),
        (
            "[]",
            format!("error decoding patch: json: cannot unmarshal array into {map}"),
        ),
        (
            "5",
            format!("error decoding patch: json: cannot unmarshal number into {map}"),
        ),
    ] {
        let status = apply_to(PatchKind::Merge, &network(), patch).expect_err(patch);
        assert_eq!(status.message(), message);
        assert_eq!(status.code().as_u16(), 400);
    }
}

fn config_map() -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "s", "labels": {"a": "1"}, "finalizers": ["a", "b"],
            "ownerReferences": [{"uid": "u1", "name": "o"}, {"uid": "u2", "name": "p"}],
        },
        "data": {"k": "v", "k2": "v2"},
    })
}

/// What is at a path after a patch of [`config_map`].
#[track_caller]
fn check_strategic(patch: &Value, at: &str, expected: &Value) {
    let text = patch.to_string();
    let result = apply_to(PatchKind::Strategic, &config_map(), &text).expect(&text);
    let found = result.object.pointer(at).cloned().unwrap_or_default();
    assert_eq!(&found, expected, "{text}");
}

#[test]
fn strategic_patches_merge_the_lists_of_metadata() {
    let finalizers = "/metadata/finalizers";
    let owners = "/metadata/ownerReferences";
    let (one, two) = (
        json!({"uid": "u1", "name": "o"}),
        json!({"uid": "u2", "name": "p"}),
    );
    let three = json!({"uid": "u3", "name": "q"});
    for (patch, key, expected) in [
        (json!({}), finalizers, json!(["a", "b"])),
        (
            json!({"metadata": {"finalizers": ["b"]}}),
            finalizers,
            json!(["a", "b"]),
        ),
        (
            json!({"metadata": {"finalizers": ["c"]}}),
            finalizers,
            json!(["c", "a", "b"]),
        ),
        (
            json!({"metadata": {"finalizers": ["a", "c"]}}),
            finalizers,
            json!(["a", "c", "b"]),
        ),
        (
            json!({"metadata": {"finalizers": null}}),
            finalizers,
            json!(null),
        ),
        (
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
            finalizers,
            json!(["b"]),
        ),
        (
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}}),
            finalizers,
            json!(["a", "b"]),
        ),
        (
            json!({"metadata": {"$setElementOrder/finalizers": ["b", "a"]}}),
            finalizers,
            json!(["b", "a"]),
        ),
        (
            json!({"metadata": {"ownerReferences": [{"uid": "u1", "name": "new"}]}}),
            owners,
            json!([{"uid": "u1", "name": "new"}, two]),
        ),
        (
            json!({"metadata": {"ownerReferences": [three]}}),
            owners,
            json!([three, one, two]),
        ),
        (
            json!({"metadata": {"ownerReferences": [{"uid": "u1", "$patch": "delete"}]}}),
            owners,
            json!([two]),
        ),
        (
            json!({"metadata": {"ownerReferences": [{"$patch": "replace"}, three]}}),
            owners,
            json!([three]),
        ),
        (
            json!({"metadata": {"$setElementOrder/ownerReferences": [{"uid": "u2"}, {"uid": "u1"}]}}),
            owners,
            json!([two, one]),
        ),
        (
            json!({"metadata": {
                "$setElementOrder/ownerReferences": [{"uid": "u2"}, {"uid": "u1"}],
                "ownerReferences": [{"uid": "u1", "$patch": "delete"}],
            }}),
            owners,
            json!([two]),
        ),
    ] {
        check_strategic(&patch, key, &expected);
    }
}

#[test]
fn strategic_patches_merge_maps_and_follow_directives() {
    for (patch, key, expected) in [
        (
            json!({"data": {"$patch": "replace", "n": "v"}}),
            "/data",
            json!({"n": "v"}),
        ),
        (json!({"data": {"$patch": "delete"}}), "/data", json!({})),
        (
            json!({"data": {"$retainKeys": ["k"]}}),
            "/data",
            json!({"k": "v"}),
        ),
        (
            json!({"data": {"$retainKeys": ["k"], "k": "z"}}),
            "/data",
            json!({"k": "z"}),
        ),
        (
            json!({"data": {"k": null, "q": null}}),
            "/data",
            json!({"k2": "v2"}),
        ),
        (
            json!({"metadata": {"labels": {"a": null, "b": "2"}}}),
            "/metadata/labels",
            json!({"b": "2"}),
        ),
    ] {
        check_strategic(&patch, key, &expected);
    }
}

#[test]
fn strategic_patches_merge_the_lists_that_a_kind_says() {
    let account = json!({
        "kind": "ServiceAccount",
        "secrets": [{"name": "a"}, {"name": "b"}],
        "imagePullSecrets": [{"name": "a"}, {"name": "b"}],
    });
    let names = |list: &Value| -> Vec<String> {
        let items = list.as_array().into_iter().flatten();
        items.map(|item| item["name"].to_string()).collect()
    };
    for (patch, key, expected) in [
        (
            json!({"secrets": [{"name": "c"}]}),
            "secrets",
            vec!["\"c\"", "\"a\"", "\"b\""],
        ),
        (
            json!({"secrets": [{"name": "c"}, {"name": "b"}]}),
            "secrets",
            vec!["\"c\"", "\"a\"", "\"b\""],
        ),
        (json!({"secrets": []}), "secrets", vec!["\"a\"", "\"b\""]),
        (
            json!({"$setElementOrder/secrets": [{"name": "b"}, {"name": "c"}], "secrets": [{"name": "c"}]}),
            "secrets",
            vec!["\"a\"", "\"b\"", "\"c\""],
        ),
        (
            json!({"imagePullSecrets": [{"name": "c"}]}),
            "imagePullSecrets",
            vec!["\"c\""],
        ),
    ] {
        let patched = apply_to(PatchKind::Strategic, &account, &patch.to_string());
        assert_eq!(
            names(&patched.expect("applies").object[key]),
            expected,
            "{patch}"
        );
    }
}

#[test]
fn bad_strategic_patches_are_refused_in_the_servers_words() {
    let no_key = "does not contain declared merge key: uid";
    for (patch, code, message) in [
        (
            "5",
            400,
            "json: cannot unmarshal number into Go value of type map[string]interface {}"
                .to_owned(),
        ),
        (
            r#"{"metadata":{"ownerReferences":[{"name":"new"}]}}"#,
            500,
            format!("map: map[name:new] {no_key}"),
        ),
        (
            r#"{"metadata":{"ownerReferences":[{"$patch":"delete"}]}}"#,
            500,
            format!("map: map[$patch:delete] {no_key}"),
        ),
        (
            r#"{"metadata":{"ownerReferences":[{"$patch":"merge"}]}}"#,
            500,
            "merging lists cannot yet be specified in the patch".to_owned(),
        ),
        (
            r#"{"metadata":{"ownerReferences":[{"$patch":"foo","uid":"u1"}]}}"#,
            500,
            "unknown patch type: foo in map: map[$patch:foo uid:u1]".to_owned(),
        ),
        (
            r#"{"metadata":{"finalizers":[5]}}"#,
            500,
            "list element types are not identical: [[a b] [5]]".to_owned(),
        ),
        (
            r#"{"metadata":{"$setElementOrder/finalizers":["b"],"finalizers":["c"]}}"#,
            500,
            "The order in patch list:\n[c]\n doesn't match $setElementOrder list:\n[b]\n"
                .to_owned(),
        ),
        (
            r#"{"metadata":{"$setElementOrder/finalizers":"x"}}"#,
            500,
            "expected a []interface {}, but received a string".to_owned(),
        ),
        (
            r#"{"metadata":{"$setElementOrder/labels":["x"]}}"#,
            500,
            "expected a []interface {}, but received a map[string]interface {}".to_owned(),
        ),
        (
            r#"{"metadata":{"$setElementOrderfinalizers":["x"]}}"#,
            400,
            "invalid patch format of setElementOrder list".to_owned(),
        ),
        (
            r#"{"metadata":{"$deleteFromPrimitiveListfinalizers":["x"]}}"#,
            400,
            "invalid patch format of primitive list".to_owned(),
        ),
        (
            r#"{"data":{"$patch":"foo"}}"#,
            500,
            "unknown patch type: foo in map: map[$patch:foo]".to_owned(),
        ),
        (
            r#"{"data":{"$retainKeys":["k"],"j":"z"}}"#,
            400,
            "invalid patch format of retainKeys".to_owned(),
        ),
        (
            r#"{"data":{"$retainKeys":"k"}}"#,
            400,
            "invalid patch format of retainKeys".to_owned(),
        ),
    ] {
        let status = apply_to(PatchKind::Strategic, &config_map(), patch).expect_err(patch);
        assert_eq!(
            (status.code().as_u16(), status.message()),
            (code, message.as_str()),
            "{patch}"
        );
    }
}

#[test]
fn the_patch_is_shown_when_its_result_is_refused() {
    let patched = apply_to(PatchKind::Strategic, &config_map(), r#"{"data":{"k":5}}"#);
    let status = patched
        .expect("applies")
        .refuse("cannot convert int64 to string");
    assert_eq!(
        status.message(),
        " \"\" is invalid: patch: Invalid value: \"map[data:map[k:5]]\": cannot convert int64 to string"
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3i64).prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    scalar.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            any_object(inner),
        ]
    })
}

fn any_object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[abc]", inner, 0..3)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

proptest! {
    #[test]
    fn a_merge_patch_settles(object in any_object(any_json()), patch in any_object(any_json())) {
        let text = patch.to_string();
        let again = |object: &Value| {
            apply_to(PatchKind::Merge, object, &text).expect("an object").object
        };
        // Nulls within a list that takes the place of an object are only dropped the second time.
        let twice = again(&again(&object));
        prop_assert_eq!(&again(&twice), &twice);
    }

    #[test]
    fn no_patch_panics(
        object in any_object(any_json()),
        op in "add|remove|replace|move|copy|test",
        path in "(/[abc0-2~-]{0,2}){0,3}",
        from in "(/[abc0-2-]{0,2}){0,3}",
        value in any_json(),
    ) {
        let patch = json!([{"op": op, "path": path, "from": from, "value": value}]).to_string();
        let _ = apply_to(PatchKind::Json, &object, &patch);
        let _ = apply_to(PatchKind::Merge, &object, &patch);
        let _ = apply_to(PatchKind::Strategic, &object, &value.to_string());
    }
}
