//! The Kubernetes source under a queue: what it says when watches break, fall silent or expire.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use kube_cascade::{
    ConsumeError, Consumer, Delivery, Outcome, Queue, State,
    kubernetes::{IdSource, KubernetesSource},
    queue::{Monitor, RetryPolicy},
};
use kube_sim::fault::{Action, Answer, Gate, Match, Rule, Verb};
use tokio::sync::watch;

use crate::{
    fixtures::{Object, PROJECT, until},
    ground::{Ground, KEPT, during},
    hold::{hold_name, holding},
};

/// What a queue told its consumer of.
#[derive(Clone, Default)]
struct Heard(Arc<watch::Sender<Vec<(String, State)>>>);

impl Heard {
    /// Waits until something was told of the object.
    async fn of(&self, object: &Object, wanted: impl Fn(&State) -> bool) {
        let mut heard = self.0.subscribe();
        let is_told = heard.wait_for(|heard| {
            heard
                .iter()
                .any(|(name, state)| *name == object.name && wanted(state))
        });
        let in_time = tokio::time::timeout(Duration::from_secs(60), is_told).await;
        assert!(
            in_time.is_ok(),
            "never told of {}: {:?}",
            object.name,
            self.0.borrow()
        );
    }

    fn states_of(&self, object: &Object) -> Vec<State> {
        let heard = self.0.borrow();
        heard
            .iter()
            .filter(|(name, _)| *name == object.name)
            .map(|(_, state)| *state)
            .collect()
    }
}

impl Consumer for Heard {
    fn name(&self) -> &'static str {
        "heard"
    }

    async fn consume(&self, delivery: Delivery) -> Result<Outcome, ConsumeError> {
        let envelope = delivery.envelope();
        let heard = (envelope.name().to_owned(), *envelope.state());
        self.0.send_modify(|all| all.push(heard));
        Ok(Outcome::Done)
    }
}

fn source(ground: &Ground) -> KubernetesSource {
    KubernetesSource::new(ground.client.clone(), PROJECT.kind()).namespaces([&ground.namespace])
}

/// Tells the story while a queue of the source runs.
async fn listening(source: KubernetesSource, story: impl AsyncFnOnce(Heard, Monitor)) {
    let heard = Heard::default();
    let retry = RetryPolicy::default().with_base(Duration::from_millis(20));
    let queue = Queue::builder(source).retry(retry).consumer(heard.clone());
    let queue = queue.build().expect("it is sound");
    let monitor = queue.monitor();
    during(queue, story(heard, monitor)).await;
}

fn watches() -> Match {
    Match::verb(Verb::Watch).resource(PROJECT.plural)
}

fn is_live(state: &State) -> bool {
    *state == State::Live
}

fn is_terminating(state: &State) -> bool {
    matches!(state, State::Terminating { .. })
}

fn is_gone(state: &State) -> bool {
    state.is_gone()
}

/// Whatever happens to watches, everything is told in the end.
async fn check_nothing_is_lost(fault: Rule) {
    let ground = Ground::new().await;
    let shown = format!("{fault:?}");
    let rule = ground.faults.add(fault);
    let early = ground.project().create(&ground.hands).await;
    listening(source(&ground), async |heard, monitor| {
        heard.of(&early, is_live).await;
        for _ in 0..4 {
            let project = ground.project().kept_by(KEPT).create(&ground.hands).await;
            heard.of(&project, is_live).await;
            project.delete().await;
            heard.of(&project, is_terminating).await;
            project.set_finalizers(&[]).await;
            heard.of(&project, is_gone).await;
        }
        assert!(rule.fired() > 0, "{shown}");
        assert!(
            monitor.stats().snapshots() > 1,
            "{shown} begins no new epoch"
        );
        assert_eq!(heard.states_of(&early), [State::Live], "{shown}");
    })
    .await;
}

#[tokio::test]
async fn fault_24_a_watch_that_expires_is_listed_again_and_nothing_is_lost() {
    check_nothing_is_lost(Rule::new(watches(), Action::expire_watch(1))).await;
}

#[tokio::test]
async fn fault_24_a_watch_that_is_refused_as_expired_is_listed_again_and_nothing_is_lost() {
    let expired = Action::answer(Answer::status(StatusCode::GONE));
    check_nothing_is_lost(Rule::new(watches(), expired).first(3)).await;
}

#[tokio::test]
async fn a_watch_that_is_cut_is_listed_again_and_nothing_is_lost() {
    check_nothing_is_lost(Rule::new(watches(), Action::cut_watch(1))).await;
}

#[tokio::test]
async fn a_watch_that_ends_at_once_is_listed_again_and_nothing_is_lost() {
    check_nothing_is_lost(Rule::new(watches(), Action::end_watch(1))).await;
}

#[tokio::test]
async fn a_watch_of_something_else_than_events_is_listed_again_and_nothing_is_lost() {
    let page = Answer::html(StatusCode::OK, "<html>all is well</html>\n");
    check_nothing_is_lost(Rule::new(watches(), Action::answer(page)).first(3)).await;
}

#[tokio::test]
async fn fault_26_a_watch_that_is_silent_is_made_up_for_by_the_periodic_relist() {
    let ground = Ground::new().await;
    ground
        .faults
        .add(Rule::new(watches(), Action::mute_watch(0)));
    let source = source(&ground).relist_every(Duration::from_millis(300));
    listening(source, async |heard, _| {
        let project = ground.project().kept_by(KEPT).create(&ground.hands).await;
        heard.of(&project, is_live).await;
        project.delete().await;
        heard.of(&project, is_terminating).await;
        project.set_finalizers(&[]).await;
        heard.of(&project, is_gone).await;
        // Nobody saw it go, and that is what is said.
        let last = heard.states_of(&project).pop();
        assert_eq!(last, Some(State::Absent));
    })
    .await;
}

#[tokio::test]
async fn a_periodic_relist_is_no_news() {
    let ground = Ground::new().await;
    let project = ground.project().create(&ground.hands).await;
    let source = source(&ground).relist_every(Duration::from_millis(500));
    listening(source, async |heard, monitor| {
        monitor.until(|stats| stats.snapshots() >= 3).await;
        assert_eq!(heard.states_of(&project), [State::Live]);
    })
    .await;
}

/// While a list is asked for nobody watches: what goes then is in the list or is not, and only the
/// watch that goes on where it ended can tell how it went.
#[tokio::test]
async fn a_periodic_relist_loses_no_deletion_that_happens_meanwhile() {
    for hold in [Action::gate, Action::gate_after] {
        let ground = Ground::new().await;
        let project = ground.project().create(&ground.hands).await;
        let source = source(&ground).relist_every(Duration::from_millis(500));
        listening(source, async |heard, _| {
            heard.of(&project, is_live).await;
            let gate = Gate::new();
            let lists = Match::verb(Verb::List).resource(PROJECT.plural);
            ground.faults.add(Rule::new(lists, hold(&gate)).first(1));
            let list = gate.arrived().await;
            project.delete().await;
            list.release();
            heard.of(&project, |state| *state == State::Vanished).await;
        })
        .await;
    }
}

#[tokio::test]
async fn only_the_named_namespaces_are_watched_and_all_of_them_without_a_name() {
    let ground = Ground::new().await;
    let [second, third] = [
        ground.another_namespace().await,
        ground.another_namespace().await,
    ];
    let named = KubernetesSource::new(ground.client.clone(), PROJECT.kind())
        .namespaces([&ground.namespace, &second]);
    let all = KubernetesSource::new(ground.client.clone(), PROJECT.kind());
    for (source, sees_third) in [(named, false), (all, true)] {
        let project = |namespace: &str| ground.project().within(namespace);
        let hidden = project(&third).create(&ground.hands).await;
        let before = project(&second).create(&ground.hands).await;
        listening(source, async |heard, _| {
            heard.of(&before, is_live).await;
            let hidden_too = project(&third).create(&ground.hands).await;
            let after = [
                project(&second).create(&ground.hands).await,
                project(&ground.namespace).create(&ground.hands).await,
            ];
            for object in &after {
                heard.of(object, is_live).await;
            }
            for object in [&hidden, &hidden_too] {
                if sees_third {
                    heard.of(object, is_live).await;
                } else {
                    assert_eq!(heard.states_of(object), []);
                }
            }
        })
        .await;
    }
}

#[tokio::test]
async fn each_kind_of_id_is_told_as_such() {
    let ground = Ground::new().await;
    let project = ground.project().create(&ground.hands).await;
    for (id, expected) in [
        (IdSource::Name, project.name.clone()),
        (IdSource::Uid, project.uid.clone()),
        (
            IdSource::NamespacedName,
            format!("{}.{}", ground.namespace, project.name),
        ),
    ] {
        let (ids, told) = watch::channel(None);
        let queue = Queue::builder(source(&ground).id(id))
            .consumer(Ids(ids))
            .build();
        let told = async {
            let mut told = told;
            let told = told.wait_for(Option::is_some).await.expect("it is told");
            assert_eq!(told.as_ref(), Some(&expected));
        };
        during(queue.expect("it is sound"), told).await;
    }
}

/// Tells which ID came first.
struct Ids(watch::Sender<Option<String>>);

impl Consumer for Ids {
    fn name(&self) -> &'static str {
        "ids"
    }

    async fn consume(&self, delivery: Delivery) -> Result<Outcome, ConsumeError> {
        self.0
            .send_replace(Some(delivery.envelope().id().to_string()));
        Ok(Outcome::Done)
    }
}

#[tokio::test]
async fn fault_19_a_watched_upstream_without_finalizers_or_hold_takes_its_dependents_along() {
    let ground = Ground::new().await;
    let project = ground.project().create(&ground.hands).await;
    let network = ground.network_of(&project).await;
    let queue = Queue::builder(source(&ground)).consumer(ground.cascade());
    let queue = queue.build().expect("it is sound");
    let monitor = queue.monitor();
    let story = async {
        monitor
            .until(|stats| stats.snapshots() > 0 && stats.pending() == 0)
            .await;
        ground.faults.recorder().until_arrived(&watches(), 1).await;
        project.delete().await;
        assert!(project.is_gone().await, "nothing holds it");
        until("its dependent goes", async || network.is_gone().await).await;
    };
    during(queue, story).await;
}

#[tokio::test]
async fn fault_19_with_a_hold_an_upstream_is_held_from_its_first_sight_on() {
    let ground = Ground::new().await;
    let before = ground.project().create(&ground.hands).await;
    let queue = holding(&ground, ground.cascade(), "sight");
    let story = async {
        let held = vec![hold_name("sight").as_str().to_owned()];
        until("it is held", async || before.finalizers().await == held).await;
        let later = ground.project().create(&ground.hands).await;
        until("it is held, too", async || later.finalizers().await == held).await;
    };
    during(queue, story).await;
}

#[tokio::test]
async fn an_absence_that_only_a_list_shows_starts_nothing() {
    let ground = Ground::new().await;
    ground
        .faults
        .add(Rule::new(watches(), Action::mute_watch(0)));
    let project = ground.project().create(&ground.hands).await;
    let network = ground.network_of(&project).await;
    let source = source(&ground).relist_every(Duration::from_millis(200));
    let queue = Queue::builder(source)
        .consumer(ground.cascade())
        .build()
        .expect("it is sound");
    let monitor = queue.monitor();
    let story = async {
        monitor
            .until(|stats| stats.known() == 1 && stats.pending() == 0)
            .await;
        project.delete().await;
        monitor.until(|stats| stats.known() == 0).await;
        let complete = monitor.stats().snapshots();
        monitor
            .until(|stats| stats.snapshots() > complete + 1 && stats.pending() == 0)
            .await;
        let orphans = ground
            .cascade()
            .orphans()
            .await
            .expect("everything can be read");
        let orphans: Vec<_> = orphans
            .iter()
            .map(|(id, count, _)| (id.to_owned(), count))
            .collect();
        assert_eq!(orphans, [(project.name.clone(), 1)]);
    };
    during(queue, story).await;
    assert_eq!(ground.deletes(), [""; 0]);
    assert!(network.lives().await);
}
