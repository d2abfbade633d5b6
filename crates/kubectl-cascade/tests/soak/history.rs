//! What the server says has happened: deletions in the order in which they were carried out.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::{StreamExt, pin_mut};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, WatchEvent, WatchParams},
};
use tokio::task::JoinSet;

use crate::fixtures::CustomKind;

/// Watches kinds from the moment of its making. The revision of a deletion orders it among those
/// of all kinds, because one etcd counts them.
pub(crate) struct History {
    deletions: Arc<Mutex<BTreeMap<String, u64>>>,
    _watches: JoinSet<()>,
}

impl History {
    pub(crate) async fn of(client: &Client, places: &[(CustomKind, &str)]) -> Self {
        let deletions = Arc::default();
        let mut watches = JoinSet::new();
        for (kind, namespace) in places {
            let api = kind.api(client, Some(namespace));
            let list = api.list_metadata(&ListParams::default().limit(1)).await;
            let version = list.expect("it can be listed").metadata.resource_version;
            let version = version.expect("a list has a resource version");
            watches.spawn(watch(api, version, Arc::clone(&deletions)));
        }
        Self {
            deletions,
            _watches: watches,
        }
    }

    /// The revision of each deletion that has been seen so far, by the UID of what was deleted.
    pub(crate) fn deletions(&self) -> BTreeMap<String, u64> {
        self.deletions.lock().expect("no holder panics").clone()
    }
}

/// Follows one kind; a watch lasts for minutes, and a round for seconds.
async fn watch(
    api: Api<DynamicObject>,
    version: String,
    deletions: Arc<Mutex<BTreeMap<String, u64>>>,
) {
    let events = api.watch_metadata(&WatchParams::default(), &version).await;
    let events = events.expect("it can be watched");
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event.expect("the watch goes on") {
            WatchEvent::Deleted(object) => {
                let uid = object.metadata.uid.expect("an object has a UID");
                let version = object.metadata.resource_version.unwrap_or_default();
                let version = version.parse().expect("etcd's revisions are numbers");
                deletions
                    .lock()
                    .expect("no holder panics")
                    .insert(uid, version);
            }
            WatchEvent::Error(error) => panic!("the watch failed: {error:?}"),
            _ => {}
        }
    }
}
