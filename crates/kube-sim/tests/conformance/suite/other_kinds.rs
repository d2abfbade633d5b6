//! Leases, Events, Secrets and `ServiceAccounts`.

use serde_json::json;

use super::world::{Patch, World, version};

behaviours![
    a_lease_keeps_its_times_to_the_microsecond,
    a_lease_is_taken_over_by_one_of_two,
    a_lease_of_negative_duration_is_refused,
    an_event_is_seen_in_both_groups,
    events_k8s_io_wants_more_of_an_event,
    an_event_about_an_object_in_another_namespace_is_refused,
    the_data_of_a_secret_is_base_64,
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
