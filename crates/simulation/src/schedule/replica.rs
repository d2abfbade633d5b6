//! Replicas of the controller: started, killed, and started again.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use kube::Client;
use kube_cascade::clock::Clock;
use kube_sim::fault::Faults;
use kubectl_cascade::{controller::Controller, rules::RuleSet};
use tokio::{sync::Notify, time::sleep};
use tower::Layer as _;

use super::death;
use crate::{
    dice::Dice,
    line::{Death, Ground, LEASE_NAMESPACE, Line, Replica, Roster},
    world::INSTALLATION,
};

/// Who works.
#[derive(Clone, Debug, Default)]
pub(super) struct Crew {
    /// How many replicas.
    pub(super) replicas: usize,
    /// Whether they contend for a Lease.
    pub(super) leased: bool,
    /// At which calls the starts of replicas die, one after the other.
    pub(super) deaths: Vec<Death>,
    /// How long until a dead one is started again.
    restart: Duration,
    /// By how many seconds each one's clock is wrong.
    skews: Vec<i64>,
    /// Where their jitter comes from.
    seed: u64,
}

impl Crew {
    pub(super) fn of(dice: &mut Dice) -> Self {
        let (replicas, leased) = match dice.below(10) {
            0..6 => (1, false),
            6 => (1, true),
            _ => (2, true),
        };
        let deaths = match dice.below(2) {
            0 => 0,
            _ => dice.within(1..4),
        };
        let skew = |dice: &mut Dice| i64::try_from(dice.below(7200)).unwrap_or(0) - 3600;
        Self {
            replicas,
            leased,
            deaths: (0..deaths).map(|_| death(dice)).collect(),
            restart: dice.span(0..20_000),
            skews: vec![skew(dice), skew(dice)],
            seed: dice.draw(),
        }
    }

    fn clock(&self, number: usize, ground: &Ground) -> Clock {
        let server = ground.server.clone();
        let skew = self.skews.get(number).copied().unwrap_or_default();
        let span = Duration::from_secs(skew.unsigned_abs());
        Clock::new(move || {
            let now = server.now();
            if skew < 0 { now - span } else { now + span }
        })
    }
}

/// What can be done to a replica from outside.
#[derive(Clone, Debug, Default)]
pub(super) struct Handle {
    now: Arc<Mutex<Option<Running>>>,
}

#[derive(Debug)]
struct Running {
    replica: Arc<Replica>,
    stop: Arc<Notify>,
}

impl Handle {
    /// It dies at once.
    pub(super) fn kill(&self) {
        if let Some(running) = &*self.lock() {
            running.replica.kill();
        }
    }

    /// It is asked to end.
    pub(super) fn stop(&self) {
        if let Some(running) = &*self.lock() {
            running.stop.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the replica of this number, start after start.
pub(super) fn supervise(
    ground: &Ground,
    crew: &Crew,
    number: usize,
    faults: &Faults,
    roster: &Roster,
    rules: RuleSet,
) -> (Handle, impl Future<Output = ()> + Send + use<>) {
    let handle = Handle::default();
    let now = handle.clone();
    let (ground, crew, faults, roster) =
        (ground.clone(), crew.clone(), faults.clone(), roster.clone());
    let task = async move {
        for start in 0.. {
            // The first replica dies more often than the second.
            let nth = start * crew.replicas + number;
            let calm = ground.calm.load(Ordering::Relaxed);
            let death = crew.deaths.get(nth).copied().filter(|_| !calm);
            let replica = Replica::new(format!("r{number}.{start}"), death);
            roster.add(&replica);
            let stop = Arc::new(Notify::new());
            *now.lock() = Some(Running {
                replica: Arc::clone(&replica),
                stop: Arc::clone(&stop),
            });
            let client = || {
                let below = faults.layer().layer(ground.server.clone());
                let line = Line::new(ground.clone(), Arc::clone(&replica), below);
                Client::new(line, "default")
            };
            let installation = INSTALLATION.parse().expect("it is a good name");
            let seed = crew.seed ^ Dice::new(nth as u64).draw();
            let mut controller = Controller::new(rules.clone(), installation, client(), client())
                .identity(replica.name.clone())
                .seed(seed)
                .clock(crew.clock(number, &ground));
            if crew.leased {
                controller = controller.lease(client(), LEASE_NAMESPACE);
            }
            ground
                .trace
                .line(ground.now(), || format!("{} starts", replica.name));
            tokio::select! {
                biased;
                () = replica.died.notified() => {}
                ended = controller.run(async move { stop.notified().await }) => {
                    ground.trace.line(ground.now(), || {
                        format!("{} ends: {:?}", replica.name, ended.map_err(|error| error.to_string()))
                    });
                }
            }
            // Nothing of it reaches the server any more, whatever is left of its tasks.
            replica.kill();
            ground
                .trace
                .line(ground.now(), || format!("{} is no more", replica.name));
            sleep(crew.restart).await;
        }
    };
    (handle, task)
}
