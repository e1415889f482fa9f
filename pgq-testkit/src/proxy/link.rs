use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::proxy::mode::Mode;
use crate::proxy::talk::Talk;
use crate::proxy::target::{Target, Upstream};

/// A client's connection through the proxy, carried by a thread for each direction.
#[derive(Debug)]
pub(crate) struct Link {
    client: TcpStream,
    server: OnceLock<Upstream>,
    state: Mutex<State>,
    changed: Condvar,
    talk: Mutex<Talk>,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    is_open: bool,
    /// Bytes to the client since the mode was set, and since the last request.
    sent: u64,
    answered: u64,
}

/// Why a direction has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    /// One of the two ends has gone.
    Gone,
    /// The mode has done its work.
    Hit,
}

impl Link {
    pub(crate) fn new(client: TcpStream, mode: Mode) -> io::Result<Self> {
        client.set_nodelay(true)?;
        // A writer that nobody reads from looks at times whether the link is still open.
        client.set_write_timeout(Some(Duration::from_millis(100)))?;
        let state = Mutex::new(State { mode, is_open: true, sent: 0, answered: 0 });
        let talk = Mutex::new(Talk::new());
        Ok(Self { client, server: OnceLock::new(), state, changed: Condvar::new(), talk })
    }

    pub(crate) fn switch(&self, mode: Mode) {
        match mode {
            Mode::Cut | Mode::Reset => self.close(&mode),
            _ => {
                let mut state = lock(&self.state);
                (state.mode, state.sent, state.answered) = (mode, 0, 0);
                self.changed.notify_all();
            }
        }
    }

    /// Closes both ends; the client's by a reset where the mode says so.
    pub(crate) fn close(&self, mode: &Mode) {
        lock(&self.state).is_open = false;
        self.changed.notify_all();
        if *mode == Mode::Reset {
            // The reset is sent when the last of the two threads lets go of it; this wakes them without a word to the client.
            let _ = SockRef::from(&self.client).set_linger(Some(Duration::ZERO));
            let _ = self.client.shutdown(Shutdown::Read);
        } else {
            let _ = self.client.shutdown(Shutdown::Both);
        }
        if let Some(server) = self.server.get() {
            server.shutdown();
        }
    }

    /// Connects to the server, once the mode lets it.
    pub(crate) fn connect(&self, target: &Target) -> Option<()> {
        self.admit()?;
        let server = target.connect().ok()?;
        self.server.set(server).ok()?;
        // It may have been closed meanwhile, by somebody who saw no server.
        self.admit().map(drop)
    }

    pub(crate) fn carry_requests(&self) -> End {
        let mut buffer = [0; 8192];
        loop {
            let length = (&self.client).read(&mut buffer).unwrap_or(0);
            let (Some(mode), Some(server)) = (self.admit(), self.server.get()) else { return End::Gone };
            let bytes = buffer.get(..length).unwrap_or_default();
            let found = lock(&self.talk).hear_client(bytes, &mode);
            if found && matches!(mode, Mode::CutBefore(_)) {
                return End::Hit;
            }
            lock(&self.state).answered = 0;
            if bytes.is_empty() || self.send(bytes, &mode, |part| server.write(part)).is_none() {
                return End::Gone;
            }
        }
    }

    pub(crate) fn carry_answers(&self) -> End {
        let mut buffer = [0; 8192];
        loop {
            let Some(server) = self.server.get() else { return End::Gone };
            let length = server.read(&mut buffer).unwrap_or(0);
            let Some(mode) = self.admit() else { return End::Gone };
            let bytes = buffer.get(..length).unwrap_or_default();
            let answer = lock(&self.talk).hear_server(bytes);
            let room = usize::try_from(self.room(&mode)).unwrap_or(usize::MAX);
            let passes = bytes.get(..answer.passes.min(room)).unwrap_or_default();
            if self.send(passes, &mode, |part| (&self.client).write(part)).is_none() {
                return End::Gone;
            }
            let is_full = match mode {
                Mode::CutAfter(_) => answer.passes >= room,
                _ => answer.passes > room,
            };
            if answer.is_dropped || is_full {
                return End::Hit;
            }
            if bytes.is_empty() {
                return End::Gone;
            }
            self.count(passes.len());
        }
    }

    /// How many bytes may go to the client.
    fn room(&self, mode: &Mode) -> u64 {
        let state = lock(&self.state);
        match *mode {
            Mode::CutAfter(limit) => limit.saturating_sub(state.sent),
            Mode::Truncate(limit) => limit.saturating_sub(state.answered),
            _ => u64::MAX,
        }
    }

    fn count(&self, length: usize) {
        let (mut state, length) = (lock(&self.state), u64::try_from(length).unwrap_or(u64::MAX));
        state.sent = state.sent.saturating_add(length);
        state.answered = state.answered.saturating_add(length);
    }

    /// Waits for as long as the mode wants it, and tells the mode; `None` when the link is closed.
    fn admit(&self) -> Option<Mode> {
        let (start, mut state) = (Instant::now(), lock(&self.state));
        while state.is_open {
            let rest = match state.mode {
                Mode::Blackhole => Duration::MAX,
                Mode::Delay(delay) => delay.saturating_sub(start.elapsed()),
                _ => Duration::ZERO,
            };
            if rest.is_zero() {
                return Some(state.mode.clone());
            }
            let rest = rest.min(Duration::from_secs(3_600));
            state = self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }

    fn send(&self, bytes: &[u8], mode: &Mode, write: impl Fn(&[u8]) -> io::Result<usize>) -> Option<()> {
        let size = if *mode == Mode::OneByteAtATime { 1 } else { usize::MAX };
        for mut part in bytes.chunks(size) {
            while !part.is_empty() {
                match write(part) {
                    Ok(0) => return None,
                    Ok(length) => part = part.get(length..).unwrap_or_default(),
                    Err(error) if is_passing(&error) && lock(&self.state).is_open => {}
                    Err(_) => return None,
                }
            }
            if size == 1 {
                // Gives the reader the time to see it alone.
                std::thread::sleep(Duration::from_micros(10));
            }
        }
        Some(())
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
