use std::time::Duration;

use super::*;

/// 2026-01-01T00:00:00Z.
const NOW: Duration = Duration::from_secs(1_767_225_600);

fn built_in_resource(plural: &str) -> Resource {
    Resource {
        group: String::new(),
        version: "v1".to_owned(),
        kind: "Kind".to_owned(),
        plural: plural.to_owned(),
        singular: "kind".to_owned(),
        list_kind: "KindList".to_owned(),
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced: true,
        status: false,
        storage: plural.into(),
        origin: Origin::BuiltIn,
        deprecation: None,
        columns: Vec::new(),
    }
}

fn custom_resource(columns: Value) -> Resource {
    let Value::Array(columns) = columns else {
        panic!("columns are a list");
    };
    Resource {
        origin: Origin::Definition {
            uid: "7".into(),
            name: "networks.sim.example.com".into(),
        },
        columns,
        ..built_in_resource("networks")
    }
}

fn print(resource: &Resource, object: Value, include: IncludeObject) -> Value {
    let now = SystemTime::UNIX_EPOCH + NOW;
    let options = TableOptions {
        version: "v1",
        include,
        headers: true,
    };
    table(resource, [object], &json!({}), now, options)
}

/// The names of the columns, with a star where they are shown on demand, and the cells.
fn check(resource: &Resource, object: Value, columns: &[&str], cells: &Value) {
    let table = print(resource, object, IncludeObject::None);
    let definitions = table["columnDefinitions"].as_array().unwrap();
    let names: Vec<String> = definitions
        .iter()
        .map(|column| {
            let star = if column["priority"] == 0 { "" } else { "*" };
            format!("{}{star}", column["name"].as_str().unwrap())
        })
        .collect();
    assert_eq!(names, columns);
    assert_eq!(table["rows"][0]["cells"], *cells);
}

const CREATED: &str = "2025-12-31T23:59:00Z";

#[test]
fn built_in_kinds_have_the_servers_columns() {
    let object = |mut rest: Value| {
        rest["metadata"] = json!({ "name": "one", "creationTimestamp": CREATED });
        rest
    };
    check(
        &built_in_resource("namespaces"),
        object(json!({ "status": { "phase": "Active" } })),
        &["Name", "Status", "Age"],
        &json!(["one", "Active", "60s"]),
    );
    check(
        &built_in_resource("configmaps"),
        object(json!({ "data": { "a": "", "b": "" }, "binaryData": { "c": "" } })),
        &["Name", "Data", "Age"],
        &json!(["one", 3, "60s"]),
    );
    check(
        &built_in_resource("secrets"),
        object(json!({ "type": "Opaque" })),
        &["Name", "Type", "Data", "Age"],
        &json!(["one", "Opaque", 0, "60s"]),
    );
    check(
        &built_in_resource("serviceaccounts"),
        object(json!({})),
        &["Name", "Age"],
        &json!(["one", "60s"]),
    );
    check(
        &built_in_resource("leases"),
        object(json!({ "spec": { "holderIdentity": "me" } })),
        &["Name", "Holder", "Age"],
        &json!(["one", "me", "60s"]),
    );
    check(
        &built_in_resource("customresourcedefinitions"),
        object(json!({})),
        &["Name", "Created At"],
        &json!(["one", CREATED]),
    );
}

#[test]
fn events_of_both_groups_have_the_same_cells() {
    let columns = [
        "Last Seen",
        "Type",
        "Reason",
        "Object",
        "Subobject*",
        "Source*",
        "Message",
        "First Seen*",
        "Count*",
        "Name*",
    ];
    let events = built_in_resource("events");
    let core = json!({
        "metadata": { "name": "one" },
        "involvedObject": { "kind": "Network", "name": "red", "fieldPath": "spec" },
        "type": "Normal", "reason": "Made", "message": " it was made\n", "count": 2,
        "firstTimestamp": "2025-12-31T23:00:00Z", "lastTimestamp": CREATED,
        "source": { "component": "hand", "host": "left" },
    });
    let own = json!({
        "metadata": { "name": "one" },
        "regarding": { "kind": "Network", "name": "red", "fieldPath": "spec" },
        "type": "Normal", "reason": "Made", "note": " it was made\n", "deprecatedCount": 2,
        "deprecatedFirstTimestamp": "2025-12-31T23:00:00Z", "deprecatedLastTimestamp": CREATED,
        "deprecatedSource": { "component": "hand", "host": "left" },
    });
    let cells = json!([
        "60s",
        "Normal",
        "Made",
        "network/red",
        "spec",
        "hand, left",
        "it was made",
        "60m",
        2,
        "one",
    ]);
    check(&events, core, &columns, &cells);
    check(&events, own, &columns, &cells);
    let single = json!({
        "metadata": { "name": "one" },
        "regarding": { "kind": "Network" },
        "eventTime": CREATED, "reportingController": "hand",
    });
    let cells = json!(["60s", "", "", "network", "", "hand", "", "60s", 1, "one"]);
    check(&events, single, &columns, &cells);
    let series = json!({
        "metadata": { "name": "one" },
        "regarding": { "kind": "Network" },
        "reportingComponent": "hand", "reportingInstance": "left",
        "series": { "count": 5, "lastObservedTime": "2025-12-31T23:59:59.000000Z" },
    });
    let cells = json!([
        "1s",
        "",
        "",
        "network",
        "",
        "hand, left",
        "",
        "<unknown>",
        5,
        "one"
    ]);
    check(&events, series, &columns, &cells);
}

#[test]
fn custom_kinds_have_the_columns_of_their_definitions() {
    let column = |name: &str, kind: &str, path: &str| {
        let priority = i64::from(name.ends_with('*'));
        let name = name.trim_end_matches('*');
        json!({ "name": name, "type": kind, "jsonPath": path, "priority": priority })
    };
    let resource = custom_resource(json!([
        column("Text", "string", ".spec.text"),
        column("Count", "integer", ".spec.count"),
        column("Cut*", "integer", ".spec.ratio"),
        column("Ratio", "number", ".spec.ratio"),
        column("On", "boolean", ".spec.on"),
        column("Since", "date", ".spec.since"),
        column("First", "string", ".spec.tags[*]"),
        column("Tags", "string", ".spec.tags"),
        column(
            "Ready",
            "string",
            r#".spec.conditions[?(@.type=="Ready")].status"#
        ),
        column("Shape", "integer", ".spec.text"),
        column("Broken", "date", ".spec.text"),
        column("Nothing", "string", ".spec.nothing"),
    ]));
    let object = json!({
        "metadata": { "name": "red" },
        "spec": {
            "text": "t", "count": 3, "ratio": 1.5, "on": true, "since": CREATED,
            "tags": ["a", "<b>"], "conditions": [{ "type": "Ready", "status": "True" }],
            "nothing": null,
        },
    });
    check(
        &resource,
        object,
        &[
            "Name", "Text", "Count", "Cut*", "Ratio", "On", "Since", "First", "Tags", "Ready",
            "Shape", "Broken", "Nothing",
        ],
        &json!([
            "red",
            "t",
            3,
            1,
            1.5,
            true,
            "60s",
            "a",
            "[\"a\",\"\\u003cb\\u003e\"]",
            "True",
            null,
            "<invalid>",
            "<no value>",
        ]),
    );
    let empty = json!({ "metadata": { "name": "red" } });
    let table = print(&resource, empty, IncludeObject::None);
    assert_eq!(table["rows"][0]["cells"][1], Value::Null);
}

#[test]
fn a_definition_without_columns_shows_names_and_ages() {
    let object = json!({ "metadata": { "name": "red", "creationTimestamp": CREATED } });
    let resource = custom_resource(json!([]));
    check(&resource, object, &["Name", "Age"], &json!(["red", "60s"]));
}

#[test]
fn rows_carry_as_much_of_the_objects_as_is_asked_for() {
    let object = json!({ "kind": "Network", "metadata": { "name": "red" }, "spec": {} });
    let check = |parameter: &str, expected: Value| {
        let include = IncludeObject::parse(parameter).unwrap();
        let table = print(&custom_resource(json!([])), object.clone(), include);
        assert_eq!(table["rows"][0]["object"], expected, "{parameter}");
    };
    let metadata = json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": { "name": "red" },
    });
    check("", metadata.clone());
    check("Metadata", metadata);
    check("Object", object.clone());
    check("None", Value::Null);
    assert_eq!(IncludeObject::parse("All").unwrap_err().code(), 400);
}

#[test]
fn ages_have_the_digits_that_matter() {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    for (seconds, expected) in [
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (121, "2m1s"),
        (9 * MINUTE + 59, "9m59s"),
        (10 * MINUTE + 1, "10m"),
        (179 * MINUTE, "179m"),
        (3 * HOUR, "3h"),
        (3 * HOUR + MINUTE, "3h1m"),
        (8 * HOUR + MINUTE, "8h"),
        (47 * HOUR, "47h"),
        (2 * DAY, "2d"),
        (2 * DAY + HOUR, "2d1h"),
        (8 * DAY + HOUR, "8d"),
        (729 * DAY, "729d"),
        (730 * DAY, "2y"),
        (731 * DAY, "2y1d"),
        (8 * 365 * DAY + DAY, "8y"),
    ] {
        let age = Age(jiff::SignedDuration::from_secs(seconds));
        assert_eq!(age.to_string(), expected, "{seconds}");
    }
}
