//! Two controllers of one installation: the leader ends, and the other leads.

use std::time::{Duration, Instant};

use futures::future::join_all;
use kube::Client;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::sleep;

use crate::{
    fixtures::{NETWORK, PROJECT, admin, unique, until},
    process::{Process, Role},
    rig::{LABEL, RuleDraft, Setup, two_namespaces},
    rounds, seed, spread,
};

/// Dependents of the project that is deleted just before the leader ends.
const CROWD: usize = 50;

/// How long to wait before a round: renewals and looks at the lease are 2 s apart, so that the end
/// comes at any moment between two of them.
const BEFORE: Duration = Duration::from_secs(2);

/// How long a cascade has been under way when the leader ends: it takes about as long.
const MID_CASCADE: Duration = Duration::from_millis(250);

/// The duration of the lease, 15 s, after which others notice at their next look, every 2 s; the
/// rest is for the takeover itself.
const KILLED: Duration = Duration::from_secs(20);

/// At most 2 s until the lease is released, and another look of the standby's.
const TERMINATED: Duration = Duration::from_secs(2 + 2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failover_kill() {
    failover("failover-kill", "SIGKILL", KILLED, async |leader| {
        leader.kill();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failover_term() {
    failover(
        "failover-term",
        "SIGTERM",
        TERMINATED,
        async |mut leader| {
            leader.terminate();
            leader.ends().await;
        },
    )
    .await;
}

async fn failover(name: &str, signal: &str, most: Duration, end: impl AsyncFn(Process)) {
    let (rounds, seed) = (rounds(20), seed());
    let mut dice = StdRng::seed_from_u64(seed);
    println!(
        "{name}: {rounds} rounds, SOAK_SEED={seed}; two controllers, {signal} of the leader in mid-cascade of \
         {CROWD} dependents; seconds from the signal until the other says that it leads, at most \
         {} are allowed, and until it has a complete list",
        most.as_secs()
    );
    let began = Instant::now();
    let mut pair = Pair::start(&admin().await).await;
    let (mut leads, mut serves) = (Vec::new(), Vec::new());
    for number in 1..=rounds {
        sleep(BEFORE.mul_f64(dice.random())).await;
        let after = MID_CASCADE.mul_f64(dice.random());
        let taken = pair.round(after, &end).await;
        println!(
            "{number:>4}  leads after {:.2} s, serves after {:.2} s",
            taken.leads.as_secs_f64(),
            taken.serves.as_secs_f64()
        );
        leads.push(taken.leads);
        serves.push(taken.serves);
    }
    pair.stop().await;
    let longest = leads.iter().max().copied().unwrap_or_default();
    println!(
        "{name}: {rounds} times {signal} of the leader, seed {seed}: the other leads after {}, serves after {}; \
         allowed {} s; every interrupted cascade was finished; {:.0} s in all",
        spread(leads),
        spread(serves),
        most.as_secs(),
        began.elapsed().as_secs_f64()
    );
    assert!(longest <= most, "{longest:?} is more than {most:?}");
}

struct Pair {
    client: Client,
    tenants: String,
    region: String,
    leader: Contender,
    /// There is none while it is taking over.
    standby: Option<Contender>,
}

struct Contender {
    setup: Setup,
    process: Process,
}

/// How long a takeover took, from the signal.
struct Taken {
    leads: Duration,
    serves: Duration,
}

impl Contender {
    fn start(setup: Setup) -> Self {
        let process = Process::start(&setup, &[]);
        Self { setup, process }
    }

    async fn becomes(&self, role: Role) {
        until(&format!("a controller is {role:?}"), async || {
            Role::of(&self.setup).await == role
        })
        .await;
    }
}

impl Pair {
    async fn start(client: &Client) -> Self {
        let (tenants, region) = two_namespaces(client).await;
        let rule = RuleDraft::of("project", PROJECT, &tenants).takes(NETWORK, &region);
        let leader = Setup::of(rule.clone());
        let standby = Setup::of(rule).in_installation(&leader.installation);
        let leader = Contender::start(leader);
        leader.becomes(Role::Serving).await;
        let standby = Contender::start(standby);
        standby.becomes(Role::Standby).await;
        Self {
            client: client.clone(),
            tenants,
            region,
            leader,
            standby: Some(standby),
        }
    }

    async fn stop(self) {
        for mut contender in [self.leader].into_iter().chain(self.standby) {
            contender.process.terminate();
            contender.process.ends().await;
        }
    }

    /// Ends the leader in mid-cascade; the other takes over and finishes it, and the ended one
    /// comes back as the standby.
    async fn round(&mut self, after: Duration, end: impl AsyncFn(Process)) -> Taken {
        let project = PROJECT.named(unique("p")).within(&self.tenants);
        let project = project.create(&self.client).await;
        let dependents = (0..CROWD).map(|index| {
            let name = format!("{}-{index}", project.name);
            let draft = NETWORK.named(name).within(&self.region);
            draft.labelled(LABEL, &project.name).create(&self.client)
        });
        join_all(dependents).await;
        until("the project is held", async || {
            !project.finalizers().await.is_empty()
        })
        .await;
        project.delete().await;
        sleep(after).await;

        let successor = self.standby.take().expect("each round ends with a standby");
        let Contender { setup, process } = std::mem::replace(&mut self.leader, successor);
        let successor = &self.leader;
        let began = Instant::now();
        let takeover = async {
            let mut leads = None;
            until("the other leads and serves", async || {
                let role = Role::of(&successor.setup).await;
                if matches!(role, Role::Beginning | Role::Serving) {
                    leads.get_or_insert_with(|| began.elapsed());
                }
                role == Role::Serving
            })
            .await;
            let leads = leads.expect("who serves leads");
            Taken {
                leads,
                serves: began.elapsed(),
            }
        };
        let (taken, ()) = futures::future::join(takeover, end(process)).await;
        until("the project is gone", async || project.is_gone().await).await;
        let left = NETWORK.api(&self.client, Some(&self.region));
        let left = left.list_metadata(&kube::api::ListParams::default()).await;
        assert_eq!(left.expect("it can be listed").items.len(), 0);
        let standby = Contender::start(setup);
        standby.becomes(Role::Standby).await;
        self.standby = Some(standby);
        taken
    }
}
