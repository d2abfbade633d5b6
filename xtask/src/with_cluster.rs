//! `cargo xtask with-cluster`: a command with a control plane of its own.
//!
//! At a terminal the command stays in this process's group, so that it is in the foreground: a
//! shell has its job control, and Ctrl-C reaches the command without our doing. Without a
//! terminal it is in the control plane's group, which ends as a whole, and signals are passed on.

use std::{
    ffi::{OsStr, OsString},
    io::{self, IsTerminal},
    process::{self, Child, Command, ExitCode, ExitStatus},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Instant,
};

use control_plane::ControlPlane;
use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid},
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{Result, cargo::forget_this_package, exit_code};

/// What a shell answers for a command that cannot be run.
const NOT_FOUND: u8 = 127;

pub(crate) fn run(command: &[OsString]) -> Result<ExitCode> {
    let [program, arguments @ ..] = command else {
        return Err("there is no command to run".into());
    };
    let at_terminal = is_at_terminal();
    let receiver = Receiver::default();
    pass_signals_on(receiver.clone(), at_terminal)?;

    let started = Instant::now();
    let control_plane = ControlPlane::start()?;
    let seconds = started.elapsed().as_secs_f32();
    eprintln!(
        "control plane at {}, ready in {seconds:.1} s",
        control_plane.url()
    );

    let mut command = prepare(&control_plane, program, at_terminal);
    let child = match command.args(arguments).spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("error: failed to run {}: {error}", program.display());
            return Ok(ExitCode::from(NOT_FOUND));
        }
    };
    if at_terminal {
        control_plane.set_companion(Some(child.id()))?;
    }
    receiver.set(Some(Pid::from_child(&child)));
    let status = wait(child, || {
        receiver.set(None);
        control_plane.set_companion(None)?;
        Ok(())
    })?;
    Ok(exit_code(status))
}

/// Whether the command could be somebody's foreground process.
fn is_at_terminal() -> bool {
    io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
}

fn prepare(control_plane: &ControlPlane, program: &OsStr, at_terminal: bool) -> Command {
    let mut command = if at_terminal {
        let mut command = Command::new(program);
        command.envs(control_plane.environment());
        command
    } else {
        control_plane.command(program)
    };
    forget_this_package(&mut command);
    command
}

/// Who gets the signals that this process gets: the command, while it runs.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Option<Pid>>>);

impl Receiver {
    fn set(&self, pid: Option<Pid>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = pid;
    }

    fn is_set(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Sends it a signal; `false` when there is no receiver.
    fn send(&self, signal: Signal) -> bool {
        let pid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A receiver that has just ended cannot be told any more, and need not be.
        pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
    }
}

/// Passes the first signal on to the command. Another one, or one without a command, ends this
/// process; the control plane is cleaned up then, too.
fn pass_signals_on(receiver: Receiver, at_terminal: bool) -> Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    thread::spawn(move || {
        let mut passed = false;
        for number in signals.forever() {
            let signal = match number {
                SIGHUP => Signal::HUP,
                SIGINT => Signal::INT,
                _ => Signal::TERM,
            };
            if at_terminal && signal == Signal::INT && receiver.is_set() {
                // The terminal has sent it to the command as well, which does what it likes.
            } else if passed || !receiver.send(signal) {
                process::exit(128 + number);
            } else {
                passed = true;
            }
        }
    });
    Ok(())
}

/// Waits for the command's end, and calls `forget` while its number still is its own.
fn wait(mut child: Child, forget: impl FnOnce() -> Result<()>) -> Result<ExitStatus> {
    let pid = WaitId::Pid(Pid::from_child(&child));
    let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(waitid(pid.clone(), how), Err(Errno::INTR)) {}
    forget()?;
    Ok(child.wait()?)
}
