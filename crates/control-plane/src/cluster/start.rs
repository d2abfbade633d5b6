//! Starting: in order, with the proof that each component is ready before the next.

use std::{
    env, io, path,
    sync::{Mutex, atomic::AtomicUsize},
    thread,
    time::{Duration, Instant},
};

use super::{Builder, ControlPlane, Ports, StartError, args};
use crate::{
    Assets, Component, component::Process, credentials::Credentials, ports, readiness,
    reaper::Reaper,
};

/// How often other ports are tried after somebody took ours.
const ATTEMPTS: usize = 5;

/// It takes seconds; a machine that is busy with a build may take its time.
const PATIENCE: Duration = Duration::from_secs(180);

/// Between two looks at a component that is not ready yet.
const PAUSE: Duration = Duration::from_millis(25);

/// Starts a control plane, again and with other ports when somebody took ours.
pub(super) fn with_retries(builder: &Builder) -> Result<ControlPlane, StartError> {
    let assets = Assets::find_or_build()?;
    let mut attempt = 1;
    loop {
        match once(builder, assets.clone()) {
            Err(StartError::Died { log, .. }) if ports::were_taken(&log) && attempt < ATTEMPTS => {
                attempt += 1;
            }
            result => return result,
        }
    }
}

fn once(builder: &Builder, assets: Assets) -> Result<ControlPlane, StartError> {
    let control_plane =
        prepare(builder, assets).map_err(|source| StartError::Prepare { source })?;
    for component in Component::ALL {
        if component != Component::ControllerManager || builder.controller_manager {
            control_plane.start_component(component)?;
        }
    }
    Ok(control_plane)
}

/// Everything but the processes.
fn prepare(builder: &Builder, assets: Assets) -> io::Result<ControlPlane> {
    let reaper = Reaper::start(&path::absolute(env::temp_dir())?)?;
    let folder = reaper.folder();
    let ports = Ports {
        etcd: ports::free()?,
        api_server: ports::free()?,
    };
    let server = args::server(folder, ports);
    let credentials = Credentials::create(folder, &server)?;
    let processes = Component::ALL.map(|component| {
        let args = match component {
            Component::Etcd => args::etcd(folder, ports),
            Component::ApiServer => args::api_server(folder, ports, &builder.api_server_args),
            Component::ControllerManager => args::controller_manager(&credentials.admin),
        };
        Mutex::new(Process::new(component, assets.folder(), folder, args))
    });
    let lent = AtomicUsize::new(0);
    Ok(ControlPlane {
        processes,
        credentials,
        lent,
        server,
        ports,
        assets,
        reaper,
    })
}

impl ControlPlane {
    /// Starts a component that does not run, and waits until it serves.
    pub(super) fn start_component(&self, component: Component) -> Result<(), StartError> {
        let started = self.process(component).start(&self.reaper);
        started.map_err(|source| StartError::Spawn { component, source })?;
        let deadline = Instant::now() + PATIENCE;
        while !self.is_ready(component) {
            self.all_that_started_run()?;
            if Instant::now() > deadline {
                let log = self.process(component).last_lines();
                return Err(StartError::NotReady {
                    component,
                    seconds: PATIENCE.as_secs(),
                    log,
                });
            }
            thread::sleep(PAUSE);
        }
        // Somebody else's process may have answered for one that could not have its port.
        self.all_that_started_run()
    }

    fn is_ready(&self, component: Component) -> bool {
        match component {
            Component::Etcd => {
                readiness::etcd(self.ports.etcd, &args::etcd_name(self.reaper.folder()))
            }
            // A look at the port is cheap, kubectl is not.
            Component::ApiServer => {
                readiness::listens(self.ports.api_server)
                    && self.kubectl_succeeds(&["get", "--raw", "/readyz"])
            }
            // It serves nothing; that its first work is done shows that its controllers run.
            Component::ControllerManager => {
                self.kubectl_succeeds(&["get", "serviceaccount", "default", "--namespace=default"])
            }
        }
    }

    fn kubectl_succeeds(&self, args: &[&str]) -> bool {
        let mut command = self.command(self.assets.kubectl());
        readiness::succeeds(command.args(args).arg("--request-timeout=5s"))
    }

    /// Fails when a component has ended that nobody ended.
    fn all_that_started_run(&self) -> Result<(), StartError> {
        for component in Component::ALL {
            let mut process = self.process(component);
            if let Some(status) = process.ended() {
                let log = process.last_lines();
                return Err(StartError::Died {
                    component,
                    status,
                    log,
                });
            }
        }
        Ok(())
    }
}
