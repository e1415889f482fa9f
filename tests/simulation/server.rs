use std::collections::BTreeMap;
use std::task::Waker;

use crate::host::Host;
use crate::wire::{Backend, Pumped};

/// The host with its connections. Bytes go in and out; nothing here waits.
pub(crate) struct Server {
    pub(crate) host: Host,
    lines: BTreeMap<LineId, Line>,
    last: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LineId(u32);

#[derive(Default)]
struct Line {
    backend: Backend,
    reader: Option<Waker>,
}

/// What a client can read.
pub(crate) enum Heard {
    Bytes(Vec<u8>),
    Nothing,
    End,
}

impl Server {
    pub(crate) fn new(host: Host) -> Self {
        Self { host, lines: BTreeMap::new(), last: 0 }
    }

    pub(crate) fn connect(&mut self) -> LineId {
        self.last += 1;
        let id = LineId(self.last);
        self.lines.insert(id, Line::default());
        id
    }

    /// Takes what a client sent, and answers as far as possible; `false` where the connection is closed.
    pub(crate) fn receive(&mut self, id: LineId, bytes: &[u8]) -> bool {
        let Some(mut line) = self.lines.remove(&id) else { return false };
        let is_open = !line.backend.is_closed();
        if is_open {
            line.backend.receive(bytes);
            line.backend.pump(&mut self.host);
        }
        self.lines.insert(id, line);
        self.spread();
        is_open
    }

    pub(crate) fn send(&mut self, id: LineId, space: usize) -> Heard {
        let Some(line) = self.lines.get_mut(&id) else { return Heard::End };
        match (line.backend.has_output(), line.backend.is_closed()) {
            (true, _) => Heard::Bytes(line.backend.send(space)),
            (false, true) => Heard::End,
            (false, false) => Heard::Nothing,
        }
    }

    /// Whom to wake when there is something to read.
    pub(crate) fn wake(&mut self, id: LineId, reader: Waker) {
        if let Some(line) = self.lines.get_mut(&id) {
            line.reader = Some(reader);
        }
    }

    /// The client is gone.
    pub(crate) fn hang_up(&mut self, id: LineId) {
        if let Some(mut line) = self.lines.remove(&id) {
            line.backend.cut(&mut self.host);
        }
        self.spread();
    }

    /// The others do their next step.
    pub(crate) fn step(&mut self) {
        self.host.step();
        self.spread();
    }

    /// Everything that one statement can mean for the other connections.
    fn spread(&mut self) {
        if std::mem::take(&mut self.host.restarts) {
            for line in self.lines.values_mut() {
                line.backend.cut(&mut self.host);
            }
        }
        for session in std::mem::take(&mut self.host.cancels) {
            for line in self.lines.values_mut() {
                line.backend.cancel(session, &mut self.host);
            }
        }
        while self.let_one_go_on() {}
        for line in self.lines.values_mut().filter(|line| !line.backend.is_closed()) {
            if !line.backend.is_blocked() {
                line.backend.notify(&mut self.host);
            }
        }
        for line in self.lines.values_mut() {
            if line.backend.has_output() || line.backend.is_closed() {
                line.reader.take().into_iter().for_each(Waker::wake);
            }
        }
    }

    /// Runs statements that waited again; `true` if one got through.
    fn let_one_go_on(&mut self) -> bool {
        let Self { host, lines, .. } = self;
        let mut blocked =
            lines.values_mut().filter(|line| line.backend.is_blocked() && !line.backend.is_closed());
        blocked.any(|line| line.backend.pump(host) != Pumped::Blocked)
    }
}
