//! Random sequences of requests, sent to kube-sim and to the real server, whose answers, objects
//! and watch events must be the same but for what only one server can know.
//!
//! `DIFFERENTIAL_SEQUENCES` says how many there are, `DIFFERENTIAL_SEED` with which the first one
//! begins. A sequence that shows a difference is made shorter and kept in `tests/corpus`, which is
//! replayed in every run. The first difference ends a run, unless `DIFFERENTIAL_SURVEY` is set:
//! then all are found, and kept as long as they are.

mod generate;
mod names;
mod side;
mod step;

use std::{
    env, fs,
    io::Write as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use kube::Client;
use kube_sim::ApiServer;
use serde_json::{Value, json};
use tokio::{runtime::Builder, task::JoinSet};

use self::{
    side::Side,
    step::{Sequence, Step},
};
use crate::{on_the_real_server::kinds, target};

/// What a run of the tests has time for.
const SEQUENCES: u64 = 150;

/// How many sequences share the real server at any time; it has more to wait for than to do.
const AT_ONCE: u64 = 16;

/// After how many sequences a long run says how far it is.
const PROGRESS: u64 = 1000;

/// Between two looks at what the real server's collector has done.
const PAUSE: Duration = Duration::from_millis(15);

/// How long the real server's collector has for what kube-sim's does at once.
const SETTLING: Duration = Duration::from_secs(60);

#[test]
fn random_sequences_show_no_difference() {
    let sequences = variable("DIFFERENTIAL_SEQUENCES").unwrap_or(SEQUENCES);
    let first = variable("DIFFERENTIAL_SEED").unwrap_or(1);
    let survey = env::var_os("DIFFERENTIAL_SURVEY").is_some();
    let (next, steps) = (Arc::new(AtomicU64::new(first)), Arc::new(AtomicU64::new(0)));
    let end = first + sequences;
    let (found, lasted) = runtime().block_on(async {
        let client = target::client().await;
        wait_for_collector(&client).await;
        let started = Instant::now();
        let mut workers = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (client, next, steps) = (client.clone(), Arc::clone(&next), Arc::clone(&steps));
            workers.spawn(async move {
                let mut found = Vec::new();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return found;
                    }
                    let sequence = generate::sequence(seed);
                    let length = sequence.steps.len() as u64;
                    steps.fetch_add(length, Ordering::Relaxed);
                    if (seed + 1 - first).is_multiple_of(PROGRESS) {
                        tell(&format!("{} sequences begun", seed + 1 - first));
                    }
                    if let Some(difference) = confirmed(&client, &sequence).await {
                        if survey {
                            found.push((seed, (sequence, difference)));
                            continue;
                        }
                        next.store(end, Ordering::Relaxed);
                        found.push((seed, shrink(&client, sequence, difference).await));
                    }
                }
            });
        }
        (workers.join_all().await, started.elapsed())
    });
    let found: Vec<_> = found.into_iter().flatten().collect();
    let seconds = lasted.as_secs_f64();
    let count = next.load(Ordering::Relaxed).min(end) - first;
    let rate = f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds;
    let steps = steps.load(Ordering::Relaxed);
    tell(&format!(
        "{count} sequences of 10 to 30 requests from seed {first}, {steps} requests on each side, \
         {seconds:.0} s, {rate:.0} sequences a second"
    ));
    for (seed, (sequence, difference)) in &found {
        let kept = corpus().join(format!("{seed}.json"));
        let text = format!("{:#}\n", sequence.to_json());
        fs::write(&kept, text).expect("the corpus is writable");
        println!("seed {seed}, kept as {}:\n{difference}\n", kept.display());
    }
    assert!(found.is_empty(), "{} differences", found.len());
}

#[test]
fn the_corpus_shows_no_difference() {
    let mut files: Vec<_> = fs::read_dir(corpus())
        .expect("the corpus is there")
        .map(|entry| entry.expect("it is readable").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    let differences = runtime().block_on(async {
        let client = target::client().await;
        wait_for_collector(&client).await;
        let mut differences = Vec::new();
        for file in &files {
            let text = fs::read_to_string(file).expect("it is readable");
            let sequence = serde_json::from_str(&text).ok();
            let sequence = sequence.and_then(|value| Sequence::from_json(&value));
            let sequence = sequence.unwrap_or_else(|| panic!("no sequence: {}", file.display()));
            if let Some(difference) = confirmed(&client, &sequence).await {
                differences.push(format!("{}:\n{difference}", file.display()));
            }
        }
        differences
    });
    tell(&format!("{} sequences of the corpus", files.len()));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Says it even when the test passes, past what the test harness keeps to itself.
fn tell(what: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "\ndifferential: {what}").expect("there is an output");
}

fn runtime() -> tokio::runtime::Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime")
}

fn variable(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {value}")),
    )
}

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// A collector that has just been started is slow at first.
async fn wait_for_collector(client: &Client) {
    let mut side = Side::new(client.clone()).await;
    side.catch_up(&["configmaps", "widgets"]).await;
}

/// The first difference that a sequence shows, if it shows one again.
///
/// What the real server's collector does, it does beside the requests, and on a busy machine it may
/// once see two writes in another order, or be late.
async fn confirmed(client: &Client, sequence: &Sequence) -> Option<String> {
    let first = compare(client, sequence).await?;
    let again = compare(client, sequence).await;
    if again.is_none() {
        tell(&format!("not seen again: {first}"));
    }
    again
}

/// The first difference that a sequence shows.
async fn compare(client: &Client, sequence: &Sequence) -> Option<String> {
    let simulated = ApiServer::new();
    let [widgets, ..] = kinds::definitions();
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    simulated
        .request(&http::Method::POST, path, &widgets)
        .expect("it is valid");
    let server = simulated.clone();
    let mut simulated = Side::new(Client::new(simulated, "default")).await;
    let real = Side::new(client.clone()).await;
    let mut real = real.with_owners_of_fields();
    let mut owners = Owners::default();
    for (index, step) in sequence.steps.iter().enumerate() {
        if owners.matter_to(step) {
            real.catch_up(&owners.unseen).await;
            owners.unseen.clear();
        }
        let before = server.revision();
        let (expected, found) = (real.step(step).await, simulated.step(step).await);
        let writes = server.revision() - before;
        if expected != found {
            let step = step.to_json();
            return Some(format!(
                "request {index}: {step}\n{}",
                difference(&expected, &found)
            ));
        }
        owners.note(step);
        // What the request did not write itself was the collector's doing.
        let collected = writes > u64::from(!step.is_delete_collection());
        if collected && let Some(difference) = settle(&mut real, &mut simulated).await {
            let step = step.to_json();
            return Some(format!(
                "the objects after request {index}: {step}\n{difference}"
            ));
        }
    }
    if let Some(difference) = settle(&mut real, &mut simulated).await {
        return Some(format!("the objects in the end:\n{difference}"));
    }
    for watch in &sequence.watches {
        let (expected, found) = (real.watch(watch).await, simulated.watch(watch).await);
        if expected != found && !expected.is_null() {
            let difference = difference(&expected, &found);
            return Some(format!("the events of {watch}:\n{difference}"));
        }
    }
    None
}

/// Which owners objects have been given.
#[derive(Default)]
struct Owners {
    /// All that was written of them.
    told: String,
    /// The kinds of objects whose owners the collector may not know yet.
    unseen: Vec<&'static str>,
}

impl Owners {
    fn note(&mut self, step: &Step) {
        let body = step.body_text();
        if !body.contains("ownerReferences") {
            return;
        }
        self.told.push_str(&body);
        for (plural, _) in side::COLLECTIONS {
            if step.path.contains(plural) && !self.unseen.contains(&plural) {
                self.unseen.push(plural);
            }
        }
    }

    /// Whether what becomes of a request depends on the owners that the collector knows: a
    /// deletion that waits for dependents, or lets go of them.
    fn matter_to(&self, step: &Step) -> bool {
        if !step.is_delete() || self.unseen.is_empty() {
            return false;
        }
        let text = step.path.clone() + &step.body_text();
        let depends = ["Foreground", "Orphan", "orphanDependents"];
        if !depends.iter().any(|word| text.contains(word)) {
            return false;
        }
        let path = step.path.split('?').next().unwrap_or_default();
        let mut segments = path.rsplit('/');
        let (name, plural) = (segments.next(), segments.next());
        let object = format!(
            "/{}/{})",
            plural.unwrap_or_default(),
            name.unwrap_or_default()
        );
        step.is_delete_collection() || self.told.contains(&object)
    }
}

/// Waits until the real server has the objects that kube-sim has.
async fn settle(real: &mut Side, simulated: &mut Side) -> Option<String> {
    let started = Instant::now();
    let mut settled = Vec::new();
    for index in 0..side::NAMESPACES {
        for (_, path) in side::COLLECTIONS {
            let wanted = simulated.objects(index, path).await;
            let found = simulated.peek(&wanted);
            let objects = loop {
                let objects = real.objects(index, path).await;
                let expected = real.peek(&objects);
                if expected == found {
                    break objects;
                }
                if started.elapsed() > SETTLING {
                    return Some(difference(&expected, &found));
                }
                tokio::time::sleep(PAUSE).await;
            };
            settled.push((objects, wanted));
        }
    }
    // Names are given in the same order on both sides.
    settled.into_iter().find_map(|(objects, wanted)| {
        let (expected, found) = (real.commit(&objects), simulated.commit(&wanted));
        (expected != found).then(|| difference(&expected, &found))
    })
}

/// Where two values part, and what each has there.
fn difference(real: &Value, simulated: &Value) -> String {
    let mut lines = Vec::new();
    collect("", real, simulated, &mut lines);
    lines.join("\n")
}

fn collect(path: &str, real: &Value, simulated: &Value, lines: &mut Vec<String>) {
    match (real, simulated) {
        (Value::Object(left), Value::Object(right)) => {
            let mut keys: Vec<_> = left.keys().chain(right.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let absent = json!("<absent>");
                let (left, right) = (left.get(key), right.get(key));
                let (left, right) = (left.unwrap_or(&absent), right.unwrap_or(&absent));
                collect(&format!("{path}/{key}"), left, right, lines);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                collect(&format!("{path}/{index}"), left, right, lines);
            }
        }
        (left, right) if left == right => {}
        (left, right) => {
            lines.push(format!("  {path}\n    real: {left}\n    kube-sim: {right}"));
        }
    }
}

/// Leaves out requests as long as what is left shows a difference.
async fn shrink(
    client: &Client,
    mut sequence: Sequence,
    mut difference: String,
) -> (Sequence, String) {
    let mut index = sequence.steps.len();
    while index > 0 {
        index -= 1;
        let shorter = sequence.without(index);
        if let Some(found) = compare(client, &shorter).await {
            (sequence, difference) = (shorter, found);
            index = index.min(sequence.steps.len());
        }
    }
    (sequence, difference)
}
