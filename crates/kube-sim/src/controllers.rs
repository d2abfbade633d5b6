//! What the controllers of a cluster do that the API cannot be understood without: the garbage
//! collector, the end of Namespaces, and the life of definitions.
//!
//! None of them is a task. [`observe`] looks at every change and notes what is to be done and
//! when; [`run_due`] does it, under the same lock, when somebody next looks at the server.

mod collector;
pub(crate) mod definitions;
mod namespaces;

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    builtin,
    clock::Clock,
    fault::Verb,
    random::SplitMix64,
    server::{Author, State, Transaction},
    store::object::Stored,
};

pub(crate) use collector::Dependents;

/// One thing to be done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    /// The collector looks at an object.
    Collect(Place),
    /// A Namespace that is being deleted is emptied.
    Namespace(Arc<str>),
    /// A definition is established, or brought to its end.
    Definition(Arc<str>),
}

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) collection: Arc<str>,
    pub(crate) key: Arc<str>,
}

/// What is to be done, and when.
#[derive(Debug)]
pub(crate) struct Pending {
    delay: Range<Duration>,
    collects: bool,
    /// By time, then in the order in which it was noted.
    queue: BTreeMap<(Duration, u64), Work>,
    /// When each is done.
    noted: BTreeMap<Work, (Duration, u64)>,
    count: u64,
    alarm: watch::Sender<()>,
    dependents: Dependents,
}

impl Pending {
    pub(crate) fn new(delay: Range<Duration>, collects: bool) -> Self {
        Self {
            delay,
            collects,
            queue: BTreeMap::new(),
            noted: BTreeMap::new(),
            count: 0,
            alarm: watch::Sender::new(()),
            dependents: Dependents::default(),
        }
    }

    /// When the next thing is due, as time since the server's start.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.queue.keys().next().map(|(due, _)| *due)
    }

    /// Rings when something is due earlier than all else.
    pub(crate) fn alarm(&self) -> watch::Receiver<()> {
        self.alarm.subscribe()
    }

    /// Notes what is to be done, unless that is noted already.
    fn add(&mut self, random: &mut SplitMix64, elapsed: Duration, work: Work) {
        if self.noted.contains_key(&work) {
            return;
        }
        let spread = self.delay.end.saturating_sub(self.delay.start);
        let extra = match u64::try_from(spread.as_nanos()).unwrap_or(u64::MAX) {
            0 => Duration::ZERO,
            nanos => Duration::from_nanos(random.below(nanos)),
        };
        let due = elapsed + self.delay.start + extra;
        if due > elapsed && self.next_due().is_none_or(|next| due < next) {
            self.alarm.send_replace(());
        }
        self.count += 1;
        self.queue.insert((due, self.count), work.clone());
        self.noted.insert(work, (due, self.count));
    }

    fn take_due(&mut self, elapsed: Duration) -> Option<Work> {
        let first = self.queue.first_entry()?;
        if first.key().0 > elapsed {
            return None;
        }
        let work = first.remove();
        self.noted.remove(&work);
        Some(work)
    }
}

/// Notes what follows from a change.
pub(crate) fn observe(
    state: &mut State,
    clock: &Clock,
    collection: &Arc<str>,
    before: Option<&Arc<Stored>>,
    after: Option<&Arc<Stored>>,
) {
    let elapsed = clock.elapsed();
    let mut work = Vec::new();
    if state.pending.collects {
        collector::observe(state, collection, before, after, &mut work);
    }
    namespaces::observe(state, collection, before, after, &mut work);
    definitions::observe(state, collection, before, after, &mut work);
    for work in work {
        state.pending.add(&mut state.random, elapsed, work);
    }
}

/// Does everything that is due.
pub(crate) fn run_due(state: &mut State, clock: &Clock) {
    while !state.pending.queue.is_empty() {
        let Some(work) = state.pending.take_due(clock.elapsed()) else {
            return;
        };
        let author = match work {
            Work::Collect(_) => Author::Collector,
            Work::Namespace(_) => Author::Namespaces,
            Work::Definition(_) => Author::Definitions,
        };
        let mut transaction = Transaction::by_controller(state, clock, author, Verb::Update);
        match work {
            Work::Collect(place) => collector::run(&mut transaction, &place),
            Work::Namespace(name) => namespaces::run(&mut transaction, &name),
            Work::Definition(name) => definitions::run(&mut transaction, &name),
        }
    }
}

/// Notes one thing to be done.
fn note(state: &mut State, clock: &Clock, work: Work) {
    let elapsed = clock.elapsed();
    state.pending.add(&mut state.random, elapsed, work);
}

/// Has the collector look again at everything that has owners: there are new kinds of them.
fn recheck_owners(state: &mut State, clock: &Clock) {
    for place in state.pending.dependents.all() {
        note(state, clock, Work::Collect(place));
    }
}

/// Begins anew with what there is, as controllers do that have lost track.
pub(crate) fn resync(state: &mut State, clock: &Clock) {
    state.pending.queue.clear();
    state.pending.noted.clear();
    state.pending.dependents = Dependents::default();
    definitions::reload(state);
    let everything: Vec<(Arc<str>, Arc<Stored>)> = state
        .store
        .collections()
        .flat_map(|(name, kept)| kept.objects().map(move |object| (name, object)))
        .map(|(name, object)| (Arc::clone(name), Arc::clone(object)))
        .collect();
    for (collection, object) in &everything {
        observe(state, clock, collection, None, Some(object));
    }
}

/// Whether a change concerns one of the Namespaces.
fn is_namespace(collection: &str) -> bool {
    collection == builtin::NAMESPACES
}
