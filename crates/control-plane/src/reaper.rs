//! Leaves nothing behind, however the owner of a control plane ends.
//!
//! Two small shells do it, each the leader of a process group of its own, so that no Ctrl-C of a
//! terminal reaches them:
//!
//! - The **anchor** does nothing. Its process group is the control plane's: whatever belongs to
//!   it is born into that group, and while the anchor lives, no one else can have its number.
//! - The **reaper** makes the temporary folder and then reads from a pipe whose only other end
//!   is held by the owner. At its end of file it kills the group and removes the folder.
//!
//! ```text
//! owner ──pipe──▶ reaper ──pipe──▶ anchor        a closed pipe ends whoever reads it
//!   └──────────── starts ───────▶ components     in the anchor's group
//! ```
//!
//! No moment is unguarded. The owner's end of the pipe closes on `exec`, so no component keeps it
//! open; and a child that the owner was just forking when it was killed holds that end exactly
//! until its `exec`, when it already is in the group.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

#[cfg(test)]
mod tests;

/// Does nothing until the reaper is gone.
const ANCHOR: &str = "trap '' HUP INT QUIT TERM; while read -r line; do :; done";
const REAPER: &str = include_str!("reaper/reaper.sh");

/// The owner's side; dropping it ends the group and removes the folder, and waits for both.
#[derive(Debug)]
pub(crate) struct Reaper {
    anchor: Child,
    process: Child,
    /// `None` only while dropping.
    pipe: Option<ChildStdin>,
    folder: PathBuf,
}

impl Reaper {
    /// Starts the two processes and makes a new folder within `parent`.
    pub(crate) fn start(parent: &Path) -> io::Result<Self> {
        let mut anchor = shell(ANCHOR)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let anchor_pipe = anchor.stdin.take().expect("it was asked for");
        // The shell takes its standard error for the pipe to the anchor because a child gets no
        // other descriptors than three; the anchor ignores what it reads.
        let reaper = shell(REAPER)
            .arg("reaper")
            .arg(anchor.id().to_string())
            .arg(parent)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(anchor_pipe)
            .spawn();
        let mut process = match reaper {
            Ok(process) => process,
            Err(error) => {
                // The pipe is closed already, so the anchor ends by itself.
                anchor.wait()?;
                return Err(error);
            }
        };
        let pipe = process.stdin.take();
        let report = process.stdout.take().expect("it was asked for");
        let mut started = Self {
            anchor,
            process,
            pipe,
            folder: PathBuf::new(),
        };
        let mut line = String::new();
        BufReader::new(report).read_line(&mut line)?;
        match line.trim_end().split_once(' ') {
            Some(("folder", folder)) => started.folder = PathBuf::from(folder),
            Some((_, message)) => return Err(io::Error::other(message.to_owned())),
            None => return Err(io::Error::other("the reaper ended at once")),
        }
        Ok(started)
    }

    /// The folder, which only its owner may read.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lets the command's process be born into the group.
    pub(crate) fn enroll(&self, command: &mut Command) {
        command.process_group(self.group());
    }

    /// The group's number, which is its anchor's.
    pub(crate) fn group(&self) -> i32 {
        self.anchor.id().cast_signed()
    }

    /// The reaper's own process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Names a process outside of the group that ends with it, or none.
    pub(crate) fn set_companion(&self, pid: Option<u32>) -> io::Result<()> {
        let line = pid.map_or_else(|| "\n".to_owned(), |pid| format!("{pid}\n"));
        self.pipe
            .as_ref()
            .expect("it is open until the drop")
            .write_all(line.as_bytes())
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let reaped = self.process.wait().is_ok_and(|status| status.success());
        // Without a reaper the anchor's pipe is closed, so this never waits for long.
        let _ = self.anchor.wait();
        if !reaped && !self.folder.as_os_str().is_empty() {
            // Somebody killed the reaper; there is nobody left to tell if this fails too.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(script).process_group(0);
    // A working folder of its own, so that it keeps none busy.
    command.current_dir("/").stderr(Stdio::null());
    command
}
