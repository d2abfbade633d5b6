//! Deletion-ordered reconcile: what is taken down when, what is written, and what is left alone.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube_cascade::{
    ConsumeError, Consumer, Delivery, Kind, ObjectRef, Outcome, ParkReason, Queue, State,
    clock::Clock,
    kubernetes::KubernetesSource,
    reconcile::{Lifecycle, Order, Reconciler},
};
use kube_sim::fault::{Match, Verb};
use serde_json::{Value, json};

use crate::{
    fixtures::{CustomKind, Object, PROJECT, admin, control_plane, namespaced, until},
    ground::{Ground, always, during},
};

const OWN: &str = "identity.example.com/operator";
const NETWORK_REFERENCE: &str = "networks.region.example.com/east_blue";
const CLUSTER_REFERENCE: &str = "clusters.compute.example.com/east_red";
/// A finalizer that is no reference, whatever one makes of it.
const STRANGER: &str = "stranger";

/// A lifecycle that only remembers, and answers what it is told to.
#[derive(Clone, Default)]
struct Diary {
    pages: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<Vec<Result<Outcome, &'static str>>>>,
}

impl Diary {
    fn answering(answers: impl IntoIterator<Item = Result<Outcome, &'static str>>) -> Self {
        let diary = Self::default();
        diary.answers.lock().expect("nobody panics").extend(answers);
        diary
    }

    fn write(&self, what: &str, object: &DynamicObject) -> Result<Outcome, ConsumeError> {
        let finalizers = object.metadata.finalizers.clone().unwrap_or_default();
        assert!(finalizers.contains(&OWN.to_owned()), "{what} without ours");
        let uid = object.metadata.uid.clone().unwrap_or_default();
        self.pages
            .lock()
            .expect("nobody panics")
            .push(format!("{what} {uid}"));
        let answer = self.answers.lock().expect("nobody panics").pop();
        answer
            .unwrap_or(Ok(Outcome::Done))
            .map_err(ConsumeError::new)
    }

    fn read(&self) -> Vec<String> {
        self.pages.lock().expect("nobody panics").clone()
    }
}

impl Lifecycle for Diary {
    type Object = DynamicObject;

    async fn provision(&self, object: DynamicObject) -> Result<Outcome, ConsumeError> {
        self.write("provision", &object)
    }

    async fn deprovision(&self, object: DynamicObject) -> Result<Outcome, ConsumeError> {
        self.write("deprovision", &object)
    }
}

fn order() -> Order {
    Order::new(OWN.parse().expect("it is a finalizer"))
}

fn reconciler(ground: &Ground, diary: &Diary) -> Reconciler<Diary> {
    Reconciler::new(
        ground.client.clone(),
        PROJECT.kind(),
        order(),
        diary.clone(),
    )
}

fn reference(object: &Object) -> ObjectRef {
    let namespace = object.namespace.as_deref().map(Into::into);
    ObjectRef::new(object.kind.kind(), namespace, object.name.as_str())
}

async fn turn(reconciler: &Reconciler<Diary>, object: &Object) -> Outcome {
    let turn = reconciler.reconcile(&reference(object)).await;
    turn.expect("it comes to its end")
}

fn is_wait(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Recheck(_))
}

/// A project of ours that is being deleted, and these finalizers on it besides.
async fn terminating(ground: &Ground, finalizers: &[&str]) -> Object {
    let draft = finalizers
        .iter()
        .fold(ground.project().kept_by(OWN), |draft, name| {
            draft.kept_by(name)
        });
    draft.create(&ground.hands).await.deleting().await
}

async fn condition(object: &Object) -> Value {
    let found = object.read().await.expect("it is there");
    let conditions = found.data["status"]["conditions"].as_array().cloned();
    let mut conditions = conditions.unwrap_or_default().into_iter();
    conditions
        .find(|condition| condition["type"] == "Deleting")
        .unwrap_or_default()
}

#[tokio::test]
async fn nothing_is_provisioned_before_our_finalizer_is_on() {
    let ground = Ground::new().await;
    let project = ground
        .project()
        .kept_by(STRANGER)
        .create(&ground.hands)
        .await;
    let diary = Diary::default();
    let reconciler = reconciler(&ground, &diary);
    assert_eq!(turn(&reconciler, &project).await, Outcome::Done);
    assert_eq!(project.finalizers().await, [STRANGER, OWN]);
    let version = project.resource_version().await;
    assert_eq!(turn(&reconciler, &project).await, Outcome::Done);
    assert_eq!(
        project.resource_version().await,
        version,
        "nothing changes, nothing is written"
    );
    let provision = format!("provision {}", project.uid);
    assert_eq!(diary.read(), [provision.clone(), provision]);
}

#[tokio::test]
async fn a_deletion_that_is_faster_than_our_finalizer_provisions_nothing() {
    let ground = Ground::new().await;
    let project = ground
        .project()
        .kept_by(STRANGER)
        .create(&ground.hands)
        .await;
    let diary = Diary::default();
    let (patches, envelope) = (Match::verb(Verb::Patch), project.envelope_of(State::Live));
    let outcome = ground
        .meanwhile(
            patches,
            always,
            &reconciler(&ground, &diary),
            envelope,
            project.delete(),
        )
        .await;
    assert_eq!(outcome.expect("it is no error"), Outcome::Done);
    assert_eq!(project.finalizers().await, [STRANGER]);
    assert_eq!(diary.read(), [""; 0]);
}

#[tokio::test]
async fn an_object_in_use_waits_and_says_for_whom() {
    let ground = Ground::new().await;
    let project = terminating(&ground, &[NETWORK_REFERENCE, CLUSTER_REFERENCE, STRANGER]).await;
    let diary = Diary::default();
    let reconciler = reconciler(&ground, &diary);
    let reconciler = reconciler.clock(Clock::new(|| SystemTime::UNIX_EPOCH));
    assert!(is_wait(&turn(&reconciler, &project).await));
    let generation = project.read().await.and_then(|it| it.metadata.generation);
    let message = format!("in use by {NETWORK_REFERENCE}, {CLUSTER_REFERENCE}");
    let wanted = json!({
        "type": "Deleting", "status": "True", "reason": "AwaitingReferences", "message": message,
        "observedGeneration": generation, "lastTransitionTime": "1970-01-01T00:00:00Z",
    });
    assert_eq!(condition(&project).await, wanted);

    let version = project.resource_version().await;
    assert!(is_wait(&turn(&reconciler, &project).await));
    assert_eq!(
        project.resource_version().await,
        version,
        "it has been said already"
    );

    project
        .set_finalizers(&[OWN, CLUSTER_REFERENCE, STRANGER])
        .await;
    let reconciler = reconciler.clock(Clock::system());
    assert!(is_wait(&turn(&reconciler, &project).await));
    let found = condition(&project).await;
    assert_eq!(found["message"], format!("in use by {CLUSTER_REFERENCE}"));
    assert_eq!(found["lastTransitionTime"], wanted["lastTransitionTime"]);
    assert_eq!(diary.read(), [""; 0]);

    project.set_finalizers(&[OWN, STRANGER]).await;
    assert_eq!(turn(&reconciler, &project).await, Outcome::Done);
    assert_eq!(condition(&project).await["reason"], "Deprovisioning");
    assert_eq!(diary.read(), [format!("deprovision {}", project.uid)]);
    assert_eq!(project.finalizers().await, [STRANGER]);
    assert_eq!(turn(&reconciler, &project).await, Outcome::Done);
    assert_eq!(diary.read().len(), 1, "it is no longer ours");
}

#[tokio::test]
async fn a_hold_and_children_are_waited_for() {
    let ground = Ground::new().await;
    let hold = "kube-cascade.dev/default_project";
    let project = ground
        .project()
        .kept_by(OWN)
        .kept_by(hold)
        .create(&ground.hands)
        .await;
    let child = ground.network().kept_by(STRANGER).owned_by(&project);
    let child = child.create(&ground.hands).await;
    networks_are_known(&ground).await;
    foreground(&project).await;
    let diary = Diary::default();
    let reconciler = reconciler(&ground, &diary);
    assert!(is_wait(&turn(&reconciler, &project).await));
    assert_eq!(condition(&project).await["reason"], "AwaitingDependents");
    project.set_finalizers(&[OWN, "foregroundDeletion"]).await;
    assert!(is_wait(&turn(&reconciler, &project).await));
    assert_eq!(condition(&project).await["reason"], "AwaitingChildren");
    assert_eq!(diary.read(), [""; 0]);
    until("the collector deletes the child", async || {
        child.terminates().await
    })
    .await;
    child.set_finalizers(&[]).await;
    until("the collector lets go", async || {
        project.finalizers().await == [OWN]
    })
    .await;
    assert_eq!(turn(&reconciler, &project).await, Outcome::Done);
    assert!(project.is_gone().await);
}

/// Waits until the garbage collector has seen every network there is: it learns of their owners
/// through another watch, and lets one go in foreground whose children it does not know.
async fn networks_are_known(ground: &Ground) {
    let owner = ground.project().create(&ground.hands).await;
    owner.delete().await;
    let canary = ground.network().owned_by(&owner);
    let canary = canary.create(&ground.hands).await;
    until("the canary is collected", async || canary.is_gone().await).await;
}

/// A DELETE that asks for children to go first.
#[expect(
    clippy::disallowed_methods,
    reason = "this is somebody else, and not the library"
)]
async fn foreground(object: &Object) {
    let api = object.kind.api(&admin().await, object.namespace.as_deref());
    let deleted = api.delete(&object.name, &DeleteParams::foreground()).await;
    deleted.expect("it is deleted");
}

#[tokio::test]
async fn an_object_stays_when_children_are_waited_for_since_it_was_judged() {
    let ground = Ground::new().await;
    let project = ground.project().kept_by(OWN).create(&ground.hands).await;
    let child = ground.network().kept_by(STRANGER).owned_by(&project);
    let child = child.create(&ground.hands).await;
    networks_are_known(&ground).await;
    project.delete().await;
    let diary = Diary::default();
    let envelope = project.envelope().await;
    let outcome = ground
        .meanwhile(
            patches(),
            always,
            &reconciler(&ground, &diary),
            envelope,
            foreground(&project),
        )
        .await;
    assert!(is_wait(&outcome.expect("it is no error")));
    assert_eq!(project.finalizers().await, [OWN, "foregroundDeletion"]);
    child.set_finalizers(&[]).await;
}

/// Writes of finalizers, and not of conditions.
fn patches() -> Match {
    Match::verb(Verb::Patch).without_subresource()
}

#[tokio::test]
async fn another_object_of_that_name_is_taken_down_for_itself() {
    let reads = || Match::verb(Verb::Get).resource(PROJECT.plural);
    // Between deprovisioning and the look before the end; between that look and the end.
    for (moment, nth) in [(reads(), 2), (patches(), 1)] {
        let ground = Ground::new().await;
        let first = terminating(&ground, &[]).await;
        let diary = Diary::default();
        let replace = async {
            first.set_finalizers(&[]).await;
            let second = first.again().kept_by(OWN).create(&ground.hands).await;
            second.delete().await;
        };
        let envelope = first.envelope().await;
        let outcome = ground
            .meanwhile(
                moment,
                |rule| rule.nth(nth),
                &reconciler(&ground, &diary),
                envelope,
                replace,
            )
            .await;
        assert_eq!(outcome.expect("it is no error"), Outcome::Done);
        assert!(first.read().await.is_none(), "both are gone");
        let read = diary.read();
        assert_eq!(read.len(), 2, "{read:?}");
        assert_ne!(read[0], read[1]);
    }
}

#[tokio::test]
async fn a_finalizer_that_is_on_twice_is_taken_off_at_once() {
    let ground = Ground::new().await;
    let project = terminating(&ground, &[STRANGER, OWN]).await;
    assert_eq!(project.finalizers().await, [OWN, STRANGER, OWN]);
    let diary = Diary::default();
    let reconciler = reconciler(&ground, &diary);
    assert_eq!(turn(&reconciler, &project).await, Outcome::Done);
    assert_eq!(project.finalizers().await, [STRANGER]);
}

#[tokio::test]
async fn an_object_stays_until_its_deprovisioning_says_done() {
    let ground = Ground::new().await;
    let project = terminating(&ground, &[]).await;
    let later = Outcome::Recheck(Duration::from_secs(7));
    let diary = Diary::answering([Err("the cloud is down"), Ok(later.clone())]);
    let reconciler = reconciler(&ground, &diary);
    assert_eq!(turn(&reconciler, &project).await, later);
    let failed = reconciler.reconcile(&reference(&project)).await;
    let failed = failed.expect_err("it fails").to_string();
    assert!(
        failed.starts_with("failed to deprovision Project"),
        "{failed}"
    );
    assert_eq!(project.finalizers().await, [OWN]);
    assert_eq!(turn(&reconciler, &project).await, Outcome::Done);
    assert!(project.is_gone().await);
}

#[tokio::test]
async fn a_status_that_somebody_else_writes_meanwhile_is_left_alone() {
    for (before, writes) in [
        (json!(null), json!({"phase": "Leaving"})),
        (
            json!({"phase": "Up"}),
            json!({"conditions": [{"type": "Ready", "status": "False"}]}),
        ),
        (
            json!({"conditions": [{"type": "Ready", "status": "True"}]}),
            json!({"conditions": [{"type": "Ready", "status": "False"}]}),
        ),
    ] {
        let ground = Ground::new().await;
        let project = terminating(&ground, &[NETWORK_REFERENCE]).await;
        let status = |status: Value| json!({"status": status});
        if !before.is_null() {
            project.patch_status(&status(before)).await;
        }
        let diary = Diary::default();
        let reconciler = reconciler(&ground, &diary);
        let conditions = Match::verb(Verb::Patch).subresource("status");
        let envelope = project.envelope().await;
        let theirs = status(writes.clone());
        let deed = project.patch_status(&theirs);
        let outcome = ground
            .meanwhile(conditions, |rule| rule.nth(1), &reconciler, envelope, deed)
            .await;
        assert!(is_wait(&outcome.expect("it hinders nothing")));
        assert!(is_wait(&turn(&reconciler, &project).await));
        let found = project.read().await.expect("it is there").data["status"].clone();
        assert!(
            writes["phase"].is_null() || found["phase"] == writes["phase"],
            "{found}"
        );
        let theirs = writes["conditions"][0].clone();
        let conditions = found["conditions"].as_array().expect("there are some");
        assert!(theirs.is_null() || conditions.contains(&theirs), "{found}");
        assert_eq!(condition(&project).await["reason"], "AwaitingReferences");
    }
}

#[tokio::test]
async fn a_kind_without_status_is_taken_down_all_the_same() {
    const STATELESS: CustomKind = namespaced("stateless.example.com", "Thing", "things");
    let ground = Ground::new().await;
    let mut definition = STATELESS.definition();
    definition["spec"]["versions"][0]["subresources"] = json!({});
    let file = control_plane().folder().join("stateless.json");
    std::fs::write(&file, definition.to_string()).expect("it is writable");
    let file = file.display().to_string();
    control_plane()
        .kubectl(["create", "--filename", &file])
        .expect("the definition is valid");
    let things = STATELESS.api(&ground.hands, Some(&ground.namespace));
    until("the kind is served", async || {
        things.list(&ListParams::default()).await.is_ok()
    })
    .await;
    let thing = STATELESS.named("t").within(&ground.namespace).kept_by(OWN);
    let thing = thing.kept_by(NETWORK_REFERENCE).create(&ground.hands).await;
    thing.delete().await;
    let diary = Diary::default();
    let kind = STATELESS.kind();
    let reconciler = Reconciler::new(ground.client.clone(), kind, order(), diary);
    assert!(is_wait(&turn(&reconciler, &thing).await));
    assert!(is_wait(&turn(&reconciler, &thing).await));
    let writes = ground.faults.recorder().count(&Match::writes());
    assert_eq!(writes, 1, "it is asked once whether there is a status");
    thing.set_finalizers(&[OWN]).await;
    assert_eq!(turn(&reconciler, &thing).await, Outcome::Done);
    assert!(thing.is_gone().await);
}

#[tokio::test]
async fn no_finalizer_is_lost_while_others_change_theirs() {
    let ground = Ground::new().await;
    let project = ground.project().create(&ground.hands).await;
    let diary = Diary::default();
    let reconciler = reconciler(&ground, &diary);
    let theirs = project.clone();
    let prefix = "other.example.com/";
    let [one, two] = ["other.example.com/one", "other.example.com/two"];
    let mut others = tokio::spawn(async move {
        for _ in 0..50 {
            theirs.edit_finalizers(prefix, &[], &[one]).await;
            theirs.edit_finalizers(prefix, &[one], &[one, two]).await;
            theirs.edit_finalizers(prefix, &[one, two], &[two]).await;
            theirs.edit_finalizers(prefix, &[two], &[]).await;
        }
    });
    let mut rounds = 0;
    while !others.is_finished() {
        until("nobody is in the way", async || {
            let turn = reconciler.reconcile(&reference(&project)).await;
            turn.is_ok()
        })
        .await;
        assert!(project.finalizers().await.contains(&OWN.to_owned()));
        project.edit_finalizers(OWN, &[OWN], &[]).await;
        rounds += 1;
    }
    (&mut others)
        .await
        .expect("nobody took away what they had put on");
    assert!(rounds > 0, "nobody was in anybody's way");
}

#[tokio::test]
async fn a_queue_goes_on_as_soon_as_the_last_reference_is_gone() {
    let ground = Ground::new().await;
    let project = terminating(&ground, &[NETWORK_REFERENCE, CLUSTER_REFERENCE]).await;
    let diary = Diary::default();
    let never = Duration::from_secs(24 * 60 * 60);
    let reconciler = reconciler(&ground, &diary).recheck_every(never);
    let source = KubernetesSource::new(ground.client.clone(), PROJECT.kind())
        .namespaces([&ground.namespace])
        .every_finalizer();
    let queue = Queue::builder(source).consumer(reconciler);
    let queue = queue.build().expect("it is sound");
    let story = async {
        until("it waits", async || !condition(&project).await.is_null()).await;
        project.set_finalizers(&[OWN, CLUSTER_REFERENCE]).await;
        until("it says what it waits for now", async || {
            condition(&project).await["message"] == format!("in use by {CLUSTER_REFERENCE}")
        })
        .await;
        project.set_finalizers(&[OWN]).await;
        until("it is gone", async || project.is_gone().await).await;
    };
    during(queue, story).await;
    assert_eq!(diary.read(), [format!("deprovision {}", project.uid)]);
}

/// Takes objects that have a specification of its kind, and no others.
struct Picky;

#[derive(serde::Deserialize)]
struct Specified {
    #[expect(dead_code, reason = "it only has to be there")]
    spec: u32,
}

impl Lifecycle for Picky {
    type Object = Specified;

    async fn provision(&self, _: Specified) -> Result<Outcome, ConsumeError> {
        Ok(Outcome::Done)
    }

    async fn deprovision(&self, _: Specified) -> Result<Outcome, ConsumeError> {
        Ok(Outcome::Done)
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_set_aside_and_stays() {
    let ground = Ground::new().await;
    let project = terminating(&ground, &[]).await;
    let client = || ground.client.clone();
    let unserved = Kind::new("nowhere.example.com", "Project");
    let picky = |kind| Reconciler::new(client(), kind, order(), Picky);
    for (reconciler, reason) in [
        (picky(unserved), ParkReason::NotServed),
        (picky(PROJECT.kind()).version("v9"), ParkReason::NotServed),
        (picky(PROJECT.kind()).version("v1"), ParkReason::Malformed),
    ] {
        let envelope = project.envelope().await;
        match reconciler.consume(Delivery::new(envelope)).await {
            Ok(Outcome::Park(parked)) => assert_eq!(parked.reason(), reason, "{parked}"),
            other => panic!("not set aside but {other:?}"),
        }
    }
    assert_eq!(project.finalizers().await, [OWN]);
}
