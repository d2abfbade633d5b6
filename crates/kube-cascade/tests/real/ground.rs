//! What one test stands on: a namespace, names and clients of its own, and a cascade whose calls
//! go through faults that the test controls.

use std::sync::{Arc, Mutex, PoisonError};

use control_plane::User;
use futures::future;
use kube::Client;
use kube_cascade::{
    CascadingDelete, ConsumeError, Consumer, Delivery, Envelope, Outcome, Parked, Queue,
    cascade::{Answer, Dependent, LabelKey, Notice, Observer, Scope, Selection, Subject, Upstream},
    kubernetes::IdSource,
    names::Namespace,
};
use kube_sim::fault::{Action, Faults, Gate, Match, Recorded, Rule, Verb};

use tokio::sync::oneshot;

use crate::fixtures::{
    CustomKind, Draft, NETWORK, Object, PATIENCE, PROJECT, admin, client_under, control_plane,
    fresh_namespace, in_time, unique,
};

/// The label whose value is the ID of a project.
pub(crate) const LABEL: &str = "example.com/project";

pub(crate) struct Ground {
    /// The test's own hands: an admin whom no fault concerns.
    pub(crate) hands: Client,
    /// What the cascade talks through.
    pub(crate) client: Client,
    pub(crate) faults: Faults,
    pub(crate) namespace: String,
    pub(crate) told: Arc<Told>,
}

impl Ground {
    /// The cascade runs as the admin.
    pub(crate) async fn new() -> Self {
        Self::for_user(control_plane().admin()).await
    }

    pub(crate) async fn for_user(user: &User) -> Self {
        let hands = admin().await;
        let faults = Faults::new();
        let client = client_under(&faults, user.kubeconfig_path()).await;
        let namespace = fresh_namespace(&hands, "ground").await;
        Self {
            hands,
            client,
            faults,
            namespace,
            told: Arc::default(),
        }
    }

    pub(crate) async fn another_namespace(&self) -> String {
        fresh_namespace(&self.hands, "ground").await
    }

    /// An upstream of a unique name.
    pub(crate) fn project(&self) -> Draft {
        PROJECT.named(unique("p")).within(&self.namespace)
    }

    /// An upstream that is being deleted, and stays until somebody lets it go.
    pub(crate) async fn terminating_project(&self) -> Object {
        let project = self.project().kept_by(KEPT).create(&self.hands).await;
        project.deleting().await
    }

    /// A network of a unique name in the test's namespace.
    pub(crate) fn network(&self) -> Draft {
        NETWORK.named(unique("n")).within(&self.namespace)
    }

    /// A network that carries the project's ID.
    pub(crate) async fn network_of(&self, project: &Object) -> Object {
        self.network()
            .labelled(LABEL, &project.name)
            .create(&self.hands)
            .await
    }

    /// Projects, confirmed through the faults.
    pub(crate) fn upstream(&self) -> Upstream {
        Upstream::kubernetes(self.client.clone(), PROJECT.kind(), IdSource::Name)
    }

    /// Networks in the test's namespace, by label.
    pub(crate) fn cascade(&self) -> CascadingDelete {
        self.cascade_of(NETWORK, self.here())
    }

    pub(crate) fn cascade_of(&self, kind: CustomKind, scope: Scope) -> CascadingDelete {
        self.cascade_on(self.upstream(), kind, scope)
    }

    pub(crate) fn cascade_on(
        &self,
        upstream: Upstream,
        kind: CustomKind,
        scope: Scope,
    ) -> CascadingDelete {
        self.cascade_over(upstream, Self::dependent(kind, scope), [])
    }

    pub(crate) fn cascade_over(
        &self,
        upstream: Upstream,
        first: Dependent,
        others: impl IntoIterator<Item = Dependent>,
    ) -> CascadingDelete {
        CascadingDelete::new(self.client.clone(), upstream, first, others)
            .observer(self.told.clone())
    }

    /// A dependent kind by label.
    pub(crate) fn dependent(kind: CustomKind, scope: Scope) -> Dependent {
        Dependent::new(kind.kind(), Selection::label(label(), scope))
    }

    /// The scope of the test's namespace.
    pub(crate) fn here(&self) -> Scope {
        namespace(&self.namespace).into()
    }
}

/// What went over the wire.
impl Ground {
    /// The names that DELETEs were sent for, in their order.
    pub(crate) fn deletes(&self) -> Vec<String> {
        let name = |sent: &Recorded| sent.call().name().unwrap_or("a collection").to_owned();
        self.faults.recorder().deletes().iter().map(name).collect()
    }

    /// How the server answered the DELETEs.
    pub(crate) fn delete_answers(&self) -> Vec<u16> {
        let deletes = self.faults.recorder().deletes();
        deletes
            .iter()
            .filter_map(|sent| Some(sent.server_status()?.as_u16()))
            .collect()
    }

    /// Holds calls before the server sees them; how often is the rule's business.
    pub(crate) fn gate(&self, calls: Match, often: impl FnOnce(Rule) -> Rule) -> Gate {
        let gate = Gate::new();
        self.faults
            .add(often(Rule::new(calls, Action::gate(&gate))));
        gate
    }

    /// Does the one thing between the moment a call was made and the moment the server sees it.
    pub(crate) async fn meanwhile(
        &self,
        calls: Match,
        often: impl FnOnce(Rule) -> Rule,
        consumer: &impl Consumer,
        envelope: Envelope,
        deed: impl Future<Output = ()>,
    ) -> Result<Outcome, ConsumeError> {
        let gate = self.gate(calls, often);
        let deed = async {
            let held = gate.arrived().await;
            deed.await;
            held.release();
        };
        let both = future::join(consumer.consume(Delivery::new(envelope)), deed);
        let what = "a pass that makes such a call";
        in_time(what, PATIENCE, both).await.0
    }
}

/// DELETEs of networks.
pub(crate) fn network_deletes() -> Match {
    Match::verb(Verb::Delete).resource(NETWORK.plural)
}

/// A rule without a restriction.
pub(crate) fn always(rule: Rule) -> Rule {
    rule
}

/// LISTs of networks.
pub(crate) fn network_lists() -> Match {
    Match::verb(Verb::List).resource(NETWORK.plural)
}

/// Somebody else's finalizer.
pub(crate) const KEPT: &str = "example.com/kept";

pub(crate) fn label() -> LabelKey {
    LABEL.parse().expect("it is a label key")
}

pub(crate) fn namespace(name: &str) -> Namespace {
    name.parse().expect("it is a name of a namespace")
}

/// One pass.
pub(crate) async fn pass(cascade: &CascadingDelete, envelope: Envelope) -> Outcome {
    let outcome = cascade.consume(Delivery::new(envelope)).await;
    outcome.expect("the pass comes to its end")
}

/// One pass that is set aside.
pub(crate) async fn parked(cascade: &CascadingDelete, envelope: Envelope) -> Parked {
    match pass(cascade, envelope).await {
        Outcome::Park(parked) => parked,
        other => panic!("not parked but {other:?}"),
    }
}

/// Tells a story while a queue runs; the queue ends with the story.
pub(crate) async fn during(queue: Queue, story: impl Future<Output = ()>) {
    let (story_lasts, story_ended) = oneshot::channel::<()>();
    let story = async move {
        story.await;
        drop(story_lasts);
    };
    let end = async { story_ended.await.unwrap_or_default() };
    let both = future::join(queue.run(end), story);
    // What is waited for in the story has a shorter patience, and more to say.
    let (ended, ()) = in_time("a story", 3 * PATIENCE, both).await;
    ended.expect("the source does not fail for good");
}

/// What an observer was told.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Vec<(String, String)>>);

impl Told {
    /// Everything, as `Word detail`.
    pub(crate) fn all(&self) -> Vec<String> {
        self.lock().iter().map(|(_, what)| what.clone()).collect()
    }

    /// What was told of the upstream of this name.
    pub(crate) fn of(&self, upstream: &str) -> Vec<String> {
        let lock = self.lock();
        let of = lock.iter().filter(|(name, _)| name == upstream);
        of.map(|(_, what)| what.clone()).collect()
    }

    /// How many DELETEs were answered so.
    pub(crate) fn deletes(&self, answer: Answer) -> usize {
        let wanted = format!("Deleted {answer}");
        self.lock()
            .iter()
            .filter(|(_, what)| *what == wanted)
            .count()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(String, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Told {
    fn observe(&self, subject: &Subject<'_>, notice: &Notice<'_>) {
        let what = match notice {
            Notice::Started(summary) => format!("Started {summary}"),
            Notice::Reported(summary) => format!("Reported {summary}"),
            Notice::Deleted { answer, .. } => format!("Deleted {answer}"),
            Notice::Refused(refusal) => format!("Refused {}", refusal.as_str()),
            Notice::Parked(parked) => format!("Parked {}", parked.reason()),
            Notice::Failed(_) => "Failed".to_owned(),
            Notice::Completed { deleted } => format!("Completed {deleted}"),
            _ => "unknown to these tests".to_owned(),
        };
        let upstream = subject
            .upstream
            .as_ref()
            .map(|object| object.name().to_owned());
        self.lock().push((upstream.unwrap_or_default(), what));
    }
}
