use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use pgq_sync::postgres::Config;
use pgq_sync::postgres::config::Host;

/// A way to the server on which bytes can be made to vanish: both ends stay open and hear nothing.
pub(crate) struct Proxy {
    address: SocketAddr,
    open: Arc<AtomicBool>,
    ways: Arc<Mutex<Vec<Way>>>,
}

struct Way {
    client: TcpStream,
    vanish: Arc<Mutex<bool>>,
}

impl Proxy {
    pub(crate) fn to(conninfo: &str) -> Self {
        let config: Config = conninfo.parse().unwrap();
        let (host, port) =
            (config.get_hosts()[0].clone(), config.get_ports().first().copied().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ways = Arc::<Mutex<Vec<Way>>>::default();
        let open = Arc::new(AtomicBool::new(true));
        let (made, opened) = (Arc::clone(&ways), Arc::clone(&open));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, vanish) = (client.unwrap(), Arc::default());
                if !opened.load(Ordering::Relaxed) {
                    continue;
                }
                join(&client, &host, port, &vanish);
                made.lock().unwrap().push(Way { client, vanish });
            }
        });
        Self { address, open, ways }
    }

    /// The same database by way of this proxy.
    pub(crate) fn conninfo(&self, conninfo: &str) -> String {
        let config: Config = conninfo.parse().unwrap();
        let (user, dbname) = (config.get_user().unwrap(), config.get_dbname().unwrap());
        format!("host=127.0.0.1 port={} user={user} dbname={dbname}", self.address.port())
    }

    /// Makes all bytes vanish on the ways that there are; new ones work.
    pub(crate) fn stall(&self) {
        self.ways.lock().unwrap().iter().for_each(|way| *way.vanish.lock().unwrap() = true);
    }

    /// The same, and lets nobody in any more.
    pub(crate) fn shut(&self) {
        self.open.store(false, Ordering::Relaxed);
        self.stall();
    }

    pub(crate) fn ways(&self) -> usize {
        self.ways.lock().unwrap().len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        for way in self.ways.lock().unwrap().iter() {
            let _ = way.client.shutdown(Shutdown::Both);
        }
    }
}

fn join(client: &TcpStream, host: &Host, port: u16, vanish: &Arc<Mutex<bool>>) {
    match host {
        Host::Tcp(name) => {
            let server = TcpStream::connect((name.as_str(), port)).unwrap();
            carry(client.try_clone().unwrap(), server.try_clone().unwrap(), Arc::clone(vanish));
            carry(server, client.try_clone().unwrap(), Arc::clone(vanish));
        }
        Host::Unix(path) => {
            let server = UnixStream::connect(path.join(format!(".s.PGSQL.{port}"))).unwrap();
            carry(client.try_clone().unwrap(), server.try_clone().unwrap(), Arc::clone(vanish));
            carry(server, client.try_clone().unwrap(), Arc::clone(vanish));
        }
    }
}

/// Once bytes vanish, so does the news of an end, for as long as the process lives.
fn carry(
    mut from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    vanish: Arc<Mutex<bool>>,
) {
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        loop {
            let length = from.read(&mut buffer).unwrap_or(0);
            if *vanish.lock().unwrap() {
                if length == 0 {
                    std::mem::forget((from, to));
                    return;
                }
            } else if length == 0 || to.write_all(&buffer[..length]).is_err() {
                return;
            }
        }
    });
}
