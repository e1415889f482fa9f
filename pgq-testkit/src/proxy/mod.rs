mod link;
mod messages;
mod mode;
mod talk;
mod target;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::conninfo;
use crate::database::Database;
use crate::error::Error;
use crate::proxy::link::{End, Link, lock};
use crate::proxy::target::Target;
use crate::server::Server;

pub use crate::proxy::mode::Mode;

/// A way to a server, by TCP on 127.0.0.1, on which connections break as a test wants it.
///
/// Passes everything on until [`Proxy::switch`] says otherwise. Works on threads of its own, two for each connection,
/// so a test may block or be async as it likes. Dropping it closes all connections.
///
/// # Example
/// A consumer whose commit takes effect, and which does not hear of it:
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use pgq_testkit::postgres::{Client, NoTls};
/// use pgq_testkit::{Mode, Proxy, Server};
///
/// let server = Server::shared()?;
/// let database = server.database()?;
/// let proxy = Proxy::before(server)?;
/// let mut client = Client::connect(&proxy.conninfo(&database), NoTls)?;
/// proxy.switch_once(Mode::DropReplyTo("COMMIT".to_owned()));
/// client.batch_execute("BEGIN; SELECT pgq.create_queue('orders')")?;
/// assert!(client.batch_execute("COMMIT").unwrap_err().is_closed());
/// assert_eq!(proxy.hits(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    doorman: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    target: Target,
    /// Of the connections to come.
    mode: Mode,
    /// Whether the next hit puts all back to passing.
    once: bool,
    links: Vec<Arc<Link>>,
    accepted: usize,
    hits: usize,
    is_listening: bool,
    is_open: bool,
}

impl Proxy {
    /// Opens a way to a server.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn before(server: &Server) -> Result<Self, Error> {
        let doing = || Error::io("open a proxy on 127.0.0.1");
        let target = target(server)?;
        let (place, address) = reserve().map_err(doing())?;
        let listener = listen(address).map_err(doing())?;
        let state = State {
            target,
            mode: Mode::Pass,
            once: false,
            links: Vec::new(),
            accepted: 0,
            hits: 0,
            is_listening: true,
            is_open: true,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let doorman = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                shared.let_in(address, listener);
                drop(place);
            }
        });
        Ok(Self { address, shared, doorman: Some(doorman) })
    }

    /// The connection string of a database of the server by way of the proxy, without encryption.
    pub fn conninfo(&self, database: &Database) -> String {
        let mut config = conninfo::elsewhere(database.config());
        conninfo::render(config.host("127.0.0.1").port(self.address.port()))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets what happens to all connections, those that are open and those to come; returns when it does.
    pub fn switch(&self, mode: Mode) {
        self.shared.switch(Some(&mode), Some(&mode), false);
    }

    /// Like [`Proxy::switch`], for those that are open alone.
    pub fn switch_open(&self, mode: Mode) {
        self.shared.switch(Some(&mode), None, false);
    }

    /// Like [`Proxy::switch`], for those to come alone.
    pub fn switch_new(&self, mode: Mode) {
        self.shared.switch(None, Some(&mode), false);
    }

    /// Like [`Proxy::switch`], until the mode has closed a connection that was at work; then everything passes again.
    ///
    /// For [`Mode::CutAfter`], [`Mode::Truncate`], [`Mode::DropReplyTo`] and [`Mode::CutBefore`]; the others close none at work.
    /// Connections that are in the middle of it when another one is closed are closed as well.
    pub fn switch_once(&self, mode: Mode) {
        self.shared.switch(Some(&mode), Some(&mode), true);
    }

    /// Leads connections to come to another server, as a name that is moved by a failover.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn lead_to(&self, server: &Server) -> Result<(), Error> {
        lock(&self.shared.state).target = target(server)?;
        Ok(())
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        lock(&self.shared.state).links.len()
    }

    /// How many connections there have been.
    pub fn accepted(&self) -> usize {
        lock(&self.shared.state).accepted
    }

    /// How many connections [`Mode::CutAfter`], [`Mode::Truncate`], [`Mode::DropReplyTo`] and [`Mode::CutBefore`] have closed.
    pub fn hits(&self) -> usize {
        lock(&self.shared.state).hits
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let links = {
            let mut state = lock(&self.shared.state);
            state.is_open = false;
            std::mem::take(&mut state.links)
        };
        links.iter().for_each(|link| link.close(&Mode::Cut));
        if let Some(doorman) = self.doorman.take() {
            let _ = doorman.join();
        }
    }
}

impl Shared {
    fn switch(&self, open: Option<&Mode>, new: Option<&Mode>, once: bool) {
        let mut state = lock(&self.state);
        state.once = once;
        if let Some(mode) = new {
            state.mode = mode.clone();
        }
        if let Some(mode) = open {
            state.links.iter().for_each(|link| link.switch(mode.clone()));
            if matches!(mode, Mode::Cut | Mode::Reset) {
                state.links.clear();
            }
        }
        let listens = state.mode != Mode::Refuse;
        while state.is_listening != listens && state.is_open {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Accepts connections, or has them refused, until the proxy is dropped.
    fn let_in(self: &Arc<Self>, address: SocketAddr, listener: TcpListener) {
        let mut listener = Some(listener);
        loop {
            let mut state = lock(&self.state);
            if !state.is_open {
                return;
            }
            if state.mode == Mode::Refuse {
                listener = None;
            } else if listener.is_none() {
                listener = listen(address).ok();
            }
            if state.is_listening != listener.is_some() {
                state.is_listening = listener.is_some();
                self.changed.notify_all();
            }
            drop(state);
            match listener.as_ref().map(TcpListener::accept) {
                Some(Ok((client, _))) => self.take(client),
                _ => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn take(self: &Arc<Self>, client: TcpStream) {
        let mut state = lock(&self.state);
        state.accepted += 1;
        if state.mode == Mode::Reset {
            let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
        }
        if !state.is_open || matches!(state.mode, Mode::Cut | Mode::Reset) {
            return;
        }
        let Ok(link) = client.set_nonblocking(false).and_then(|()| Link::new(client, state.mode.clone()))
        else {
            return;
        };
        let link = Arc::new(link);
        state.links.push(Arc::clone(&link));
        let (shared, target) = (Arc::clone(self), state.target.clone());
        thread::spawn(move || {
            if link.connect(&target).is_some() {
                let (answers, through) = (Arc::clone(&link), Arc::clone(&shared));
                thread::spawn(move || through.end(&answers, answers.carry_answers()));
                shared.end(&link, link.carry_requests());
            } else {
                shared.end(&link, End::Gone);
            }
        });
    }

    fn end(&self, link: &Arc<Link>, end: End) {
        let mut state = lock(&self.state);
        if end == End::Hit {
            state.hits += 1;
            if state.once {
                state.once = false;
                state.mode = Mode::Pass;
                state.links.iter().for_each(|link| link.switch(Mode::Pass));
            }
        }
        let known = state.links.len();
        state.links.retain(|other| !Arc::ptr_eq(other, link));
        if state.links.len() < known {
            link.close(&Mode::Cut);
        }
    }
}

fn target(server: &Server) -> Result<Target, Error> {
    let nowhere = || Error::io("tell where the server is")(io::ErrorKind::AddrNotAvailable.into());
    Target::of(server.config()).ok_or_else(nowhere)
}

/// Holds a port without listening on it, so that nobody else has it while connections are refused.
fn reserve() -> io::Result<(Socket, SocketAddr)> {
    let socket = bound(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)))?;
    let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((socket, address))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(address)?;
    socket.listen(128)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
