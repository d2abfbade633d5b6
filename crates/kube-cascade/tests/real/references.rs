//! References on real objects: who is named, what is written, and what is left alone.

mod sets;

use kube::{
    Api,
    api::{DynamicObject, PatchParams, PostParams},
    core::ApiResource,
};
use kube_cascade::{
    Kind, ObjectRef, Reference,
    kubernetes::Disposition,
    reference::{AddError, Change, NameError, References, Resolved},
};
use kube_sim::fault::{Match, Verb};
use serde_json::json;

use crate::{
    fixtures::{
        NETWORK, Object, PATIENCE, PROJECT, ZONE, control_plane, in_time, install, namespaced,
        unique,
    },
    ground::{Ground, KEPT},
};

/// The object by its name.
pub(crate) fn named(object: &Object) -> ObjectRef {
    let namespace = object.namespace.as_deref().map(Into::into);
    ObjectRef::new(object.kind.kind(), namespace, object.name.as_str())
}

fn references(ground: &Ground) -> References {
    References::new(ground.client.clone())
}

/// The reference of a network that need not exist.
fn reference() -> Reference {
    let text = "networks.region.example.com/east_blue";
    text.parse().expect("it is a reference")
}

fn writes(ground: &Ground) -> usize {
    ground.faults.recorder().count(&Match::writes())
}

fn patches() -> Match {
    Match::verb(Verb::Patch)
}

/// Does something between the moment a patch was sent and the moment the server sees it.
async fn before_the_patch<T>(
    ground: &Ground,
    operation: impl Future<Output = T>,
    deed: impl Future<Output = ()>,
) -> T {
    let gate = ground.gate(patches(), |rule| rule.first(1));
    let deed = async {
        let held = gate.arrived().await;
        deed.await;
        held.release();
    };
    let both = futures::future::join(operation, deed);
    in_time("a patch", PATIENCE, both).await.0
}

/// An object of a built-in kind in the test's namespace.
async fn built_in(ground: &Ground, group: &str, kind: &str, plural: &str, name: &str) -> ObjectRef {
    let api_version = match group {
        "" => "v1".to_owned(),
        group => format!("{group}/v1"),
    };
    let resource = ApiResource {
        group: group.into(),
        version: "v1".into(),
        api_version,
        kind: kind.into(),
        plural: plural.into(),
    };
    let object = DynamicObject::new(name, &resource);
    let api: Api<DynamicObject> =
        Api::namespaced_with(ground.hands.clone(), &ground.namespace, &resource);
    let created = api.create(&PostParams::default(), &object).await;
    created.unwrap_or_else(|error| panic!("{name} is not created: {error}"));
    let here = Some(ground.namespace.as_str().into());
    ObjectRef::new(Kind::new(group, kind), here, name)
}

/// Puts the user's reference on the object, finds it again in every way, and takes it off.
async fn check(ground: &Ground, subject: &Object, user: &ObjectRef) -> Reference {
    let (references, object) = (references(ground), named(subject));
    let reference = references.to(user).await.expect("it can be named");
    assert!(
        references
            .names(&reference, user)
            .await
            .expect("it is served")
    );

    let added = references.add(&object, &reference).await;
    assert_eq!(added.expect("it is put on"), Change::Written);
    assert_eq!(subject.finalizers().await, [KEPT, reference.as_str()]);
    let version = subject.resource_version().await;
    let added = references.add(&object, &reference).await;
    assert_eq!(added.expect("it is on"), Change::Unneeded);
    assert_eq!(subject.resource_version().await, version);

    // Nobody would take the test's own finalizer for none.
    let listed = references.list(&object).await.expect("it can be read");
    assert_eq!(
        listed,
        Some(vec![
            KEPT.parse().expect("it has the form"),
            reference.clone()
        ])
    );
    match references.resolve(&reference).await {
        Resolved::Live(found) => assert_eq!(found, *user),
        other => panic!("{reference}: {other:?}"),
    }

    let removed = references.remove(&object, &reference).await;
    assert_eq!(removed.expect("it is taken off"), Change::Written);
    assert_eq!(subject.finalizers().await, [KEPT]);
    let version = subject.resource_version().await;
    let removed = references.remove(&object, &reference).await;
    assert_eq!(removed.expect("it is off"), Change::Unneeded);
    assert_eq!(subject.resource_version().await, version);
    assert_eq!(writes(ground), 2);
    ground.faults.recorder().clear();
    reference
}

async fn kept_project(ground: &Ground) -> Object {
    ground.project().kept_by(KEPT).create(&ground.hands).await
}

#[tokio::test]
async fn users_of_any_name_are_referred_to_found_and_let_go() {
    let ground = Ground::new().await;
    let project = kept_project(&ground).await;
    for length in [10, 63, 64, 253] {
        let name = format!("{:n<length$}", unique("name"));
        let network = NETWORK.named(&*name).within(&ground.namespace);
        let network = network.create(&ground.hands).await;
        check(&ground, &project, &named(&network)).await;
        let zone = ZONE.named(&*name).create(&ground.hands).await;
        check(&ground, &project, &named(&zone)).await;
    }
    let dotted = format!("a.b-c.{}", unique("d"));
    let dotted = NETWORK.named(dotted).within(&ground.namespace);
    let dotted = dotted.create(&ground.hands).await;
    check(&ground, &project, &named(&dotted)).await;
}

#[tokio::test]
async fn users_of_built_in_kinds_are_referred_to_found_and_let_go() {
    let ground = Ground::new().await;
    let project = kept_project(&ground).await;
    let here = &ground.namespace;
    let map = built_in(&ground, "", "ConfigMap", "configmaps", "map").await;
    let reference = check(&ground, &project, &map).await;
    assert_eq!(reference.as_str(), format!("configmaps/{here}_map"));
    // A name that only a few kinds allow.
    let group = "rbac.authorization.k8s.io";
    let role = built_in(&ground, group, "Role", "roles", "System:reader_1").await;
    let reference = check(&ground, &project, &role).await;
    let start = format!("roles.{group}/{here}_system-reader-1");
    assert!(
        reference.as_str().starts_with(&start[..start.len() - 9]),
        "{reference}"
    );
}

#[tokio::test]
async fn a_user_of_the_longest_group_is_referred_to_found_and_let_go() {
    // A definition is named `plural.group`, in 253 bytes.
    let group: &'static str = format!("{}.example", "g".repeat(251 - 8)).leak();
    let longest = namespaced(group, "Longest", "x");
    install(control_plane(), &[longest]);
    let ground = Ground::new().await;
    let project = kept_project(&ground).await;
    for length in [5, 253] {
        let user = longest.named("u".repeat(length)).within(&ground.namespace);
        let user = user.create(&ground.hands).await;
        let reference = check(&ground, &project, &named(&user)).await;
        assert_eq!(reference.as_str().find('/'), Some(253));
    }
}

#[tokio::test]
async fn two_users_of_one_name_in_two_namespaces_are_two() {
    let ground = Ground::new().await;
    let project = kept_project(&ground).await;
    let there = ground.another_namespace().await;
    let one = NETWORK.named("same").within(&ground.namespace);
    let other = NETWORK.named("same").within(&there);
    let one = named(&one.create(&ground.hands).await);
    let other = named(&other.create(&ground.hands).await);
    check(&ground, &project, &one).await;
    let (references, object) = (references(&ground), named(&project));
    let of_one = references.to(&one).await.expect("it can be named");
    let of_other = references.to(&other).await.expect("it can be named");
    references
        .add(&object, &of_one)
        .await
        .expect("it is put on");
    references
        .add(&object, &of_other)
        .await
        .expect("it is put on");
    references
        .remove(&object, &of_one)
        .await
        .expect("it is taken off");
    assert_eq!(project.finalizers().await, [KEPT, of_other.as_str()]);
    references
        .remove(&object, &of_other)
        .await
        .expect("it is taken off");
    ground.faults.recorder().clear();
    check(&ground, &project, &other).await;
}

#[tokio::test]
async fn the_server_accepts_the_grammar_and_no_more() {
    let ground = Ground::new().await;
    let project = kept_project(&ground).await;
    let api = PROJECT.api(&ground.hands, Some(&ground.namespace));
    let name = "n".repeat(63);
    let group = "b".repeat(251);
    for (finalizer, accepted) in [
        ("configmaps/a".to_owned(), true),
        ("configmaps./a".to_owned(), false),
        (format!("a.b/{name}"), true),
        (format!("a.b/{name}n"), false),
        (format!("a.{group}/a"), true),
        (format!("aa.{group}/a"), false),
        ("a.b/c_d".to_owned(), true),
        (format!("a.b/c__{}", "0".repeat(32)), true),
        ("a.b/c/d".to_owned(), false),
        ("a.b/c:d".to_owned(), false),
        ("a.b/_c".to_owned(), false),
    ] {
        let patch = kube::api::Patch::Merge(json!({"metadata": {"finalizers": [finalizer]}}));
        let answer = api
            .patch(&project.name, &PatchParams::default(), &patch)
            .await;
        let code = match &answer {
            Ok(_) => 200,
            Err(kube::Error::Api(status)) => status.code,
            Err(error) => panic!("{finalizer}: {error}"),
        };
        assert_eq!(code, if accepted { 200 } else { 422 }, "{finalizer}");
        assert_eq!(
            finalizer.parse::<Reference>().is_ok(),
            accepted,
            "{finalizer}"
        );
    }
}

#[tokio::test]
async fn a_user_whose_namespace_is_not_as_its_kind_has_it_is_not_referred_to() {
    let ground = Ground::new().await;
    let references = references(&ground);
    let lacking = ObjectRef::new(NETWORK.kind(), None, "blue");
    let beyond = ObjectRef::new(ZONE.kind(), Some("east".into()), "blue");
    for (user, expected) in [(lacking, true), (beyond, false)] {
        match references.to(&user).await {
            Err(NameError::Scope { object, namespaced }) => {
                assert_eq!((object, namespaced), (user, expected));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn nobody_begins_to_use_what_is_being_deleted() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    let added = references(&ground)
        .add(&named(&project), &reference())
        .await;
    let error = added.expect_err("it is refused");
    assert!(matches!(error, AddError::Terminating { .. }), "{error}");
    assert_eq!(error.disposition(), Disposition::Permanent);
    assert_eq!(writes(&ground), 0);
}

#[tokio::test]
async fn nobody_begins_to_use_what_others_delete_meanwhile() {
    let ground = Ground::new().await;
    let project = kept_project(&ground).await;
    let (references, object, reference) = (references(&ground), named(&project), reference());
    let add = references.add(&object, &reference);
    let error = before_the_patch(&ground, add, project.delete()).await;
    let error = error.expect_err("it is refused");
    assert!(matches!(error, AddError::Terminating { .. }), "{error}");
    assert_eq!(project.finalizers().await, [KEPT]);
}

#[tokio::test]
async fn who_uses_what_is_being_deleted_stays_and_leaves() {
    let ground = Ground::new().await;
    let reference = reference();
    let project = ground.project().kept_by(reference.as_str()).kept_by(KEPT);
    let project = project.create(&ground.hands).await.deleting().await;
    let (references, object) = (references(&ground), named(&project));
    let added = references.add(&object, &reference).await;
    assert_eq!(added.expect("it is on"), Change::Unneeded);
    let removed = references.remove(&object, &reference).await;
    assert_eq!(removed.expect("it is taken off"), Change::Written);
    assert_eq!(project.finalizers().await, [KEPT]);
}

#[tokio::test]
async fn what_is_not_there_cannot_be_used_and_is_left_without_an_error() {
    let ground = Ground::new().await;
    let gone = ObjectRef::new(
        PROJECT.kind(),
        Some(ground.namespace.as_str().into()),
        "gone",
    );
    let references = references(&ground);
    let error = references
        .add(&gone, &reference())
        .await
        .expect_err("it is not there");
    assert!(matches!(error, AddError::NotFound { .. }), "{error}");
    assert_eq!(error.disposition(), Disposition::Retry);
    let removed = references.remove(&gone, &reference()).await;
    assert_eq!(removed.expect("it is done"), Change::Unneeded);
    assert_eq!(references.list(&gone).await.expect("it can be read"), None);
    assert_eq!(writes(&ground), 0);
}

#[tokio::test]
async fn what_goes_meanwhile_is_left_without_an_error() {
    let ground = Ground::new().await;
    let reference = reference();
    let project = ground
        .project()
        .kept_by(reference.as_str())
        .create(&ground.hands)
        .await;
    let (references, object) = (references(&ground), named(&project));
    let remove = references.remove(&object, &reference);
    let removed = before_the_patch(&ground, remove, async {
        project.delete().await;
        project.set_finalizers(&[]).await;
        assert!(project.is_gone().await);
    });
    assert_eq!(removed.await.expect("it is done"), Change::Unneeded);
}

#[tokio::test]
async fn nobody_elses_finalizer_is_taken_off() {
    let ground = Ground::new().await;
    let reference = reference();
    let project = ground.project().kept_by(KEPT).kept_by(reference.as_str());
    let project = project
        .kept_by("example.com/last")
        .create(&ground.hands)
        .await;
    let (references, object) = (references(&ground), named(&project));
    let remove = references.remove(&object, &reference);
    // Where ours was, there is another's now.
    let left = [reference.as_str(), "example.com/last"];
    let others = project.set_finalizers(&left);
    let removed = before_the_patch(&ground, remove, others).await;
    assert_eq!(removed.expect("it is taken off"), Change::Written);
    assert_eq!(project.finalizers().await, ["example.com/last"]);
}

#[tokio::test]
async fn of_two_first_finalizers_none_is_lost() {
    let ground = Ground::new().await;
    let project = ground.project().create(&ground.hands).await;
    let (references, object, reference) = (references(&ground), named(&project), reference());
    let add = references.add(&object, &reference);
    let added = before_the_patch(&ground, add, project.set_finalizers(&[KEPT])).await;
    assert_eq!(added.expect("it is put on"), Change::Written);
    assert_eq!(project.finalizers().await, [KEPT, reference.as_str()]);
}

#[tokio::test]
async fn a_reference_is_put_on_although_all_others_leave_meanwhile() {
    let ground = Ground::new().await;
    let project = kept_project(&ground).await;
    let (references, object, reference) = (references(&ground), named(&project), reference());
    let add = references.add(&object, &reference);
    let added = before_the_patch(&ground, add, project.set_finalizers(&[])).await;
    assert_eq!(added.expect("it is put on"), Change::Written);
    assert_eq!(project.finalizers().await, [reference.as_str()]);
}

#[tokio::test]
async fn a_reference_that_is_there_twice_is_taken_off_twice() {
    let ground = Ground::new().await;
    let reference = reference();
    let project = ground.project().kept_by(reference.as_str()).kept_by(KEPT);
    let project = project
        .kept_by(reference.as_str())
        .create(&ground.hands)
        .await;
    let (references, object) = (references(&ground), named(&project));
    let listed = references.list(&object).await.expect("it can be read");
    assert_eq!(listed.map(|listed| listed.len()), Some(2));
    let removed = references.remove(&object, &reference).await;
    assert_eq!(removed.expect("it is taken off"), Change::Written);
    assert_eq!(project.finalizers().await, [KEPT]);
}

#[tokio::test]
async fn built_in_objects_are_used_like_any_other() {
    let ground = Ground::new().await;
    let map = built_in(&ground, "", "ConfigMap", "configmaps", "used").await;
    let (references, reference) = (references(&ground), reference());
    references
        .add(&map, &reference)
        .await
        .expect("it is put on");
    let listed = references.list(&map).await.expect("it can be read");
    assert_eq!(listed, Some(vec![reference.clone()]));
    references
        .remove(&map, &reference)
        .await
        .expect("it is taken off");
    assert_eq!(
        references.list(&map).await.expect("it can be read"),
        Some(Vec::new())
    );
}
