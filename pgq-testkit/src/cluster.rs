use std::env;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Config, NoTls};
use tempfile::TempDir;

use crate::account::Account;
use crate::binaries::Binaries;
use crate::client;
use crate::error::Error;
use crate::postmaster::Postmaster;
use crate::server_builder::ServerBuilder;
use crate::watchdog::Watchdog;

/// A data directory of our own and the server on it, which is down after a kill.
#[derive(Debug)]
pub(crate) struct Cluster {
    postmaster: Option<Postmaster>,
    watchdog: Watchdog,
    binaries: Binaries,
    account: Option<Account>,
    settings: Vec<(String, String)>,
    tcp: bool,
    port: u16,
    // After the watchdog, which empties it and must be gone first.
    directory: TempDir,
}

impl Cluster {
    pub(crate) fn create(wanted: ServerBuilder) -> Result<Self, Error> {
        let binaries = Binaries::find()?;
        let directory = make_directory().map_err(Error::io("make a temporary directory"))?;
        let account = Account::take_over(directory.path())?;
        let watchdog = Watchdog::start(directory.path()).map_err(Error::io("run /bin/sh"))?;
        let ServerBuilder { tcp, settings } = wanted;
        let mut cluster = Self {
            postmaster: None,
            watchdog,
            binaries,
            account,
            settings,
            tcp,
            port: SOCKET_PORT,
            directory,
        };
        cluster.initdb()?;
        cluster.first_start()?;
        Ok(cluster)
    }

    fn initdb(&self) -> Result<(), Error> {
        let mut command = self.binaries.command("initdb");
        command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        command.arg("-D").arg(self.path("data")).current_dir(self.directory.path()).stdin(Stdio::null());
        if let Some(account) = self.account {
            account.runs(&mut command);
        }
        let output = command.output().map_err(Error::io("run initdb"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Initdb { stderr: tail(&output.stderr) })
    }

    fn first_start(&mut self) -> Result<(), Error> {
        if !self.tcp {
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
        let mut postmaster = Postmaster::spawn(command).map_err(Error::io("run postgres"))?;
        let watched = self.watchdog.watch(postmaster.pid());
        let accepts = self.accepts_connections(&mut postmaster);
        self.postmaster = Some(postmaster);
        watched.map_err(Error::io("tell the watchdog about the server"))?;
        if accepts {
            return Ok(());
        }
        let log = self.log();
        self.stop("QUIT")?;
        Err(Error::Start { log })
    }

    /// Stops the server by a signal to its first process; does nothing when it is down.
    pub(crate) fn stop(&mut self, signal: &str) -> Result<(), Error> {
        let Some(postmaster) = &mut self.postmaster else {
            return Ok(());
        };
        if !postmaster.has_ended() {
            let pid = postmaster.pid();
            self.watchdog.kill(signal, &[pid]).map_err(Error::io("signal the server"))?;
        }
        self.wait_for_end()
    }

    /// Kills every process of the server at once, as a crash of the machine would.
    pub(crate) fn kill(&mut self) -> Result<(), Error> {
        let others = self.session_pids();
        let Some(postmaster) = &mut self.postmaster else {
            return Ok(());
        };
        postmaster.kill().map_err(Error::io("kill the server"))?;
        self.watchdog.kill("KILL", &others).map_err(Error::io("kill the server's sessions"))?;
        self.wait_for_end()
    }

    fn wait_for_end(&mut self) -> Result<(), Error> {
        let Some(postmaster) = &mut self.postmaster else {
            return Ok(());
        };
        if !postmaster.wait(PATIENCE) {
            return Err(Error::Stop { log: self.log() });
        }
        self.postmaster = None;
        self.watchdog.unwatch().map_err(Error::io("tell the watchdog about the server's end"))
    }

    fn accepts_connections(&self, postmaster: &mut Postmaster) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let config = self.config();
        client::off_runtime(|| {
            while config.connect(NoTls).is_err() {
                if postmaster.has_ended() || Instant::now() > deadline {
                    return false;
                }
                thread::sleep(POLL);
            }
            true
        })
    }

    /// The postmaster's children that it would take time to notice its death.
    fn session_pids(&self) -> Vec<u32> {
        let pids = client::with(&self.config(), "list the server's processes", |client| {
            client.query("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()", &[])
        });
        let pids = pids.unwrap_or_default();
        pids.iter().filter_map(|row| row.try_get::<_, i32>("pid").ok()?.try_into().ok()).collect()
    }

    /// How a superuser reaches the maintenance database.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        config.host_path(self.directory.path()).port(self.port).user("postgres").dbname("postgres");
        config.connect_timeout(Duration::from_secs(10));
        config
    }

    pub(crate) fn tcp_addr(&self) -> Option<SocketAddr> {
        self.tcp.then(|| SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
    }

    fn all_settings(&self) -> impl Iterator<Item = (&str, String)> {
        let socket = self.path("").to_string_lossy().replace('"', "\"\"");
        let listen = if self.tcp { "127.0.0.1" } else { "" };
        let ours = [
            ("port", self.port.to_string()),
            ("listen_addresses", listen.to_owned()),
            ("unix_socket_directories", format!("\"{socket}\"")),
        ];
        let fixed = SETTINGS.iter().map(|&(name, value)| (name, value.to_owned()));
        let wanted = self.settings.iter().map(|(name, value)| (name.as_str(), value.clone()));
        fixed.chain(ours).chain(wanted)
    }

    fn log(&self) -> String {
        tail(&fs::read(self.path("log")).unwrap_or_default())
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

/// Makes it where its name leaves room for the socket's, and where the account we run the server under may enter.
fn make_directory() -> io::Result<TempDir> {
    let make_in = |parent: &Path| tempfile::Builder::new().prefix("pgq-").rand_bytes(8).tempdir_in(parent);
    let parent = env::var_os("PGQ_TEST_DIR").map_or_else(env::temp_dir, PathBuf::from);
    if parent.to_str().is_some_and(|path| path.len() <= LONGEST_PARENT) {
        let directory = make_in(&parent)?;
        let ours = fs::metadata(directory.path())?.uid() != 0;
        if ours || parent.ancestors().all(is_open) {
            return Ok(directory);
        }
    }
    make_in(Path::new("/tmp"))
}

fn is_open(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o001 != 0)
}

fn tail(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let skipped = lines.len().saturating_sub(TAIL_LINES);
    lines.into_iter().skip(skipped).collect::<Vec<_>>().join("\n")
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Names the socket file; nobody listens on this port unless TCP is asked for.
const SOCKET_PORT: u16 = 5432;
const PORT_TRIES: usize = 5;
const LONGEST_PARENT: usize = 70;
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);
const TAIL_LINES: usize = 15;

/// Commits reach the operating system (`synchronous_commit` stays on), so they outlive a kill of the server,
/// but not a crash of the machine. Shared memory in files of the directory is what a kill cannot leave behind.
const SETTINGS: [(&str, &str); 5] = [
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "200"),
    ("log_checkpoints", "off"),
    ("dynamic_shared_memory_type", "mmap"),
];
