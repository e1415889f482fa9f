use std::fs;
use std::io;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What can be sent to a process.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signal {
    Stop,
    Continue,
    Interrupt,
    Quit,
    Terminate,
    Kill,
}

impl Signal {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stop => "STOP",
            Self::Continue => "CONT",
            Self::Interrupt => "INT",
            Self::Quit => "QUIT",
            Self::Terminate => "TERM",
            Self::Kill => "KILL",
        }
    }

    /// Sends it by the `kill` of the shell; processes that are gone already are passed over.
    pub(crate) fn send(self, pids: &[u32]) -> io::Result<()> {
        if pids.is_empty() {
            return Ok(());
        }
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"kill -s "$0" "$@""#, self.name()]).args(pids.iter().map(u32::to_string));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().map(drop)
    }
}

/// Stops a process, then its children, and returns when none of them runs.
pub(crate) fn stop_family(parent: u32) -> io::Result<Vec<u32>> {
    // A stopped parent makes no more children while we look at them.
    stop(&[parent])?;
    let children = children(parent);
    stop(&children)?;
    Ok(children)
}

pub(crate) fn stop(pids: &[u32]) -> io::Result<()> {
    const LIMIT: Duration = Duration::from_secs(5);
    let start = Instant::now();
    Signal::Stop.send(pids)?;
    while all().iter().any(|process| pids.contains(&process.pid) && process.runs()) {
        if start.elapsed() > LIMIT {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

pub(crate) fn children(parent: u32) -> Vec<u32> {
    all().into_iter().filter(|process| process.parent == parent).map(|process| process.pid).collect()
}

#[derive(Debug, PartialEq)]
struct Process {
    pid: u32,
    parent: u32,
    state: char,
}

impl Process {
    /// Neither stopped nor ended.
    fn runs(&self) -> bool {
        !matches!(self.state, 'T' | 't' | 'Z' | 'X')
    }

    fn of_stat(stat: &str) -> Option<Self> {
        // The program's name, in the parentheses, may have parentheses of its own.
        let (pid, rest) = stat.split_once(" (")?;
        let mut fields = rest.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?.chars().next()?;
        Some(Self { pid: pid.parse().ok()?, parent: fields.next()?.parse().ok()?, state })
    }

    fn of_ps(line: &str) -> Option<Self> {
        let mut fields = line.split_whitespace();
        let (pid, parent) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Self { pid, parent, state: fields.next()?.chars().next()? })
    }
}

/// All processes, from `/proc` where that has them and from `ps` elsewhere.
fn all() -> Vec<Process> {
    if fs::metadata("/proc/self/stat").is_ok() {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
        return stats.filter_map(|stat| Process::of_stat(&stat)).collect();
    }
    let ps = Command::new("ps").args(["-A", "-o", "pid=,ppid=,stat="]).stderr(Stdio::null()).output();
    let list = ps.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    list.lines().filter_map(Process::of_ps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_lists() {
        let expected = Process { pid: 42, parent: 7, state: 'S' };
        assert_eq!(Process::of_stat("42 (a) b (c) S 7 42 42 0\n").unwrap(), expected);
        assert_eq!(Process::of_ps("   42     7 Ss+\n").unwrap(), expected);
        assert_eq!((Process::of_stat("42 S"), Process::of_ps("42")), (None, None));
        assert!(all().iter().any(|process| process.pid == std::process::id()));
    }
}
