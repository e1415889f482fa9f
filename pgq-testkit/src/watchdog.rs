use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::processes::Signal;

/// A small shell process that outlives us for as long as it takes to stop our process and remove its directory.
///
/// It notices our end, however violent, by the end of the pipe that only we hold; its own process group
/// keeps it out of reach of Ctrl-C in our terminal.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
}

impl Watchdog {
    /// One that has a directory to remove.
    pub(crate) fn start(directory: &Path) -> io::Result<Self> {
        Self::run(directory.as_os_str())
    }

    pub(crate) fn without_directory() -> io::Result<Self> {
        Self::run(OsStr::new(""))
    }

    fn run(directory: &OsStr) -> io::Result<Self> {
        let shell = Command::new("/bin/sh")
            .args(["-c", include_str!("watchdog.sh"), "pgq-testkit"])
            .arg(directory)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { shell })
    }

    /// Names the process to stop at our end, and how.
    pub(crate) fn watch(&mut self, signal: Signal, pid: u32) -> io::Result<()> {
        self.say(&format!("watch {} {pid}\n", signal.name()))
    }

    /// Leaves nothing but the directory to clean up.
    pub(crate) fn unwatch(&mut self) -> io::Result<()> {
        self.say("watch\nstopped\n")
    }

    /// Names the processes that do not run, and so would not end by a signal alone.
    pub(crate) fn stopped(&mut self, pids: &[u32]) -> io::Result<()> {
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        self.say(&format!("stopped {}\n", pids.join(" ")))
    }

    /// Has the directory unmounted before it is removed.
    pub(crate) fn mounted(&mut self) -> io::Result<()> {
        self.say("mounted\n")
    }

    /// Starts the clean-up.
    pub(crate) fn release(&mut self) {
        drop(self.shell.stdin.take());
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        match &mut self.shell.stdin {
            Some(stdin) => stdin.write_all(line.as_bytes()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.release();
        let _ = self.shell.wait();
    }
}
