use serde_json::json;

use super::{object::Object, *};

const NETWORKS: &str = "networks.region.example.com";

fn store(window: usize) -> Store {
    let mut store = Store::new(window);
    store.open(&NETWORKS.into());
    store
}

fn put(store: &mut Store, key: &str) {
    let revision = store.revision() + 1;
    let mut object = Object::new();
    // A label that looks like the field that is searched for.
    let metadata = json!({
        "labels": { "resourceVersion": "7" },
        "resourceVersion": revision.to_string(),
        "uid": "1",
    });
    object.insert("metadata".to_owned(), metadata);
    let head = object::head("region.example.com/v1", "Network");
    let stored = Stored::new(key.into(), &head, 0, &object);
    store.put(&NETWORKS.into(), Arc::new(stored));
}

fn keys(store: &Store, range: Range<'_>, at: u64) -> Result<Vec<String>, Compacted> {
    let mut keys = Vec::new();
    store.scan(NETWORKS, range, at, &mut |stored| {
        keys.push(stored.key.to_string());
        ControlFlow::Continue(())
    })?;
    Ok(keys)
}

#[test]
fn the_past_is_told_as_long_as_it_is_within_the_window() {
    let mut store = store(3);
    put(&mut store, "a/x");
    let then = store.revision();
    put(&mut store, "a/y");
    put(&mut store, "a/x");
    store.remove(&NETWORKS.into(), "a/x");
    let all = Range::default();
    assert_eq!(keys(&store, all, u64::MAX), Ok(vec!["a/y".to_owned()]));
    assert_eq!(keys(&store, all, then), Ok(vec!["a/x".to_owned()]));
    let then_x = store.get_at(NETWORKS, "a/x", then).expect("it is known");
    assert_eq!(then_x.map(|stored| stored.revision), Some(then));
    put(&mut store, "b/z");
    let oldest = then + 1;
    assert_eq!(keys(&store, all, then), Err(Compacted { oldest }));
    assert_eq!(store.compacted(), oldest);
}

#[test]
fn a_namespace_is_visited_in_the_order_of_etcd_and_from_any_place() {
    let mut store = store(9);
    for key in ["a/x", "a-b/x", "a/y", "b/x"] {
        put(&mut store, key);
    }
    let visit = |namespace, start| keys(&store, Range { namespace, start }, u64::MAX);
    let texts = |keys: &[&str]| Ok(keys.iter().map(|key| (*key).to_owned()).collect());
    assert_eq!(visit(None, None), texts(&["a-b/x", "a/x", "a/y", "b/x"]));
    assert_eq!(visit(Some("a"), None), texts(&["a/x", "a/y"]));
    assert_eq!(visit(Some("a"), Some("a/x\0")), texts(&["a/y"]));
    assert_eq!(visit(None, Some("a/x")), texts(&["a/x", "a/y", "b/x"]));
}

#[test]
fn the_last_state_of_an_object_shows_the_revision_of_its_removal() {
    let mut store = store(9);
    put(&mut store, "a/x");
    let stored = store.get(NETWORKS, "a/x").expect("it is there");
    let last = stored.at_revision(123_456);
    assert_eq!(last.revision, 123_456);
    let object = last.object();
    assert_eq!(object["metadata"]["resourceVersion"], "123456");
    assert_eq!(object["metadata"]["labels"]["resourceVersion"], "7");
    let metadata: Object = serde_json::from_slice(&last.metadata()).expect("an object");
    assert_eq!(Some(&metadata.into()), object.get("metadata"));
    assert!(last.tail().starts_with(b"\"metadata\":"));
}

#[test]
fn changes_are_told_of_one_resource() {
    let mut store = store(9);
    store.open(&"volumes.region.example.com".into());
    put(&mut store, "a/x");
    let then = store.revision();
    put(&mut store, "a/y");
    let count = |collection, after| {
        let changes = store.changes(collection, after);
        changes.map(Iterator::count)
    };
    assert_eq!(count(NETWORKS, then), Ok(1));
    assert_eq!(count(NETWORKS, then + 100), Ok(0), "the future is silent");
    assert_eq!(count("volumes.region.example.com", then), Ok(0));
}
