use std::os::unix::process::ExitStatusExt;

use rustix::process::{Pid, Signal, kill_process};

use super::*;

/// A member of the group that ends by nothing but SIGKILL.
fn stubborn(reaper: &Reaper) -> Child {
    let mut command = Command::new("/bin/sh");
    command.args([
        "-c",
        "trap '' HUP INT TERM; echo ready; while :; do sleep 60; done",
    ]);
    command.stdout(Stdio::piped());
    reaper.enroll(&mut command);
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "ready\n");
    child
}

#[test]
fn the_folder_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let reaper = Reaper::start(parent.path()).unwrap();
    assert!(reaper.folder().starts_with(parent.path()));
    let mode = fs::metadata(reaper.folder()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn dropping_kills_the_group_and_removes_the_folder() {
    let parent = tempfile::tempdir().unwrap();
    let reaper = Reaper::start(parent.path()).unwrap();
    fs::create_dir_all(reaper.folder().join("some/where")).unwrap();
    let mut member = stubborn(&reaper);
    drop(reaper);
    assert_eq!(member.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn a_stopped_member_is_killed_too() {
    let parent = tempfile::tempdir().unwrap();
    let reaper = Reaper::start(parent.path()).unwrap();
    let mut member = stubborn(&reaper);
    kill_process(Pid::from_child(&member), Signal::STOP).unwrap();
    drop(reaper);
    assert_eq!(member.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
}

#[test]
fn the_companion_ends_with_the_group() {
    let parent = tempfile::tempdir().unwrap();
    let reaper = Reaper::start(parent.path()).unwrap();
    let mut companion = companion(&reaper, "echo ready; exec sleep 60");
    drop(reaper);
    assert_eq!(
        companion.wait().unwrap().signal(),
        Some(Signal::HUP.as_raw())
    );
}

/// A companion that has said that it is ready, and can be hung up even where whoever runs the tests
/// has that signal ignored, as `nohup` does.
fn companion(reaper: &Reaper, script: &str) -> Child {
    let mut companion = Command::new("env");
    companion.args(["--default-signal=HUP", "/bin/sh", "-c", script]);
    companion.stdout(Stdio::piped());
    let mut companion = companion.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(companion.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "ready\n");
    reaper.set_companion(Some(companion.id())).unwrap();
    companion
}

#[test]
fn a_companion_has_a_moment_to_end_by_itself() {
    let parent = tempfile::tempdir().unwrap();
    let reaper = Reaper::start(parent.path()).unwrap();
    let script = "trap 'exit 7' HUP; echo ready; while :; do sleep 0.1; done";
    let mut companion = companion(&reaper, script);
    drop(reaper);
    assert_eq!(companion.wait().unwrap().code(), Some(7));
}

#[test]
fn a_companion_that_does_not_end_is_killed() {
    let parent = tempfile::tempdir().unwrap();
    let reaper = Reaper::start(parent.path()).unwrap();
    let script = "trap '' HUP; echo ready; while :; do sleep 0.1; done";
    let mut companion = companion(&reaper, script);
    drop(reaper);
    let ended = companion.wait().unwrap();
    assert_eq!(ended.signal(), Some(Signal::KILL.as_raw()));
}

#[test]
fn a_companion_that_was_taken_back_is_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    let reaper = Reaper::start(parent.path()).unwrap();
    let mut companion = Command::new("sleep").arg("60").spawn().unwrap();
    reaper.set_companion(Some(companion.id())).unwrap();
    reaper.set_companion(None).unwrap();
    drop(reaper);
    assert_eq!(companion.try_wait().unwrap(), None);
    companion.kill().unwrap();
    companion.wait().unwrap();
}

#[test]
fn polite_signals_do_not_keep_the_reaper_from_its_work() {
    let parent = tempfile::tempdir().unwrap();
    let reaper = Reaper::start(parent.path()).unwrap();
    for signal in [Signal::HUP, Signal::INT, Signal::TERM] {
        kill_process(Pid::from_child(&reaper.process), signal).unwrap();
        kill_process(Pid::from_child(&reaper.anchor), signal).unwrap();
    }
    let mut member = stubborn(&reaper);
    drop(reaper);
    assert_eq!(member.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn a_killed_reaper_still_leaves_no_folder() {
    let parent = tempfile::tempdir().unwrap();
    let mut reaper = Reaper::start(parent.path()).unwrap();
    reaper.process.kill().unwrap();
    drop(reaper);
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_that_says_why() {
    let error = Reaper::start(Path::new("/nonexistent")).unwrap_err();
    assert!(error.to_string().contains("/nonexistent"), "{error}");
}

#[test]
fn an_owner_that_is_killed_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let mut anchor = shell(ANCHOR).stdin(Stdio::piped()).spawn().unwrap();
    // Stands for the owner: it holds the only other end of the reaper's pipe.
    let mut owner = Command::new("/bin/sh");
    owner
        .args(["-c", "read -r forever"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut owner = owner.spawn().unwrap();
    let mut reaper = shell(REAPER);
    reaper
        .arg("reaper")
        .arg(anchor.id().to_string())
        .arg(parent.path());
    reaper
        .stdin(owner.stdout.take().unwrap())
        .stdout(Stdio::piped());
    let mut reaper = reaper.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(reaper.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("folder "), "{line}");

    owner.kill().unwrap();
    owner.wait().unwrap();

    assert!(reaper.wait().unwrap().success());
    assert_eq!(anchor.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}
