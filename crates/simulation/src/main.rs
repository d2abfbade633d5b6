//! Runs schedules; see `--help`. Usually started by `cargo xtask sim`.

mod progress;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use clap::Parser;
use simulation::{
    report,
    schedule::{self, Options, Part, Verdict},
};

use progress::Progress;

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

    /// The folder where the progress is kept, by first seed
    #[arg(long, value_name = "FOLDER")]
    progress: Option<PathBuf>,

    /// Go on where the last run from this first seed ended
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

/// A run of many schedules.
struct Run<'a> {
    arguments: &'a Arguments,
    begun: Instant,
    progress: Progress,
    schedules: u64,
    calls: u64,
    judged: u64,
    slowest: (Duration, u64),
}

fn run(arguments: &Arguments) -> ExitCode {
    let progress = match resumed(arguments) {
        Ok(progress) => progress,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let first = progress.done();
    let run = Mutex::new(Run::new(arguments, progress));
    let cores = std::thread::available_parallelism().map_or(1, Into::into);
    let threads = arguments.threads.unwrap_or(cores).max(1);
    report::note_panics();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some(seed) = lock(&run).take() else {
                        return;
                    };
                    let verdict = schedule::run(seed, &Options::default());
                    lock(&run).add(&verdict);
                }
            });
        }
    });
    run.into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .end(first)
}

/// Where to begin.
fn resumed(arguments: &Arguments) -> Result<Progress, String> {
    let earlier = match arguments.file().filter(|_| arguments.resume) {
        Some(file) => Progress::load(&file)?,
        None => None,
    };
    Ok(earlier.unwrap_or_else(|| Progress::from(arguments.from)))
}

impl Arguments {
    /// The file of the runs from this first seed.
    fn file(&self) -> Option<PathBuf> {
        let folder = self.progress.as_ref()?;
        Some(folder.join(format!("from-{}", self.from)))
    }
}

impl<'a> Run<'a> {
    fn new(arguments: &'a Arguments, progress: Progress) -> Self {
        Self {
            arguments,
            begun: Instant::now(),
            progress,
            schedules: 0,
            calls: 0,
            judged: 0,
            slowest: (Duration::ZERO, 0),
        }
    }

    /// The next seed, unless it is time to end.
    fn take(&mut self) -> Option<u64> {
        let Arguments {
            fail_fast,
            seconds,
            from,
            schedules,
            ..
        } = *self.arguments;
        let failed = fail_fast && !self.progress.failed().is_empty();
        let late = seconds.is_some_and(|limit| self.begun.elapsed() >= Duration::from_secs(limit));
        if failed || late {
            return None;
        }
        self.progress.take(from.saturating_add(schedules))
    }

    fn add(&mut self, verdict: &Verdict) {
        self.progress
            .ran(verdict.seed, !verdict.violations.is_empty());
        self.schedules += 1;
        self.calls += verdict.calls;
        self.judged += verdict.judged;
        self.slowest = self.slowest.max((verdict.converged, verdict.seed));
        for violation in &verdict.violations {
            println!("seed {}: {violation}", verdict.seed);
        }
        if self.schedules.is_multiple_of(1000) {
            self.tell();
            self.save();
        }
    }

    fn end(&self, first: u64) -> ExitCode {
        self.save();
        self.tell();
        let failed = self.progress.failed();
        let seeds = if self.schedules == 0 {
            format!("all below {first} were run before")
        } else {
            format!("seeds {first} to {}", self.progress.done() - 1)
        };
        println!(
            "{} schedules ({seeds}), {} violations, {:.0} schedules a second",
            self.schedules,
            failed.len(),
            self.rate()
        );
        let Some(one) = failed.first() else {
            return ExitCode::SUCCESS;
        };
        let seeds: Vec<_> = failed.iter().map(ToString::to_string).collect();
        println!("violated by the seeds {}", seeds.join(", "));
        println!("replay one with `cargo xtask sim --seed {one}`");
        ExitCode::FAILURE
    }

    fn tell(&self) {
        eprintln!(
            "seed {}: {} schedules, {:.0} a second, {} calls, {} judged, {} violations; slowest to \
             converge: {:?} (seed {})",
            self.progress.done(),
            self.schedules,
            self.rate(),
            self.calls,
            self.judged,
            self.progress.failed().len(),
            self.slowest.0,
            self.slowest.1
        );
    }

    fn save(&self) {
        if let Some(file) = self.arguments.file()
            && let Err(error) = self.progress.save(&file)
        {
            eprintln!("the progress cannot be kept in {}: {error}", file.display());
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn rate(&self) -> f64 {
        self.schedules as f64 / self.begun.elapsed().as_secs_f64().max(0.001)
    }
}

fn lock<'a, 'b>(run: &'a Mutex<Run<'b>>) -> MutexGuard<'a, Run<'b>> {
    run.lock().unwrap_or_else(PoisonError::into_inner)
}

fn part(name: &str) -> Result<Part, String> {
    let known = Part::ALL.into_iter().find(|part| part.name() == name);
    known.ok_or_else(|| format!("there is no part {name:?}"))
}
