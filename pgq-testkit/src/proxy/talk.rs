use std::collections::HashMap;

use crate::proxy::messages::{Framing, Message, Messages};
use crate::proxy::mode::Mode;

/// What a client and a server have said to each other: which answers are due, and which of them shall not arrive.
#[derive(Debug)]
pub(crate) struct Talk {
    client: Messages,
    server: Messages,
    /// How many times the server is to say that it is ready for the next query, by what has been asked.
    asked: u64,
    answered: u64,
    /// The answer that shall not arrive, as a number of `answered`.
    dropped: Option<u64>,
    /// The beginnings of the prepared statements, and of those that portals run.
    statements: HashMap<Vec<u8>, String>,
    portals: HashMap<Vec<u8>, String>,
}

/// What is to be done with a part of an answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    /// How much of it goes to the client.
    pub(crate) passes: usize,
    /// Whether the answer that shall not arrive is complete.
    pub(crate) is_dropped: bool,
}

impl Talk {
    pub(crate) fn new() -> Self {
        Self {
            client: Messages::new(Framing::Untyped),
            server: Messages::new(Framing::Typed),
            asked: 0,
            answered: 0,
            dropped: None,
            statements: HashMap::new(),
            portals: HashMap::new(),
        }
    }

    /// Follows the client; tells whether it has a statement run that the mode is about.
    pub(crate) fn hear_client(&mut self, bytes: &[u8], mode: &Mode) -> bool {
        let (mut at, mut found) = (0, false);
        while let Some(message) = self.client.next(bytes, &mut at) {
            let (Some(statement), Some(beginning)) = (self.take(&message), mode.statement()) else {
                continue;
            };
            if begins(&statement, beginning) {
                found = true;
                if matches!(mode, Mode::DropReplyTo(_)) {
                    // A prepared statement's answer ends with that to the next Sync.
                    let answer = self.asked + u64::from(message.kind == b'E');
                    self.dropped.get_or_insert(answer);
                }
            }
        }
        found
    }

    /// Follows the server.
    pub(crate) fn hear_server(&mut self, bytes: &[u8]) -> Answer {
        let mut answer = Answer { passes: if self.drops() { 0 } else { bytes.len() }, is_dropped: false };
        let mut at = 0;
        while let Some(message) = self.server.next(bytes, &mut at) {
            if self.server.framing() == Framing::OneByte {
                let encrypted = message.kind != b'N';
                self.server.expect(if encrypted { Framing::Opaque } else { Framing::Typed });
                self.client.expect(if encrypted { Framing::Opaque } else { Framing::Untyped });
            } else if message.kind == b'Z' {
                let dropped = self.drops();
                self.answered += 1;
                answer.is_dropped |= dropped;
                if self.drops() && !dropped {
                    answer.passes = message.end;
                }
            }
        }
        answer
    }

    /// Whether what the server says next is the answer that shall not arrive.
    fn drops(&self) -> bool {
        self.dropped.is_some_and(|dropped| self.answered + 1 >= dropped)
    }

    /// The statement that the message has run, if it does.
    fn take(&mut self, message: &Message) -> Option<String> {
        let mut texts = message.body.split(|&byte| byte == 0);
        let mut text = || texts.next().unwrap_or_default();
        match message.kind {
            0 => self.start(&message.body),
            b'Q' => {
                self.asked += 1;
                return Some(lossy(text()));
            }
            b'S' | b'F' => self.asked += 1,
            b'P' => {
                let (name, statement) = (text().to_vec(), lossy(text()));
                self.statements.insert(name, statement);
            }
            b'B' => {
                let (portal, name) = (text().to_vec(), text());
                let statement = self.statements.get(name).cloned().unwrap_or_default();
                self.portals.insert(portal, statement);
            }
            b'E' => return self.portals.get(text()).cloned(),
            b'C' if message.body.first() == Some(&b'S') => {
                let name = text().get(1..).unwrap_or_default();
                self.statements.remove(name);
            }
            _ => {}
        }
        None
    }

    fn start(&mut self, body: &[u8]) {
        match body.first_chunk::<4>().map(|code| u32::from_be_bytes(*code)) {
            // Encryption is asked for; the client asks again without.
            Some(80_877_103 | 80_877_104) => self.server.expect(Framing::OneByte),
            Some(80_877_102) => self.client.expect(Framing::Opaque),
            _ => {
                self.asked += 1;
                self.client.expect(Framing::Typed);
            }
        }
    }
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn begins(statement: &str, beginning: &str) -> bool {
    let start = statement.trim_start().get(..beginning.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &[u8], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [kind, &length.to_be_bytes(), body].concat()
    }

    fn started() -> Talk {
        let mut talk = Talk::new();
        assert!(!talk.hear_client(&message(b"", b"\0\x03\0\0user\0me\0\0"), &Mode::Pass));
        assert_eq!(talk.hear_server(READY), Answer { passes: 6, is_dropped: false });
        talk
    }

    const READY: &[u8] = b"Z\0\0\0\x05I";

    #[test]
    fn drops_the_answer_to_a_simple_query_alone() {
        let (mut talk, mode) = (started(), Mode::DropReplyTo("commit".to_owned()));
        let both = [message(b"Q", b"SELECT 1\0"), message(b"Q", b" COMMIT\0")].concat();
        assert!(talk.hear_client(&both, &mode));
        let one = [message(b"C", b"SELECT 1\0"), READY.to_vec()].concat();
        let other = [message(b"C", b"COMMIT\0"), READY.to_vec()].concat();
        let answer = talk.hear_server(&[one.clone(), other].concat());
        assert_eq!(answer, Answer { passes: one.len(), is_dropped: true });
    }

    #[test]
    fn drops_the_answer_to_a_prepared_statement_when_it_runs() {
        let (mut talk, mode) = (started(), Mode::DropReplyTo("INSERT".to_owned()));
        let sync = message(b"S", b"");
        let prepare = [message(b"P", b"s1\0insert into t\0\0\0"), sync.clone()].concat();
        assert!(!talk.hear_client(&prepare, &mode));
        let answer = [message(b"1", b""), READY.to_vec()].concat();
        assert_eq!(talk.hear_server(&answer), Answer { passes: answer.len(), is_dropped: false });
        let run = [message(b"B", b"\0s1\0\0\0\0\0\0\0"), message(b"E", b"\0\0\0\0\0"), sync].concat();
        assert!(talk.hear_client(&run, &mode));
        assert_eq!(talk.hear_server(&message(b"2", b"")), Answer { passes: 0, is_dropped: false });
        assert_eq!(talk.hear_server(READY), Answer { passes: 0, is_dropped: true });
    }

    #[test]
    fn follows_a_client_that_asked_for_encryption_in_vain() {
        let (mut talk, mode) = (Talk::new(), Mode::CutBefore("COMMIT".to_owned()));
        talk.hear_client(&message(b"", &80_877_103_u32.to_be_bytes()), &mode);
        assert_eq!(talk.hear_server(b"N"), Answer { passes: 1, is_dropped: false });
        talk.hear_client(&message(b"", b"\0\x03\0\0user\0me\0\0"), &mode);
        assert!(!talk.hear_client(&message(b"Q", b"SELECT 'COMMIT'\0"), &mode));
        assert!(talk.hear_client(&message(b"Q", b"commit and chain\0"), &mode));
        assert_eq!(talk.dropped, None);
    }
}
