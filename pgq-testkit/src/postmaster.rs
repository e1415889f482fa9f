use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// A running server's first process, and through the pipe that all of them inherit, its family.
#[derive(Debug)]
pub(crate) struct Postmaster {
    child: Child,
    family: Receiver<()>,
}

impl Postmaster {
    pub(crate) fn spawn(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let stdout = child.stdout.take();
        let (alive, family) = mpsc::channel();
        thread::spawn(move || {
            if let Some(mut stdout) = stdout {
                let _ = io::copy(&mut stdout, &mut io::sink());
            }
            drop(alive);
        });
        Ok(Self { child, family })
    }

    /// Kills the first process alone; the others notice when they next wait for something.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until neither it nor any process that it started is left; `false` when some are after `patience`.
    pub(crate) fn wait(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        if self.family.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            return false;
        }
        while !self.has_ended() {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
        true
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}
