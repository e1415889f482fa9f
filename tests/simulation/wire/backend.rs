use std::collections::BTreeMap;
use std::mem;

use super::reading::Reading;
use super::{binary, message, recognise};
use crate::host::{Arrival, Host};
use crate::model::{Refusal, Request, Row, SessionId, SqlError, Status};

/// The server's side of a connection: takes bytes, runs what they ask for, and has bytes for the client. Does no I/O itself.
#[derive(Default)]
pub(crate) struct Backend {
    session: Option<SessionId>,
    is_closed: bool,
    input: Vec<u8>,
    output: Vec<u8>,
    statements: BTreeMap<String, (String, Vec<u32>)>,
    portals: BTreeMap<String, Request>,
    /// After an error, up to the next Sync.
    skips: bool,
    /// Whether the statement that is being run has passed its first point.
    has_arrived: bool,
    /// How many statements of the text that is being run are done.
    done: usize,
    is_blocked: bool,
}

/// What became of the messages that were there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pumped {
    /// All of them are answered.
    Idle,
    /// A statement waits for another session.
    Blocked,
    Closed,
}

/// Why a message is not done.
enum Stop {
    Blocked,
    Closed,
}

const PROTOCOL: i32 = 196_608;
const TLS: i32 = 80_877_103;
const GSS: i32 = 80_877_104;
const CANCEL: i32 = 80_877_102;

impl Backend {
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// Moves bytes to the client's buffer, and tells how many.
    pub(crate) fn send(&mut self, space: usize) -> Vec<u8> {
        let count = space.min(self.output.len());
        let rest = self.output.split_off(count);
        mem::replace(&mut self.output, rest)
    }

    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Ends the connection, and with it what the client has not read yet.
    pub(crate) fn cut(&mut self, host: &mut Host) {
        self.output.clear();
        self.close(host);
    }

    /// Has a statement that waits fail, as after a request to cancel it.
    pub(crate) fn cancel(&mut self, session: SessionId, host: &mut Host) {
        if self.is_blocked && self.session == Some(session) {
            host.cancelled.insert(session);
        }
    }

    /// Tells a client that is not in a transaction about ticks.
    pub(crate) fn notify(&mut self, host: &mut Host) {
        let Some(session) = self.session else { return };
        for payload in host.database.take_notices(session) {
            message::notification(&mut self.output, &payload);
        }
    }

    /// Runs what has come, as far as possible.
    pub(crate) fn pump(&mut self, host: &mut Host) -> Pumped {
        self.is_blocked = false;
        let input = mem::take(&mut self.input);
        let mut rest = input.as_slice();
        while !self.is_closed {
            let Some((kind, body, after)) = self.split(rest) else { break };
            match self.message(kind, body, host) {
                Ok(()) => rest = after,
                Err(Stop::Blocked) => {
                    self.is_blocked = true;
                    break;
                }
                Err(Stop::Closed) => break,
            }
        }
        self.input = rest.to_vec();
        match (self.is_closed, self.is_blocked) {
            (true, _) => Pumped::Closed,
            (false, true) => Pumped::Blocked,
            (false, false) => Pumped::Idle,
        }
    }

    /// The first message: its type, which those before the session begins do not have, its body, and what comes after it.
    fn split<'b>(&self, bytes: &'b [u8]) -> Option<(u8, &'b [u8], &'b [u8])> {
        let typed = usize::from(self.session.is_some());
        let length = bytes.get(typed..typed + 4)?;
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let body = bytes.get(typed + 4..typed + length)?;
        let kind = if typed == 1 { bytes[0] } else { 0 };
        Some((kind, body, &bytes[typed + length..]))
    }

    fn message(&mut self, kind: u8, body: &[u8], host: &mut Host) -> Result<(), Stop> {
        let mut reading = Reading::new(body);
        if self.skips && !matches!(kind, b'S' | b'X') {
            return Ok(());
        }
        match kind {
            0 => return self.start(reading, host),
            b'Q' => return self.simple(reading.text(), host),
            b'P' => self.parse(reading),
            b'B' => self.bind(reading),
            b'D' => self.describe(reading),
            b'E' => return self.execute(reading, host),
            b'C' => {
                if reading.byte() == b'S' {
                    self.statements.remove(reading.text());
                }
                message::plain(&mut self.output, b'3');
            }
            b'H' => {}
            b'S' => {
                self.skips = false;
                self.ready(host);
            }
            b'X' => {
                self.close(host);
                return Err(Stop::Closed);
            }
            other => panic!("the model knows no message {:?}", char::from(other)),
        }
        Ok(())
    }

    fn start(&mut self, mut reading: Reading<'_>, host: &mut Host) -> Result<(), Stop> {
        match reading.int4() {
            TLS | GSS => self.output.push(b'N'),
            CANCEL => {
                host.cancels.push(SessionId(reading.int4()));
                self.close(host);
                return Err(Stop::Closed);
            }
            PROTOCOL => {
                let mut name = String::new();
                while !reading.is_empty() {
                    let (parameter, value) =
                        (reading.text(), if reading.is_empty() { "" } else { reading.text() });
                    if parameter == "application_name" {
                        value.clone_into(&mut name);
                    }
                }
                return self.welcome(&name, host);
            }
            other => panic!("the model knows no protocol {other}"),
        }
        Ok(())
    }

    fn welcome(&mut self, name: &str, host: &mut Host) -> Result<(), Stop> {
        match host.connects(name) {
            Arrival::Goes => {}
            Arrival::Fails(error) => {
                message::error(&mut self.output, &error);
                self.close(host);
                return Err(Stop::Closed);
            }
            Arrival::Cut => {
                self.cut(host);
                return Err(Stop::Closed);
            }
        }
        let session = host.database.connect(name);
        self.session = Some(session);
        message::welcome(&mut self.output, session.0);
        self.ready(host);
        Ok(())
    }

    fn simple(&mut self, text: &str, host: &mut Host) -> Result<(), Stop> {
        let parts: Vec<_> = text.split(';').filter(|part| !part.trim().is_empty()).collect();
        if parts.is_empty() {
            self.run(&Request::Nothing, host)?.ok();
            message::plain(&mut self.output, b'I');
        }
        while let Some(part) = parts.get(self.done) {
            let request = known(part);
            match self.run_tagged(&request, host)? {
                Ok((tag, rows)) => {
                    if !rows.is_empty() {
                        message::columns(&mut self.output, request.columns(), 0);
                    }
                    rows.iter().for_each(|row| message::row(&mut self.output, row));
                    message::complete(&mut self.output, &tag);
                    self.done += 1;
                }
                Err(error) => {
                    self.refuse(&error, host)?;
                    break;
                }
            }
        }
        self.done = 0;
        self.ready(host);
        Ok(())
    }

    fn parse(&mut self, mut reading: Reading<'_>) {
        let (name, sql) = (reading.text(), reading.text());
        let mut types: Vec<_> = (0..reading.int2()).map(|_| reading.int4() as u32).collect();
        if types.is_empty() && sql == recognise::SINK {
            types = vec![20, 25];
        }
        self.statements.insert(name.to_owned(), (sql.to_owned(), types));
        message::plain(&mut self.output, b'1');
    }

    fn bind(&mut self, mut reading: Reading<'_>) {
        let (portal, statement) = (reading.text(), reading.text());
        let formats = reading.int2();
        assert!((0..formats).all(|_| reading.int2() == 1), "a parameter in binary");
        let (sql, types) = self.statements.get(statement).expect("a statement that was parsed");
        let count = usize::try_from(reading.int2()).unwrap();
        assert_eq!(count, types.len(), "parameters of {sql}");
        let values = types.iter().map(|oid| binary::decode(*oid, reading.value())).collect();
        let request = recognise::recognise(sql, values).unwrap_or_else(|| unknown(sql));
        self.portals.insert(portal.to_owned(), request);
        message::plain(&mut self.output, b'2');
    }

    /// A statement is described before it is bound only by who prepares it.
    fn describe(&mut self, mut reading: Reading<'_>) {
        let (kind, name) = (reading.byte(), reading.text());
        let bound = self.portals.get(name);
        if kind == b'S' {
            let (sql, types) = self.statements.get(name).expect("a statement that was parsed");
            message::parameters(&mut self.output, types);
            if bound.is_none() && !types.is_empty() && sql != recognise::SINK {
                unknown(sql);
            }
        }
        match bound.map_or(&[][..], Request::columns) {
            [] => message::plain(&mut self.output, b'n'),
            columns => message::columns(&mut self.output, columns, 1),
        }
    }

    fn execute(&mut self, mut reading: Reading<'_>, host: &mut Host) -> Result<(), Stop> {
        let portal = reading.text();
        let request = self.portals.get(portal).expect("a portal that was bound").clone();
        match self.run_tagged(&request, host)? {
            Ok((tag, rows)) => {
                rows.iter().for_each(|row| message::row(&mut self.output, row));
                message::complete(&mut self.output, &tag);
            }
            Err(error) => {
                self.refuse(&error, host)?;
                self.skips = true;
            }
        }
        self.portals.remove(portal);
        Ok(())
    }

    fn refuse(&mut self, error: &SqlError, host: &mut Host) -> Result<(), Stop> {
        message::error(&mut self.output, error);
        if error.is_fatal() {
            self.close(host);
            return Err(Stop::Closed);
        }
        Ok(())
    }

    fn ready(&mut self, host: &mut Host) {
        self.notify(host);
        if let Some(session) = self.session {
            message::ready(&mut self.output, host.database.status(session));
        }
    }

    fn close(&mut self, host: &mut Host) {
        self.is_closed = true;
        if let Some(session) = self.session {
            host.database.disconnect(session);
        }
    }

    /// Runs a statement, and tells how the server calls what was done.
    fn run_tagged(
        &mut self,
        request: &Request,
        host: &mut Host,
    ) -> Result<Result<(String, Vec<Row>), SqlError>, Stop> {
        let session = self.session.expect("a session");
        let is_lost = matches!(request, Request::Commit) && host.database.status(session) == Status::Failed;
        let answer = self.run(request, host)?;
        let named = if is_lost { &Request::Rollback } else { request };
        Ok(answer.map(|rows| (named.tag(rows.len()), rows)))
    }

    /// Runs a statement, through the two points before and after it.
    fn run(&mut self, request: &Request, host: &mut Host) -> Result<Result<Vec<Row>, SqlError>, Stop> {
        let session = self.session.expect("a session");
        if !mem::replace(&mut self.has_arrived, true) {
            match host.arrives(session, request) {
                Arrival::Goes => {}
                Arrival::Cut => return Err(self.stop(host)),
                Arrival::Fails(error) => {
                    self.has_arrived = false;
                    match request {
                        Request::Commit => host.database.fail_commit(session),
                        _ => host.database.fail(session),
                    }
                    return Ok(Err(error));
                }
            }
        }
        if host.cancelled.remove(&session) {
            self.has_arrived = false;
            host.database.fail(session);
            return Ok(Err(SqlError::new("57014", "canceling statement due to user request")));
        }
        let answer = match host.database.execute(session, request) {
            Err(Refusal::Wait(_)) => return Err(Stop::Blocked),
            Err(Refusal::Error(error)) => Err(error),
            Ok(rows) => Ok(rows),
        };
        self.has_arrived = false;
        match host.replies(session) {
            Arrival::Cut => Err(self.stop(host)),
            _ => Ok(answer),
        }
    }

    fn stop(&mut self, host: &mut Host) -> Stop {
        self.cut(host);
        Stop::Closed
    }
}

fn known(sql: &str) -> Request {
    recognise::recognise(sql.trim(), Vec::new()).unwrap_or_else(|| unknown(sql))
}

fn unknown(sql: &str) -> ! {
    panic!("the model does not know this statement, teach it in wire/recognise.rs: {sql}")
}
