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

const PROJECTS: &str = "
apiVersion: kube-cascade.dev/v1alpha1
kind: ClusterCascadeRule
metadata: {name: project}
spec:
  mode: Enforce
  upstream: {group: identity.example.com, kind: Project, scope: {all: true}, id: {unique: true}}
  dependents:
  - {group: region.example.com, kind: Zone, label: example.com/project}
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
        create(&server, Kind::Tenant, None, "t1");
        Self::with_controller(server, faults, RULES).await
    }

    async fn with_controller(server: ApiServer, faults: &Faults, rules: &str) -> Self {
        let client = Client::new(faults.layer().layer(server.clone()), "default");
        let rules = rules::parse("rules.yaml", rules).expect("the rules are good");
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

fn create(server: &ApiServer, kind: Kind, namespace: Option<&str>, name: &str) {
    post(server, &kind.path(namespace), &kind.object(namespace, name));
}

/// Deletes it, and takes off what keeps it.
fn remove(server: &ApiServer, path: &str) {
    let stripped = json!({"metadata": {"finalizers": null}});
    for (method, body) in [(Method::PATCH, &stripped), (Method::DELETE, &Value::Null)] {
        let answer = server.request(&method, path, body);
        answer.unwrap_or_else(|status| panic!("{method} {path}: {status}"));
    }
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
    create(server, Kind::Tenant, None, "t1");
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

#[tokio::test(start_paused = true)]
async fn a_namesake_that_goes_as_the_upstream_comes_again_is_not_overlooked() {
    let server = ApiServer::new();
    for kind in [Kind::Project, Kind::Zone] {
        post(&server, DEFINITIONS, &kind.definition());
    }
    for namespace in ["a", "b"] {
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace},
        });
        post(&server, "/api/v1/namespaces", &object);
        create(&server, Kind::Project, Some(namespace), "p1");
    }
    let mut zone = Kind::Zone.object(None, "z1");
    zone["metadata"]["labels"] = json!({"example.com/project": "p1"});
    post(&server, &Kind::Zone.path(None), &zone);
    let faults = Faults::new();
    let stage = Stage::with_controller(server, &faults, PROJECTS).await;
    let [here, there] = ["a", "b"].map(|namespace| {
        let path = Kind::Project.path(Some(namespace));
        format!("{path}/p1")
    });
    // At each moment there is a live project of that name: in one namespace, then in the other.
    let server = stage.server.clone();
    let path = here.clone();
    let between_two_reads = Action::after(move |_, _| {
        let stripped = json!({"metadata": {"finalizers": null}});
        let answer = server.request(&Method::PATCH, &path, &stripped);
        answer.expect("nothing keeps the project");
        create(&server, Kind::Project, Some("a"), "p1");
        remove(&server, &there);
        std::future::ready(())
    });
    let confirms = Match::verbs([Verb::Get, Verb::List])
        .resource("projects")
        .when(|call| call.name().is_some() || call.query("fieldSelector").is_some());
    let rule = faults.add(Rule::new(confirms, between_two_reads).first(1));
    let deleted = stage.server.request(&Method::DELETE, &here, &Value::Null);
    deleted.expect("the project can be deleted");
    sleep(Duration::from_secs(120)).await;
    assert_eq!(rule.fired(), 1);
    let zones = stage.server.objects(Kind::Zone.group(), "zones");
    assert_eq!(zones.len(), 1, "it is the live project's");
}
