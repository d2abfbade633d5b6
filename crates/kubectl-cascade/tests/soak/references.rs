//! SIGKILL of the controller and of both operators of `examples/operators`, at any moment between a
//! project's creation and its end: what is used goes after what uses it, and no reference is left.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use futures::future::{join, join_all};
use kube::{Client, api::ListParams};
use kube_cascade::{ObjectRef, Reference, hold::HoldName, reference::Plural};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::sleep;

use crate::{
    fixtures::{
        CLUSTER, CustomKind, NETWORK, Object, PROJECT, admin, control_plane, fresh_namespace, until,
    },
    history::History,
    process::Process,
    rig::{LABEL, RuleDraft, Rules, Setup, two_namespaces},
    rounds, seed, spread,
};

/// How many clusters are on each network of a project.
const NETWORKS: [usize; 3] = [2, 1, 0];
/// Rounds in which nobody is killed, to learn how long one takes.
const UNDISTURBED: usize = 3;
/// What a cluster says of its network.
const NETWORK_LABEL: &str = "example.com/network";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn references() {
    let (rounds, seed) = (rounds(50), seed());
    let mut dice = StdRng::seed_from_u64(seed);
    let stage = Stage::set(admin().await).await;
    println!(
        "references: {rounds} rounds, SOAK_SEED={seed}; each: a project with {} networks and {} \
         clusters on them; the controller and the two operators are killed, each at a moment of its \
         own",
        NETWORKS.len(),
        NETWORKS.iter().sum::<usize>(),
    );
    let began = Instant::now();
    let mut players = Player::ALL.map(|player| (player, Some(player.start(&stage))));
    let others = Estate::build(&stage, "others").await;
    let mut usual = Vec::new();
    for number in 0..UNDISTURBED {
        usual.push(stage.round(&format!("usual-{number}")).await);
        stage.has_only(&others).await;
    }
    usual.sort_unstable();
    let usual = usual[UNDISTURBED / 2];
    println!(
        "undisturbed: {:.2} s from a project's creation to its end",
        usual.as_secs_f64()
    );

    let (mut moments, mut times) = (BTreeMap::new(), Vec::new());
    for number in 1..=rounds {
        let id = format!("p{number}");
        let kills: Vec<_> = players
            .iter_mut()
            .map(|(player, process)| {
                // Squared: the clusters, and then the networks, go in the first part of a round.
                let after = usual.mul_f64(dice.random::<f64>().powi(2));
                player.crash(process, after, &stage, &id)
            })
            .collect();
        let (took, kills) = join(stage.round(&id), join_all(kills)).await;
        stage.has_only(&others).await;
        println!(
            "{number:>4}  {:.2} s; {}",
            took.as_secs_f64(),
            kills.join("; ")
        );
        for kill in &kills {
            let moment = kill.rsplit(": ").next().unwrap_or_default().to_owned();
            *moments.entry(moment).or_insert(0_usize) += 1;
        }
        times.push(took);
    }
    for process in players.into_iter().filter_map(|(_, process)| process) {
        process.stop().await;
    }
    println!(
        "references: {rounds} rounds, seed {seed}: each cluster was taken down and went before its \
         network, each network before its project, the others are as they were, no reference is left anywhere; killed: \
         {moments:?}; a round took {}; {:.0} s in all",
        spread(times),
        began.elapsed().as_secs_f64()
    );
}

/// What lasts for the whole soak.
struct Stage {
    client: Client,
    tenants: String,
    region: String,
    compute: String,
    setup: Setup,
    operators: PathBuf,
    /// What the operators say that they do, in that order.
    ledger: PathBuf,
}

impl Stage {
    async fn set(client: Client) -> Self {
        let (tenants, region) = two_namespaces(&client).await;
        let compute = fresh_namespace(&client, "compute").await;
        let networks = RuleDraft::of("project", PROJECT, &tenants).takes(NETWORK, &region);
        let clusters = format!(
            "{{group: {}, kind: {}, label: {NETWORK_LABEL}, scope: {{namespaces: [{compute}]}}}}",
            CLUSTER.group, CLUSTER.kind
        );
        let clusters = RuleDraft::of("network", NETWORK, &region).takes_document(&clusters);
        let setup = Setup::of([networks, clusters].into_iter().collect::<Rules>());
        let operators = build_operators();
        Self {
            client,
            tenants,
            region,
            compute,
            setup,
            operators,
            ledger: control_plane().folder().join("ledger"),
        }
    }

    /// What was taken down, in that order; after a crash the same twice.
    fn taken_down(&self) -> Vec<String> {
        let ledger = fs::read_to_string(&self.ledger).expect("it is readable");
        let object = |line: &str| {
            Some(
                line.strip_suffix(" is taken down")?
                    .rsplit('/')
                    .next()?
                    .to_owned(),
            )
        };
        ledger.lines().filter_map(object).collect()
    }

    fn places(&self) -> [(CustomKind, &str); 3] {
        [
            (PROJECT, self.tenants.as_str()),
            (NETWORK, &self.region),
            (CLUSTER, &self.compute),
        ]
    }

    /// One project, from its creation to its end, and how long that took.
    async fn round(&self, id: &str) -> Duration {
        let history = History::of(&self.client, &self.places()).await;
        let began = Instant::now();
        let estate = Estate::build(self, id).await;
        estate.project.object.delete().await;
        until("the project is gone", async || {
            estate.project.object.is_gone().await
        })
        .await;
        let took = began.elapsed();
        estate.went_in_order(&history).await;
        estate.was_taken_down_in_order(&self.taken_down());
        took
    }

    /// Nothing is there, in any namespace, but this estate, as it was built.
    async fn has_only(&self, estate: &Estate) {
        let mut found = BTreeMap::new();
        for (kind, _) in self.places() {
            let list = kind.api(&self.client, None);
            let list = list.list_metadata(&ListParams::default()).await;
            for object in list.expect("it can be listed") {
                let finalizers = object.metadata.finalizers.unwrap_or_default();
                let finalizers: BTreeSet<_> = finalizers.into_iter().collect();
                found.insert(object.metadata.uid.unwrap_or_default(), finalizers);
            }
        }
        let expected = estate.all().map(|node| {
            let uid = node.object.uid.clone();
            (uid, node.finalizers.clone())
        });
        assert_eq!(
            found,
            expected.collect(),
            "exactly the others are left, as they were"
        );
    }

    /// How far the project of this ID has come.
    async fn moment(&self, id: &str) -> &'static str {
        let of = |kind: CustomKind| {
            let list = kind.api(&self.client, None);
            async move {
                let list = list.list_metadata(&ListParams::default()).await;
                let list = list.expect("it can be listed").items.into_iter();
                list.filter(|found| {
                    let name = found.metadata.name.as_deref().unwrap_or_default();
                    name == id || name.starts_with(&format!("{id}-"))
                })
                .collect::<Vec<_>>()
            }
        };
        let [projects, networks, clusters] =
            [of(PROJECT).await, of(NETWORK).await, of(CLUSTER).await];
        match projects.first() {
            None => "1 before its creation or after its end",
            Some(project) if project.metadata.deletion_timestamp.is_none() => "2 while it is built",
            Some(_) if !clusters.is_empty() => "3 while its clusters go",
            Some(_) if !networks.is_empty() => "4 while its networks go",
            Some(_) => "5 before it is let go",
        }
    }
}

/// The example's binary, beside the controller's.
fn build_operators() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "example-operators"]);
    // With what Cargo tells tests about their package, dependencies would be built again.
    for (name, _) in env::vars_os() {
        let known = name.to_str().unwrap_or_default();
        if known.starts_with("CARGO_PKG_") || known.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    assert!(
        cargo.status().expect("cargo runs").success(),
        "the example is not built"
    );
    Path::new(env!("CARGO_BIN_EXE_kubectl-cascade")).with_file_name("example-operators")
}

/// One of the three processes.
#[derive(Clone, Copy, Debug)]
enum Player {
    Controller,
    Region,
    Compute,
}

impl Player {
    const ALL: [Self; 3] = [Self::Controller, Self::Region, Self::Compute];

    fn start(self, stage: &Stage) -> Process {
        let places: [&str; 3] = match self {
            Self::Controller => return Process::start(&stage.setup, &["--leader-elect=false"]),
            Self::Region => ["region", &stage.region, &stage.tenants],
            Self::Compute => ["compute", &stage.compute, &stage.region],
        };
        let mut command = control_plane().command(&stage.operators);
        command.args(places);
        let ledger = File::options()
            .create(true)
            .append(true)
            .open(&stage.ledger);
        Process::spawn(command, ledger.expect("it is writable"))
    }

    /// Kills it when the time has come, and starts it again; says what that interrupted.
    async fn crash(
        self,
        process: &mut Option<Process>,
        after: Duration,
        stage: &Stage,
        id: &str,
    ) -> String {
        sleep(after).await;
        process.take().expect("it runs").kill();
        let moment = stage.moment(id).await;
        *process = Some(self.start(stage));
        format!("{self:?} after {:.2} s: {moment}", after.as_secs_f64())
    }
}

/// An object, and the finalizers that it has once everything is in place.
struct Node {
    object: Object,
    finalizers: BTreeSet<String>,
}

/// A project, its networks, and the clusters on each of them.
struct Estate {
    project: Node,
    networks: Vec<(Node, Vec<Node>)>,
}

impl Estate {
    /// Creates all of it, and waits until everybody has said what it uses.
    async fn build(stage: &Stage, id: &str) -> Self {
        let hold = |rule: &str| {
            let installation = stage.setup.installation.parse().expect("it is one");
            let rule = rule.parse().expect("it is a rule's name");
            HoldName::new(&installation, &rule).as_str().to_owned()
        };
        let project = PROJECT.named(id).within(&stage.tenants);
        let project = project.create(&stage.client).await;
        let mut used = BTreeSet::from([hold("project")]);
        let mut networks = Vec::new();
        for (place, clusters) in NETWORKS.into_iter().enumerate() {
            let name = format!("{id}-{place}");
            let draft = NETWORK.named(&name).within(&stage.region);
            let network = draft.labelled(LABEL, id).create(&stage.client).await;
            used.insert(reference(&network));
            let own = "region.example.com/operator".to_owned();
            let mut finalizers = BTreeSet::from([hold("network"), own]);
            let mut on_it = Vec::new();
            for cluster in 0..clusters {
                let draft = CLUSTER
                    .named(format!("{name}-{cluster}"))
                    .within(&stage.compute);
                let draft = draft.labelled(NETWORK_LABEL, &name);
                let object = draft.create(&stage.client).await;
                finalizers.insert(reference(&object));
                let finalizers = ["compute.example.com/operator".to_owned()].into();
                on_it.push(Node { object, finalizers });
            }
            let object = network;
            networks.push((Node { object, finalizers }, on_it));
        }
        let project = Node {
            object: project,
            finalizers: used,
        };
        let estate = Self { project, networks };
        for node in estate.all() {
            until("everybody says what it uses", async || {
                let found: BTreeSet<_> = node.object.finalizers().await.into_iter().collect();
                found == node.finalizers
            })
            .await;
        }
        estate
    }

    fn all(&self) -> impl Iterator<Item = &Node> {
        let networks = self.networks.iter();
        let networks = networks.flat_map(|(network, on_it)| on_it.iter().chain([network]));
        networks.chain([&self.project])
    }

    /// Each cluster went before its network, and each network before the project.
    async fn went_in_order(&self, history: &History) {
        until("all deletions are seen", async || {
            history.deletions().len() >= self.all().count()
        })
        .await;
        let deletions = history.deletions();
        assert_eq!(
            deletions.len(),
            self.all().count(),
            "nobody else's is deleted"
        );
        let end = |node: &Node| deletions[&node.object.uid];
        for (network, on_it) in &self.networks {
            let name = &network.object.name;
            assert!(
                end(network) < end(&self.project),
                "the project went before {name}"
            );
            for cluster in on_it {
                let on = &cluster.object.name;
                assert!(end(cluster) < end(network), "{name} went before {on}");
            }
        }
    }

    /// Nothing was taken down before what was on it.
    fn was_taken_down_in_order(&self, taken_down: &[String]) {
        let first = |node: &Node| {
            let name = &node.object.name;
            let found = taken_down.iter().position(|taken| taken == name);
            found.unwrap_or_else(|| panic!("{name} was not taken down"))
        };
        for (network, on_it) in &self.networks {
            let name = &network.object.name;
            for cluster in on_it {
                assert!(
                    first(cluster) < first(network),
                    "{name} was taken down with a cluster on it"
                );
            }
        }
    }
}

/// What an object puts on those that it uses.
fn reference(user: &Object) -> String {
    let plural: Plural = user.kind.plural.parse().expect("it is a plural");
    let namespace = user.namespace.as_deref().map(Into::into);
    let object = ObjectRef::new(user.kind.kind(), namespace, user.name.as_str());
    let reference = Reference::new(&object, &plural).expect("it can be written");
    reference.to_string()
}
