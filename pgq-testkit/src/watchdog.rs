use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A small shell process that outlives us for as long as it takes to stop our server and remove its directory.
///
/// It notices our end, however violent, by the end of the pipe that only we hold; its own process group
/// keeps it out of reach of Ctrl-C in our terminal.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
}

impl Watchdog {
    pub(crate) fn start(directory: &Path) -> io::Result<Self> {
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

    /// Names the process to stop at our end.
    pub(crate) fn watch(&mut self, pid: u32) -> io::Result<()> {
        self.say(&format!("watch {pid}\n"))
    }

    /// Leaves nothing but the directory to clean up.
    pub(crate) fn unwatch(&mut self) -> io::Result<()> {
        self.say("watch\n")
    }

    pub(crate) fn kill(&mut self, signal: &str, pids: &[u32]) -> io::Result<()> {
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        self.say(&format!("kill {signal} {}\n", pids.join(" ")))
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
