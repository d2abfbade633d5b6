//! Lists: order, pages, and which version they are of.

use serde_json::json;

use super::{
    kinds::V1,
    world::{Collection, World, query, version},
};

behaviours![
    a_list_is_in_the_order_of_names,
    a_list_over_all_namespaces_is_in_the_order_of_namespaces_and_names,
    a_list_of_a_namespace_that_does_not_exist_is_empty,
    items_of_a_built_in_list_carry_no_kind_and_custom_ones_do,
    a_list_has_a_version_not_older_than_its_items,
    a_page_says_how_many_items_remain,
    the_last_page_has_no_token,
    a_page_that_is_exactly_full_is_the_last_one,
    a_selected_page_does_not_say_how_many_items_remain,
    a_selected_page_has_a_token_though_nothing_that_is_left_may_be_selected,
    pages_show_one_version_of_the_collection,
    a_limit_of_zero_or_below_is_no_limit,
    a_limit_that_is_no_number_is_refused,
    a_token_that_is_none_is_refused,
    a_token_that_leads_elsewhere_is_refused,
    a_token_of_the_future_times_out,
    a_token_of_no_version_goes_on_with_what_there_is,
    a_path_with_a_broken_escape_is_refused,
    a_token_together_with_a_version_is_refused,
    a_version_of_zero_answers_the_whole_list,
    an_exact_version_shows_the_past,
    not_older_than_shows_the_present,
    a_version_match_without_a_version_is_refused,
    an_exact_match_of_version_zero_is_refused,
    an_unknown_version_match_is_refused,
    a_version_that_is_no_number_is_refused,
    a_version_from_the_future_times_out,
    initial_events_are_for_watches_only,
    a_get_at_version_zero_answers,
];

async fn three(collection: &Collection) {
    for name in ["c", "a", "b"] {
        let metadata = json!({"labels": {"page": "yes"}});
        collection.made(name, metadata).await;
    }
}

async fn a_list_is_in_the_order_of_names(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        for name in ["b", "a.b", "a-b", "a", "0"] {
            collection.made(name, json!({})).await;
        }
        assert_eq!(collection.names("").await, ["0", "a", "a-b", "a.b", "b"]);
    }
}

async fn a_list_over_all_namespaces_is_in_the_order_of_namespaces_and_names(world: World) {
    let other = world.another_namespace().await;
    let mark = other.clone();
    let there = world.within(&other, V1, "Widget", "widgets");
    let metadata = json!({"labels": {"mark": mark}});
    there.made("a", metadata.clone()).await;
    world.widgets().made("z", metadata.clone()).await;
    world.widgets().made("b", metadata).await;
    let everywhere = world.collection(&format!("/apis/{V1}/widgets"), V1, "Widget");
    let query = query("labelSelector", &format!("mark={mark}"));
    let mut expected = vec![
        (world.namespace.clone(), "b"),
        (world.namespace.clone(), "z"),
        (other, "a"),
    ];
    expected.sort();
    let list = everywhere.list(&query).await.ok();
    let found: Vec<_> = list["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| {
            let metadata = &item["metadata"];
            let text = |key: &str| metadata[key].as_str().expect("text").to_owned();
            (text("namespace"), text("name"))
        })
        .collect();
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(namespace, name)| (namespace, name.to_owned()))
        .collect();
    assert_eq!(found, expected);
}

async fn a_list_of_a_namespace_that_does_not_exist_is_empty(world: World) {
    let nowhere = world.within("nowhere", V1, "Widget", "widgets");
    let list = nowhere.list("").await.ok();
    assert_eq!(list["items"], json!([]));
    assert_eq!(list["kind"], "WidgetList");
    let nowhere = world.within("nowhere", "v1", "ConfigMap", "configmaps");
    let list = nowhere.list("").await.ok();
    assert_eq!(list["items"], json!([]));
    assert_eq!(list["kind"], "ConfigMapList");
}

async fn items_of_a_built_in_list_carry_no_kind_and_custom_ones_do(world: World) {
    world.configmaps().made("a", json!({})).await;
    world.widgets().made("a", json!({})).await;
    let maps = world.configmaps().list("").await.ok();
    assert_eq!(maps["items"][0].get("kind"), None);
    assert_eq!(maps["items"][0].get("apiVersion"), None);
    let widgets = world.widgets().list("").await.ok();
    assert_eq!(widgets["items"][0]["kind"], "Widget");
    assert_eq!(widgets["items"][0]["apiVersion"], V1);
}

async fn a_list_has_a_version_not_older_than_its_items(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let newest = collection.made("a", json!({})).await;
        let number = |version: String| version.parse::<u64>().expect("a number");
        let list = collection.list("").await.version();
        assert!(number(list) >= number(version(&newest)));
    }
}

async fn a_page_says_how_many_items_remain(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        three(&collection).await;
        let page = collection.list("limit=1").await;
        assert_eq!(page.names(), ["a"]);
        assert_eq!(page.body["metadata"]["remainingItemCount"], 2);
        let page = collection
            .list(&format!("limit=1&{}", after(&page.body)))
            .await;
        assert_eq!(page.names(), ["b"]);
        assert_eq!(page.body["metadata"]["remainingItemCount"], 1);
    }
}

/// The query for the next page.
fn after(page: &serde_json::Value) -> String {
    let token = page["metadata"]["continue"].as_str().expect("a token");
    assert_ne!(token, "");
    query("continue", token)
}

async fn the_last_page_has_no_token(world: World) {
    for (collection, token) in [
        (world.configmaps(), None),
        (world.widgets(), Some(&json!(""))),
    ] {
        three(&collection).await;
        let page = collection.list("limit=2").await.ok();
        let page = collection.list(&after(&page)).await.ok();
        assert_eq!(page["metadata"].get("continue"), token);
        assert_eq!(page["metadata"].get("remainingItemCount"), None);
    }
}

async fn a_page_that_is_exactly_full_is_the_last_one(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        three(&collection).await;
        let page = collection.list("limit=3").await.ok();
        let token = page["metadata"]["continue"].as_str().unwrap_or_default();
        assert_eq!(token, "");
        assert_eq!(page["metadata"].get("remainingItemCount"), None);
    }
}

async fn a_selected_page_does_not_say_how_many_items_remain(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        three(&collection).await;
        let page = collection.list("limit=1&labelSelector=page%3Dyes").await;
        assert_eq!(page.names(), ["a"]);
        after(&page.body);
        assert_eq!(page.body["metadata"].get("remainingItemCount"), None);
    }
}

async fn a_selected_page_has_a_token_though_nothing_that_is_left_may_be_selected(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        three(&collection).await;
        collection.made("z", json!({})).await;
        let selector = "limit=3&labelSelector=page%3Dyes";
        let page = collection.list(selector).await;
        assert_eq!(page.names(), ["a", "b", "c"]);
        let query = format!("{selector}&{}", after(&page.body));
        assert_eq!(collection.names(&query).await, [""; 0]);
    }
}

async fn pages_show_one_version_of_the_collection(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        three(&collection).await;
        let page = collection.list("limit=1").await.ok();
        collection.made("bb", json!({})).await;
        collection.delete("c", json!({})).await.ok();
        let rest = collection.list(&after(&page)).await;
        assert_eq!(rest.names(), ["b", "c"]);
        assert_eq!(rest.version(), version(&page));
    }
}

async fn a_limit_of_zero_or_below_is_no_limit(world: World) {
    three(&world.widgets()).await;
    assert_eq!(world.widgets().names("limit=0").await.len(), 3);
    assert_eq!(world.widgets().names("limit=-1").await.len(), 3);
}

async fn a_limit_that_is_no_number_is_refused(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let answer = collection.list("limit=x").await;
        answer.refused(
            400,
            "BadRequest",
            "strconv.ParseInt: parsing \"x\": invalid syntax",
        );
    }
}

async fn a_token_that_is_none_is_refused(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let answer = collection.list("limit=1&continue=bogus").await;
        answer.refused(
            400,
            "BadRequest",
            "invalid continue token: continue key is not valid: illegal base64 data at input byte 4",
        );
    }
}

/// A token that no server has given out: `{"v":"meta.k8s.io/v1",...}`, in base64.
fn made_up(rest: &str) -> String {
    format!("limit=5&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6{rest}")
}

async fn a_token_that_leads_elsewhere_is_refused(world: World) {
    // "rv":-1,"start":"a/../b\0"
    let query = made_up("LTEsInN0YXJ0IjoiYS8uLi9iXHUwMDAwIn0");
    let answer = world.configmaps().list(&query).await;
    let message = "invalid continue token: continue key is not valid: a/../b\0";
    answer.refused(400, "BadRequest", message);
}

async fn a_token_of_the_future_times_out(world: World) {
    // "rv":9000000000000000,"start":"a\0"
    let query = made_up("OTAwMDAwMDAwMDAwMDAwMCwic3RhcnQiOiJhXHUwMDAwIn0");
    let answer = world.configmaps().list(&query).await;
    assert_eq!((answer.code, answer.reason()), (504, "Timeout"));
    let start = "Timeout: Too large resource version: 9000000000000000, current: ";
    assert!(answer.message().starts_with(start), "{}", answer.message());
}

async fn a_token_of_no_version_goes_on_with_what_there_is(world: World) {
    let maps = world.configmaps();
    three(&maps).await;
    // "rv":-7,"start":"a"
    let names = maps.names(&made_up("LTcsInN0YXJ0IjoiYSJ9")).await;
    assert!(
        names.starts_with(&["a".to_owned(), "b".to_owned()]),
        "{names:?}"
    );
    // "rv":-7,"start":"/a\0"
    let names = maps.names(&made_up("LTcsInN0YXJ0IjoiL2FcdTAwMDAifQ")).await;
    assert!(
        names.starts_with(&["b".to_owned(), "c".to_owned()]),
        "{names:?}"
    );
}

async fn a_path_with_a_broken_escape_is_refused(world: World) {
    let maps = world.configmaps();
    let path = &maps.path;
    for path in [
        format!("{path}/%zz"),
        format!("{path}/a%2"),
        "/%".to_owned(),
    ] {
        let answer = world.get(&path).await;
        assert_eq!(
            (answer.code, answer.text.as_str()),
            (400, "400 Bad Request")
        );
        assert_eq!(answer.content_type, "text/plain; charset=utf-8");
    }
    // In a query it is passed over, and so is a semicolon.
    three(&maps).await;
    for query in ["limit=%zz", "limit=1;x=2", "limit=1;"] {
        let page = maps.list(query).await.ok();
        assert_eq!(page["metadata"].get("continue"), None, "{query}");
    }
}

async fn a_token_together_with_a_version_is_refused(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        three(&collection).await;
        let page = collection.list("limit=1").await.ok();
        let query = format!("limit=1&resourceVersion=5&{}", after(&page));
        collection.list(&query).await.refused(
            400,
            "BadRequest",
            "specifying resource version is not allowed when using continue",
        );
    }
}

async fn a_version_of_zero_answers_the_whole_list(world: World) {
    let maps = world.configmaps();
    three(&maps).await;
    // Such a list may be of the past, so the server is first brought to the present.
    maps.list(&format!(
        "resourceVersion={}",
        maps.list("").await.version()
    ))
    .await
    .ok();
    assert_eq!(maps.names("resourceVersion=0&limit=1").await.len(), 3);
}

async fn an_exact_version_shows_the_past(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let before = version(&collection.made("a", json!({})).await);
        collection.made("b", json!({})).await;
        collection
            .merge("a", json!({"metadata": {"labels": {"a": "b"}}}))
            .await;
        let query = format!("resourceVersion={before}&resourceVersionMatch=Exact");
        let list = collection.list(&query).await;
        assert_eq!(list.names(), ["a"]);
        assert_eq!(list.version(), before);
        assert_eq!(list.body["items"][0]["metadata"].get("labels"), None);
    }
}

async fn not_older_than_shows_the_present(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let before = version(&collection.made("a", json!({})).await);
        let latest = version(&collection.made("b", json!({})).await);
        for old in [before, latest.clone()] {
            let query = format!("resourceVersion={latest}&resourceVersionMatch=NotOlderThan");
            assert_eq!(collection.names(&query).await, ["a", "b"], "since {old}");
        }
    }
}

async fn a_version_match_without_a_version_is_refused(world: World) {
    let answer = world.widgets().list("resourceVersionMatch=Exact").await;
    answer.invalid(
        "ListOptions.meta.k8s.io \"\"",
        "resourceVersionMatch",
        "FieldValueForbidden",
        "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
    );
}

async fn an_exact_match_of_version_zero_is_refused(world: World) {
    let answer = world
        .widgets()
        .list("resourceVersion=0&resourceVersionMatch=Exact")
        .await;
    answer.invalid(
        "ListOptions.meta.k8s.io \"\"",
        "resourceVersionMatch",
        "FieldValueForbidden",
        "Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
    );
}

async fn an_unknown_version_match_is_refused(world: World) {
    let answer = world
        .widgets()
        .list("resourceVersion=5&resourceVersionMatch=Bogus")
        .await;
    answer.invalid(
        "ListOptions.meta.k8s.io \"\"",
        "resourceVersionMatch",
        "FieldValueNotSupported",
        "Unsupported value: \"Bogus\": supported values: \"Exact\", \"NotOlderThan\", \"\"",
    );
}

async fn a_version_that_is_no_number_is_refused(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.list("resourceVersion=x").await.refused(
            400,
            "BadRequest",
            "invalid resource version: resourceVersion: Invalid value: \"x\": strconv.ParseUint: \
             parsing \"x\": invalid syntax",
        );
    }
}

async fn a_version_from_the_future_times_out(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        for path in [
            format!("{}?resourceVersion=999999999", collection.path),
            format!("{}?resourceVersion=999999999", collection.at("a")),
        ] {
            let answer = world.get(&path).await;
            assert_eq!((answer.code, answer.reason()), (504, "Timeout"));
            let start = "Timeout: Too large resource version: 999999999, current: ";
            assert!(answer.message().starts_with(start), "{}", answer.message());
            assert_eq!(answer.body["details"]["retryAfterSeconds"], 1);
            assert_eq!(
                answer.body["details"]["causes"],
                json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}])
            );
        }
    }
}

async fn initial_events_are_for_watches_only(world: World) {
    let answer = world.widgets().list("sendInitialEvents=true").await;
    answer.invalid(
        "ListOptions.meta.k8s.io \"\"",
        "sendInitialEvents",
        "FieldValueForbidden",
        "Forbidden: sendInitialEvents is forbidden for list",
    );
}

async fn a_get_at_version_zero_answers(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let object = collection.made("a", json!({})).await;
        // Which waits until the version is there.
        let at_least = format!(
            "{}?resourceVersion={}",
            collection.at("a"),
            version(&object)
        );
        assert_eq!(world.get(&at_least).await.ok(), object);
        let path = format!("{}?resourceVersion=0", collection.at("a"));
        assert_eq!(world.get(&path).await.ok(), object);
    }
}
