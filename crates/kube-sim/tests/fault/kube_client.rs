//! The layer and the proxy fit `kube`, which the crate itself does not depend on.

use futures::{StreamExt, TryStreamExt};
use http::StatusCode;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, Config,
    api::{WatchEvent, WatchParams},
    client::{Body, ClientBuilder},
};
use kube_sim::fault::{Action, Answer, FaultProxy, Faults, Match, Rule, Verb};

use crate::bench::Server;

fn config(url: &str) -> Config {
    Config::new(url.parse().expect("a valid URL"))
}

#[tokio::test]
async fn a_kube_client_sees_an_injected_status_as_the_api_servers() {
    let faults = Faults::new();
    let denied = Answer::status(StatusCode::FORBIDDEN).message("denied by a webhook");
    faults.add(Rule::new(Match::verb(Verb::Get), Action::answer(denied)));
    let server = Server::default();
    let service = ClientBuilder::new(server.service::<Body>(), "default")
        .with_layer(&faults.layer())
        .build();
    let maps: Api<ConfigMap> = Api::namespaced(service, "region");
    let error = maps.get("blue").await.expect_err("denied");
    let kube::Error::Api(status) = error else {
        panic!("{error:?}");
    };
    assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
    assert_eq!(status.message, "denied by a webhook");
    let recorded = &faults.recorder().all()[0];
    assert_eq!(recorded.call().resource(), Some("configmaps"));
}

#[tokio::test]
async fn the_default_stack_of_kube_takes_the_layer_and_reports_a_reset() {
    let faults = Faults::new();
    faults.add(Rule::new(Match::any(), Action::reset_before()));
    // Nobody listens there: the fault comes first.
    let client = ClientBuilder::try_from(config("http://127.0.0.1:1"))
        .expect("a client")
        .with_layer(&faults.layer())
        .build();
    let maps: Api<ConfigMap> = Api::namespaced(client, "region");
    let error = maps.get("blue").await.expect_err("a reset");
    assert!(matches!(error, kube::Error::Service(_)), "{error:?}");
}

#[tokio::test]
async fn a_kube_client_can_stand_on_either_side_of_the_proxy() {
    let server = Server::default();
    let behind = Client::new(server.service::<Body>(), "default");
    let upstream = tower::service_fn(move |request| {
        let behind = behind.clone();
        async move { behind.send(request).await }
    });
    let faults = Faults::new();
    faults.add(Rule::new(Match::any(), Action::expire_watch(1)));
    let proxy = FaultProxy::start(upstream, &faults)
        .await
        .expect("a free port");
    let client = Client::try_from(config(&proxy.url())).expect("a client");
    let maps: Api<ConfigMap> = Api::all(client);

    let events = server.events();
    let added = r#"{"type":"ADDED","object":{"metadata":{"name":"blue"}}}"#;
    events
        .unbounded_send(format!("{added}\n").into())
        .expect("a watch is prepared");
    let watch = maps
        .watch(&WatchParams::default(), "0")
        .await
        .expect("a watch");
    let seen: Vec<WatchEvent<ConfigMap>> = watch.boxed().try_collect().await.expect("a clean end");
    let [WatchEvent::Added(map), WatchEvent::Error(status)] = seen.as_slice() else {
        panic!("{seen:?}");
    };
    assert_eq!(map.metadata.name.as_deref(), Some("blue"));
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
}
