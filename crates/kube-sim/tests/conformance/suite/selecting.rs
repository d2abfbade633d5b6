//! Label and field selectors.

use serde_json::json;

use super::world::{World, query};

behaviours![
    a_selector_for_an_empty_value_matches_only_the_empty_value,
    an_absent_or_blank_selector_matches_everything,
    a_comma_in_a_selector_makes_a_second_requirement,
    a_selector_matches_equal_values,
    not_equal_matches_objects_without_the_label,
    in_and_notin_select_from_sets,
    exists_and_not_exists_select_by_key,
    greater_and_less_compare_numbers,
    an_empty_set_means_the_empty_value,
    a_selector_with_an_invalid_value_is_refused,
    a_selector_with_an_invalid_key_is_refused,
    a_selector_with_broken_syntax_is_refused,
    a_comparison_with_something_else_than_a_number_is_refused,
    a_field_selector_selects_by_name_and_namespace,
    an_unknown_field_is_refused,
    a_field_selector_with_broken_syntax_is_refused,
    an_empty_term_of_a_field_selector_matches_everything,
    a_selector_can_be_escaped_in_a_field_value,
];

async fn labelled(world: &World) {
    for (name, labels) in [
        ("none", json!({})),
        ("empty", json!({"k": ""})),
        ("one", json!({"k": "1", "tier": "gold"})),
        ("p1", json!({"k": "p1", "b": ""})),
        ("ten", json!({"k": "10", "example.com/zone": "a"})),
    ] {
        for collection in [world.configmaps(), world.widgets()] {
            collection.made(name, json!({"labels": labels})).await;
        }
    }
}

async fn check(world: &World, selector: &str, expected: &[&str]) {
    for collection in [world.configmaps(), world.widgets()] {
        let names = collection.names(&query("labelSelector", selector)).await;
        assert_eq!(names, expected, "{selector}");
    }
}

async fn refused(world: &World, parameter: &str, selector: &str, message: &str) {
    for collection in [world.configmaps(), world.widgets()] {
        let answer = collection.list(&query(parameter, selector)).await;
        answer.refused(400, "BadRequest", message);
    }
}

async fn a_selector_for_an_empty_value_matches_only_the_empty_value(world: World) {
    labelled(&world).await;
    check(&world, "k=", &["empty"]).await;
}

async fn an_absent_or_blank_selector_matches_everything(world: World) {
    labelled(&world).await;
    for selector in ["", " ", "   "] {
        check(&world, selector, &["empty", "none", "one", "p1", "ten"]).await;
    }
}

async fn a_comma_in_a_selector_makes_a_second_requirement(world: World) {
    labelled(&world).await;
    check(&world, "k=p1,b", &["p1"]).await;
    check(&world, "k=1,b", &[]).await;
}

async fn a_selector_matches_equal_values(world: World) {
    labelled(&world).await;
    check(&world, "k=1", &["one"]).await;
    check(&world, "k==1", &["one"]).await;
    check(&world, "k = 1 , tier = gold", &["one"]).await;
    check(&world, "example.com/zone=a", &["ten"]).await;
    check(&world, "k=2", &[]).await;
}

async fn not_equal_matches_objects_without_the_label(world: World) {
    labelled(&world).await;
    check(&world, "k!=1", &["empty", "none", "p1", "ten"]).await;
}

async fn in_and_notin_select_from_sets(world: World) {
    labelled(&world).await;
    check(&world, "k in (1, 10)", &["one", "ten"]).await;
    check(&world, "k notin (1,10,p1)", &["empty", "none"]).await;
}

async fn exists_and_not_exists_select_by_key(world: World) {
    labelled(&world).await;
    check(&world, "tier", &["one"]).await;
    check(&world, "!k", &["none"]).await;
}

async fn greater_and_less_compare_numbers(world: World) {
    labelled(&world).await;
    check(&world, "k>1", &["ten"]).await;
    check(&world, "k<10", &["one"]).await;
}

async fn an_empty_set_means_the_empty_value(world: World) {
    labelled(&world).await;
    check(&world, "k in ()", &["empty"]).await;
}

async fn a_selector_with_an_invalid_value_is_refused(world: World) {
    let rule = "a valid label must be an empty string or consist of alphanumeric characters, '-', \
        '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
        'my_value',  or '12345', regex used for validation is \
        '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    for value in ["-b", "a/b", "a:b"] {
        let message = format!(
            "unable to parse requirement: values[0][a]: Invalid value: \"{value}\": {rule}"
        );
        refused(&world, "labelSelector", &format!("a={value}"), &message).await;
    }
    let long = "x".repeat(64);
    let message = format!(
        "unable to parse requirement: values[0][a]: Invalid value: \"{long}\": must be no more \
         than 63 bytes"
    );
    refused(&world, "labelSelector", &format!("a={long}"), &message).await;
}

async fn a_selector_with_an_invalid_key_is_refused(world: World) {
    let message = "unable to parse requirement: <nil>: Invalid value: \"-a\": name part must \
        consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
        alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for \
        validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    refused(&world, "labelSelector", "-a=b", message).await;
}

async fn a_selector_with_broken_syntax_is_refused(world: World) {
    for (selector, message) in [
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        (
            "=b",
            "found '=', expected: !, identifier, or 'end of string'",
        ),
        ("a,", "found '', expected: identifier after ','"),
        (
            ",",
            "found ',', expected: !, identifier, or 'end of string'",
        ),
        (
            "a b",
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
        ),
        (
            "a in (b,c",
            "unable to parse requirement: found '', expected: ',' or ')'",
        ),
    ] {
        refused(&world, "labelSelector", selector, message).await;
    }
}

async fn a_comparison_with_something_else_than_a_number_is_refused(world: World) {
    let message = "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' \
        operators, the value must be an integer";
    refused(&world, "labelSelector", "a>x", message).await;
    refused(&world, "labelSelector", "a<x", message).await;
}

async fn a_field_selector_selects_by_name_and_namespace(world: World) {
    labelled(&world).await;
    let here = format!("metadata.namespace={}", world.namespace);
    for (selector, expected) in [
        ("metadata.name=one", &["one"][..]),
        ("metadata.name==one", &["one"]),
        ("metadata.name!=one", &["empty", "none", "p1", "ten"]),
        ("metadata.name=one,metadata.name=ten", &[]),
        ("metadata.namespace=elsewhere", &[]),
        (&here, &["empty", "none", "one", "p1", "ten"]),
    ] {
        for collection in [world.configmaps(), world.widgets()] {
            let names = collection.names(&query("fieldSelector", selector)).await;
            assert_eq!(names, expected, "{selector}");
        }
    }
}

async fn an_unknown_field_is_refused(world: World) {
    let selector = query("fieldSelector", "spec.x=y");
    world.configmaps().list(&selector).await.refused(
        400,
        "BadRequest",
        "\"spec.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
    );
    let answer = world.widgets().list(&selector).await;
    answer.refused(400, "BadRequest", "field label not supported: spec.x");
}

async fn a_field_selector_with_broken_syntax_is_refused(world: World) {
    for (selector, message) in [
        (
            "metadata.name",
            "invalid selector: 'metadata.name'; can't understand 'metadata.name'",
        ),
        (
            "a=b=c",
            "invalid field selector: unescaped character in value: 61",
        ),
    ] {
        refused(&world, "fieldSelector", selector, message).await;
    }
}

async fn an_empty_term_of_a_field_selector_matches_everything(world: World) {
    labelled(&world).await;
    let names = world.widgets().names(&query("fieldSelector", "=")).await;
    assert_eq!(names.len(), 5);
}

async fn a_selector_can_be_escaped_in_a_field_value(world: World) {
    labelled(&world).await;
    let selector = query("fieldSelector", r"metadata.name=one\,two");
    assert_eq!(world.widgets().names(&selector).await, [""; 0]);
}
