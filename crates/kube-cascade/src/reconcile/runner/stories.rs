//! Any story: an object is created, used, deleted and created again, others write it, its
//! controller is stopped in the middle of anything; and it is never let go before its time.

use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::{Arc, Mutex},
};

use futures::poll;
use http::Method;
use kube::api::DynamicObject;
use kube_sim::ApiServer;
use proptest::prelude::*;
use tokio::task::yield_now;

use super::*;

const OWN: &str = "example.com/operator";
const CHILDREN: &str = "foregroundDeletion";
/// As long as one of these is on an object, it is not let go.
const NEEDED: [&str; 4] = [
    CHILDREN,
    "networks.example.com/east_blue",
    "clusters.example.com/east_red",
    "kube-cascade.dev/default_thing",
];
const ALL: &str = "/apis/example.com/v1/namespaces/default/things";
const ONE: &str = "/apis/example.com/v1/namespaces/default/things/thing";

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Event {
    Create,
    /// Somebody else puts one of the needed finalizers on, as far as the server lets them.
    PutOn(usize),
    TakeOff(usize),
    Delete {
        foreground: bool,
    },
    /// The controller goes on for so many steps, with a new turn when it has none.
    Steps(u8),
    /// It goes on to the end of its turn.
    Turn,
    /// It is stopped in the middle of its turn.
    Stop,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        2 => Just(Event::Create),
        2 => (1..NEEDED.len()).prop_map(Event::PutOn),
        3 => (0..NEEDED.len()).prop_map(Event::TakeOff),
        3 => any::<bool>().prop_map(|foreground| Event::Delete { foreground }),
        12 => (1..4_u8).prop_map(Event::Steps),
        3 => Just(Event::Turn),
        1 => Just(Event::Stop),
    ];
    prop::collection::vec(event, 1..100)
}

/// UIDs of those for whom something stands, and of those for whom it was taken down.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<(BTreeSet<String>, BTreeSet<String>)>>);

impl Lifecycle for Ledger {
    type Object = DynamicObject;

    async fn provision(&self, object: DynamicObject) -> Result<Outcome, ConsumeError> {
        let uid = object.metadata.uid.unwrap_or_default();
        self.0.lock().expect("nobody panics").0.insert(uid);
        yield_now().await;
        Ok(Outcome::Done)
    }

    async fn deprovision(&self, object: DynamicObject) -> Result<Outcome, ConsumeError> {
        let finalizers = object.metadata.finalizers.unwrap_or_default();
        let needed = |name: &String| NEEDED.contains(&name.as_str());
        assert!(
            !finalizers.iter().any(needed),
            "taken down under {finalizers:?}"
        );
        yield_now().await;
        let uid = object.metadata.uid.unwrap_or_default();
        self.0.lock().expect("nobody panics").1.insert(uid);
        Ok(Outcome::Done)
    }
}

/// A server without a collector, which says of each release of ours whether it came too early.
fn server(ledger: &Ledger, early: &Arc<Mutex<Vec<String>>>) -> ApiServer {
    let server = ApiServer::builder().collector(false).build();
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Thing", "listKind": "ThingList", "plural": "things", "singular": "thing"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    });
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let installed = server.request(&Method::POST, definitions, &definition);
    installed.unwrap_or_else(|error| panic!("{error:?}"));
    let (ledger, early) = (ledger.clone(), Arc::clone(early));
    server.on_write(move |write| {
        let Some(before) = write.before().filter(|_| write.resource() == "things") else {
            return;
        };
        let finalizers = finalizers_in(&before);
        let after = write
            .after()
            .map(|after| finalizers_in(&after))
            .unwrap_or_default();
        let had = finalizers.contains(&OWN.to_owned());
        let lost = had && !after.contains(&OWN.to_owned());
        let uid = before["metadata"]["uid"].as_str().unwrap_or_default();
        let ledger = ledger.0.lock().expect("nobody panics");
        let stands = ledger.0.contains(uid) && !ledger.1.contains(uid);
        let used = finalizers
            .iter()
            .any(|name| NEEDED.contains(&name.as_str()));
        let goes = write.after().is_none();
        if lost && used || (lost || goes) && stands {
            early
                .lock()
                .expect("nobody panics")
                .push(format!("{before}"));
        }
    });
    server
}

fn finalizers_in(object: &Value) -> Vec<String> {
    serde_json::from_value(object["metadata"]["finalizers"].clone()).unwrap_or_default()
}

/// What others do is refused now and then, as when something is put on a terminating object.
fn others(server: &ApiServer, event: Event) {
    let found = server.get("example.com", "things", Some("default"), "thing");
    let mut finalizers = found.as_ref().map(finalizers_in).unwrap_or_default();
    let (method, path, body) = match event {
        Event::Steps(_) | Event::Turn | Event::Stop => return,
        Event::Create => {
            let object = json!({
                "apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "thing"},
            });
            (Method::POST, ALL.to_owned(), object)
        }
        Event::Delete { foreground } => {
            let policy = if foreground {
                "Foreground"
            } else {
                "Background"
            };
            let path = format!("{ONE}?propagationPolicy={policy}");
            (Method::DELETE, path, Value::Null)
        }
        Event::PutOn(which) => {
            finalizers.push(NEEDED[which].to_owned());
            let patch = json!({"metadata": {"finalizers": finalizers}});
            (Method::PATCH, ONE.to_owned(), patch)
        }
        Event::TakeOff(which) => {
            finalizers.retain(|name| name != NEEDED[which]);
            let patch = json!({"metadata": {"finalizers": finalizers}});
            (Method::PATCH, ONE.to_owned(), patch)
        }
    };
    let _ = server.request(&method, &path, &body);
}

/// Lets a turn go on for so many steps, and says whether it ended.
async fn steps<T>(turn: &mut Pin<Box<impl Future<Output = T>>>, steps: u8) -> bool {
    for _ in 0..steps {
        if poll!(turn.as_mut()).is_ready() {
            return true;
        }
        yield_now().await;
    }
    false
}

async fn tell(events: Vec<Event>) -> Vec<String> {
    let (ledger, early) = (Ledger::default(), Arc::default());
    let server = server(&ledger, &early);
    let thing = Kind::new("example.com", "Thing");
    let order = Order::new(OWN.parse().expect("it is a finalizer"));
    let client = Client::new(server.clone(), "default");
    let reconciler = Reconciler::new(client, thing.clone(), order, ledger);
    let object = ObjectRef::new(thing, Some("default".into()), "thing");
    let mut turn = None;
    for event in events {
        let mut begun = || Box::pin(reconciler.reconcile(&object));
        match event {
            Event::Steps(number) => {
                let running = turn.get_or_insert_with(&mut begun);
                if steps(running, number).await {
                    turn = None;
                }
            }
            Event::Turn => {
                let _ = turn.take().unwrap_or_else(&mut begun).await;
            }
            Event::Stop => turn = None,
            event => others(&server, event),
        }
    }
    drop(turn);
    // In the end everybody lets go, and so must we.
    others(&server, Event::Delete { foreground: false });
    for which in 0..NEEDED.len() {
        others(&server, Event::TakeOff(which));
    }
    let end = reconciler.reconcile(&object).await;
    assert!(matches!(end, Ok(Outcome::Done)), "{end:?}");
    let left = server.objects("example.com", "things");
    assert_eq!(left, [Value::Null; 0], "it is gone at last");
    let early = early.lock().expect("nobody panics");
    early.clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_object_is_let_go_before_its_time_and_each_is_in_the_end(events in events()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime starts");
        prop_assert_eq!(runtime.block_on(tell(events)), [""; 0]);
    }
}
