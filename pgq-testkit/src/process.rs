use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::processes::{self, Signal};
use crate::watchdog::Watchdog;

/// A process of the test's own that can be stopped where it stands, or killed: a consumer that is to become a zombie, say.
///
/// Dropping it kills it, stopped or not, and so does a watchdog when the test's process ends without that.
/// What it writes to its standard output is for [`Process::next_line`]; its standard error is the test's.
///
/// # Example
/// A test that runs another one of its own program in a process beside it:
/// ```no_run
/// use pgq_testkit::Process;
///
/// # type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
/// #[test]
/// # fn hidden() {}
/// fn survives_a_zombie() -> Result {
///     let database = pgq_testkit::Server::shared()?.database()?;
///     let mut consumer = Process::rerun("the_consumer", &[("CONNINFO", database.conninfo())])?;
///     assert_eq!(consumer.next_line().as_deref(), Some("has a batch"));
///     consumer.pause()?;
///     // Another one takes the batch over.
///     consumer.resume()?;
///     assert!(consumer.wait()?.success());
///     Ok(())
/// }
///
/// #[test]
/// # fn hidden_too() {}
/// fn the_consumer() -> Result {
///     if Process::is_rerun() {
///         let conninfo = std::env::var("CONNINFO")?;
///         // Opens a batch.
///         Process::tell("has a batch");
///     }
///     Ok(())
/// }
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Process {
    // Before the watchdog, which knows it by a number that is free once its end has been asked for.
    child: Child,
    stdout: BufReader<ChildStdout>,
    watchdog: Watchdog,
}

impl Process {
    /// Starts it. Its standard input is a pipe that ends with this process.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn spawn(mut command: Command) -> Result<Self, Error> {
        let mut watchdog = Watchdog::without_directory().map_err(Error::io("run /bin/sh"))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(Error::io(format!("run {:?}", command.get_program())))?;
        let watched = watchdog.watch(Signal::Kill, child.id());
        let Some(stdout) = child.stdout.take() else { unreachable!("it is piped") };
        let process = Self { child, stdout: BufReader::new(stdout), watchdog };
        watched.map_err(Error::io("tell the watchdog about the process"))?;
        Ok(process)
    }

    /// Runs one test of this very program, named in full such as `module::test`, in a process of its own, with these variables set.
    ///
    /// The test finds out by [`Process::is_rerun`], and does nothing else. Lines that it writes by [`Process::tell`] are told apart
    /// from those of the test harness.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn rerun(test: &str, variables: &[(&str, &str)]) -> Result<Self, Error> {
        let program = env::current_exe().map_err(Error::io("find this program"))?;
        let mut command = Command::new(program);
        command.args(["--exact", test, "--nocapture"]).env(RERUN, "1");
        command.envs(variables.iter().copied());
        Self::spawn(command)
    }

    /// Whether [`Process::rerun`] started this process.
    pub fn is_rerun() -> bool {
        env::var_os(RERUN).is_some()
    }

    /// Writes a line for [`Process::next_line`] of the process that started this one.
    ///
    /// It begins a line of its own, whatever the test harness has written so far.
    pub fn tell(line: &str) {
        let mut stdout = io::stdout().lock();
        // Nobody may be there to read it any more.
        let _ = writeln!(stdout, "\n{MARK}{line}").and_then(|()| stdout.flush());
    }

    /// Waits for the next line that the process writes by [`Process::tell`]; `None` when it ends without.
    ///
    /// There is no limit: a test that waits for a stopped process waits for ever.
    pub fn next_line(&mut self) -> Option<String> {
        let mut lines = self.stdout.by_ref().lines().map_while(Result::ok);
        lines.find_map(|line| line.strip_prefix(MARK).map(str::to_owned))
    }

    /// Stops it where it stands, by SIGSTOP; returns when it does not run any more.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn pause(&self) -> Result<(), Error> {
        processes::stop(&[self.pid()]).map_err(Error::io("pause the process"))
    }

    /// Lets it go on after [`Process::pause`], by SIGCONT.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn resume(&self) -> Result<(), Error> {
        Signal::Continue.send(&[self.pid()]).map_err(Error::io("resume the process"))
    }

    /// Asks it to end, by SIGTERM; returns at once.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn terminate(&self) -> Result<(), Error> {
        Signal::Terminate.send(&[self.pid()]).map_err(Error::io("terminate the process"))
    }

    /// Kills it by SIGKILL, and waits until it has ended.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn kill(&mut self) -> Result<(), Error> {
        self.child.kill().map_err(Error::io("kill the process"))?;
        self.child.wait().map(drop).map_err(Error::io("wait for the process"))
    }

    /// Closes its standard input and waits until it has ended, for at most a minute.
    ///
    /// # Errors
    /// [`Error::Io`], of kind `TimedOut` where it goes on; it is not killed then.
    pub fn wait(&mut self) -> Result<ExitStatus, Error> {
        drop(self.child.stdin.take());
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().map_err(Error::io("wait for the process"))? {
                return Ok(status);
            }
            if start.elapsed() > Duration::from_secs(60) {
                return Err(Error::io("see the end of the process")(io::ErrorKind::TimedOut.into()));
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether it has not ended; also while it is stopped.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.watchdog.unwatch();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const RERUN: &str = "PGQ_TESTKIT_RERUN";
const MARK: &str = "told: ";
