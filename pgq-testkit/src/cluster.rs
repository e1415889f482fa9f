use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Config, NoTls};
use tempfile::TempDir;

use crate::account::Account;
use crate::binaries::Binaries;
use crate::client;
use crate::directory;
use crate::error::Error;
use crate::postmaster::Postmaster;
use crate::processes::{self, Signal};
use crate::program;
use crate::server_builder::ServerBuilder;
use crate::watchdog::Watchdog;

/// A data directory of our own and the server on it, which is down after a kill.
#[derive(Debug)]
pub(crate) struct Cluster {
    postmaster: Option<Postmaster>,
    /// The processes that were stopped where they stood.
    paused: Vec<u32>,
    watchdog: Watchdog,
    binaries: Binaries,
    account: Option<Account>,
    wanted: ServerBuilder,
    port: u16,
    // After the watchdog, which empties it and must be gone first.
    directory: TempDir,
}

impl Cluster {
    pub(crate) fn create(wanted: ServerBuilder) -> Result<Self, Error> {
        let binaries = Binaries::find()?;
        let directory = match &wanted.parent {
            Some(parent) => directory::make_in(parent),
            None => directory::make(),
        };
        let directory = directory.map_err(Error::io("make a temporary directory"))?;
        let account = Account::take_over(directory.path())?;
        let watchdog = Watchdog::start(directory.path()).map_err(Error::io("run /bin/sh"))?;
        let mut cluster = Self {
            postmaster: None,
            paused: Vec::new(),
            watchdog,
            binaries,
            account,
            wanted,
            port: SOCKET_PORT,
            directory,
        };
        cluster.make_data()?;
        cluster.first_start()?;
        Ok(cluster)
    }

    fn make_data(&self) -> Result<(), Error> {
        let Some(primary) = &self.wanted.copy_of else {
            let mut command = self.binaries.command("initdb");
            command.args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ]);
            return self.run(command, "initdb").map_err(|error| match error {
                Error::Program { output, .. } => Error::Initdb { stderr: output },
                other => other,
            });
        };
        let mut command = self.binaries.command("pg_basebackup");
        command.args(["--checkpoint=fast", "--write-recovery-conf", "--no-sync", "-d"]).arg(primary);
        self.run(command, "pg_basebackup")
    }

    fn run(&self, mut command: Command, program: &'static str) -> Result<(), Error> {
        command.arg("-D").arg(self.path("data")).current_dir(self.directory.path());
        if let Some(account) = self.account {
            account.runs(&mut command);
        }
        program::run(command, program)
    }

    /// How a server has to be to follow this one.
    pub(crate) fn wanted(&self) -> &ServerBuilder {
        &self.wanted
    }

    fn first_start(&mut self) -> Result<(), Error> {
        if !self.wanted.tcp {
            return self.start();
        }
        let mut result = Ok(());
        for _ in 0..PORT_TRIES {
            self.port = free_port().map_err(Error::io("find a free port on 127.0.0.1"))?;
            result = self.start();
            match &result {
                Err(Error::Start { log }) if log.contains("Address already in use") => {}
                _ => break,
            }
        }
        result
    }

    /// Starts the server and waits until it takes connections; does nothing when it runs.
    pub(crate) fn start(&mut self) -> Result<(), Error> {
        self.launch()?;
        if self.accepts_connections() {
            return Ok(());
        }
        let log = self.log();
        self.stop(Signal::Quit)?;
        Err(Error::Start { log })
    }

    /// Starts the server without waiting; does nothing when it runs.
    pub(crate) fn launch(&mut self) -> Result<(), Error> {
        if self.postmaster.is_some() {
            return Ok(());
        }
        let log = File::create(self.path("log")).map_err(Error::io("make the server's log"))?;
        let mut command = self.binaries.command("postgres");
        command.arg("-D").arg(self.path("data")).current_dir(self.directory.path()).stderr(log);
        for (name, value) in self.all_settings() {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        if let Some(account) = self.account {
            account.runs(&mut command);
        }
        let postmaster = Postmaster::spawn(command).map_err(Error::io("run postgres"))?;
        let watched = self.watchdog.watch(Signal::Quit, postmaster.pid());
        self.postmaster = Some(postmaster);
        watched.map_err(Error::io("tell the watchdog about the server"))
    }

    /// Stops the server by a signal to its first process; does nothing when it is down.
    pub(crate) fn stop(&mut self, signal: Signal) -> Result<(), Error> {
        self.resume()?;
        let Some(postmaster) = &mut self.postmaster else {
            return Ok(());
        };
        if !postmaster.has_ended() {
            signal.send(&[postmaster.pid()]).map_err(Error::io("signal the server"))?;
        }
        self.wait_for_end()
    }

    /// Kills every process of the server at once, as a crash of the machine would.
    pub(crate) fn kill(&mut self) -> Result<(), Error> {
        let Some(postmaster) = &mut self.postmaster else {
            return Ok(());
        };
        let doing = "kill the server";
        if !postmaster.has_ended() {
            // Those that are busy would take time to notice the death of the first one.
            let children = processes::stop_family(postmaster.pid()).map_err(Error::io(doing))?;
            postmaster.kill().map_err(Error::io(doing))?;
            Signal::Kill.send(&children).map_err(Error::io(doing))?;
        }
        self.wait_for_end()
    }

    /// Stops every process of the server where it stands.
    pub(crate) fn pause(&mut self) -> Result<(), Error> {
        let Some(postmaster) = &mut self.postmaster else {
            return Ok(());
        };
        let pid = postmaster.pid();
        self.paused = vec![pid];
        self.watchdog.stopped(&self.paused).map_err(Error::io("tell the watchdog about the pause"))?;
        let children = processes::stop_family(pid).map_err(Error::io("pause the server"))?;
        self.paused.extend(children);
        self.watchdog.stopped(&self.paused).map_err(Error::io("tell the watchdog about the pause"))
    }

    /// Lets the processes that [`Cluster::pause`] stopped run on.
    pub(crate) fn resume(&mut self) -> Result<(), Error> {
        if self.paused.is_empty() {
            return Ok(());
        }
        Signal::Continue.send(&self.paused).map_err(Error::io("resume the server"))?;
        self.paused.clear();
        self.watchdog.stopped(&[]).map_err(Error::io("tell the watchdog about the end of the pause"))
    }

    /// Kills one process of the server, if it is one.
    pub(crate) fn kill_child(&self, pid: u32) -> Result<bool, Error> {
        let children = self.postmaster.as_ref().map(|postmaster| processes::children(postmaster.pid()));
        if !children.is_some_and(|children| children.contains(&pid)) {
            return Ok(false);
        }
        Signal::Kill.send(&[pid]).map_err(Error::io("kill a session's process"))?;
        Ok(true)
    }

    fn wait_for_end(&mut self) -> Result<(), Error> {
        let Some(postmaster) = &mut self.postmaster else {
            return Ok(());
        };
        if !postmaster.wait(PATIENCE) {
            return Err(Error::Stop { log: self.log() });
        }
        self.postmaster = None;
        self.paused.clear();
        self.watchdog.unwatch().map_err(Error::io("tell the watchdog about the server's end"))
    }

    fn accepts_connections(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let config = self.config();
        client::off_runtime(|| {
            while config.connect(NoTls).is_err() {
                if self.has_ended() || Instant::now() > deadline {
                    return false;
                }
                thread::sleep(POLL);
            }
            true
        })
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.postmaster.as_mut().is_none_or(Postmaster::has_ended)
    }

    /// How a superuser reaches the maintenance database.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        config.host_path(self.directory.path()).port(self.port).user("postgres").dbname("postgres");
        config.connect_timeout(Duration::from_secs(10));
        config
    }

    pub(crate) fn tcp_addr(&self) -> Option<SocketAddr> {
        self.wanted.tcp.then(|| SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
    }

    fn all_settings(&self) -> impl Iterator<Item = (&str, String)> {
        let socket = self.path("").to_string_lossy().replace('"', "\"\"");
        let listen = if self.wanted.tcp { "127.0.0.1" } else { "" };
        let ours = [
            ("port", self.port.to_string()),
            ("listen_addresses", listen.to_owned()),
            ("unix_socket_directories", format!("\"{socket}\"")),
        ];
        let fixed = SETTINGS.iter().map(|&(name, value)| (name, value.to_owned()));
        let wanted = self.wanted.settings.iter().map(|(name, value)| (name.as_str(), value.clone()));
        fixed.chain(ours).chain(wanted)
    }

    pub(crate) fn log(&self) -> String {
        program::tail(&fs::read(self.path("log")).unwrap_or_default())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.watchdog.release();
        if let Some(postmaster) = &mut self.postmaster {
            if !postmaster.wait(PATIENCE) {
                let _ = postmaster.kill();
            }
        }
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Names the socket file; nobody listens on this port unless TCP is asked for.
const SOCKET_PORT: u16 = 5432;
const PORT_TRIES: usize = 5;
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// Commits reach the operating system (`synchronous_commit` stays on), so they outlive a kill of the server,
/// but not a crash of the machine. Shared memory in files of the directory is what a kill cannot leave behind.
const SETTINGS: [(&str, &str); 5] = [
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "200"),
    ("log_checkpoints", "off"),
    ("dynamic_shared_memory_type", "mmap"),
];
