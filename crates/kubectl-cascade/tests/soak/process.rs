//! A controller, or what works beside it, as a process of its own, which can be killed.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    fixtures::{control_plane, unique, until},
    rig::{Setup, get},
};

/// How much of a log a failed soak shows.
const LAST_LINES: usize = 40;

/// A running process. It ends with its owner, and at the latest with the control plane.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the controller; `more` is added to the command line.
    pub(crate) fn start(setup: &Setup, more: &[&str]) -> Self {
        let mut command = control_plane().command(env!("CARGO_BIN_EXE_kubectl-cascade"));
        command.args(&setup.command_line()[1..]).args(more);
        Self::spawn(command, Stdio::null())
    }

    /// Starts a process.
    pub(crate) fn spawn(mut command: Command, stdout: impl Into<Stdio>) -> Self {
        let log = control_plane().folder().join(unique("process") + ".log");
        let file = File::create(&log).expect("the control plane's folder is writable");
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(file)
            .spawn();
        let child = child.expect("the binary starts");
        Self { child, log }
    }

    /// Ends it as a crash would. When this returns, it is gone.
    pub(crate) fn kill(mut self) {
        assert_eq!(self.ended(), None, "it ended by itself");
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Asks it to end.
    pub(crate) fn terminate(&mut self) {
        assert_eq!(self.ended(), None, "it ended by itself");
        let sent = kill_process(Pid::from_child(&self.child), Signal::TERM);
        sent.expect("it can be asked");
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(mut self) {
        self.terminate();
        self.ends().await;
    }

    /// Waits until it has ended, and well.
    pub(crate) async fn ends(mut self) {
        until("the process ends", async || self.ended().is_some()).await;
        let status = self.ended().expect("it ended");
        assert!(status.success(), "it ended with {status}");
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless this is a failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking()
            && let Ok(log) = std::fs::read_to_string(&self.log)
        {
            let lines: Vec<_> = log.lines().collect();
            let last = lines.len().saturating_sub(LAST_LINES);
            eprintln!("the process's last words:\n{}", lines[last..].join("\n"));
        }
    }
}

/// What a controller says of itself at `/readyz`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// It does not answer, or knows of no lease yet.
    None,
    Standby,
    /// It leads, but has not listed every upstream yet.
    Beginning,
    /// It leads and serves its rules.
    Serving,
}

impl Role {
    pub(crate) async fn of(setup: &Setup) -> Self {
        let Ok(answer) = get(setup.listen, "/readyz").await else {
            return Self::None;
        };
        let leads = answer.body.contains("leading");
        match (leads, answer.status) {
            (true, 200) => Self::Serving,
            (true, _) => Self::Beginning,
            (false, 200) => Self::Standby,
            (false, _) => Self::None,
        }
    }
}
