//! Runs schedules; see `--help`. Usually started by `cargo xtask sim`.

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Parser;
use simulation::{
    report,
    schedule::{self, Options, Part, Verdict},
};

/// Runs the controller on an in-memory API, schedule after schedule, and judges it.
#[derive(Debug, Parser)]
struct Arguments {
    /// Replay one seed and print what happened
    #[arg(long, conflicts_with = "schedules")]
    seed: Option<u64>,

    /// How many schedules to run
    #[arg(long, default_value_t = 10_000)]
    schedules: u64,

    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,

    /// Stop after so many seconds
    #[arg(long)]
    seconds: Option<u64>,

    /// How many threads; as many as there are cores by default
    #[arg(long)]
    threads: Option<usize>,

    /// Where the progress is kept
    #[arg(long, value_name = "FILE")]
    progress: Option<PathBuf>,

    /// Go on where the last run of these seeds ended
    #[arg(long, requires = "progress")]
    resume: bool,

    /// Stop at the first violation
    #[arg(long)]
    fail_fast: bool,

    /// Leave parts of a replayed schedule out: faults, latency, events, deaths, second,
    /// disturbances, late-acts
    #[arg(long, value_delimiter = ',', value_parser = part)]
    without: Vec<Part>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => replay(seed, &arguments),
        None => run(&arguments),
    }
}

fn replay(seed: u64, arguments: &Arguments) -> ExitCode {
    let options = Options {
        traced: true,
        without: arguments.without.iter().copied().collect(),
        ..Options::default()
    };
    let verdict = schedule::run(seed, &options);
    print!("{}", report::whole(&verdict));
    if verdict.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        eprintln!("{}", report::smaller(seed));
        ExitCode::FAILURE
    }
}

/// The sum of many schedules.
#[derive(Debug, Default)]
struct Sum {
    schedules: u64,
    calls: u64,
    judged: u64,
    slowest: (Duration, u64),
    failed: Vec<u64>,
}

fn run(arguments: &Arguments) -> ExitCode {
    let begun = Instant::now();
    let first = arguments.from + resumed(arguments);
    let end = arguments.from + arguments.schedules;
    let (next, sum) = (AtomicU64::new(first), Mutex::new(Sum::default()));
    let cores = std::thread::available_parallelism().map_or(1, Into::into);
    let threads = arguments.threads.unwrap_or(cores).max(1);
    let over = |sum: &Sum| {
        let failed = arguments.fail_fast && !sum.failed.is_empty();
        let late = arguments
            .seconds
            .is_some_and(|seconds| begun.elapsed() >= Duration::from_secs(seconds));
        failed || late
    };
    report::note_panics();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || over(&lock(&sum)) {
                        // It was taken and not run.
                        next.fetch_sub(1, Ordering::Relaxed);
                        return;
                    }
                    let verdict = schedule::run(seed, &Options::default());
                    let mut sum = lock(&sum);
                    add(&mut sum, &verdict);
                    if sum.schedules.is_multiple_of(1000) {
                        tell(&sum, begun, seed);
                        save(arguments, seed.saturating_sub(threads as u64));
                    }
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    save(arguments, next.load(Ordering::Relaxed).min(end));
    tell(&sum, begun, next.load(Ordering::Relaxed).min(end));
    println!(
        "{} schedules (seeds {first} to {}), {} violations, {:.0} schedules a second",
        sum.schedules,
        first + sum.schedules.saturating_sub(1),
        sum.failed.len(),
        rate(&sum, begun)
    );
    if sum.failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    let seeds: Vec<_> = sum.failed.iter().map(ToString::to_string).collect();
    println!("violated by the seeds {}", seeds.join(", "));
    println!("replay one with `cargo xtask sim --seed {}`", seeds[0]);
    ExitCode::FAILURE
}

fn add(sum: &mut Sum, verdict: &Verdict) {
    sum.schedules += 1;
    sum.calls += verdict.calls;
    sum.judged += verdict.judged;
    sum.slowest = sum.slowest.max((verdict.converged, verdict.seed));
    if !verdict.violations.is_empty() {
        sum.failed.push(verdict.seed);
        for violation in &verdict.violations {
            println!("seed {}: {violation}", verdict.seed);
        }
    }
}

fn tell(sum: &Sum, begun: Instant, seed: u64) {
    eprintln!(
        "seed {seed}: {} schedules, {:.0} a second, {} calls, {} judged, {} violations; slowest to \
         converge: {:?} (seed {})",
        sum.schedules,
        rate(sum, begun),
        sum.calls,
        sum.judged,
        sum.failed.len(),
        sum.slowest.0,
        sum.slowest.1
    );
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(sum: &Sum, begun: Instant) -> f64 {
    sum.schedules as f64 / begun.elapsed().as_secs_f64().max(0.001)
}

/// How many of these seeds were run before.
fn resumed(arguments: &Arguments) -> u64 {
    let Some(path) = arguments.progress.as_ref().filter(|_| arguments.resume) else {
        return 0;
    };
    let text = fs::read_to_string(path).unwrap_or_default();
    let next = text.trim().parse().unwrap_or(arguments.from);
    next.saturating_sub(arguments.from)
}

fn save(arguments: &Arguments, next: u64) {
    if let Some(path) = &arguments.progress
        && let Err(error) = fs::write(path, format!("{next}\n"))
    {
        eprintln!("the progress cannot be kept in {}: {error}", path.display());
    }
}

fn lock(sum: &Mutex<Sum>) -> std::sync::MutexGuard<'_, Sum> {
    sum.lock().unwrap_or_else(PoisonError::into_inner)
}

fn part(name: &str) -> Result<Part, String> {
    let known = Part::ALL.into_iter().find(|part| part.name() == name);
    known.ok_or_else(|| format!("there is no part {name:?}"))
}
