//! The control plane: its start, what it offers while it runs, its end.

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustix::process::Signal;

use crate::{
    Assets, AssetsError, Component, User,
    component::Process,
    credentials::{Credentials, Server},
    reaper::Reaper,
};

mod args;
mod start;

/// A running etcd, kube-apiserver and, unless left out, kube-controller-manager.
///
/// Dropping it ends all three and removes their folder, and waits for that.
///
/// # Guarantees
///
/// Nothing is left behind after a panic, Ctrl-C or SIGKILL of this process either: a small
/// process of its own cleans up then. What is started by [`command`](Self::command) ends too.
#[derive(Debug)]
pub struct ControlPlane {
    // In the order of dropping: the reaper waits for the group, whose members are waited for
    // here.
    processes: [Mutex<Process>; 3],
    credentials: Credentials,
    lent: AtomicUsize,
    server: Server,
    ports: Ports,
    assets: Assets,
    reaper: Reaper,
}

/// The loopback ports of one control plane.
#[derive(Debug, Clone, Copy)]
struct Ports {
    etcd: u16,
    api_server: u16,
}

impl ControlPlane {
    /// Starts all components; they are ready when this returns.
    pub fn start() -> Result<Self, StartError> {
        Self::builder().start()
    }

    /// Starts something else than the default.
    pub fn builder() -> Builder {
        Builder {
            controller_manager: true,
            api_server_args: Vec::new(),
        }
    }

    /// The API server's address, `https://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.server.url
    }

    /// etcd's address, `http://127.0.0.1:<port>`; it asks for no credentials.
    #[must_use]
    pub fn etcd_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.etcd)
    }

    /// The PEM file with the certificate authority of the API server.
    #[must_use]
    pub fn ca_path(&self) -> &Path {
        &self.server.ca
    }

    /// The user who may do everything, a member of `system:masters`.
    #[must_use]
    pub fn admin(&self) -> &User {
        &self.credentials.admin
    }

    /// The kubeconfig file of [`admin`](Self::admin).
    #[must_use]
    pub fn kubeconfig_path(&self) -> &Path {
        self.admin().kubeconfig_path()
    }

    /// The user of this name: `admin`, or `user-01` to `user-64`, who may do nothing until a
    /// role is bound to them.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&User> {
        let everyone = self
            .credentials
            .users
            .iter()
            .chain([&self.credentials.admin]);
        everyone.into_iter().find(|user| user.name() == name)
    }

    /// The kubeconfig file of the [`user`](Self::user) of this name.
    #[must_use]
    pub fn kubeconfig_for(&self, name: &str) -> Option<&Path> {
        self.user(name).map(User::kubeconfig_path)
    }

    /// A user without rights whom no other caller was given, so that tests which share a control
    /// plane do not share what they bind.
    ///
    /// # Panics
    ///
    /// When all 64 users are lent.
    #[must_use]
    pub fn fresh_user(&self) -> &User {
        let next = self.lent.fetch_add(1, Ordering::Relaxed);
        self.credentials
            .users
            .get(next)
            .expect("a control plane has 64 users, all of them are lent")
    }

    /// The temporary folder that holds everything, also the logs: `<component>.log`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.reaper.folder()
    }

    /// The binaries it was started from.
    #[must_use]
    pub fn assets(&self) -> &Assets {
        &self.assets
    }

    /// What the environment of a command needs so that `kubectl`, and whatever else reads
    /// `KUBECONFIG`, finds this control plane as its admin.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, OsString); 4] {
        let folder = self.folder();
        [
            ("KUBECONFIG", self.kubeconfig_path().into()),
            // Else kubectl leaves what it discovered in the user's home.
            ("KUBECACHEDIR", folder.join("kubectl-cache").into()),
            ("KUBEBUILDER_ASSETS", self.assets.folder().into()),
            ("PATH", self.assets.prepended_to(env::var_os("PATH"))),
        ]
    }

    /// A command with this [`environment`](Self::environment) whose process, and what that
    /// starts in turn, ends at the latest with the control plane.
    ///
    /// It is in a process group that is not a terminal's foreground group, so it must not read
    /// from a terminal and sees no Ctrl-C.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.envs(self.environment());
        self.reaper.enroll(&mut command);
        command
    }

    /// Lets a process that [`command`](Self::command) did not start end with the control plane
    /// too, or takes that back. There is one such process at most.
    pub fn set_companion(&self, pid: Option<u32>) -> Result<(), ControlError> {
        self.reaper
            .set_companion(pid)
            .map_err(|source| ControlError::Companion { source })
    }

    /// Runs `kubectl` as the admin and returns what it printed.
    pub fn kubectl<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<String, ControlError> {
        let mut command = self.command(self.assets.kubectl());
        let output = command.args(args).stdin(Stdio::null()).output();
        let output = output.map_err(|source| ControlError::Run { source })?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(ControlError::Kubectl {
                status: output.status,
                message,
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Stops a component as a debugger would: it keeps its connections and answers nothing.
    pub fn pause(&self, component: Component) -> Result<(), ControlError> {
        self.signal(component, Signal::STOP)
    }

    /// Lets a paused component go on.
    pub fn resume(&self, component: Component) -> Result<(), ControlError> {
        self.signal(component, Signal::CONT)
    }

    /// Ends a component as a crash would. Its data is kept.
    pub fn kill(&self, component: Component) -> Result<(), ControlError> {
        self.process(component)
            .stop()
            .map_err(|source| ControlError::Signal { component, source })
    }

    /// Starts a component that does not run, on the same port, and waits until it serves.
    ///
    /// A controller manager that was left out at first can be started so later. One that ran
    /// before counts as ready at once, because its first work is done.
    pub fn launch(&self, component: Component) -> Result<(), StartError> {
        self.start_component(component)
    }

    /// Ends a component as a crash would, starts it again and waits until it serves.
    pub fn restart(&self, component: Component) -> Result<(), StartError> {
        let stopped = self.process(component).stop();
        stopped.map_err(|source| StartError::Spawn { component, source })?;
        self.launch(component)
    }

    /// The number of a component's process, while it runs.
    #[must_use]
    pub fn pid(&self, component: Component) -> Option<u32> {
        self.process(component).pid()
    }

    /// The numbers of all processes that belong to this control plane, those that clean up
    /// included; for tests that prove that none is left.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let components = Component::ALL
            .into_iter()
            .filter_map(|component| self.pid(component));
        components
            .chain([self.reaper.pid(), self.reaper.group().cast_unsigned()])
            .collect()
    }

    /// The file with a component's output.
    #[must_use]
    pub fn log_path(&self, component: Component) -> PathBuf {
        self.process(component).log().to_owned()
    }

    fn signal(&self, component: Component, signal: Signal) -> Result<(), ControlError> {
        match self.process(component).signal(signal) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ControlError::NotRunning { component }),
            Err(source) => Err(ControlError::Signal { component, source }),
        }
    }

    fn process(&self, component: Component) -> MutexGuard<'_, Process> {
        let index = Component::ALL.iter().position(|other| *other == component);
        let process = &self.processes[index.expect("ALL has every component")];
        // A panic elsewhere leaves nothing half done in there.
        process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to start.
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    controller_manager: bool,
    api_server_args: Vec<String>,
}

impl Builder {
    /// Leaves the controller manager out: nothing collects garbage, finishes the deletion of
    /// namespaces or makes default service accounts, until it is
    /// [launched](ControlPlane::launch).
    pub fn without_controller_manager(mut self) -> Self {
        self.controller_manager = false;
        self
    }

    /// Adds an argument of the API server, which overrides one of ours of the same name.
    pub fn api_server_arg(mut self, arg: impl Into<String>) -> Self {
        self.api_server_args.push(arg.into());
        self
    }

    /// Starts it; all components are ready when this returns.
    pub fn start(self) -> Result<ControlPlane, StartError> {
        start::with_retries(&self)
    }
}

/// Why a control plane, or a component of it, did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There are no binaries to start.
    #[error(transparent)]
    Assets(#[from] AssetsError),
    /// The temporary folder, or the process that removes it, could not be made.
    #[error("failed to prepare the control plane's folder")]
    Prepare {
        /// What the system says.
        source: io::Error,
    },
    /// A component's process could not be started.
    #[error("failed to start {component}")]
    Spawn {
        /// Which.
        component: Component,
        /// What the system says.
        source: io::Error,
    },
    /// A component ended instead of becoming ready.
    #[error("{component} ended while starting ({}), its last words:\n{log}", describe(*.status))]
    Died {
        /// Which.
        component: Component,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// A component runs but does not become ready.
    #[error("{component} did not become ready within {seconds} s, its last words:\n{log}")]
    NotReady {
        /// Which.
        component: Component,
        /// How long it was waited for.
        seconds: u64,
        /// The last lines of its log.
        log: String,
    },
}

/// Why a running control plane did not do as told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// A signal was meant for a component that does not run.
    #[error("{component} does not run")]
    NotRunning {
        /// Which.
        component: Component,
    },
    /// A component could not be signalled.
    #[error("failed to signal {component}")]
    Signal {
        /// Which.
        component: Component,
        /// What the system says.
        source: io::Error,
    },
    /// The process that cleans up is gone.
    #[error("failed to reach the process that cleans up")]
    Companion {
        /// What the system says.
        source: io::Error,
    },
    /// kubectl could not be run.
    #[error("failed to run kubectl")]
    Run {
        /// What the system says.
        source: io::Error,
    },
    /// kubectl ran and failed.
    #[error("kubectl failed ({}): {message}", describe(*.status))]
    Kubectl {
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        message: String,
    },
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}
