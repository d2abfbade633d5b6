//! Custom objects against their schema: pruning, defaults, validation, strictness.

use serde_json::{Value, json};

use super::world::{Patch, World};

behaviours![
    unknown_fields_are_pruned,
    a_kind_that_preserves_unknown_fields_keeps_them,
    a_default_is_filled_in_where_its_parent_is,
    a_default_is_filled_in_for_null,
    a_number_below_the_minimum_is_refused,
    a_number_above_the_maximum_is_refused,
    a_value_outside_the_enumeration_is_refused,
    too_many_items_are_refused,
    a_value_of_the_wrong_type_is_refused,
    several_faults_of_the_schema_are_all_named,
    a_patch_is_validated_too,
    strictness_refuses_unknown_fields,
    strictness_refuses_repeated_fields,
    strictness_applies_to_built_in_kinds,
    strictness_applies_to_patches,
    a_warning_names_unknown_fields,
    ignoring_unknown_fields_warns_of_nothing,
    an_unknown_strictness_is_refused,
    unknown_fields_of_the_metadata_are_dropped,
];

async fn widget(world: &World, spec: Value) -> super::world::Answer {
    let widgets = world.widgets();
    let mut object = widgets.object("a");
    object["spec"] = spec;
    widgets.create(object).await
}

async fn invalid(world: &World, spec: Value, field: &str, cause: &str, text: &str) {
    let subject = "Widget.conformance.example.com \"a\"";
    let answer = widget(world, spec).await;
    answer.invalid(subject, field, cause, text);
    assert!(!world.widgets().exists("a").await);
}

async fn unknown_fields_are_pruned(world: World) {
    let widgets = world.widgets();
    let mut object = widgets.object("a");
    object["spec"] = json!({"size": 1, "unknown": {"a": 1}});
    object["other"] = json!(1);
    let object = widgets.create(object).await.created();
    assert_eq!(object["spec"], json!({"size": 1, "note": "none"}));
    assert_eq!(object.get("other"), None);
}

async fn a_kind_that_preserves_unknown_fields_keeps_them(world: World) {
    let mut object = world.crates().object("a");
    object["spec"] = json!({"deep": [{"x": null}, 1.5, "s", true]});
    let created = world.crates().create(object.clone()).await.created();
    assert_eq!(created["spec"], object["spec"]);
}

async fn a_default_is_filled_in_where_its_parent_is(world: World) {
    let object = widget(&world, json!({})).await.created();
    assert_eq!(object["spec"], json!({"note": "none"}));
    let object = world.widgets().made("b", json!({})).await;
    assert_eq!(object.get("spec"), None);
}

async fn a_default_is_filled_in_for_null(world: World) {
    let object = widget(&world, json!({"note": null})).await.created();
    assert_eq!(object["spec"], json!({"note": "none"}));
}

async fn a_number_below_the_minimum_is_refused(world: World) {
    invalid(
        &world,
        json!({"size": -1}),
        "spec.size",
        "FieldValueInvalid",
        "Invalid value: -1: spec.size in body should be greater than or equal to 0",
    )
    .await;
}

async fn a_number_above_the_maximum_is_refused(world: World) {
    invalid(
        &world,
        json!({"size": 101}),
        "spec.size",
        "FieldValueInvalid",
        "Invalid value: 101: spec.size in body should be less than or equal to 100",
    )
    .await;
}

async fn a_value_outside_the_enumeration_is_refused(world: World) {
    invalid(
        &world,
        json!({"colour": "blue"}),
        "spec.colour",
        "FieldValueNotSupported",
        "Unsupported value: \"blue\": supported values: \"red\", \"green\"",
    )
    .await;
}

async fn too_many_items_are_refused(world: World) {
    invalid(
        &world,
        json!({"tags": ["a", "b", "c", "d"]}),
        "spec.tags",
        "FieldValueTooMany",
        "Too many: 4: must have at most 3 items",
    )
    .await;
}

async fn a_value_of_the_wrong_type_is_refused(world: World) {
    for (spec, field, message) in [
        (
            json!({"size": "x"}),
            "spec.size",
            "Invalid value: \"string\": spec.size in body must be of type integer: \"string\"",
        ),
        (
            json!({"tags": [1]}),
            "spec.tags[0]",
            "Invalid value: \"integer\": spec.tags[0] in body must be of type string: \"integer\"",
        ),
        (
            json!("x"),
            "spec",
            "Invalid value: \"string\": spec in body must be of type object: \"string\"",
        ),
    ] {
        invalid(&world, spec, field, "FieldValueTypeInvalid", message).await;
    }
}

async fn several_faults_of_the_schema_are_all_named(world: World) {
    let spec = json!({"size": -1, "colour": "blue", "tags": [1, 2, 3, 4]});
    let answer = widget(&world, spec).await;
    let causes = answer.body["details"]["causes"].as_array();
    let mut fields: Vec<_> = causes
        .expect("causes")
        .iter()
        .map(|cause| cause["field"].as_str().expect("a field"))
        .collect();
    fields.sort_unstable();
    fields.dedup();
    for field in ["spec.colour", "spec.size", "spec.tags"] {
        assert!(fields.contains(&field), "{field} in {fields:?}");
    }
}

async fn a_patch_is_validated_too(world: World) {
    let before = widget(&world, json!({"size": 1})).await.created();
    let patch = json!({"spec": {"size": -1}});
    let answer = world.widgets().patch("a", Patch::Merge, patch).await;
    assert_eq!((answer.code, answer.reason()), (422, "Invalid"));
    assert_eq!(world.widgets().get("a").await.ok(), before);
}

async fn strictness_refuses_unknown_fields(world: World) {
    let widgets = world.widgets();
    let mut object = widgets.object("a");
    object["spec"] = json!({"unknown": 1});
    object["other"] = json!(2);
    let answer = widgets.create_with("fieldValidation=Strict", object).await;
    answer.refused(
        400,
        "BadRequest",
        "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown \
         field \"other\", unknown field \"spec.unknown\"",
    );
}

async fn strictness_refuses_repeated_fields(world: World) {
    let widgets = world.widgets();
    let body = r#"{"apiVersion":"conformance.example.com/v1","kind":"Widget",
        "metadata":{"name":"a","name":"b","bogus":1}}"#;
    let path = format!("{}?fieldValidation=Strict", widgets.path);
    let answer = world
        .call_raw(http::Method::POST, &path, "application/json", body)
        .await;
    answer.refused(
        400,
        "BadRequest",
        "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: duplicate \
         field \"metadata.name\", unknown field \"metadata.bogus\"",
    );
}

async fn strictness_applies_to_built_in_kinds(world: World) {
    let maps = world.configmaps();
    let mut object = maps.with("a", json!({"bogus": 1}));
    object["unknown"] = json!(1);
    let answer = maps.create_with("fieldValidation=Strict", object).await;
    answer.refused(
        400,
        "BadRequest",
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: \
         unknown field \"metadata.bogus\", unknown field \"unknown\"",
    );
}

async fn strictness_applies_to_patches(world: World) {
    world.widgets().made("a", json!({})).await;
    let target = format!("{}?fieldValidation=Strict", world.widgets().at("a"));
    let patch = json!({"spec": {"unknown": 1}}).to_string();
    let answer = world
        .call_raw(
            http::Method::PATCH,
            &target,
            Patch::Merge.content_type(),
            patch,
        )
        .await;
    assert_eq!((answer.code, answer.reason()), (422, "Invalid"));
    let end = "\": strict decoding error: unknown field \"spec.unknown\"";
    assert!(answer.message().ends_with(end), "{}", answer.message());
}

async fn a_warning_names_unknown_fields(world: World) {
    let widgets = world.widgets();
    let mut object = widgets.object("a");
    object["spec"] = json!({"unknown": 1, "size": 1});
    let answer = widgets.create_with("fieldValidation=Warn", object).await;
    assert_eq!(
        answer.warnings,
        ["299 - \"unknown field \\\"spec.unknown\\\"\""]
    );
    assert_eq!(answer.created()["spec"], json!({"size": 1, "note": "none"}));
}

async fn ignoring_unknown_fields_warns_of_nothing(world: World) {
    let widgets = world.widgets();
    let mut object = widgets.object("a");
    object["spec"] = json!({"unknown": 1});
    let answer = widgets.create_with("fieldValidation=Ignore", object).await;
    assert_eq!(answer.warnings, [""; 0]);
    answer.created();
}

async fn an_unknown_strictness_is_refused(world: World) {
    let maps = world.configmaps();
    let answer = maps
        .create_with("fieldValidation=Bogus", maps.object("a"))
        .await;
    answer.invalid(
        "CreateOptions.meta.k8s.io \"\"",
        "fieldValidation",
        "FieldValueNotSupported",
        "Unsupported value: \"Bogus\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
    );
}

async fn unknown_fields_of_the_metadata_are_dropped(world: World) {
    for collection in [world.configmaps(), world.crates()] {
        let object = collection.made("a", json!({"bogus": {"a": 1}})).await;
        assert_eq!(object["metadata"].get("bogus"), None);
    }
}
