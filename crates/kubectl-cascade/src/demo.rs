//! `demo`: a platform, the controller and a deletion, all in this process.
//!
//! Owns the play: what is put on the stage, in which order, and how fast, so that a person can
//! follow. The parts are elsewhere: the API is `kube-sim`'s, the controller is
//! [`controller`](crate::controller), what other services would do is in `services`, what it means
//! in `stage` and how it looks in `view`.

mod platform;
mod screen;
mod services;
mod stage;
mod view;

use std::{
    borrow::Cow,
    env, fs,
    future::Future,
    io::{self, IsTerminal, Write},
    net::Ipv4Addr,
    path::Path,
    pin::Pin,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::mpsc::UnboundedReceiver,
    time::{Instant, sleep_until},
};
use tracing::level_filters::LevelFilter;

use self::{
    platform::{Platform, Written, kubeconfig},
    screen::Screen,
    stage::{Change, Count, Stage},
    view::Line,
};
use crate::{
    cli::DemoOptions,
    exit::{Exit, Failure},
    logging,
};

/// The project that is deleted.
const PROJECT: &str = "apollo";

/// How long the platform is shown before anything is deleted.
const INTRODUCTION: Duration = Duration::from_millis(1500);

/// How long the end is left to sink in before the last words take the place of the news.
const CURTAIN: Duration = Duration::from_millis(700);

/// What takes longer than this has gone wrong; it takes about 3 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long what is gone stays in sight under `--serve`.
const REMEMBERED: Duration = Duration::from_secs(15);

/// How often what is gone may be taken out of sight.
const GLANCE: Duration = Duration::from_secs(1);

/// Shows the demo, or serves its platform, until its end or SIGINT, SIGTERM or SIGHUP.
///
/// # Errors
/// No port could be listened on, or no file written; the demo did not come to its end.
pub async fn run(options: DemoOptions) -> Result<Exit, Failure> {
    let stop = stop_signals().map_err(failed)?;
    let ended = if options.serve {
        serve(stop).await
    } else {
        perform(stop).await
    };
    match ended {
        Ok(()) => Ok(Exit::Done),
        // A closed pipe is no failure of ours.
        Err(Ended::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(Ended::Io(error)) => Err(failed(error)),
        Err(Ended::Stopped) => Err(failed("interrupted")),
        Err(Ended::Failed(failure)) => Err(failure),
    }
}

/// Why it is over before its end.
#[derive(Debug)]
enum Ended {
    Io(io::Error),
    Stopped,
    Failed(Failure),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn perform(stop: Stop) -> Result<(), Ended> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (mut platform, changes) = Platform::behind(listener)?;
    show(&mut platform, Play::new(changes, Screen::stdout(), stop)).await
}

/// Plays it from beginning to end.
async fn show(platform: &mut Platform, mut play: Play) -> Result<(), Ended> {
    platform.populate().await?;
    play.open(vec![
        Line::bold(
            "A platform on an in-memory Kubernetes API, and kube-cascade's real controller.",
        ),
        legend(),
    ])?;
    platform.start_services();
    platform.start_controller()?;
    let held = play.until(PATIENCE, |stage| stage.holds_project(PROJECT));
    in_time(held.await?, "the project was not held")?;
    play.pause(INTRODUCTION).await?;
    let begun = Instant::now();
    platform.delete_project(PROJECT).await?;
    let gone = play.until(PATIENCE, |stage| !stage.has_project(PROJECT));
    in_time(gone.await?, "the project did not go")?;
    let took = begun.elapsed();
    play.pause(CURTAIN).await?;
    let end = last_words(&play.stage, took);
    Ok(play.screen.close(&play.stage, &end)?)
}

/// Keeps the platform up for whoever comes with kubectl.
async fn serve(stop: Stop) -> Result<(), Ended> {
    let folder = tempfile::Builder::new()
        .prefix("kube-cascade-demo-")
        .tempdir()?;
    let log = folder.path().join("controller.log");
    logging::init_to(LevelFilter::INFO, fs::File::create(&log)?).map_err(failed)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let path = folder.path().join("kubeconfig");
    fs::write(&path, kubeconfig(address))?;
    let (mut platform, changes) = Platform::behind(listener)?;
    let mut play = Play::new(changes, Screen::stderr(), stop);
    platform.populate().await?;
    platform.start_services();
    platform.start_controller()?;
    // Whoever is told where it is may delete a project at once; until it is held, it goes first.
    match play.until(PATIENCE, Stage::holds_every_project).await {
        Err(Ended::Stopped) => return Ok(()),
        held => in_time(held?, "the projects were not held")?,
    }
    let line = format!("export KUBECONFIG={}", quoted(&path.to_string_lossy()));
    // On a terminal that shows both streams, once is enough.
    let is_shown = play.screen.is_live_for(&Line::plain(&line)) && io::stdout().is_terminal();
    play.open(what_to_type(&line, &log))?;
    // Only now: whoever reads it acts, and is to see what comes of it.
    if !is_shown {
        writeln!(io::stdout(), "{line}")?;
    }
    match play.serve().await {
        Err(Ended::Stopped) => Ok(play.catch_up()?),
        ended => ended,
    }
}

/// What is shown, and who shows it.
struct Play {
    stage: Stage,
    screen: Screen,
    changes: UnboundedReceiver<Written>,
    stop: Stop,
    /// When it was first shown; nothing is shown before.
    opened: Option<Instant>,
}

impl Play {
    fn new(changes: UnboundedReceiver<Written>, screen: Screen, stop: Stop) -> Self {
        Self {
            stage: Stage::default(),
            screen,
            changes,
            stop,
            opened: None,
        }
    }

    /// Shows what there is by now; how that came about is no part of it.
    fn open(&mut self, head: Vec<Line>) -> io::Result<()> {
        self.catch_up()?;
        self.opened = Some(Instant::now());
        self.screen.open(head, &self.stage)
    }

    /// Takes in what has happened by now.
    fn catch_up(&mut self) -> io::Result<()> {
        while let Ok(written) = self.changes.try_recv() {
            self.take(written)?;
        }
        Ok(())
    }

    /// Shows what happens, once it is open, until `reached`; says whether that was before `patience` was over.
    async fn until(
        &mut self,
        patience: Duration,
        reached: impl Fn(&Stage) -> bool,
    ) -> Result<bool, Ended> {
        let end = Instant::now() + patience;
        loop {
            if reached(&self.stage) {
                return Ok(true);
            }
            tokio::select! {
                biased;
                () = &mut self.stop => return Err(Ended::Stopped),
                Some(written) = self.changes.recv() => self.take(written)?,
                () = sleep_until(end) => return Ok(false),
            }
        }
    }

    /// Shows what happens for this long.
    async fn pause(&mut self, time: Duration) -> Result<(), Ended> {
        self.until(time, |_| false).await.map(drop)
    }

    /// Shows what happens until it is stopped.
    async fn serve(&mut self) -> Result<(), Ended> {
        loop {
            self.pause(GLANCE).await?;
            let elapsed = self.opened.map(|opened| opened.elapsed());
            let then = elapsed.and_then(|elapsed| elapsed.checked_sub(REMEMBERED));
            if self.stage.forget(then.unwrap_or_default()) {
                self.screen.draw(&self.stage)?;
            }
        }
    }

    fn take(&mut self, written: Written) -> io::Result<()> {
        let Some(opened) = self.opened else {
            self.stage.apply(&change(written, Duration::ZERO));
            return Ok(());
        };
        let at = written.at.saturating_duration_since(opened);
        for happening in self.stage.apply(&change(written, at)) {
            self.screen.tell(happening)?;
        }
        self.screen.draw(&self.stage)
    }
}

fn change(written: Written, at: Duration) -> Change {
    Change {
        at,
        by: written.by,
        before: written.before,
        after: written.after,
    }
}

fn legend() -> Line {
    Line::dim("┄ belongs to it by label: kube-cascade's   ─ owned: the garbage collector's")
}

fn last_words(stage: &Stage, took: Duration) -> Vec<Line> {
    let Count {
        by_controller,
        by_collector,
    } = stage.count();
    let (program, seconds) = (program(), took.as_secs_f64());
    vec![
        Line::bold(format!(
            "Project {PROJECT} went last, {seconds:.1} s after its deletion; what others use lives on."
        )),
        Line::plain(format!(
            "Kubernetes alone would have left {} objects behind: {by_controller} by label, \
             {by_collector} owned by those.",
            by_controller + by_collector
        )),
        Line::default(),
        Line::plain("Try next:"),
        Line::plain(format!(
            "  {program} demo --serve    # the same, for kubectl"
        )),
        Line::plain(format!(
            "  {program} run --help      # the controller, on a cluster"
        )),
        Line::plain(format!(
            "  {program} release --help  # to take its holds off"
        )),
    ]
}

fn what_to_type(kubeconfig: &str, log: &Path) -> Vec<Line> {
    vec![
        Line::bold("The platform is up, and the controller runs in it. In another terminal:"),
        Line::plain(kubeconfig),
        Line::plain("  kubectl get projects,clusters,networks,volumes -A"),
        Line::plain("  kubectl delete project apollo"),
        Line::plain("  kubectl events"),
        Line::dim("Ctrl-C ends it. The controller's log:"),
        Line::dim(format!("  {}", log.display())),
        Line::default(),
    ]
}

/// A word for a shell, in quotes only where it needs them.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if word.chars().all(is_plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}

/// How this program is called by somebody who wants to call it again.
fn program() -> String {
    let name = env::args().next().unwrap_or_default();
    let path = Path::new(&name);
    let folders = env::var_os("PATH").unwrap_or_default();
    let is_found = path.parent().is_none_or(|parent| {
        parent == Path::new("") || env::split_paths(&folders).any(|folder| folder == parent)
    });
    if is_found {
        "kubectl cascade".to_owned()
    } else {
        name
    }
}

fn in_time(reached: bool, otherwise: &'static str) -> Result<(), Ended> {
    if reached {
        return Ok(());
    }
    let error = format!(
        "{otherwise} within {} s; please report this",
        PATIENCE.as_secs()
    );
    Err(Failure::new(Exit::Incomplete, error).into())
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::new(Exit::Failure, error)
}

/// Completes on SIGINT, SIGTERM or SIGHUP: whichever way a terminal or a person ends it.
fn stop_signals() -> io::Result<Stop> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(Box::pin(async move {
        tokio::select! {
            biased;
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    }))
}

#[cfg(test)]
mod tests;
