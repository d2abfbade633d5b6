//! What a controller refuses, parks or reports, and deletes nothing for.

use crate::{
    fixtures::{
        CLUSTER, NETWORK, PROJECT, VOLUME, admin, control_plane, fresh_namespace, install,
        namespaced, unique, until,
    },
    rig::{LABEL, RuleDraft, Rules, Setup, Stage, held, two_namespaces},
};

const PARKED: &str = "kube_cascade_parked";

#[tokio::test]
async fn fault_07_a_rule_with_a_mistyped_namespace_is_not_ready() {
    let stage = Stage::set().await;
    let Stage {
        tenants, region, ..
    } = &stage;
    let rule = RuleDraft::of("typo", PROJECT, tenants).takes(NETWORK, &format!("{region}-typo"));
    let controller = Setup::of(rule).start();
    until("the endpoint says why", async || {
        let answer = controller.get("/readyz").await;
        answer.is_ok_and(|answer| answer.body.contains("-typo does not exist"))
    })
    .await;
    let project = stage.project().await;
    held(&project).await;
    project.delete().await;
    controller.until_metric(PARKED, &["NamespaceMissing"]).await;
    assert!(
        project.terminates().await,
        "a list of nowhere is not an empty list"
    );
    controller.stop().await;
}

#[tokio::test]
async fn fault_07_a_mistyped_namespace_of_the_upstreams_is_reported() {
    let Stage {
        tenants, region, ..
    } = &Stage::set().await;
    let rule = RuleDraft::of("typo", PROJECT, &format!("{tenants}-typo")).takes(NETWORK, region);
    let controller = Setup::of(rule).start();
    until("the endpoint says why", async || {
        let answer = controller.get("/readyz").await;
        answer.is_ok_and(|answer| {
            answer
                .body
                .contains("-typo of the upstreams does not exist")
        })
    })
    .await;
    controller
        .until_metric("kube_cascade_rule_degraded", &["typo"])
        .await;
    controller.stop().await;
}

#[tokio::test]
async fn fault_35_a_kind_that_is_no_longer_served_degrades_its_rule() {
    let Stage {
        tenants, region, ..
    } = &Stage::set().await;
    let passing = namespaced("passing.example.com", "Passing", "passings");
    tokio::task::spawn_blocking(move || install(control_plane(), &[passing]))
        .await
        .expect("the kind is installed");
    let rule = RuleDraft::of("passing", PROJECT, tenants).takes(passing, region);
    let controller = Setup::of(rule).ready().await;
    until("the rule works", async || {
        controller
            .metric("kube_cascade_rule_degraded", &["passing"])
            .await
            < 1.0
    })
    .await;
    control_plane()
        .kubectl(["delete", "crd", &passing.definition_name()])
        .expect("the definition is deleted");
    controller
        .until_metric("kube_cascade_rule_degraded", &["passing"])
        .await;
    controller.stop().await;
}

#[tokio::test]
async fn fault_14_an_upstream_that_is_created_anew_in_mid_cascade_ends_it_visibly() {
    let stage = Stage::set().await;
    let Stage {
        client,
        tenants,
        region,
    } = &stage;
    let project = stage.project().await;
    let labelled = |name: &str| stage.labelled(NETWORK, name, &project.name);
    let slow = labelled("slow")
        .kept_by("example.com/slow")
        .create(client)
        .await;
    let upstream = format!("scope: {{namespaces: [{tenants}]}}, hold: false");
    let rule = RuleDraft::scoped("project", PROJECT, &upstream).takes(NETWORK, region);
    let controller = Setup::of(rule).ready().await;
    project.delete().await;
    until("the cascade is under way", async || slow.terminates().await).await;
    let anew = project.again().create(client).await;
    let late = labelled("late").create(client).await;
    controller
        .until_metric("kube_cascade_refused_total", &["UpstreamReplaced"])
        .await;
    assert!(late.lives().await && anew.lives().await);
    slow.set_finalizers(&[]).await;
    controller.stop().await;
}

#[tokio::test]
async fn fault_13_two_live_upstreams_of_a_name_that_was_called_unique_park_the_cascade() {
    let stage = Stage::set().await;
    let Stage {
        client,
        tenants,
        region,
    } = &stage;
    let others = fresh_namespace(client, "tenants").await;
    let id = unique("p");
    let project = PROJECT.named(&id).within(tenants).create(client).await;
    let namesake = PROJECT.named(&id).within(&others).create(client).await;
    let network = stage.dependent(NETWORK, "n", &id).await;
    let upstream =
        format!("scope: {{namespaces: [{tenants}, {others}]}}, id: {{from: Name, unique: true}}");
    let rule = RuleDraft::scoped("project", PROJECT, &upstream).takes(NETWORK, region);
    let controller = Setup::of(rule).ready().await;
    until("both are held", async || {
        !project.finalizers().await.is_empty() && !namesake.finalizers().await.is_empty()
    })
    .await;
    project.delete().await;
    controller.until_metric(PARKED, &["Namesake"]).await;
    assert!(network.lives().await);
    assert!(project.terminates().await);
    controller.stop().await;
}

#[tokio::test]
async fn fault_13_in_the_same_namespace_only_the_deleted_ones_dependents_go() {
    let client = admin().await;
    let (here, there) = two_namespaces(&client).await;
    let id = unique("p");
    let project = PROJECT.named(&id).within(&here).create(&client).await;
    let namesake = PROJECT.named(&id).within(&there).create(&client).await;
    let ours = NETWORK
        .named("n")
        .within(&here)
        .labelled(LABEL, &id)
        .create(&client)
        .await;
    let theirs = NETWORK
        .named("n")
        .within(&there)
        .labelled(LABEL, &id)
        .create(&client)
        .await;
    let upstream = format!("scope: {{namespaces: [{here}, {there}]}}");
    let rule = RuleDraft::scoped("project", PROJECT, &upstream)
        .takes_in(NETWORK, "scope: {sameAsUpstream: true}");
    let controller = Setup::of(rule).ready().await;
    until("it is held", async || {
        !project.finalizers().await.is_empty()
    })
    .await;
    project.delete().await;
    until("the project is gone", async || project.is_gone().await).await;
    assert!(ours.is_gone().await);
    assert!(theirs.lives().await && namesake.lives().await);
    controller.stop().await;
}

#[tokio::test]
async fn fault_71_a_namesake_in_a_namespace_that_no_rule_names_parks_the_cascade() {
    let stage = Stage::set().await;
    let Stage {
        client, tenants, ..
    } = &stage;
    let elsewhere = fresh_namespace(client, "elsewhere").await;
    let id = unique("p");
    let project = PROJECT.named(&id).within(tenants).create(client).await;
    let namesake = PROJECT.named(&id).within(&elsewhere).create(client).await;
    let network = stage.dependent(NETWORK, "n", &id).await;
    let rule = stage.rule();
    let controller = Setup::of(rule).ready().await;
    held(&project).await;
    project.delete().await;
    controller.until_metric(PARKED, &["Namesake"]).await;
    assert!(network.lives().await && namesake.lives().await);
    until("an Event names both", async || {
        let events = control_plane().kubectl(["get", "events", "-n", tenants, "-o", "wide"]);
        events.is_ok_and(|events| events.contains("CascadeParked") && events.contains(&elsewhere))
    })
    .await;
    controller.stop().await;
}

#[tokio::test]
async fn fault_21_dependents_of_an_upstream_that_vanished_while_down_are_reported_as_orphans() {
    let stage = Stage::set().await;
    let kept = stage.project().await;
    let rule = stage.rule();
    let controller = Setup::of(rule).ready().await;
    held(&kept).await;
    let setup = controller.stop().await;
    kept.delete().await;
    assert!(
        kept.terminates().await,
        "what was held cannot vanish while the controller is down"
    );
    let unheld = stage.project().await;
    let network = stage.dependent(NETWORK, "n", &unheld.name).await;
    unheld.delete().await;
    assert!(unheld.is_gone().await, "nothing ever held it");
    let controller = setup.ready().await;
    controller
        .until_metric("kube_cascade_orphans", &["project"])
        .await;
    until("the held one is gone", async || kept.is_gone().await).await;
    assert!(network.lives().await, "an absence deletes nothing");
    controller.stop().await;
}

#[tokio::test]
async fn fault_34_a_rule_that_fails_does_not_hinder_another() {
    let stage = Stage::set().await;
    let Stage {
        tenants, region, ..
    } = &stage;
    let project = stage.project().await;
    let network = stage.dependent(NETWORK, "n", &project.name).await;
    let unserved =
        r"{group: nowhere.example.com, kind: Ghost, label: example.com/ghost, scope: {all: true}}";
    let failing = RuleDraft::of("a-failing", PROJECT, tenants).takes_document(unserved);
    let working = RuleDraft::of("b-working", PROJECT, tenants).takes(NETWORK, region);
    let controller = Setup::of([failing, working].into_iter().collect::<Rules>())
        .ready()
        .await;
    until("both hold it", async || {
        project.finalizers().await.len() == 2
    })
    .await;
    project.delete().await;
    until("the network is gone", async || network.is_gone().await).await;
    until("one hold is left", async || {
        project.finalizers().await.len() == 1
    })
    .await;
    assert!(project.finalizers().await[0].contains("a-failing"));
    controller
        .until_metric(PARKED, &["a-failing", "NotServed"])
        .await;
    controller.stop().await;
}

#[tokio::test]
async fn fault_53_more_matches_than_the_limit_are_parked_until_it_is_raised() {
    let stage = Stage::set().await;
    let Stage { region, .. } = &stage;
    let project = stage.project().await;
    let one = stage.dependent(NETWORK, "one", &project.name).await;
    let two = stage.dependent(NETWORK, "two", &project.name).await;
    let three = stage.dependent(VOLUME, "three", &project.name).await;
    let rule = stage.rule().takes(VOLUME, region);
    let controller = Setup::of(rule.clone().limit(2)).ready().await;
    let installation = controller.installation().to_owned();
    held(&project).await;
    project.delete().await;
    controller.until_metric(PARKED, &["LimitExceeded"]).await;
    assert!(one.lives().await && two.lives().await && three.lives().await);
    controller.stop().await;
    let raised = Setup::of(rule.limit(3))
        .in_installation(&installation)
        .ready()
        .await;
    until("the project is gone", async || project.is_gone().await).await;
    assert!(one.is_gone().await && two.is_gone().await && three.is_gone().await);
    raised.stop().await;
}

#[tokio::test]
async fn fault_72_one_unreadable_kind_of_three_stops_its_rule_until_it_is_served() {
    let stage = Stage::set().await;
    let late = namespaced("late.example.com", "Late", "lates");
    let project = stage.project().await;
    let network = stage.dependent(NETWORK, "n", &project.name).await;
    let cluster = stage.dependent(CLUSTER, "c", &project.name).await;
    let rule = stage
        .rule()
        .takes(CLUSTER, &stage.region)
        .takes(late, &stage.region);
    let controller = Setup::of(rule).ready().await;
    held(&project).await;
    project.delete().await;
    controller.until_metric(PARKED, &["NotServed"]).await;
    assert!(network.lives().await && cluster.lives().await && project.terminates().await);
    tokio::task::spawn_blocking(move || install(control_plane(), &[late]))
        .await
        .expect("the kind is installed");
    until("the project is gone", async || project.is_gone().await).await;
    assert!(network.is_gone().await && cluster.is_gone().await);
    controller.stop().await;
}

#[tokio::test]
async fn a_reporting_rule_says_what_it_would_delete_and_holds_nothing() {
    let stage = Stage::set().await;
    let Stage {
        client, tenants, ..
    } = &stage;
    let project = PROJECT
        .named(unique("p"))
        .within(tenants)
        .kept_by("example.com/other")
        .create(client)
        .await;
    let network = stage.dependent(NETWORK, "n", &project.name).await;
    let rule = stage.rule().reporting();
    let controller = Setup::of(rule).ready().await;
    project.delete().await;
    until("it is reported", async || {
        let events = control_plane().kubectl(["get", "events", "-n", tenants, "-o", "wide"]);
        events.is_ok_and(|events| events.contains("CascadeReported"))
    })
    .await;
    assert!(network.lives().await);
    assert_eq!(project.finalizers().await, ["example.com/other"]);
    controller.stop().await;
}
