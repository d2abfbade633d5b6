//! From references back to objects: live, proven dangling, or unknown.

use http::StatusCode;
use kube_cascade::{
    ObjectRef, Reference, ReferenceStyle,
    reference::{GroupRewrite, NotReferences, References, Resolved, Unresolved},
};
use kube_sim::fault::{Action, Answer, Match, Rule, Verb};

use crate::{
    fixtures::{CustomKind, NETWORK, ZONE, control_plane, install, namespaced, unique, until},
    ground::Ground,
    references::named,
};

fn parsed(text: &str) -> Reference {
    text.parse().expect("it is a reference")
}

#[track_caller]
fn live(found: Resolved) -> ObjectRef {
    match found {
        Resolved::Live(object) => object,
        other => panic!("not live: {other:?}"),
    }
}

#[track_caller]
fn unknown(found: Resolved) -> Unresolved {
    match found {
        Resolved::Unknown(why) => why,
        other => panic!("not unknown: {other:?}"),
    }
}

#[tokio::test]
async fn a_user_that_is_gone_is_proven_dangling_in_every_form() {
    let ground = Ground::new().await;
    let references = References::new(ground.client.clone());
    let long = |letter: &str| format!("{}{}", unique(letter), "x".repeat(70));
    let here = &ground.namespace;
    let mut users = Vec::new();
    for name in [unique("n"), long("n")] {
        users.push(NETWORK.named(&*name).within(here));
        users.push(ZONE.named(name));
    }
    for user in users {
        let user = user.create(&ground.hands).await;
        let reference = references.to(&named(&user)).await.expect("it can be named");
        assert_eq!(live(references.resolve(&reference).await), named(&user));
        user.delete().await;
        assert!(user.is_gone().await);
        let found = references.resolve(&reference).await;
        assert!(
            matches!(found, Resolved::ProvenDangling),
            "{reference}: {found:?}"
        );
    }
}

#[tokio::test]
async fn a_kind_that_is_not_served_proves_nothing() {
    let ground = Ground::new().await;
    let references = References::new(ground.client.clone());
    for text in [
        "networks.nobody.example.com/a_b",
        "nothings.region.example.com/a_b",
        "nothings/a_b",
    ] {
        let why = unknown(references.resolve(&parsed(text)).await);
        assert!(matches!(why, Unresolved::NotServed(_)), "{text}: {why}");
    }
}

#[tokio::test]
async fn a_definition_that_went_proves_nothing() {
    let ground = Ground::new().await;
    let fleeting = namespaced("fleeting.example.com", "Fleeting", "fleetings");
    install(control_plane(), &[fleeting]);
    let references = References::new(ground.client.clone());
    let reference = parsed("fleetings.fleeting.example.com/default_a");
    let found = references.resolve(&reference).await;
    assert!(matches!(found, Resolved::ProvenDangling), "{found:?}");
    control_plane()
        .kubectl(["delete", "crd", &fleeting.definition_name()])
        .expect("the definition is deleted");
    until("it is not served", async || {
        let found = references.resolve(&reference).await;
        matches!(found, Resolved::Unknown(Unresolved::NotServed(_)))
    })
    .await;
    // What was known of it is forgotten.
    let successor = CustomKind {
        namespaced: false,
        ..fleeting
    };
    install(control_plane(), &[successor]);
    until("its successor is known", async || {
        let found = references.resolve(&reference).await;
        matches!(found, Resolved::Unknown(Unresolved::WrongScope(_)))
    })
    .await;
}

#[tokio::test]
async fn who_may_not_read_proves_nothing() {
    let ground = Ground::for_user(control_plane().fresh_user()).await;
    let references = References::new(ground.client.clone());
    let digest = "0".repeat(32);
    for text in [
        "networks.region.example.com/a_b",
        "networks.region.example.com/b",
        "zones.region.example.com/b",
        &format!("networks.region.example.com/a_b__{digest}"),
    ] {
        let why = unknown(references.resolve(&parsed(text)).await);
        assert!(matches!(why, Unresolved::Forbidden(_)), "{text}: {why}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_proves_nothing() {
    let ground = Ground::new().await;
    let references = References::new(ground.client.clone());
    let page = Answer::text(http::StatusCode::BAD_GATEWAY, "no upstream");
    let reads = Match::verbs([Verb::Get, Verb::List]).resource(NETWORK.plural);
    ground.faults.add(Rule::new(reads, Action::answer(page)));
    let digest = "0".repeat(32);
    for text in [
        "networks.region.example.com/a_b",
        &format!("networks.region.example.com/a_b__{digest}"),
    ] {
        let why = unknown(references.resolve(&parsed(text)).await);
        assert!(matches!(why, Unresolved::Unreadable(_)), "{text}: {why}");
    }
}

#[tokio::test]
async fn a_namespace_for_a_cluster_scoped_kind_proves_nothing() {
    let ground = Ground::new().await;
    let references = References::new(ground.client.clone());
    let digest = "0".repeat(32);
    for text in [
        "zones.region.example.com/a_b",
        &format!("zones.region.example.com/a_b__{digest}"),
    ] {
        let why = unknown(references.resolve(&parsed(text)).await);
        assert!(matches!(why, Unresolved::WrongScope(_)), "{text}: {why}");
    }
}

#[tokio::test]
async fn the_originals_reference_is_resolved_unless_two_objects_have_it() {
    let ground = Ground::new().await;
    let there = ground.another_namespace().await;
    let style = ReferenceStyle::Original(GroupRewrite::Keep);
    let references = References::new(ground.client.clone()).style(style);
    let name = unique("n");
    let one = NETWORK.named(&*name).within(&ground.namespace);
    let one = one.create(&ground.hands).await;
    let reference = references.to(&named(&one)).await.expect("it can be named");
    assert_eq!(
        reference,
        parsed(&format!("networks.region.example.com/{name}"))
    );
    assert!(
        references
            .names(&reference, &named(&one))
            .await
            .expect("it is served")
    );
    assert_eq!(live(references.resolve(&reference).await), named(&one));
    let other = NETWORK
        .named(&*name)
        .within(&there)
        .create(&ground.hands)
        .await;
    match unknown(references.resolve(&reference).await) {
        Unresolved::Ambiguous(mut found) => {
            found.sort();
            let mut both = [named(&one), named(&other)];
            both.sort();
            assert_eq!(found, both);
        }
        why => panic!("{why}"),
    }
    one.delete().await;
    assert_eq!(live(references.resolve(&reference).await), named(&other));
    other.delete().await;
    let found = references.resolve(&reference).await;
    assert!(matches!(found, Resolved::ProvenDangling), "{found:?}");
}

#[tokio::test]
async fn the_originals_rewritten_group_is_read_back() {
    const LEGACY: CustomKind = namespaced("unikorn-cloud.org", "Server", "servers");
    install(control_plane(), &[LEGACY]);
    let ground = Ground::new().await;
    let style = ReferenceStyle::Original(GroupRewrite::Legacy);
    let references = References::new(ground.client.clone()).style(style);
    let server = LEGACY.named(unique("s")).within(&ground.namespace);
    let server = server.create(&ground.hands).await;
    let reference = references
        .to(&named(&server))
        .await
        .expect("it can be named");
    let text = format!("servers.kubernetes.unikorn-cloud.org/{}", server.name);
    assert_eq!(reference.as_str(), text);
    assert_eq!(live(references.resolve(&reference).await), named(&server));
    // Who does not know of the rewriting finds no such group.
    let ours = References::new(ground.client.clone());
    let why = unknown(ours.resolve(&reference).await);
    assert!(matches!(why, Unresolved::NotServed(_)), "{why}");
    server.delete().await;
    // It may have been written for the group that is not served.
    let why = unknown(references.resolve(&reference).await);
    assert!(matches!(why, Unresolved::NotServed(_)), "{why}");
    // That a group is not served is the least of what can be said.
    let failing = Action::answer(Answer::status(StatusCode::INTERNAL_SERVER_ERROR));
    let reads = Match::any().group(LEGACY.group).resource(LEGACY.plural);
    ground.faults.add(Rule::new(reads, failing));
    let why = unknown(references.resolve(&reference).await);
    assert!(matches!(why, Unresolved::Unreadable(_)), "{why}");
}

#[tokio::test]
async fn a_rewritten_group_is_proven_dangling_where_both_are_served() {
    const LEGACY: CustomKind = namespaced("unikorn-cloud.org", "Image", "images");
    const REWRITTEN: CustomKind = namespaced("kubernetes.unikorn-cloud.org", "Image", "images");
    install(control_plane(), &[LEGACY, REWRITTEN]);
    let ground = Ground::new().await;
    let style = ReferenceStyle::Original(GroupRewrite::Legacy);
    let references = References::new(ground.client.clone()).style(style);
    for kind in [LEGACY, REWRITTEN] {
        let image = kind.named(unique("i")).within(&ground.namespace);
        let image = image.create(&ground.hands).await;
        let reference = parsed(&format!(
            "images.kubernetes.unikorn-cloud.org/{}",
            image.name
        ));
        assert_eq!(live(references.resolve(&reference).await), named(&image));
        image.delete().await;
        let found = references.resolve(&reference).await;
        assert!(matches!(found, Resolved::ProvenDangling), "{found:?}");
    }
}

#[tokio::test]
async fn what_may_be_somebody_elses_finalizer_is_not_proven_dangling() {
    let ground = Ground::new().await;
    let references = References::new(ground.client.clone());
    // As operators name their own finalizers; only the original writes references so.
    let others = parsed("networks.region.example.com/network-cleanup");
    let why = unknown(references.resolve(&others).await);
    assert!(matches!(why, Unresolved::Foreign), "{why}");
    let told_apart = NotReferences::well_known().and("zones.region.example.com/cleanup");
    let references = references.not_references(told_apart);
    let own = parsed("zones.region.example.com/cleanup");
    let why = unknown(references.resolve(&own).await);
    assert!(matches!(why, Unresolved::Foreign), "{why}");
}
