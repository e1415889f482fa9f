use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use pgq_testkit::postgres::Config;
use pgq_testkit::postgres::config::Host;
use pgq_testkit::{Server, until_within};

/// What a server leaves traces in, seen from outside; it may be another process's server.
pub(crate) struct Footprint {
    pub(crate) pid: u32,
    /// The shared memory segment, which a killed server cannot remove itself.
    pub(crate) segment: u32,
    pub(crate) directory: PathBuf,
}

impl Footprint {
    pub(crate) fn of(server: &Server) -> Self {
        let config: Config = server.conninfo().parse().unwrap();
        let [Host::Unix(directory)] = config.get_hosts() else { panic!("{config:?}") };
        let lock_file = fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
        let lines: Vec<&str> = lock_file.lines().collect();
        let segment = lines[6].split_whitespace().last().unwrap();
        Self {
            pid: lines[0].parse().unwrap(),
            segment: segment.parse().unwrap(),
            directory: directory.clone(),
        }
    }

    /// For another process, which reads it by [`Footprint::read`].
    pub(crate) fn text(&self) -> String {
        format!("{} {} {}", self.pid, self.segment, self.directory.display())
    }

    pub(crate) fn read(text: &str) -> Self {
        let [pid, segment, directory] = *text.splitn(3, ' ').collect::<Vec<_>>() else { panic!("{text}") };
        Self { pid: pid.parse().unwrap(), segment: segment.parse().unwrap(), directory: directory.into() }
    }

    pub(crate) fn is_there(&self) -> bool {
        self.is_running() && self.directory.join("data").is_dir() && self.has_segment()
    }

    pub(crate) fn is_gone(&self) -> bool {
        !self.is_running() && !self.directory.exists() && !self.has_segment()
    }

    pub(crate) fn wait_until_gone(&self) {
        until_within(Duration::from_secs(20), "the server is gone", || self.is_gone());
    }

    fn is_running(&self) -> bool {
        let ps = Command::new("ps").args(["-o", "stat=", "-p", &self.pid.to_string()]).output().unwrap();
        let state = String::from_utf8(ps.stdout).unwrap();
        !state.trim().is_empty() && !state.starts_with('Z')
    }

    fn has_segment(&self) -> bool {
        let ipcs = Command::new("ipcs").arg("-m").output().unwrap();
        let segment = self.segment.to_string();
        let list = String::from_utf8(ipcs.stdout).unwrap();
        list.lines().any(|line| line.split_whitespace().nth(1) == Some(&segment))
    }
}
