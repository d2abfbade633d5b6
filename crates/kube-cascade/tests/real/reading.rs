//! What is read before anything is deleted: scopes, and everything that makes a read incomplete.

use std::collections::BTreeSet;

use control_plane::User;
use http::StatusCode;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::{Api, api::PostParams};
use kube_cascade::{
    CascadingDelete, Consumer, Delivery, Outcome, ParkReason, State,
    cascade::{Dependent, Namespaces, Propagation, Scope, Selection, Upstream},
    kubernetes::IdSource,
};
use kube_sim::fault::{Action, Answer, Match, Rule, Verb};
use serde_json::{Value, json};

use crate::{
    fixtures::{
        CLUSTER, CustomKind, NETWORK, Object, PROJECT, TENANT, VOLUME, ZONE, control_plane,
        install, unique, until,
    },
    ground::{Ground, KEPT, LABEL, namespace, parked, pass},
    hold::{hold_name, kept},
};

/// A project that is being deleted, held for a rule, with a dependent of each kind.
async fn held_with(ground: &Ground, kinds: &[CustomKind]) -> (Object, Vec<Object>) {
    let project = ground.project().kept_by(hold_name("held").as_str());
    let project = project.create(&ground.hands).await.deleting().await;
    let mut dependents = Vec::new();
    for kind in kinds {
        let dependent = kind.named(unique("d")).within(&ground.namespace);
        let dependent = dependent.labelled(LABEL, &project.name);
        dependents.push(dependent.create(&ground.hands).await);
    }
    (project, dependents)
}

/// A cascade over several kinds in the test's namespace, all of them in background.
fn over(ground: &Ground, kinds: &[CustomKind]) -> CascadingDelete {
    let mut dependents = kinds
        .iter()
        .map(|kind| Ground::dependent(*kind, ground.here()));
    let first = dependents.next().expect("at least one kind");
    let cascade = ground.cascade_over(ground.upstream(), first, dependents);
    cascade
        .propagation(Propagation::Background)
        .hold(kept("held"))
}

async fn assert_untouched(ground: &Ground, project: &Object, dependents: &[Object]) {
    assert_eq!(ground.deletes(), [""; 0]);
    assert_eq!(project.finalizers().await, [hold_name("held").as_str()]);
    for dependent in dependents {
        assert!(dependent.lives().await, "{dependent:?}");
    }
}

async fn assert_all_gone(dependents: &[Object]) {
    for dependent in dependents {
        assert!(dependent.is_gone().await, "{dependent:?}");
    }
}

/// Lets a user do what a rule needs with these kinds.
async fn allow(ground: &Ground, user: &User, rules: Value) {
    let name = unique("rule");
    let role = json!({"metadata": {"name": name}, "rules": rules});
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user.name()},
        ],
    });
    let role: ClusterRole = serde_json::from_value(role).expect("it is a role");
    let binding: ClusterRoleBinding = serde_json::from_value(binding).expect("it is a binding");
    let (hands, params) = (ground.hands.clone(), PostParams::default());
    Api::all(hands.clone())
        .create(&params, &role)
        .await
        .expect("the role is created");
    Api::all(hands)
        .create(&params, &binding)
        .await
        .expect("the binding is created");
}

fn may(kind: CustomKind, verbs: &[&str]) -> Value {
    json!({"apiGroups": [kind.group], "resources": [kind.plural], "verbs": verbs})
}

#[tokio::test]
async fn fault_35_72_a_kind_that_may_not_be_listed_stops_its_rule_until_it_may() {
    let user = control_plane().fresh_user();
    let ground = Ground::for_user(user).await;
    let kinds = [NETWORK, CLUSTER, VOLUME];
    let (project, dependents) = held_with(&ground, &kinds).await;
    let dependent = ["get", "list", "delete"];
    let definitions = json!({
        "apiGroups": ["apiextensions.k8s.io"],
        "resources": ["customresourcedefinitions"],
        "verbs": ["get"],
    });
    let namespaces = json!({"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]});
    let rules = json!([
        may(PROJECT, &["get", "list", "watch", "patch"]),
        may(NETWORK, &dependent),
        may(CLUSTER, &dependent),
        definitions,
        namespaces,
    ]);
    allow(&ground, user, rules).await;
    let (cascade, envelope) = (over(&ground, &kinds), project.envelope().await);
    until("only the volumes are missing", async || {
        let parked = parked(&cascade, envelope.clone()).await;
        assert_eq!(parked.reason(), ParkReason::Forbidden);
        let message = parked.message();
        assert!(message.contains("volumes"), "{message}");
        !["projects", "networks", "clusters", "customresource"]
            .iter()
            .any(|other| message.contains(other))
    })
    .await;
    let message = parked(&cascade, envelope.clone())
        .await
        .message()
        .to_owned();
    let missing = "cannot list resource \"volumes\" in API group \"storage.example.com\"";
    assert!(message.contains(missing), "{message}");
    assert_untouched(&ground, &project, &dependents).await;
    // Another rule of the same user goes on meanwhile.
    let other = ground.terminating_project().await;
    let network = ground.network_of(&other).await;
    pass(&ground.cascade(), other.envelope().await).await;
    assert_eq!(ground.deletes(), [network.name]);
    allow(&ground, user, json!([may(VOLUME, &dependent)])).await;
    until("it heals", async || {
        matches!(pass(&cascade, envelope.clone()).await, Outcome::Recheck(_))
    })
    .await;
    assert_all_gone(&dependents).await;
}

#[tokio::test]
async fn fault_41_72_a_kind_that_cannot_be_read_completely_stops_its_rule() {
    let lists = Match::verb(Verb::List).resource(VOLUME.plural);
    let page = r#"{"kind":"PartialObjectMetadataList","metadata":{"resourceVersion":"1"},"items":"#;
    let (ok, list) = (StatusCode::OK, "PartialObjectMetadataList");
    for fault in [
        Action::answer(Answer::status(StatusCode::FORBIDDEN)),
        Action::answer(Answer::status(StatusCode::INTERNAL_SERVER_ERROR)),
        Action::answer(Answer::status(StatusCode::TOO_MANY_REQUESTS).retry_after(1)),
        Action::answer(Answer::status(StatusCode::GONE)),
        Action::answer(Answer::text(StatusCode::NOT_FOUND, "404 page not found\n")),
        Action::answer(Answer::html(ok, "<html>all is well</html>")),
        Action::answer(Answer::raw(ok, "application/json", page)),
        Action::answer(Answer::json(
            ok,
            &json!({"kind": "Status", "status": "Success"}),
        )),
        Action::answer(Answer::json(
            ok,
            &json!({"kind": "List", "metadata": {}, "items": []}),
        )),
        Action::answer(Answer::json(
            ok,
            &json!({"kind": list, "metadata": {"resourceVersion": "1"}}),
        )),
        Action::answer(Answer::json(
            ok,
            &json!({"kind": list, "metadata": {}, "items": []}),
        )),
        Action::truncate(100),
        Action::truncate_and_reset(100),
        Action::reset_before(),
        Action::reset_after(),
    ] {
        let ground = Ground::new().await;
        let kinds = [NETWORK, VOLUME, CLUSTER];
        let (project, dependents) = held_with(&ground, &kinds).await;
        let (cascade, envelope) = (over(&ground, &kinds), project.envelope().await);
        let shown = format!("{fault:?}");
        let rule = ground.faults.add(Rule::new(lists.clone(), fault));
        let outcome = cascade.consume(Delivery::new(envelope.clone())).await;
        assert!(
            matches!(outcome, Err(_) | Ok(Outcome::Park(_))),
            "{shown}: {outcome:?}"
        );
        assert!(rule.fired() > 0, "{shown}");
        assert_untouched(&ground, &project, &dependents).await;
        rule.remove();
        pass(&cascade, envelope).await;
        assert_all_gone(&dependents).await;
    }
}

#[tokio::test]
async fn fault_32_72_a_dependent_kind_that_is_not_served_stops_its_rule_until_it_is() {
    let ground = Ground::new().await;
    let late = CustomKind {
        group: "late.example.com",
        kind: "Late",
        plural: "lates",
        namespaced: true,
    };
    let kinds = [NETWORK, late, CLUSTER];
    let (project, mut dependents) = held_with(&ground, &[NETWORK, CLUSTER]).await;
    let (cascade, envelope) = (over(&ground, &kinds), project.envelope().await);
    let missing = parked(&cascade, envelope.clone()).await;
    assert_eq!(missing.reason(), ParkReason::NotServed);
    assert!(
        missing.message().contains("Late.late.example.com"),
        "{missing}"
    );
    assert_untouched(&ground, &project, &dependents).await;

    install(control_plane(), &[late]);
    let object = late
        .named("it")
        .within(&ground.namespace)
        .labelled(LABEL, &project.name);
    dependents.push(object.create(&ground.hands).await);
    pass(&cascade, envelope).await;
    assert_all_gone(&dependents).await;
}

#[tokio::test]
async fn fault_32_a_dependent_kind_that_is_no_longer_served_is_not_taken_for_empty() {
    let ground = Ground::new().await;
    let brief = CustomKind {
        group: "brief.example.com",
        kind: "Brief",
        plural: "briefs",
        namespaced: true,
    };
    install(control_plane(), &[brief]);
    let kinds = [NETWORK, brief];
    let (cascade, first) = (over(&ground, &kinds), held_with(&ground, &kinds).await);
    pass(&cascade, first.0.envelope().await).await;
    assert_all_gone(&first.1).await;

    let sent = ground.deletes().len();
    let definition = format!("crd/{}", brief.definition_name());
    control_plane()
        .kubectl(["delete", &definition])
        .expect("it goes");
    until("it is no longer served", async || {
        control_plane().kubectl(["get", brief.plural]).is_err()
    })
    .await;
    let second = held_with(&ground, &[NETWORK]).await;
    let envelope = second.0.envelope().await;
    let missing = parked(&cascade, envelope.clone()).await;
    assert_eq!(missing.reason(), ParkReason::NotServed);
    assert_eq!(ground.deletes().len(), sent);
    install(control_plane(), &[brief]);
    pass(&cascade, envelope).await;
    assert_all_gone(&second.1).await;
}

#[tokio::test]
async fn fault_32_an_upstream_kind_that_is_not_served_is_not_taken_for_gone() {
    let ground = Ground::new().await;
    let project = ground.project().create(&ground.hands).await;
    let network = ground.network_of(&project).await;
    let confirm = Match::verb(Verb::Get).resource(PROJECT.plural);
    let not_found = StatusCode::NOT_FOUND;
    for answer in [
        Answer::text(not_found, "404 page not found\n"),
        Answer::html(not_found, "<html>404</html>"),
        Answer::status(not_found),
    ] {
        let rule = ground
            .faults
            .add(Rule::new(confirm.clone(), Action::answer(answer)));
        let parked = parked(&ground.cascade(), project.envelope_of(State::Vanished)).await;
        assert_eq!(parked.reason(), ParkReason::NotServed);
        assert_eq!(rule.fired(), 1);
        rule.remove();
    }
    assert_eq!(ground.deletes(), [""; 0]);
    assert!(network.lives().await);
}

#[tokio::test]
async fn fault_07_a_mistyped_namespace_parks_the_cascade_and_is_named() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    let network = ground.network_of(&project).await;
    let mistyped = format!("{}x", ground.namespace);
    let dependents = [NETWORK, CLUSTER].map(|kind| Ground::dependent(kind, ground.here()));
    let [first, _] = dependents;
    let second = Ground::dependent(CLUSTER, namespace(&mistyped).into());
    let cascade = ground.cascade_over(ground.upstream(), first, [second]);
    let missing = parked(&cascade, project.envelope().await).await;
    assert_eq!(missing.reason(), ParkReason::NamespaceMissing);
    assert!(missing.message().contains(&mistyped), "{missing}");
    assert_eq!(ground.deletes(), [""; 0]);
    assert!(network.lives().await);
}

#[tokio::test]
async fn a_scope_that_does_not_fit_the_kind_parks_the_cascade() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    ground.network_of(&project).await;
    for (kind, scope) in [
        (ZONE, ground.here()),
        (ZONE, Scope::AllNamespaces),
        (ZONE, Scope::SameAsUpstream),
        (NETWORK, Scope::ClusterScoped),
    ] {
        let cascade = ground.cascade_of(kind, scope.clone());
        let parked = parked(&cascade, project.envelope().await).await;
        assert_eq!(parked.reason(), ParkReason::WrongScope, "{kind:?} {scope}");
        assert!(parked.message().contains(kind.kind), "{parked}");
    }
    assert_eq!(ground.deletes(), [""; 0]);
}

#[tokio::test]
async fn each_scope_selects_what_it_says_and_nothing_else() {
    let ground = Ground::new().await;
    let [second, third] = [
        ground.another_namespace().await,
        ground.another_namespace().await,
    ];
    let all = [&ground.namespace, &second, &third];
    let two = Namespaces::new([namespace(all[0]), namespace(all[1])]);
    for (scope, expected) in [
        (ground.here(), vec![0]),
        (namespace(&second).into(), vec![1]),
        (Scope::Namespaces(two.expect("they are two")), vec![0, 1]),
        (Scope::AllNamespaces, vec![0, 1, 2]),
        (Scope::SameAsUpstream, vec![0]),
    ] {
        let project = ground.terminating_project().await;
        let other = ground.project().create(&ground.hands).await;
        let mut networks = Vec::new();
        for namespace in all {
            let named = || NETWORK.named(unique("n")).within(namespace);
            let own = named().labelled(LABEL, &project.name);
            networks.push(own.create(&ground.hands).await);
            let others = named().labelled(LABEL, &other.name);
            let another_key = named().labelled("example.com/team", &project.name);
            for bystander in [others, another_key, named()] {
                bystander.create(&ground.hands).await;
            }
        }
        ground.faults.recorder().clear();
        pass(
            &ground.cascade_of(NETWORK, scope.clone()),
            project.envelope().await,
        )
        .await;
        let expected: BTreeSet<_> = expected
            .iter()
            .map(|at| networks[*at].name.clone())
            .collect();
        let deleted: BTreeSet<_> = ground.deletes().into_iter().collect();
        assert_eq!(deleted, expected, "{scope}");
    }
}

#[tokio::test]
async fn a_cluster_scoped_dependent_is_selected_by_its_label_alone() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    let own = ZONE
        .named(unique("z"))
        .labelled(LABEL, &project.name)
        .create(&ground.hands)
        .await;
    let other = ZONE
        .named(unique("z"))
        .labelled(LABEL, &unique("p"))
        .create(&ground.hands)
        .await;
    pass(
        &ground.cascade_of(ZONE, Scope::ClusterScoped),
        project.envelope().await,
    )
    .await;
    assert_eq!(ground.deletes(), [own.name]);
    assert!(other.lives().await);
}

#[tokio::test]
async fn a_cluster_scoped_upstream_has_no_namespace_to_be_the_same_as() {
    let ground = Ground::new().await;
    let tenant = TENANT.named(unique("t")).kept_by(KEPT);
    let tenant = tenant.create(&ground.hands).await.deleting().await;
    let network = ground.network_of(&tenant).await;
    let upstream = Upstream::kubernetes(ground.client.clone(), TENANT.kind(), IdSource::Name);
    let same = ground.cascade_on(upstream.clone(), NETWORK, Scope::SameAsUpstream);
    let refused = parked(&same, tenant.envelope().await).await;
    assert_eq!(refused.reason(), ParkReason::WrongScope);
    assert_eq!(ground.deletes(), [""; 0]);
    pass(
        &ground.cascade_on(upstream, NETWORK, ground.here()),
        tenant.envelope().await,
    )
    .await;
    assert_eq!(ground.deletes(), [network.name]);
}

#[tokio::test]
async fn without_a_label_every_object_of_the_kind_in_the_one_namespace_goes() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    let networks = [
        ground.network().create(&ground.hands).await,
        ground
            .network()
            .labelled(LABEL, "another")
            .create(&ground.hands)
            .await,
    ];
    let bystanders = [
        NETWORK
            .named(unique("n"))
            .within(&ground.another_namespace().await),
        CLUSTER.named(unique("c")).within(&ground.namespace),
    ];
    let everything = Selection::every_object_in(namespace(&ground.namespace));
    let cascade = ground.cascade_over(
        ground.upstream(),
        Dependent::new(NETWORK.kind(), everything),
        [],
    );
    let mut left = Vec::new();
    for bystander in bystanders {
        left.push(bystander.create(&ground.hands).await);
    }
    pass(&cascade, project.envelope().await).await;
    let deleted: BTreeSet<_> = ground.deletes().into_iter().collect();
    assert_eq!(deleted, networks.map(|network| network.name).into());
    for bystander in left {
        assert!(bystander.lives().await);
    }
}
