//! The demo, by the clock.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kube::{
    Api, Client, Config,
    api::{ApiResource, DeleteParams, DynamicObject},
    config::{KubeConfigOptions, Kubeconfig},
    core::GroupVersionKind,
};
use rustix::process::{Pid, Signal, kill_process};

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-cascade"));
    command.arg("demo").args(arguments);
    for variable in ["RUST_LOG", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command
}

#[test]
fn a_pipe_is_told_all_of_it_in_plain_lines() {
    let output = demo(&[]).output().unwrap();
    let (told, said) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(output.status.code(), Some(0), "{told}{said}");
    assert_eq!(said, "");
    assert!(!told.contains('\x1b'), "{told}");
    let gone = told.find("Project tenants/apollo is gone").expect(&told);
    assert!(told.find("Network region/blue is gone").expect(&told) < gone);
    assert!(told[gone..].contains("Try next:"), "{told}");
}

#[test]
fn colours_can_be_forced_upon_a_pipe_but_not_against_no_color() {
    let forced = demo(&[]).env("CLICOLOR_FORCE", "1").spawn_piped();
    let refused = demo(&[])
        .env("CLICOLOR_FORCE", "1")
        .env("NO_COLOR", "1")
        .spawn_piped();
    let [forced, refused] = [forced, refused].map(|child| child.wait_with_output().unwrap().stdout);
    assert!(forced.contains(&b'\x1b'));
    assert!(!refused.contains(&b'\x1b'));
}

#[test]
fn a_pipe_that_is_closed_is_no_failure() {
    let mut child = demo(&[]).spawn_piped();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_disk_that_is_full_is_a_failure_and_no_panic() {
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = demo(&[]);
    let status = command.stdout(full()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "this is somebody else, and not the library"
)]
async fn a_served_platform_can_be_worked_on_and_leaves_nothing_behind() {
    let folder = tempfile::Builder::new()
        .prefix("it's a ")
        .tempdir()
        .unwrap();
    let mut child = demo(&["--serve"])
        .env("TMPDIR", folder.path())
        .spawn_piped();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let path = &in_a_shell(&line);
    let client = client(path).await;
    let project = GroupVersionKind::gvk("identity.example.com", "v1", "Project");
    let resource = ApiResource::from_gvk(&project);
    let projects = Api::<DynamicObject>::default_namespaced_with(client, &resource);
    projects
        .delete("apollo", &DeleteParams::default())
        .await
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while projects.get_opt("apollo").await.unwrap().is_some() {
        assert!(Instant::now() < deadline, "the controller runs in it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(projects.get_opt("gemini").await.unwrap().is_some());
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(lines.next().is_none(), "nothing else is data");
    assert!(
        !said.contains("holds Project"),
        "all are held beforehand: {said}"
    );
    assert!(said.contains("Project tenants/apollo is gone"), "{said}");
    let folder = Path::new(path).parent().unwrap();
    assert!(!folder.exists(), "{folder:?}");
}

/// What a shell that is told this line makes of the variable.
fn in_a_shell(line: &str) -> String {
    let script = format!("{line}; printf %s \"$KUBECONFIG\"");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

trait SpawnPiped {
    fn spawn_piped(&mut self) -> Child;
}

impl SpawnPiped for Command {
    fn spawn_piped(&mut self) -> Child {
        self.stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

async fn client(path: &str) -> Client {
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    Client::try_from(config.unwrap()).unwrap()
}
