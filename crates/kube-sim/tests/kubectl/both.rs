//! Two servers, and commands that must look the same on both.

use std::{
    env,
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
    time::SystemTime,
};

use control_plane::ControlPlane;
use kube_sim::ApiServer;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::output::Output;

/// Runs each of these `kubectl` commands on both servers, one after the other, in a namespace of
/// this name, and expects the same of both: status, output and errors.
///
/// A command is what follows `kubectl` in a shell whose folder holds the manifests.
///
/// # Panics
///
/// At the end, with everything that differs.
pub(crate) fn check(namespace: &str, commands: &[&str]) {
    let both = Both::shared();
    let mut differences = String::new();
    for command in commands {
        let [sim, real] = both.run(namespace, command);
        if sim != real {
            let told = sim.difference(&real);
            differences.extend(["\n$ kubectl ", command, "\n", &told]);
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

/// Makes a namespace on both servers.
pub(crate) fn make_namespace(name: &str) {
    check(name, &[&format!("create namespace {name}")]);
}

/// Both servers with the test's definitions, for all tests of this process.
pub(crate) struct Both {
    /// The in-memory server first.
    sides: [Side; 2],
    /// Where each side's `kubectl` keeps what it knows of its server.
    _folder: TempDir,
}

pub(crate) struct Side {
    environment: Vec<(&'static str, OsString)>,
}

impl Both {
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Both> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let control_plane = control_plane::shared();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kubeconfig = folder.path().join("sim.kubeconfig");
        std::fs::write(&kubeconfig, kubeconfig_for(serve())).expect("a temporary file");
        let side = |name: &str, kubeconfig: OsString| {
            let home = folder.path().join(name);
            Side {
                environment: environment(control_plane, kubeconfig, home),
            }
        };
        let real = control_plane.kubeconfig_path().into();
        let both = Self {
            sides: [side("sim", kubeconfig.into()), side("real", real)],
            _folder: folder,
        };
        for command in [
            "apply -f definitions.yaml",
            "wait --for=condition=Established --timeout=60s crd/networks.sim.example.com \
             crd/projects.sim.example.com",
        ] {
            for output in both.run("default", command) {
                assert_eq!(output.status, Some(0), "kubectl {command}: {output:?}");
            }
        }
        both
    }

    /// What a command says on either side.
    fn run(&self, namespace: &str, command: &str) -> [Output; 2] {
        self.each(|side| side.run(namespace, command))
    }

    /// Does something on both sides at once.
    pub(crate) fn each<T: Send>(&self, act: impl Fn(&Side) -> T + Sync) -> [T; 2] {
        let [sim, real] = &self.sides;
        thread::scope(|scope| {
            let sim = scope.spawn(|| act(sim));
            let real = act(real);
            [sim.join().expect("it does not panic"), real]
        })
    }
}

impl Side {
    /// What `kubectl` says to what follows it in a shell.
    pub(crate) fn run(&self, namespace: &str, command: &str) -> Output {
        Output::of(self.shell(namespace, command))
    }

    /// A command in a shell to which `kubectl` is known.
    fn shell(&self, namespace: &str, command: &str) -> Command {
        let mut shell = Command::new("sh");
        let kubectl = format!(
            "kubectl() {{ command {} -n {namespace} \"$@\"; }}",
            kubectl()
        );
        shell.args(["-c", &format!("{kubectl}; kubectl {command}")]);
        self.prepare(shell)
    }

    /// `kubectl` itself, so that it can be killed. Its arguments are separated by single spaces.
    pub(crate) fn kubectl(&self, namespace: &str, arguments: &str) -> Command {
        let mut command = Command::new(kubectl());
        command.args(["-n", namespace]).args(arguments.split(' '));
        self.prepare(command)
    }

    fn prepare(&self, mut command: Command) -> Command {
        command
            .current_dir(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/kubectl/manifests"
            ))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }
}

fn kubectl() -> String {
    env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned())
}

fn environment(
    control_plane: &ControlPlane,
    kubeconfig: OsString,
    home: PathBuf,
) -> Vec<(&'static str, OsString)> {
    let mut environment = control_plane.environment().to_vec();
    environment.retain(|(name, _)| *name != "KUBECONFIG");
    environment.push(("KUBECONFIG", kubeconfig));
    environment.push(("HOME", home.into()));
    environment
}

/// Serves an in-memory server for as long as the process runs.
fn serve() -> SocketAddr {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let listener = runtime
        .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        // Some commands compare what they are told with their own clock.
        let server = ApiServer::builder().start(SystemTime::now()).build();
        runtime.block_on(server.serve(listener, std::future::pending()))
    });
    address
}

fn kubeconfig_for(address: SocketAddr) -> String {
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: sim
  cluster: {{server: 'http://{address}'}}
contexts:
- name: sim
  context: {{cluster: sim, user: nobody}}
users:
- name: nobody
  user: {{}}
current-context: sim
"
    )
}
