//! Answers in another form than whole objects: metadata only, and tables.

use http::Method;
use serde_json::json;

use super::world::{Patch, Watch, World, version};

behaviours![
    a_metadata_only_get_has_the_metadata_and_nothing_else,
    a_metadata_only_list_has_the_metadata_and_nothing_else,
    an_empty_metadata_only_list_has_null_for_items,
    a_metadata_only_page_has_a_token,
    a_metadata_only_patch_answers_metadata,
    a_metadata_only_delete_answers_a_status_or_metadata,
    a_metadata_only_watch_shows_metadata,
    kube_lists_metadata,
    a_table_has_the_printer_columns_of_the_definition,
    a_table_of_a_configmap_counts_its_data,
    a_table_of_one_object_has_one_row,
    the_rows_of_a_table_carry_metadata_unless_told_otherwise,
    a_watch_can_be_one_of_tables,
    the_first_media_type_that_is_served_wins,
    a_media_type_that_is_not_served_is_not_acceptable,
];

const ONE: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";

async fn a_metadata_only_get_has_the_metadata_and_nothing_else(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let object = collection.made("a", json!({"labels": {"a": "b"}})).await;
        let partial = world.get_as(&collection.at("a"), ONE).await.ok();
        assert_eq!(
            partial,
            json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": object["metadata"],
            })
        );
    }
}

async fn a_metadata_only_list_has_the_metadata_and_nothing_else(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let object = collection.made("a", json!({"labels": {"a": "b"}})).await;
        let list = world.get_as(&collection.path, LIST).await.ok();
        assert_eq!(list["kind"], "PartialObjectMetadataList");
        assert_eq!(list["apiVersion"], "meta.k8s.io/v1");
        assert_eq!(
            list["items"],
            json!([{
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": object["metadata"],
            }])
        );
    }
}

async fn an_empty_metadata_only_list_has_null_for_items(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let list = world.get_as(&collection.path, LIST).await.ok();
        assert_eq!(list["items"], json!(null));
        assert!(list.as_object().expect("it is one").contains_key("items"));
        assert_eq!(collection.list("").await.ok()["items"], json!([]));
    }
}

async fn a_metadata_only_page_has_a_token(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        for name in ["a", "b"] {
            collection.made(name, json!({})).await;
        }
        let page = world
            .get_as(&format!("{}?limit=1", collection.path), LIST)
            .await;
        assert_eq!(page.names(), ["a"]);
        assert_ne!(page.body["metadata"]["continue"], "");
        assert_eq!(page.body["metadata"]["remainingItemCount"], 1);
    }
}

async fn a_metadata_only_patch_answers_metadata(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        let patch = json!({"metadata": {"labels": {"a": "b"}}}).to_string();
        let media_type = Some(Patch::Merge.content_type());
        let answer = world
            .send(
                Method::PATCH,
                &collection.at("a"),
                ONE,
                patch.into(),
                media_type,
            )
            .await
            .ok();
        assert_eq!(answer["kind"], "PartialObjectMetadata");
        assert_eq!(answer["metadata"]["labels"], json!({"a": "b"}));
    }
}

async fn a_metadata_only_delete_answers_a_status_or_metadata(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        collection.made("b", json!({"finalizers": ["a.b/c"]})).await;
        let delete = async |name: &str| {
            let path = collection.at(name);
            let answer = world
                .send(Method::DELETE, &path, ONE, "".into(), None)
                .await;
            answer.ok()
        };
        assert_eq!(delete("a").await["kind"], "Status");
        let partial = delete("b").await;
        assert_eq!(partial["kind"], "PartialObjectMetadata");
        assert!(partial["metadata"].get("deletionTimestamp").is_some());
    }
}

async fn a_metadata_only_watch_shows_metadata(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let version = collection.list("").await.version();
        let path = format!("{}?watch=true&resourceVersion={version}", collection.path);
        let mut watch = Watch::start(&world, &path, ONE).await;
        let object = collection.made("a", json!({})).await;
        let (kind, partial) = watch.next().await;
        assert_eq!(kind, "ADDED");
        assert_eq!(partial["kind"], "PartialObjectMetadata");
        assert_eq!(partial["metadata"], object["metadata"]);
        assert_eq!(partial.get("data"), None);
    }
}

async fn kube_lists_metadata(world: World) {
    use kube::{
        Api,
        api::ListParams,
        core::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta},
    };

    world
        .widgets()
        .made("a", json!({"labels": {"a": "b"}}))
        .await;
    let kind = GroupVersionKind::gvk("conformance.example.com", "v1", "Widget");
    let resource = ApiResource::from_gvk_with_plural(&kind, "widgets");
    let api: Api<PartialObjectMeta<DynamicObject>> =
        Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
    let list = api.list(&ListParams::default().labels("a=b")).await;
    let list = list.expect("it is listed");
    assert_eq!(list.items.len(), 1);
    assert_eq!(list.items[0].metadata.name.as_deref(), Some("a"));
}

fn columns(table: &serde_json::Value) -> Vec<&str> {
    let columns = table["columnDefinitions"].as_array().expect("columns");
    columns
        .iter()
        .map(|column| column["name"].as_str().expect("a name"))
        .collect()
}

async fn a_table_has_the_printer_columns_of_the_definition(world: World) {
    let widgets = world.widgets();
    let mut object = widgets.object("a");
    object["spec"] = json!({"size": 3});
    let object = widgets.create(object).await.created();
    let table = world.get_as(&widgets.path, TABLE).await.ok();
    assert_eq!(table["kind"], "Table");
    assert_eq!(table["apiVersion"], "meta.k8s.io/v1");
    assert_eq!(columns(&table), ["Name", "Size", "Phase"]);
    assert_eq!(table["columnDefinitions"][1]["type"], "integer");
    assert_eq!(table["columnDefinitions"][2]["priority"], 1);
    assert_eq!(table["rows"][0]["cells"], json!(["a", 3, null]));
    assert_eq!(table["rows"].as_array().map(Vec::len), Some(1));
    assert!(version(&table).parse::<u64>().expect("a number") > 0);
    assert_eq!(
        table["rows"][0]["object"]["metadata"]["uid"],
        object["metadata"]["uid"]
    );
}

async fn a_table_of_a_configmap_counts_its_data(world: World) {
    let maps = world.configmaps();
    let mut object = maps.object("a");
    object["data"] = json!({"x": "1", "y": "2"});
    maps.create(object).await.created();
    let table = world.get_as(&maps.path, TABLE).await.ok();
    assert_eq!(columns(&table), ["Name", "Data", "Age"]);
    let cells = &table["rows"][0]["cells"];
    assert_eq!((&cells[0], &cells[1]), (&json!("a"), &json!(2)));
}

async fn a_table_of_one_object_has_one_row(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let object = collection.made("a", json!({})).await;
        let table = world.get_as(&collection.at("a"), TABLE).await.ok();
        assert_eq!(table["rows"].as_array().map(Vec::len), Some(1));
        assert_eq!(version(&table), version(&object));
    }
}

async fn the_rows_of_a_table_carry_metadata_unless_told_otherwise(world: World) {
    let widgets = world.widgets();
    let object = widgets.made("a", json!({})).await;
    for (include, kind) in [
        ("Metadata", Some("PartialObjectMetadata")),
        ("Object", Some("Widget")),
        ("None", None),
    ] {
        let path = format!("{}?includeObject={include}", widgets.path);
        let table = world.get_as(&path, TABLE).await.ok();
        let shown = &table["rows"][0]["object"];
        assert_eq!(shown["kind"].as_str(), kind, "{include}: {shown}");
        if kind.is_some() {
            assert_eq!(shown["metadata"]["uid"], object["metadata"]["uid"]);
        }
    }
}

async fn a_watch_can_be_one_of_tables(world: World) {
    let widgets = world.widgets();
    let version = widgets.list("").await.version();
    let path = format!("{}?watch=true&resourceVersion={version}", widgets.path);
    let mut watch = Watch::start(&world, &path, TABLE).await;
    for (name, has_columns) in [("a", true), ("b", false)] {
        widgets.made(name, json!({})).await;
        let (kind, table) = watch.next().await;
        assert_eq!((kind.as_str(), &table["kind"]), ("ADDED", &json!("Table")));
        assert_eq!(table["columnDefinitions"].is_array(), has_columns);
        assert_eq!(table["rows"][0]["cells"][0], name);
    }
}

async fn the_first_media_type_that_is_served_wins(world: World) {
    world.widgets().made("a", json!({})).await;
    let path = world.widgets().at("a");
    let answer = world
        .get_as(&path, &format!("text/csv, {ONE}, application/json"))
        .await;
    assert_eq!(answer.ok()["kind"], "PartialObjectMetadata");
    let answer = world
        .get_as(&path, &format!("application/json, {ONE}"))
        .await;
    assert_eq!(answer.ok()["kind"], "Widget");
    let answer = world.get_as(&path, "*/*").await;
    assert_eq!(answer.ok()["kind"], "Widget");
}

async fn a_media_type_that_is_not_served_is_not_acceptable(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        let answer = world.get_as(&collection.at("a"), "text/csv").await;
        assert_eq!((answer.code, answer.reason()), (406, "NotAcceptable"));
    }
}
