//! SIGKILL of the controller at any moment of the main job, and the same end state each time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures::future::{join, join_all};
use kube::{Client, api::ListParams};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::sleep;

use crate::{
    fixtures::{
        CLUSTER, CustomKind, NETWORK, Object, PROJECT, VOLUME, admin, fresh_namespace, until,
    },
    history::History,
    process::{Process, Role},
    rig::{LABEL, RuleDraft, Setup, two_namespaces},
    rounds, seed, spread,
};

/// Dependents of each round's project, and as many bystanders.
const CROWD: usize = 200;
/// Every this many rounds run with a lease; the others need not wait for the dead one's expiry.
const LEASED: usize = 10;
/// Rounds without a crash, to learn how long one takes.
const UNDISTURBED: usize = 3;
/// The name, and so the ID, of every round's project: the bystanders carry it in other labels.
const ID: &str = "crashed";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash() {
    let (rounds, seed) = (rounds(100), seed());
    let mut dice = StdRng::seed_from_u64(seed);
    let stage = Stage::set(admin().await).await;
    println!(
        "crash: {rounds} rounds, SOAK_SEED={seed}; each: {CROWD} dependents of 3 kinds in 2 \
         namespaces, {CROWD} bystanders (the same throughout); every {LEASED}th round with a \
         lease, whose holder's death is only seen by its expiry, the others with \
         --leader-elect=false"
    );
    let began = Instant::now();
    let mut controller = None;
    let mut usual = Vec::new();
    for _ in 0..UNDISTURBED {
        let round = Round::begin(&stage, &mut controller, false).await;
        usual.push(round.play().await);
        round.ended(&stage).await;
    }
    let usual = Pace::median(&usual);
    println!(
        "undisturbed: all deletes are out after {:.2} s, the project is gone after {:.2} s",
        usual.fan_out.as_secs_f64(),
        usual.total.as_secs_f64()
    );

    let (mut moments, mut times) = (BTreeMap::new(), Vec::new());
    for number in 1..=rounds {
        // The fan-out is a small part of a round, so that every other crash is aimed at it.
        let within = if number % 2 == 0 {
            usual.fan_out
        } else {
            usual.total
        };
        let after = within.mul_f64(dice.random());
        let leased = number % LEASED == 0;
        let round = Round::begin(&stage, &mut controller, leased).await;
        let crash = async {
            sleep(after).await;
            controller.take().expect("it runs").process.kill();
            let moment = round.moment().await;
            controller = Some(Controller::start(&stage, leased));
            moment
        };
        let (pace, moment) = join(round.play(), crash).await;
        round.ended(&stage).await;
        println!(
            "{number:>4}  killed after {:.3} s{}: {moment}; the project is gone after {:.2} s",
            after.as_secs_f64(),
            if leased { ", with a lease" } else { "" },
            pace.total.as_secs_f64()
        );
        *moments.entry(moment.kind()).or_insert(0) += 1;
        times.push(pace.total);
    }
    if let Some(controller) = controller {
        controller.stop().await;
    }
    stage.nothing_is_held().await;
    println!(
        "crash: {rounds} rounds, seed {seed}: each time exactly the {CROWD} gone, {CROWD} \
         bystanders alive, the upstream gone last, no hold left; killed: {moments:?}; {} with a \
         lease; a round took {}; {:.0} s in all",
        rounds / LEASED,
        spread(times),
        began.elapsed().as_secs_f64()
    );
}

/// What lasts for the whole soak.
struct Stage {
    client: Client,
    tenants: String,
    /// Where dependents and bystanders are.
    places: [(CustomKind, String); 3],
    bystanders: BTreeSet<String>,
    setup: Setup,
}

impl Stage {
    async fn set(client: Client) -> Self {
        let (tenants, region) = two_namespaces(&client).await;
        let compute = fresh_namespace(&client, "compute").await;
        let places = [
            (NETWORK, region.clone()),
            (VOLUME, region),
            (CLUSTER, compute),
        ];
        let rule = RuleDraft::of("project", PROJECT, &tenants);
        let rule = places
            .iter()
            .fold(rule, |rule, (kind, namespace)| rule.takes(*kind, namespace));
        let bystanders = (0..CROWD).map(|index| {
            let (kind, namespace) = &places[index % places.len()];
            let draft = kind.named(format!("theirs-{index}")).within(namespace);
            let draft = match index % 3 {
                0 => draft,
                1 => draft.labelled(LABEL, "another"),
                _ => draft.labelled("example.com/other", ID),
            };
            draft.create(&client)
        });
        let bystanders = join_all(bystanders).await;
        let bystanders = bystanders.into_iter().map(|object| object.uid).collect();
        let setup = Setup::of(rule);
        Self {
            client,
            tenants,
            places,
            bystanders,
            setup,
        }
    }

    /// The UIDs of all objects of the dependent kinds, and of those that nobody is deleting.
    async fn found(&self, labels: &str) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut all, mut alive) = (BTreeSet::new(), BTreeSet::new());
        for (kind, namespace) in &self.places {
            let api = kind.api(&self.client, Some(namespace));
            let list = api
                .list_metadata(&ListParams::default().labels(labels))
                .await;
            for object in list.expect("it can be listed") {
                let uid = object.metadata.uid.expect("an object has a UID");
                if object.metadata.deletion_timestamp.is_none() {
                    alive.insert(uid.clone());
                }
                all.insert(uid);
            }
        }
        (all, alive)
    }

    async fn nothing_is_held(&self) {
        let ours = |name: &str| name.starts_with("kube-cascade.dev/");
        let search = kube_cascade::hold::find(&self.client, ours).await;
        assert!(search.held.is_empty(), "held: {:?}", search.held);
        assert!(search.errors.is_empty(), "unread: {:?}", search.errors);
    }
}

/// The controller that runs at the moment.
struct Controller {
    process: Process,
    leased: bool,
}

impl Controller {
    fn start(stage: &Stage, leased: bool) -> Self {
        let more: &[_] = if leased {
            &[]
        } else {
            &["--leader-elect=false"]
        };
        let process = Process::start(&stage.setup, more);
        Self { process, leased }
    }

    async fn stop(mut self) {
        self.process.terminate();
        self.process.ends().await;
    }
}

/// One project, from its creation to its end.
struct Round<'a> {
    stage: &'a Stage,
    history: History,
    project: Object,
    ours: Vec<Object>,
    /// Blocks the foreground deletion of the first of ours until it is released.
    child: Object,
}

/// How long a round took, from the deletion of the project.
#[derive(Clone, Copy)]
struct Pace {
    /// Until every dependent terminated or was gone.
    fan_out: Duration,
    /// Until the project was gone.
    total: Duration,
}

impl Pace {
    fn median(paces: &[Self]) -> Self {
        let median = |time: fn(&Self) -> Duration| {
            let mut times: Vec<_> = paces.iter().map(time).collect();
            times.sort_unstable();
            times[times.len() / 2]
        };
        Self {
            fan_out: median(|pace| pace.fan_out),
            total: median(|pace| pace.total),
        }
    }
}

/// What a crash interrupted.
struct Moment {
    alive: usize,
    terminating: usize,
    project: bool,
}

impl Moment {
    fn kind(&self) -> &'static str {
        match (self.alive, self.terminating, self.project) {
            (CROWD, _, _) => "1 before the first delete",
            (1.., _, _) => "2 in mid-fan-out",
            (0, 1.., _) => "3 while dependents terminate",
            (0, 0, true) => "4 before the hold is released",
            (0, 0, false) => "5 after the end",
        }
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let project = if self.project { "held" } else { "gone" };
        write!(
            f,
            "{} of {CROWD} alive, {} terminate, the project is {project}",
            self.alive, self.terminating
        )
    }
}

impl<'a> Round<'a> {
    /// Sets the scene: a held project and its dependents, and the controller that serves it.
    async fn begin(stage: &'a Stage, controller: &mut Option<Controller>, leased: bool) -> Self {
        if let Some(other) = controller.take_if(|running| running.leased != leased) {
            other.stop().await;
        }
        controller.get_or_insert_with(|| Controller::start(stage, leased));
        let client = &stage.client;
        let project = PROJECT
            .named(ID)
            .within(&stage.tenants)
            .create(client)
            .await;
        let ours = (0..CROWD).map(|index| {
            let (kind, namespace) = &stage.places[index % stage.places.len()];
            let draft = kind.named(format!("ours-{index}")).within(namespace);
            draft.labelled(LABEL, ID).create(client)
        });
        let ours = join_all(ours).await;
        let (kind, namespace) = &stage.places[0];
        let child = kind
            .named("child")
            .within(namespace)
            .owned_by(&ours[0])
            .kept_by("example.com/child")
            .create(client)
            .await;
        until("the controller serves the rule", async || {
            Role::of(&stage.setup).await == Role::Serving
        })
        .await;
        until("the project is held", async || {
            !project.finalizers().await.is_empty()
        })
        .await;
        let mut places: Vec<_> = stage
            .places
            .iter()
            .map(|(kind, namespace)| (*kind, namespace.as_str()))
            .collect();
        places.push((PROJECT, &stage.tenants));
        let history = History::of(client, &places).await;
        Self {
            stage,
            history,
            project,
            ours,
            child,
        }
    }

    /// Deletes the project, and releases the child once only its owner is left.
    async fn play(&self) -> Pace {
        let labels = format!("{LABEL}={ID}");
        self.project.delete().await;
        let began = Instant::now();
        let mut fan_out = None;
        until("all but the parent are gone", async || {
            let (all, alive) = self.stage.found(&labels).await;
            if alive.is_empty() {
                fan_out.get_or_insert_with(|| began.elapsed());
            }
            all.len() <= 1
        })
        .await;
        assert!(
            self.ours[0].terminates().await,
            "a foreground deletion waits for the child"
        );
        assert!(self.child.terminates().await, "the child is deleted first");
        assert!(
            self.project.terminates().await,
            "the project waits for the parent"
        );
        self.child.set_finalizers(&[]).await;
        until("the project is gone", async || self.project.is_gone().await).await;
        let total = began.elapsed();
        let fan_out = fan_out.expect("what is gone is not alive");
        Pace { fan_out, total }
    }

    /// What there is at this moment.
    async fn moment(&self) -> Moment {
        let (all, alive) = self.stage.found(&format!("{LABEL}={ID}")).await;
        Moment {
            alive: alive.len(),
            terminating: all.len() - alive.len(),
            project: !self.project.is_gone().await,
        }
    }

    /// Exactly ours are gone, and the project went last.
    async fn ended(self, stage: &Stage) {
        let ours = self.ours.iter().chain([&self.child]);
        let ours: BTreeSet<_> = ours.map(|object| object.uid.clone()).collect();
        until("all deletions are seen", async || {
            self.history.deletions().len() > ours.len()
        })
        .await;
        let mut deletions = self.history.deletions();
        let last = deletions.remove(&self.project.uid);
        let last = last.expect("the project was deleted");
        assert!(
            deletions.keys().eq(&ours),
            "exactly the project's own are deleted"
        );
        let late: Vec<_> = deletions.iter().filter(|(_, at)| **at >= last).collect();
        assert!(late.is_empty(), "the project went before {late:?}");
        let (all, alive) = stage.found("").await;
        assert_eq!(all, stage.bystanders, "exactly the bystanders are left");
        assert_eq!(alive, stage.bystanders, "and nobody deletes them");
        let projects = PROJECT.api(&stage.client, Some(&stage.tenants));
        let projects = projects.list_metadata(&ListParams::default()).await;
        assert_eq!(projects.expect("it can be listed").items.len(), 0);
    }
}
