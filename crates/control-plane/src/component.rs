//! One process of the control plane.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::reaper::Reaper;

/// How many lines of a log an error quotes.
const QUOTED: usize = 15;

/// A part of the control plane. Complete: there is no scheduler because there are no nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// The store behind the API server.
    Etcd,
    /// The API server.
    ApiServer,
    /// The controller manager: garbage collector, namespaces, service accounts.
    ControllerManager,
}

impl Component {
    /// All, in the order in which they start.
    pub const ALL: [Self; 3] = [Self::Etcd, Self::ApiServer, Self::ControllerManager];

    /// The name of its binary.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A component with all it takes to start it again.
#[derive(Debug)]
pub(crate) struct Process {
    program: PathBuf,
    args: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Does not start it.
    pub(crate) fn new(
        component: Component,
        binaries: &Path,
        folder: &Path,
        args: Vec<String>,
    ) -> Self {
        Self {
            program: binaries.join(component.as_str()),
            args,
            log: folder.join(format!("{component}.log")),
            child: None,
        }
    }

    /// Starts it within the reaper's group, unless it runs.
    pub(crate) fn start(&mut self, reaper: &Reaper) -> io::Result<()> {
        if self.is_running() {
            return Ok(());
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .current_dir(reaper.folder())
            .stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        reaper.enroll(&mut command);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Kills it, as a crash would, and waits for its end.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        if let Some(child) = &mut self.child {
            child.kill()?;
            child.wait()?;
        }
        self.child = None;
        Ok(())
    }

    /// Sends a signal; `false` when there is no process to send it to.
    pub(crate) fn signal(&mut self, signal: Signal) -> io::Result<bool> {
        if !self.is_running() {
            return Ok(false);
        }
        // The child has not been waited for, so its number is still its own.
        let Some(child) = &self.child else {
            return Ok(false);
        };
        kill_process(Pid::from_child(child), signal)?;
        Ok(true)
    }

    /// Its number, while it runs.
    pub(crate) fn pid(&mut self) -> Option<u32> {
        if self.is_running() {
            self.child.as_ref().map(Child::id)
        } else {
            None
        }
    }

    /// How it ended, if it did and nobody [stopped](Self::stop) it.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .as_mut()
            .and_then(|child| child.try_wait().ok().flatten())
    }

    /// The last lines of its log.
    pub(crate) fn last_lines(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.trim_end().lines().collect();
        lines[lines.len().saturating_sub(QUOTED)..].join("\n")
    }

    /// Where its output goes.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    fn is_running(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The reaper's group ends it otherwise; here it is waited for as well.
        let _ = self.stop();
    }
}
