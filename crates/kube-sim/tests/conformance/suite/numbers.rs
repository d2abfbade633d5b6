//! Numbers: what counts as an integer, and how they are written.

use http::Method;
use serde_json::json;

use super::{
    kinds::V1,
    world::{Patch, World, version},
};

behaviours![
    a_number_with_a_fraction_is_kept_as_it_is,
    a_number_is_written_in_digits_unless_they_are_many,
    the_digits_count_towards_the_size,
    a_fraction_is_no_integer,
    a_whole_number_that_is_not_exact_is_no_integer,
];

async fn a_number_with_a_fraction_is_kept_as_it_is(world: World) {
    let crates = world.crates();
    let mut object = crates.object("a");
    object["spec"] = json!({"a": 997.885_340_606_695_1, "b": 0.1, "c": 4.9e-324});
    crates.create(object).await.created();
    crates.merge("a", json!({"more": 1})).await;
    let text = crates.get("a").await.text;
    let spec = r#""spec":{"a":997.8853406066951,"b":0.1,"c":5e-324}"#;
    assert!(text.contains(spec), "{text}");
}

async fn a_number_is_written_in_digits_unless_they_are_many(world: World) {
    let crates = world.crates();
    let sent = "1e17,-1e17,1152921504606846976.0,9223372036854775807.0,9.3e18,1e20,1e21,1.5e300,\
        0.000001,1.5e-7,2.0,9007199254740992.0";
    let kept = "100000000000000000,-100000000000000000,1152921504606847000,9223372036854776000,\
        9300000000000000000,100000000000000000000,1e+21,1.5e+300,0.000001,1.5e-7,2,9007199254740992";
    let body = format!(
        r#"{{"apiVersion":"{V1}","kind":"Crate","metadata":{{"name":"a"}},"spec":{{"n":[{sent}]}}}}"#
    );
    let created = world
        .call_raw(Method::POST, &crates.path, "application/json", body)
        .await;
    let is_kept = |text: &str| assert!(text.contains(&format!("[{kept}]")), "{text}");
    is_kept(&created.text);
    // Also when it was read and written once more.
    let merged = crates.merge("a", json!({"more": 1})).await;
    is_kept(&crates.get("a").await.text);
    let body = format!(r#"{{"spec":{{"n":[{kept}]}}}}"#);
    let same = crates.patch_raw("a", Patch::Merge, body).await.ok();
    assert_eq!(version(&same), version(&merged));
}

async fn the_digits_count_towards_the_size(world: World) {
    let crates = world.crates();
    let mut object = crates.object("a");
    // 400 kB as it is sent, and 1.8 MB as it is stored.
    object["spec"] = json!({"n": vec![1e20; 80_000]});
    let message = "etcdserver: request is too large";
    crates.create(object).await.refused(500, "", message);
}

async fn a_fraction_is_no_integer(world: World) {
    let widgets = world.widgets();
    let mut widget = widgets.object("a");
    widget["spec"] = json!({"size": 1.5});
    let answer = widgets.create(widget).await;
    assert_eq!((answer.code, answer.reason()), (422, "Invalid"));
    let start = "Widget.conformance.example.com \"a\" is invalid: [spec.size: Invalid value: \
        \"number\": spec.size in body must be of type integer: \"number\"";
    assert!(answer.message().starts_with(start), "{}", answer.message());
}

async fn a_whole_number_that_is_not_exact_is_no_integer(world: World) {
    let path = format!("{}?dryRun=All", world.widgets().path);
    for (size, is_one) in [
        ("9007199254740991.0", true),
        ("9007199254740992.0", false),
        ("1e17", false),
        ("100000000000000000", true),
    ] {
        let body = format!(
            r#"{{"apiVersion":"{V1}","kind":"Widget","metadata":{{"name":"a"}},"spec":{{"size":{size}}}}}"#
        );
        let answer = world
            .call_raw(Method::POST, &path, "application/json", body)
            .await;
        let is_type = answer.message().contains("must be of type integer");
        assert_eq!(!is_type, is_one, "{size}: {}", answer.text);
    }
}
