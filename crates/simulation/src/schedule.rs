//! One schedule: from a seed to a verdict.
//!
//! Everything that happens is drawn from the seed by parts that do not depend on each other, so
//! that one part can be left out to see whether a violation needs it.

mod replica;

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use kube_sim::{ApiServer, Author as ServerAuthor, fault::Faults};
use kubectl_cascade::rules::{self, RuleSet};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use self::replica::{Crew, supervise};
use crate::{
    actors::{Actors, Temper},
    dice::Dice,
    faults::Trouble,
    line::{Death, Ground, REPLICA, Roster},
    oracle::{Author, Change, Oracle, Violation},
    report,
    trace::Trace,
    world::World,
};

/// How long after the last disturbance everything must be as it should be.
///
/// A call that nobody answers takes 35 s, what was parked is judged again after 45 s, an upstream
/// that was not read is read again within 30 s, and backoffs have grown for as long as the
/// disturbance at most. A Lease that nobody gave up expires after 15 s.
const BOUND: Duration = Duration::from_secs(180);

/// The same, where a watch may have lost something without a sign: the next relist finds it.
const LASTING_BOUND: Duration = Duration::from_secs(180 + 610 + 310);

/// The same, where nothing but the server's absence disturbed: within a minute of its return.
const QUIET_BOUND: Duration = Duration::from_secs(60);

/// How long everything must stay as it should be.
const CALM: u32 = 3;

/// A part of a schedule that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What goes wrong with calls.
    Faults,
    /// The time that calls take.
    Latency,
    /// Outages, restarts, compactions.
    Events,
    /// The deaths of replicas.
    Deaths,
    /// The second replica.
    Second,
    /// What actors do right before calls.
    Disturbances,
    /// What actors do at times of their own, beyond the first half.
    LateActs,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Faults,
        Self::Events,
        Self::Deaths,
        Self::Second,
        Self::Latency,
        Self::Disturbances,
        Self::LateActs,
    ];
}

impl Part {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Faults => "faults",
            Self::Latency => "latency",
            Self::Events => "events",
            Self::Deaths => "deaths",
            Self::Second => "second",
            Self::Disturbances => "disturbances",
            Self::LateActs => "late-acts",
        }
    }
}

/// How to run a seed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether to write down what happens.
    pub traced: bool,
    /// What to leave out.
    pub without: BTreeSet<Part>,
    /// At which call the first start of the first replica dies, in place of what is drawn.
    pub dies: Option<Death>,
}

/// What came of a schedule.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The seed.
    pub seed: u64,
    /// What must never happen, and did.
    pub violations: Vec<Violation>,
    /// What happened, if it was written down.
    pub trace: String,
    /// How many calls the replicas made.
    pub calls: u64,
    /// How many deletes and changes of holds were judged.
    pub judged: u64,
    /// How long after the last disturbance everything was as it should be.
    pub converged: Duration,
}

/// What is done to the server.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// It cannot be reached for a while.
    Outage(Duration),
    /// Every connection is cut.
    Cut,
    /// It forgets what has changed.
    Compact,
    /// It ends every watch, forgets what has changed, and refuses so many lists.
    Restart(u32),
    /// The replica of this number dies.
    Kill(usize),
    /// The replica of this number is asked to end.
    Stop(usize),
}

/// What a seed stands for.
#[derive(Debug)]
struct Script {
    world: World,
    temper: Temper,
    trouble: Trouble,
    length: Duration,
    acts: Vec<Duration>,
    events: Vec<(Duration, Event)>,
    crew: Crew,
    controller_delay: Duration,
    window: usize,
    page: Option<u64>,
    /// By how many revisions the server's caches are behind: what `resourceVersion=0` reads.
    lag: u64,
}

impl Script {
    fn of(seed: u64, options: &Options) -> Self {
        let dice = Dice::new(seed);
        let world = World::of(&mut dice.fork("world"));
        let mut trouble = Trouble::of(&mut dice.fork("trouble"), &world);
        let mut nature = dice.fork("nature");
        let length = nature.span(3_000..30_000);
        let temper = Temper {
            at_calls: match nature.below(3) {
                0 => 0,
                1 => nature.within(1..6),
                _ => nature.within(5..25),
            },
            definitions: nature.percent(15),
            namespaces: nature.percent(10),
            strips: nature.percent(40),
        };
        let acts = nature.within(2..14);
        let mut acts: Vec<_> = (0..acts)
            .map(|_| nature.span(0..u64::try_from(length.as_millis()).unwrap_or(1)))
            .collect();
        acts.sort();
        let mut crew = Crew::of(&mut dice.fork("crew"));
        let events = events(&mut dice.fork("events"), length, crew.replicas);
        let mut server = dice.fork("server");
        let controller_delay = match server.below(3) {
            0 => server.span(1..3_000),
            _ => Duration::ZERO,
        };
        let window = if server.percent(10) { 8 } else { 10_000 };
        let page = server.percent(40).then(|| server.within(1..4));
        let mut caches = dice.fork("caches");
        let lag = match caches.below(3) {
            0 => caches.within(1..20),
            _ => 0,
        };
        let mut script = Self {
            world,
            temper,
            trouble: Trouble::default(),
            length,
            acts,
            events,
            crew: Crew::default(),
            controller_delay,
            window,
            page,
            lag,
        };
        let leaves_out = |part| options.without.contains(&part);
        if leaves_out(Part::Faults) {
            trouble.faults.clear();
        }
        if leaves_out(Part::Latency) {
            trouble.latency = None;
        }
        if leaves_out(Part::Deaths) {
            crew.deaths.clear();
            let dies = |event: &Event| matches!(event, Event::Kill(_) | Event::Stop(_));
            script.events.retain(|(_, event)| !dies(event));
        }
        if leaves_out(Part::Events) {
            let dies = |event: &Event| matches!(event, Event::Kill(_) | Event::Stop(_));
            script.events.retain(|(_, event)| dies(event));
            script.window = 10_000;
        }
        if leaves_out(Part::Second) {
            crew.replicas = 1;
        }
        if leaves_out(Part::Disturbances) {
            script.temper.at_calls = 0;
        }
        if leaves_out(Part::LateActs) {
            script.acts.truncate(script.acts.len() / 2);
        }
        if let Some(death) = options.dies {
            crew.deaths = vec![death];
        }
        script.trouble = trouble;
        script.crew = crew;
        script
    }

    /// Whether nothing went wrong at any time, so that nothing may have been missed.
    fn is_strict(&self) -> bool {
        self.trouble.faults.is_empty()
            && self.events.is_empty()
            && self.crew.deaths.is_empty()
            && self.crew.replicas == 1
            && self.trouble.is_quick()
            && self.window > 100
            && !self.temper.definitions
            && !self.temper.namespaces
            && !self.temper.strips
    }

    /// How long it may take until everything is as it should be.
    fn bound(&self) -> Duration {
        let dies =
            |(_, event): &(Duration, Event)| matches!(event, Event::Kill(_) | Event::Stop(_));
        if self.trouble.is_lasting() {
            LASTING_BOUND
        } else if self.trouble.faults.is_empty()
            && self.trouble.is_quick()
            && self.crew.deaths.is_empty()
            && !self.events.iter().any(dies)
            && !self.temper.takes_ground()
            && !self.temper.strips
        {
            QUIET_BOUND
        } else {
            BOUND
        }
    }

    fn rules(&self) -> RuleSet {
        rules::parse("rules.yaml", &self.world.yaml()).expect("worlds make good rules")
    }

    fn server(&self, seed: u64) -> ApiServer {
        let builder = ApiServer::builder().seed(seed).window(self.window);
        if self.controller_delay.is_zero() {
            return builder.build();
        }
        builder
            .controller_delay(Duration::ZERO..self.controller_delay)
            .build()
    }
}

fn events(dice: &mut Dice, length: Duration, replicas: usize) -> Vec<(Duration, Event)> {
    if dice.percent(60) {
        return Vec::new();
    }
    let replicas = u64::try_from(replicas).unwrap_or(1);
    let milliseconds = u64::try_from(length.as_millis()).unwrap_or(1);
    let mut events: Vec<_> = (0..dice.within(1..4))
        .map(|_| {
            let at = dice.span(0..milliseconds);
            let replica = usize::try_from(dice.below(replicas)).unwrap_or(0);
            let event = match dice.below(10) {
                0..2 => Event::Outage(dice.span(500..60_000)),
                2 => Event::Cut,
                3 => Event::Compact,
                4..6 => Event::Restart(u32::try_from(dice.below(4)).unwrap_or(0)),
                6..9 => Event::Kill(replica),
                _ => Event::Stop(replica),
            };
            (at, event)
        })
        .collect();
    events.sort_by_key(|(at, _)| *at);
    events
}

/// Runs the schedule of a seed, on a paused clock and a thread of its own making.
///
/// # Panics
/// If the runtime cannot be built.
#[must_use]
pub fn run(seed: u64, options: &Options) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O can always be built");
    let mut verdict = runtime.block_on(play(seed, options));
    drop(runtime);
    // A consumer's panic is caught by its queue, and is a mistake all the same.
    if let Some(what) = report::take_panic() {
        let at = Duration::ZERO;
        verdict.violations.push(Violation { at, what });
    }
    verdict
}

async fn play(seed: u64, options: &Options) -> Verdict {
    let dice = Dice::new(seed);
    let script = Script::of(seed, options);
    let trace = if options.traced {
        Trace::written()
    } else {
        Trace::default()
    };
    let started = Instant::now();
    let server = script.server(seed);
    server.stale_reads(script.lag);
    let oracle = Oracle::new(script.world.clone());
    let actors = Actors::new(dice.fork("actors"), script.temper);
    let ground = Ground {
        server,
        oracle,
        trace,
        world: Arc::new(script.world.clone()),
        actors,
        started,
        leased: script.crew.leased,
        page: script.page,
        calm: Arc::default(),
    };
    tell(&ground, &script);
    watch_writes(&ground);
    let _ = ground.actors.found(&ground);
    // Definitions take a while until they are served.
    sleep(2 * script.controller_delay).await;
    ground.actors.settle(&ground);
    let faults = Faults::seeded(dice.fork("faults").draw());
    script.trouble.end(&faults);
    let roster = Roster::default();
    let mut crew = JoinSet::new();
    let mut handles = Vec::new();
    for number in 0..script.crew.replicas {
        let rules = script.rules();
        let (handle, task) = supervise(&ground, &script.crew, number, &faults, &roster, rules);
        handles.push(handle);
        crew.spawn(task);
    }
    // Half of the schedules begin in the middle of it, the others with all holds in place.
    if dice.fork("start").percent(50) {
        sleep(Duration::from_secs(2)).await;
    }
    ground.actors.begin();
    script.trouble.begin(&faults);
    disturb(&ground, &script, &faults, &handles).await;
    script.trouble.end(&faults);
    ground.actors.heal(&ground);
    ground.calm.store(true, Ordering::Relaxed);
    ground
        .trace
        .line(ground.now(), || "nobody disturbs any more".to_owned());
    let converged = converge(&ground, &script).await;
    crew.shutdown().await;
    Verdict {
        seed,
        violations: ground.oracle.violations(),
        calls: roster.calls(),
        judged: ground.oracle.judged(),
        trace: ground.trace.text(),
        converged,
    }
}

/// Plays what happens at times of its own.
async fn disturb(ground: &Ground, script: &Script, faults: &Faults, handles: &[replica::Handle]) {
    let begun = Instant::now();
    let acts = script.acts.iter().map(|at| (*at, None));
    let events = script.events.iter().map(|(at, event)| (*at, Some(*event)));
    let mut all: Vec<_> = acts.chain(events).collect();
    all.sort_by_key(|(at, _)| *at);
    let mut up_again = None;
    for (at, event) in all {
        let at = begun + at;
        if let Some(up) = up_again
            && up <= at
        {
            sleep_until(up).await;
            faults.up();
            up_again = None;
        }
        sleep_until(at).await;
        let Some(event) = event else {
            ground.actors.act(ground);
            continue;
        };
        ground
            .trace
            .line(ground.now(), || format!("event: {event:?}"));
        match event {
            Event::Outage(lasts) => {
                faults.down();
                up_again = Some(at + lasts);
            }
            Event::Cut => faults.cut(),
            Event::Compact => ground.server.compact(),
            Event::Restart(unready) => ground.server.restart(unready),
            Event::Kill(number) => {
                if let Some(handle) = handles.get(number) {
                    handle.kill();
                }
            }
            Event::Stop(number) => {
                if let Some(handle) = handles.get(number) {
                    handle.stop();
                }
            }
        }
    }
    let end = up_again.unwrap_or(begun).max(begun + script.length);
    sleep_until(end).await;
    faults.up();
}

/// Waits until everything is as it should be, and stays so; says how long that took.
async fn converge(ground: &Ground, script: &Script) -> Duration {
    let mut begun = Instant::now();
    let bound = script.bound();
    let strict = script.is_strict();
    let (mut calm, mut converged) = (0, Duration::ZERO);
    loop {
        sleep(Duration::from_secs(1)).await;
        // What was being deleted may be gone only now.
        if script.temper.takes_ground() && ground.actors.found(ground) {
            begun = Instant::now();
        }
        let unfinished = ground.oracle.unfinished(strict);
        if ground.oracle.is_violated() {
            return begun.elapsed();
        }
        if !unfinished.is_empty() {
            (calm, converged) = (0, begun.elapsed());
        } else if calm == CALM {
            return converged;
        } else {
            calm += 1;
        }
        if begun.elapsed() > bound && !unfinished.is_empty() {
            for one in unfinished {
                let what = format!("not within {bound:?}: {one}");
                ground.oracle.violation(ground.now(), what);
            }
            return begun.elapsed();
        }
    }
}

/// Lets the oracle see every write.
fn watch_writes(ground: &Ground) {
    let (oracle, trace, started) = (ground.oracle.clone(), ground.trace.clone(), ground.started);
    ground.server.on_write(move |write| {
        let at = started.elapsed();
        let author = match write.author() {
            ServerAuthor::Client(headers) => headers.get(REPLICA).map_or(Author::Other, |name| {
                Author::Replica(name.to_str().unwrap_or_default().to_owned())
            }),
            _ => Author::Other,
        };
        let (before, after) = (write.before(), write.after());
        let refused = write.refused().is_some();
        trace.line(at, || {
            let what = match (&before, &after) {
                _ if refused => "refused",
                (None, _) => "created",
                (_, None) => "removed",
                _ => "written",
            };
            let object = after.as_ref().or(before.as_ref());
            let meta = object.map(|object| &object["metadata"]);
            let of = |field: &str| meta.map_or_else(String::new, |meta| meta[field].to_string());
            format!(
                "  {what} {} {}/{} by {author:?}, uid {}, rv {}, finalizers {}, labels {}",
                write.resource(),
                write.namespace().unwrap_or_default(),
                write.name(),
                of("uid"),
                of("resourceVersion"),
                of("finalizers"),
                of("labels"),
            )
        });
        if refused {
            return;
        }
        let delete = write.verb() == kube_sim::fault::Verb::Delete;
        oracle.write(
            at,
            &Change {
                author: &author,
                delete,
                group: write.group(),
                plural: write.resource(),
                before: before.as_ref(),
                after: after.as_ref(),
            },
        );
    });
}

fn tell(ground: &Ground, script: &Script) {
    ground
        .trace
        .line(ground.now(), || format!("rules:\n{}", script.world.yaml()));
    ground.trace.line(ground.now(), || format!("{script}"));
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} of {:?}; acts {:?}; events {:?}; {:?}; {:?}; server: delay {:?}, window {}, page {:?}, lag {}",
            self.temper,
            self.length,
            self.acts,
            self.events,
            self.trouble,
            self.crew,
            self.controller_delay,
            self.window,
            self.page,
            self.lag
        )
    }
}

/// Where a death is drawn: early enough that most replicas live to see it.
fn death(dice: &mut Dice) -> Death {
    let call = match dice.below(3) {
        0 => dice.within(1..30),
        _ => dice.within(1..150),
    };
    if dice.percent(50) {
        Death::Before(call)
    } else {
        Death::After(call)
    }
}
