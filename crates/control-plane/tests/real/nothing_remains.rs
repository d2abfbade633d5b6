//! However the owner ends, no process and no folder of its control plane is left.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader},
    panic,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use control_plane::ControlPlane;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::eventually;

/// A process that owns a control plane.
struct Owner {
    process: Child,
    folder: PathBuf,
    pids: Vec<u32>,
    by_name: HashMap<String, u32>,
}

impl Owner {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_control-plane"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut folder = None;
        let mut pids = Vec::new();
        let mut by_name = HashMap::new();
        for line in output.lines() {
            let line = line.unwrap();
            match line.split_once(' ') {
                Some(("folder", path)) => folder = Some(PathBuf::from(path)),
                Some(("pid", pid)) => pids.push(pid.parse().unwrap()),
                Some((name, value)) => {
                    by_name.extend(value.parse().ok().map(|pid| (name.to_owned(), pid)));
                }
                None => break,
            }
        }
        let owner = Self {
            process,
            folder: folder.expect("it started"),
            pids,
            by_name,
        };
        assert!(owner.folder.is_dir());
        assert_eq!(owner.pids.len(), 5);
        assert!(owner.pids.iter().all(|&pid| runs(pid)));
        owner
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    fn signal_component(&self, name: &str, signal: Signal) {
        let pid = Pid::from_raw(self.by_name[name].cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn nothing_remains(mut self) {
        self.process.wait().unwrap();
        nothing_remains(&self.folder, &self.pids);
    }
}

fn nothing_remains(folder: &Path, pids: &[u32]) {
    for &pid in pids {
        eventually(&format!("process {pid} is gone"), || !runs(pid));
    }
    eventually(&format!("{} is gone", folder.display()), || {
        !folder.exists()
    });
}

/// Whether there is such a process; one that has ended and that only nobody waits for, as in a
/// container whose first process is no init, counts as gone.
fn runs(pid: u32) -> bool {
    if Path::new("/proc/self/stat").exists() {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The state follows the name, which is in parentheses and may hold any others.
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    } else {
        test_kill_process(Pid::from_raw(pid.cast_signed()).unwrap()).is_ok()
    }
}

#[test]
fn nothing_remains_after_success() {
    let mut owner = Owner::start();
    drop(owner.process.stdin.take());
    assert!(owner.process.wait().unwrap().success());
    // Without waiting: it cleaned up before it ended.
    assert!(!owner.folder.exists());
    owner.nothing_remains();
}

#[test]
fn nothing_remains_after_a_panic() {
    let mut left = None;
    let result = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        let control_plane = ControlPlane::start().unwrap();
        left = Some((control_plane.folder().to_owned(), control_plane.pids()));
        panic!("this panic is part of the test");
    }));
    assert!(result.is_err());
    let (folder, pids) = left.expect("it started");
    nothing_remains(&folder, &pids);
}

#[test]
fn nothing_remains_after_ctrl_c() {
    let owner = Owner::start();
    owner.signal(Signal::INT);
    owner.nothing_remains();
}

#[test]
fn nothing_remains_after_the_owner_is_killed() {
    let owner = Owner::start();
    owner.signal(Signal::KILL);
    owner.nothing_remains();
}

#[test]
fn nothing_remains_after_the_owner_is_killed_while_components_are_stopped() {
    let owner = Owner::start();
    for name in ["etcd", "kube-apiserver", "kube-controller-manager"] {
        owner.signal_component(name, Signal::STOP);
    }
    owner.signal(Signal::KILL);
    owner.nothing_remains();
}

#[test]
fn nothing_remains_after_the_owner_is_killed_in_the_middle_of_a_start() {
    let parent = tempfile::tempdir().unwrap();
    let mut owner = Command::new(env!("CARGO_BIN_EXE_control-plane"))
        .env("TMPDIR", parent.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let folders = || {
        fs::read_dir(parent.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
    };
    eventually("it has begun", || {
        folders().any(|folder| folder.join("etcd.log").exists())
    });
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually("its folder is gone", || folders().count() == 0);
    eventually("no process mentions its folder", || {
        !is_mentioned(parent.path())
    });
}

/// Whether the command line of a process mentions the folder. Linux only; elsewhere it never is.
fn is_mentioned(folder: &Path) -> bool {
    let folder = folder.to_str().unwrap();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.any(|line| String::from_utf8_lossy(&line).contains(folder))
}

#[test]
fn a_command_of_a_killed_owner_ends_with_its_control_plane() {
    let control_plane = ControlPlane::builder()
        .without_controller_manager()
        .start()
        .unwrap();
    let mut command = control_plane
        .command("/bin/sh")
        .args(["-c", "sleep 600 & wait"])
        .spawn()
        .unwrap();
    drop(control_plane);
    assert!(!command.wait().unwrap().success());
}
