use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pgq_sync::postgres::Config;
use pgq_sync::postgres::config::Host;

/// A PgBouncer in transaction mode, with two sessions for all of its clients. Also the tests of the ticker use this file.
pub(crate) struct PgBouncer {
    process: Child,
    directory: PathBuf,
}

const PROGRAM: &str = "/usr/sbin/pgbouncer";
/// Ends PgBouncer when its standard input is closed, also by the death of the test.
const WATCH: &str = r#""$0" -q "$1" & read -r _; kill $!; wait"#;

impl PgBouncer {
    /// One before the server of this connection string; `None`, and a word about it, where there is no PgBouncer.
    pub(crate) fn before(conninfo: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        if !Path::new(PROGRAM).exists() {
            println!("skipped: there is no {PROGRAM}");
            return None;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("pgbouncer_{}_{number}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let server: Config = conninfo.parse().unwrap();
        let file = directory.join("pgbouncer.ini");
        fs::write(&file, configuration(&server, &directory)).unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", WATCH, PROGRAM]).arg(&file);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        if let (0, Some(account)) = (fs::metadata(&directory).unwrap().uid(), account(&server)) {
            chown(&directory, Some(account.0), Some(account.1)).unwrap();
            chown(&file, Some(account.0), Some(account.1)).unwrap();
            command.uid(account.0).gid(account.1);
        }
        let bouncer = Self { process: command.spawn().unwrap(), directory };
        let (socket, start) = (bouncer.directory.join(".s.PGSQL.6432"), Instant::now());
        while UnixStream::connect(&socket).is_err() {
            assert!(start.elapsed() < Duration::from_secs(30), "PgBouncer did not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(bouncer)
    }

    /// The same database by way of this pooler.
    pub(crate) fn conninfo(&self, conninfo: &str) -> String {
        let config: Config = conninfo.parse().unwrap();
        let (user, dbname) = (config.get_user().unwrap(), config.get_dbname().unwrap());
        format!("host={} port=6432 user={user} dbname={dbname}", self.directory.display())
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn configuration(server: &Config, directory: &Path) -> String {
    let host = match &server.get_hosts()[0] {
        Host::Tcp(host) => host.clone(),
        Host::Unix(path) => path.display().to_string(),
    };
    let port = server.get_ports().first().copied().unwrap_or(5432);
    let password =
        server.get_password().map(|password| String::from_utf8_lossy(password).replace('\'', "''"));
    format!(
        "[databases]\n* = host={host} port={port} user={} {}\n[pgbouncer]\nlisten_port = 6432\nunix_socket_dir = {}\n\
         auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n",
        server.get_user().unwrap(),
        password.map(|password| format!("password='{password}'")).unwrap_or_default(),
        directory.display(),
    )
}

/// Whom a process of root's shall belong to: the owner of the server, or nobody.
fn account(server: &Config) -> Option<(u32, u32)> {
    if let Host::Unix(path) = &server.get_hosts()[0] {
        let owner = fs::metadata(path).ok().map(|metadata| (metadata.uid(), metadata.gid()));
        if let Some(owner) = owner.filter(|owner| owner.0 != 0) {
            return Some(owner);
        }
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut nobody = passwd.lines().find(|line| line.starts_with("nobody:"))?.split(':').skip(2);
    Some((nobody.next()?.parse().ok()?, nobody.next()?.parse().ok()?))
}
