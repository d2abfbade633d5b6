//! Cascades side by side, typed ones, and a server that does not answer.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, api::PostParams};
use kube_cascade::{
    CascadingDelete, Consumer, Delivery, Envelope, Queue,
    cascade::{Propagation, Selection, Upstream},
    memory::MemoryStore,
};
use kube_sim::fault::{Action, Rule};
use serde_json::json;

use crate::{
    fixtures::{NETWORK, PATIENCE, in_time, unique, until},
    ground::{Ground, LABEL, during, label, network_deletes, network_lists, pass},
};

#[tokio::test]
async fn fault_40_calls_that_are_never_answered_time_out_within_40_seconds() {
    for stalled in [network_lists(), network_deletes()] {
        let ground = Ground::new().await;
        let project = ground.terminating_project().await;
        let network = ground.network_of(&project).await;
        let (cascade, envelope) = (ground.cascade(), project.envelope().await);
        let rule = ground.faults.add(Rule::new(stalled, Action::stall()));
        let delivery = Delivery::new(envelope.clone());
        let stalled = async {
            in_time("a call that stalls", PATIENCE, rule.until_fired(1)).await;
            // From here on nothing but the deadline can happen, and it comes at once.
            tokio::time::pause();
            tokio::time::Instant::now()
        };
        let (outcome, since) = tokio::join!(cascade.consume(delivery), stalled);
        let waited = since.elapsed();
        tokio::time::resume();
        let error = outcome.expect_err("no answer came").to_string();
        assert!(error.contains("outcome is unknown"), "{error}");
        assert!(waited < Duration::from_secs(40), "{waited:?}");
        assert!(network.lives().await);
        rule.remove();
        pass(&cascade, envelope).await;
        assert!(!network.lives().await);
    }
}

#[tokio::test]
async fn fault_40_other_cascades_go_on_while_one_is_never_answered() {
    let ground = Ground::new().await;
    let [stalled, other] = [
        ground.terminating_project().await,
        ground.terminating_project().await,
    ];
    let networks = [
        ground.network_of(&stalled).await,
        ground.network_of(&other).await,
    ];
    let selected = format!("{LABEL}={}", stalled.name);
    let lists = network_lists().query("labelSelector", selected);
    let rule = ground.faults.add(Rule::new(lists, Action::stall()));
    let memory = MemoryStore::new();
    memory.put(stalled.envelope().await);
    let queue = Queue::builder(memory.source())
        .consumer(ground.cascade())
        .drain(Duration::ZERO);
    let queue = queue.build().expect("it is sound");
    let story = async {
        rule.until_fired(1).await;
        memory.put(other.envelope().await);
        until("the other's dependent goes", async || {
            networks[1].is_gone().await
        })
        .await;
        assert_eq!(rule.fired(), 1, "the first call still stands");
    };
    during(queue, story).await;
    assert!(networks[0].lives().await);
}

#[tokio::test]
async fn a_rust_type_names_a_kind_as_well() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    let maps: Api<ConfigMap> = Api::namespaced(ground.hands.clone(), &ground.namespace);
    let labelled = |value: &str| {
        let metadata = json!({"name": unique("map"), "labels": {LABEL: value}});
        serde_json::from_value(json!({"metadata": metadata})).expect("it is a ConfigMap")
    };
    for value in [project.name.as_str(), "another"] {
        maps.create(&PostParams::default(), &labelled(value))
            .await
            .expect("it is created");
    }
    let selection = Selection::label(label(), ground.here());
    let cascade =
        CascadingDelete::of::<ConfigMap>(ground.client.clone(), ground.upstream(), selection)
            .propagation(Propagation::Background);
    pass(&cascade, project.envelope().await).await;
    let left = maps
        .list(&kube::api::ListParams::default().labels(LABEL))
        .await;
    let left = left.expect("they can be listed").items;
    let labels: Vec<_> = left
        .into_iter()
        .filter_map(|map| map.metadata.labels)
        .collect();
    assert_eq!(labels, [[(LABEL.to_owned(), "another".to_owned())].into()]);
}

#[tokio::test]
async fn an_envelope_is_believed_only_by_those_who_say_so() {
    let ground = Ground::new().await;
    let id = unique("elsewhere");
    let network = ground
        .network()
        .labelled(LABEL, &id)
        .create(&ground.hands)
        .await;
    let envelope = Envelope::new(id.parse().expect("it is an ID"), Some(SystemTime::now()));
    let doubtful = ground.upstream().in_namespace(ground.namespace.as_str());
    pass(
        &ground.cascade_on(doubtful, NETWORK, ground.here()),
        envelope.clone(),
    )
    .await;
    assert!(network.lives().await);
    let trusting = ground.cascade_on(Upstream::trust_envelope(), NETWORK, ground.here());
    let live = Envelope::new(id.parse().expect("it is an ID"), None);
    pass(&trusting, live).await;
    assert!(network.lives().await);
    pass(&trusting, envelope).await;
    assert_eq!(ground.deletes(), [network.name]);
}
