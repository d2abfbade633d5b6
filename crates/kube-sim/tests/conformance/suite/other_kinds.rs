//! Leases, Events, Secrets and `ServiceAccounts`.

use serde_json::json;

use super::world::{Patch, World, version};

behaviours![
    a_lease_keeps_its_times_to_the_microsecond,
    times_lead_out_of_the_years_of_four_digits,
    a_time_of_none_is_null,
    a_lease_is_taken_over_by_one_of_two,
    a_lease_of_negative_duration_is_refused,
    an_event_is_seen_in_both_groups,
    events_k8s_io_wants_more_of_an_event,
    an_event_about_an_object_in_another_namespace_is_refused,
    the_data_of_a_secret_is_base_64,
    base_64_is_written_anew,
    bytes_are_read_from_numbers,
    string_data_becomes_data,
    a_secret_is_opaque_unless_it_says_otherwise,
    a_secret_keeps_its_type,
    an_immutable_configmap_does_not_change,
    an_invalid_key_of_a_configmap_is_refused,
    a_service_account_is_an_object_like_any_other,
];

fn lease_spec(holder: &str) -> serde_json::Value {
    json!({
        "holderIdentity": holder,
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-02T03:04:05.678901Z",
        "renewTime": "2026-01-02T03:04:05.678901Z",
        "leaseTransitions": 0,
    })
}

async fn a_lease_keeps_its_times_to_the_microsecond(world: World) {
    let leases = world.leases();
    let mut lease = leases.object("a");
    lease["spec"] = lease_spec("me");
    leases.create(lease).await.created();
    assert_eq!(leases.get("a").await.ok()["spec"], lease_spec("me"));
}

async fn times_lead_out_of_the_years_of_four_digits(world: World) {
    let leases = world.leases();
    let mut lease = leases.object("a");
    lease["spec"] = json!({
        "acquireTime": "9999-12-31T23:59:59.000000Z",
        "renewTime": "9999-12-31T23:59:59.000000-01:00",
    });
    let lease = leases.create(lease).await.created();
    let expected = json!({
        "acquireTime": "9999-12-31T23:59:59.000000Z",
        "renewTime": "10000-01-01T00:59:59.000000Z",
    });
    assert_eq!(lease["spec"], expected);
    let events = world.within(&world.namespace, "v1", "Event", "events");
    let mut event = events.object("b");
    event["involvedObject"] =
        json!({"kind": "ConfigMap", "name": "map", "namespace": world.namespace});
    event["firstTimestamp"] = "0000-01-01T00:00:00+05:00".into();
    let event = events.create(event).await.created();
    assert_eq!(event["firstTimestamp"], "-0001-12-31T19:00:00Z");
}

async fn a_time_of_none_is_null(world: World) {
    let leases = world.leases();
    let mut lease = leases.object("a");
    lease["spec"] = json!({
        "acquireTime": "0001-01-01T00:00:00.000000Z",
        "renewTime": "0001-01-01T01:00:00.000000+01:00",
    });
    let lease = leases.create(lease).await.created();
    let none = json!({"acquireTime": null, "renewTime": null});
    assert_eq!(lease["spec"], none);
    assert_eq!(leases.get("a").await.ok()["spec"], none);
    let lease = leases
        .merge("a", json!({"spec": {"holderIdentity": "me"}}))
        .await;
    assert_eq!(lease["spec"], json!({"holderIdentity": "me"}));
}

async fn a_lease_is_taken_over_by_one_of_two(world: World) {
    let leases = world.leases();
    let mut lease = leases.object("a");
    lease["spec"] = lease_spec("nobody");
    let lease = leases.create(lease).await.created();
    let take = async |holder: &str| {
        let mut lease = lease.clone();
        lease["spec"] = lease_spec(holder);
        leases.replace("a", lease).await.code
    };
    let mut codes = [take("me").await, take("you").await];
    codes.sort_unstable();
    assert_eq!(codes, [200, 409]);
    assert_eq!(leases.get("a").await.ok()["spec"]["holderIdentity"], "me");
}

async fn a_lease_of_negative_duration_is_refused(world: World) {
    let leases = world.leases();
    let mut lease = leases.object("a");
    lease["spec"] = json!({"leaseDurationSeconds": 0});
    leases.create(lease).await.invalid(
        "Lease.coordination.k8s.io \"a\"",
        "spec.leaseDurationSeconds",
        "FieldValueInvalid",
        "Invalid value: 0: must be greater than 0",
    );
}

fn event(world: &World) -> serde_json::Value {
    json!({
        "metadata": {"name": "a"},
        "eventTime": "2026-01-02T03:04:05.678901Z",
        "reportingController": "example.com/controller",
        "reportingInstance": "controller-1",
        "action": "Deleting",
        "reason": "Cascade",
        "type": "Normal",
        "regarding": {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": "map",
            "namespace": world.namespace,
        },
        "note": "it goes",
    })
}

async fn an_event_is_seen_in_both_groups(world: World) {
    let new = world.within(&world.namespace, "events.k8s.io/v1", "Event", "events");
    let old = world.within(&world.namespace, "v1", "Event", "events");
    let created = new.create(event(&world)).await.created();
    assert_eq!(created["apiVersion"], "events.k8s.io/v1");
    assert_eq!(created["regarding"]["name"], "map");
    let seen = old.get("a").await.ok();
    assert_eq!(seen["apiVersion"], "v1");
    assert_eq!(seen["involvedObject"]["name"], "map");
    assert_eq!(seen["message"], "it goes");
    assert_eq!(seen["reportingComponent"], "example.com/controller");
    assert_eq!(version(&seen), version(&created));
    assert_eq!(old.names("").await, ["a"]);
    let by_object = "fieldSelector=involvedObject.name%3Dmap";
    assert_eq!(old.names(by_object).await, ["a"]);
    let by_object = "fieldSelector=involvedObject.name%3Dother";
    assert_eq!(old.names(by_object).await, [""; 0]);
}

async fn events_k8s_io_wants_more_of_an_event(world: World) {
    let new = world.within(&world.namespace, "events.k8s.io/v1", "Event", "events");
    let mut event = event(&world);
    let event = event.as_object_mut().expect("it is one");
    event.remove("action");
    event.remove("reportingInstance");
    let answer = new.create(json!(event)).await;
    let causes = answer.body["details"]["causes"].as_array();
    let fields: Vec<_> = causes
        .expect("causes")
        .iter()
        .map(|cause| cause["field"].as_str().expect("a field"))
        .collect();
    assert_eq!(fields, ["reportingInstance", "action"]);
}

async fn an_event_about_an_object_in_another_namespace_is_refused(world: World) {
    let old = world.within(&world.namespace, "v1", "Event", "events");
    let mut event = old.object("a");
    event["involvedObject"] = json!({"kind": "ConfigMap", "name": "map", "namespace": "default"});
    let answer = old.create(event).await;
    let message = "Event \"a\" is invalid: involvedObject.namespace: Invalid value: \"default\": \
        does not match event.namespace";
    answer.refused(422, "Invalid", message);
}

async fn the_data_of_a_secret_is_base_64(world: World) {
    let secrets = world.secrets();
    let mut secret = secrets.object("a");
    secret["data"] = json!({"x": "aGVsbG8="});
    let secret = secrets.create(secret).await.created();
    assert_eq!(secret["data"], json!({"x": "aGVsbG8="}));
    let mut secret = secrets.object("b");
    secret["data"] = json!({"x": "not base 64"});
    let answer = secrets.create(secret).await;
    answer.refused(
        400,
        "BadRequest",
        "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte \
         3",
    );
}

async fn base_64_is_written_anew(world: World) {
    let secrets = world.secrets();
    let mut secret = secrets.object("a");
    secret["data"] = json!({"lines": "aGVs\nbG8=\r\n", "bits": "Zh=="});
    let secret = secrets.create(secret).await.created();
    assert_eq!(secret["data"], json!({"lines": "aGVsbG8=", "bits": "Zg=="}));
    for (text, byte) in [
        ("aGV\n\n", 2),
        ("aA==\nx", 5),
        ("aA=", 3),
        ("aAA\n=a", 5),
        ("====", 0),
    ] {
        let mut secret = secrets.object("b");
        secret["data"] = json!({"x": text});
        let message = format!(
            "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input \
             byte {byte}"
        );
        secrets
            .create(secret)
            .await
            .refused(400, "BadRequest", &message);
    }
}

async fn bytes_are_read_from_numbers(world: World) {
    let maps = world.configmaps();
    let mut map = maps.object("a");
    map["binaryData"] = json!({"some": [1, 2, null, 255], "none": []});
    let map = maps.create(map).await.created();
    assert_eq!(map["binaryData"], json!({"some": "AQIA/w==", "none": ""}));
    for (list, found) in [(json!([1, 256]), "number 256"), (json!(["x"]), "string")] {
        let mut map = maps.object("b");
        map["binaryData"] = json!({"x": list});
        let message = format!(
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal \
             {found} into Go struct field ConfigMap.binaryData of type uint8"
        );
        maps.create(map).await.refused(400, "BadRequest", &message);
    }
}

async fn string_data_becomes_data(world: World) {
    let secrets = world.secrets();
    let mut secret = secrets.object("a");
    secret["stringData"] = json!({"x": "hello"});
    let secret = secrets.create(secret).await.created();
    assert_eq!(secret["data"], json!({"x": "aGVsbG8="}));
    assert_eq!(secret.get("stringData"), None);
}

async fn a_secret_is_opaque_unless_it_says_otherwise(world: World) {
    let secret = world.secrets().made("a", json!({})).await;
    assert_eq!(secret["type"], "Opaque");
}

async fn a_secret_keeps_its_type(world: World) {
    let secrets = world.secrets();
    secrets.made("a", json!({})).await;
    let patch = json!({"type": "example.com/other"});
    secrets.patch("a", Patch::Merge, patch).await.invalid(
        "Secret \"a\"",
        "type",
        "FieldValueInvalid",
        "Invalid value: \"example.com/other\": field is immutable",
    );
}

async fn an_immutable_configmap_does_not_change(world: World) {
    let maps = world.configmaps();
    let mut map = maps.object("a");
    map["data"] = json!({"x": "1"});
    map["immutable"] = json!(true);
    maps.create(map).await.created();
    let answer = maps
        .patch("a", Patch::Merge, json!({"data": {"x": "2"}}))
        .await;
    answer.invalid(
        "ConfigMap \"a\"",
        "data",
        "FieldValueForbidden",
        "Forbidden: field is immutable when `immutable` is set",
    );
    let patch = json!({"metadata": {"labels": {"a": "b"}}});
    maps.merge("a", patch).await;
}

async fn an_invalid_key_of_a_configmap_is_refused(world: World) {
    let maps = world.configmaps();
    let mut map = maps.object("a");
    map["data"] = json!({"a/b": "1"});
    maps.create(map).await.invalid(
        "ConfigMap \"a\"",
        "data[a/b]",
        "FieldValueInvalid",
        "Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', \
         '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is \
         '[-._a-zA-Z0-9]+')",
    );
}

async fn a_service_account_is_an_object_like_any_other(world: World) {
    let accounts = world.within(&world.namespace, "v1", "ServiceAccount", "serviceaccounts");
    let account = accounts.made("a", json!({"labels": {"a": "b"}})).await;
    assert_eq!(accounts.get("a").await.ok(), account);
    accounts.delete("a", json!({})).await.ok();
    assert!(!accounts.exists("a").await);
}
