//! What the simulation once found, told again as short stories.

use std::time::Duration;

use http::Method;
use kube::Client;
use kube_sim::{
    ApiServer,
    fault::{Action, Faults, Match, Rule, Verb},
};
use kubectl_cascade::{controller::Controller, rules};
use serde_json::{Value, json};
use simulation::world::Kind;
use tokio::{task::JoinHandle, time::sleep};
use tower::Layer;

const RULES: &str = "
apiVersion: kube-cascade.dev/v1alpha1
kind: ClusterCascadeRule
metadata: {name: tenant}
spec:
  mode: Enforce
  upstream: {group: identity.example.com, kind: Tenant}
  dependents:
  - {group: region.example.com, kind: Zone, label: example.com/tenant}
";

const HOLD: &str = "kube-cascade.dev/default_tenant";

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// An API with two kinds, and a controller of one rule on it.
struct Stage {
    server: ApiServer,
    _controller: JoinHandle<()>,
}

impl Stage {
    async fn set(faults: &Faults) -> Self {
        let server = ApiServer::new();
        for kind in [Kind::Tenant, Kind::Zone] {
            post(&server, DEFINITIONS, &kind.definition());
        }
        post(
            &server,
            &Kind::Tenant.path(None),
            &Kind::Tenant.object(None, "t1"),
        );
        let client = Client::new(faults.layer().layer(server.clone()), "default");
        let rules = rules::parse("rules.yaml", RULES).expect("the rules are good");
        let installation = "default".parse().expect("the name is good");
        let controller = Controller::new(rules, installation, client.clone(), client).seed(1);
        let controller = tokio::spawn(async move {
            let ended = controller.run(std::future::pending()).await;
            panic!("it does not end by itself: {ended:?}");
        });
        sleep(Duration::from_secs(2)).await;
        Self {
            server,
            _controller: controller,
        }
    }

    fn tenant(&self) -> Option<Value> {
        self.server.get(Kind::Tenant.group(), "tenants", None, "t1")
    }

    fn is_held(&self) -> bool {
        self.tenant()
            .is_some_and(|tenant| tenant["metadata"]["finalizers"] == json!([HOLD]))
    }
}

fn post(server: &ApiServer, path: &str, object: &Value) {
    let posted = server.request(&Method::POST, path, object);
    posted.unwrap_or_else(|status| panic!("POST {path}: {status}"));
}

#[tokio::test(start_paused = true)]
async fn fault_66_a_hold_that_is_taken_off_before_the_watch_reports_it_is_put_back() {
    let faults = Faults::new();
    faults.add(Rule::new(Match::verb(Verb::Watch), Action::mute_watch(0)));
    let stage = Stage::set(&faults).await;
    assert!(stage.is_held());
    let stripped = json!({"metadata": {"finalizers": null}});
    let path = format!("{}/t1", Kind::Tenant.path(None));
    let answer = stage.server.request(&Method::PATCH, &path, &stripped);
    answer.expect("the hold can be taken off");
    assert!(!stage.is_held());
    sleep(Duration::from_secs(30)).await;
    assert!(stage.is_held(), "{:?}", stage.tenant());
}

#[tokio::test(start_paused = true)]
async fn what_is_created_under_a_successor_of_the_watched_definition_is_not_parked() {
    let stage = Stage::set(&Faults::new()).await;
    let server = &stage.server;
    let stripped = json!({"metadata": {"finalizers": null}});
    let path = format!("{}/t1", Kind::Tenant.path(None));
    let definition = format!("{DEFINITIONS}/{}", Kind::Tenant.definition_name());
    let delete = |path: &str| server.request(&Method::DELETE, path, &Value::Null);
    delete(&definition).expect("the definition can be deleted");
    let answer = server.request(&Method::PATCH, &path, &stripped);
    answer.expect("nothing keeps the definition");
    post(server, DEFINITIONS, &Kind::Tenant.definition());
    post(
        server,
        &Kind::Tenant.path(None),
        &Kind::Tenant.object(None, "t1"),
    );
    let mut zone = Kind::Zone.object(None, "z1");
    zone["metadata"]["labels"] = json!({"example.com/tenant": "t1"});
    post(server, &Kind::Zone.path(None), &zone);
    sleep(Duration::from_secs(40)).await;
    assert!(stage.is_held(), "{:?}", stage.tenant());

    delete(&path).expect("the tenant can be deleted");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(stage.tenant(), None);
    assert!(server.objects(Kind::Zone.group(), "zones").is_empty());
}
