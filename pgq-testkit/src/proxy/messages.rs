/// Cuts one direction of a connection into the protocol's messages; keeps only the beginning of each.
#[derive(Debug)]
pub(crate) struct Messages {
    framing: Framing,
    header: Vec<u8>,
    body: Vec<u8>,
    /// How much of the body has not arrived.
    missing: usize,
}

/// What the next message looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Framing {
    /// A length without a kind before it, as a client begins.
    Untyped,
    Typed,
    /// One byte, as a server answers a request for encryption.
    OneByte,
    /// No messages that we could read.
    Opaque,
}

/// A message, or its beginning, and where it ended in what was read last.
#[derive(Debug)]
pub(crate) struct Message {
    /// 0 for a message without one.
    pub(crate) kind: u8,
    pub(crate) body: Vec<u8>,
    pub(crate) end: usize,
}

impl Messages {
    pub(crate) fn new(framing: Framing) -> Self {
        Self { framing, header: Vec::new(), body: Vec::new(), missing: 0 }
    }

    pub(crate) fn expect(&mut self, framing: Framing) {
        self.framing = framing;
    }

    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    /// The next message that ends in `bytes`, from `at` on, which is moved behind it, or to the end where there is none.
    pub(crate) fn next(&mut self, bytes: &[u8], at: &mut usize) -> Option<Message> {
        let header_length = match self.framing {
            Framing::Untyped => 4,
            Framing::Typed => 5,
            Framing::OneByte => 1,
            Framing::Opaque => usize::MAX,
        };
        if header_length == usize::MAX {
            *at = bytes.len();
            return None;
        }
        while let Some(&byte) = bytes.get(*at) {
            if self.header.len() < header_length {
                self.header.push(byte);
                *at += 1;
                if self.header.len() == header_length {
                    self.missing = self.body_length();
                }
            } else {
                let rest = bytes.get(*at..).unwrap_or_default();
                let part = rest.get(..self.missing).unwrap_or(rest);
                let room = KEPT.saturating_sub(self.body.len());
                self.body.extend_from_slice(part.get(..room).unwrap_or(part));
                self.missing -= part.len();
                *at += part.len();
            }
            if self.header.len() == header_length && self.missing == 0 {
                return Some(self.take(*at));
            }
        }
        None
    }

    fn body_length(&self) -> usize {
        match self.header.last_chunk::<4>() {
            // The length counts itself.
            Some(length) => usize::try_from(u32::from_be_bytes(*length)).unwrap_or(0).saturating_sub(4),
            None => 0,
        }
    }

    fn take(&mut self, end: usize) -> Message {
        let kind =
            if self.framing == Framing::Untyped { 0 } else { self.header.first().copied().unwrap_or(0) };
        self.header.clear();
        Message { kind, body: std::mem::take(&mut self.body), end }
    }
}

const KEPT: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the bytes arrive in.
    #[test]
    fn finds_the_messages() {
        let mut stream = b"\0\0\0\x08\0\x03\0\0".to_vec();
        stream.extend(b"Q\0\0\0\x0bCOMMIT\0S\0\0\0\x04");
        let long = vec![b'x'; 5_000];
        stream.extend(b"d\0\0\x13\x8c");
        stream.extend(&long);
        for size in [1, 3, 7, 100, 10_000] {
            let mut messages = Messages::new(Framing::Untyped);
            let mut found = Vec::new();
            for chunk in stream.chunks(size) {
                let mut at = 0;
                while let Some(message) = messages.next(chunk, &mut at) {
                    messages.expect(Framing::Typed);
                    found.push((message.kind, message.body.len()));
                }
                assert_eq!(at, chunk.len());
            }
            assert_eq!(found, [(0, 4), (b'Q', 7), (b'S', 0), (b'd', KEPT)], "{size}");
        }
    }

    #[test]
    fn tells_where_they_end() {
        let mut messages = Messages::new(Framing::Typed);
        let (stream, mut at) = (b"Z\0\0\0\x05IZ\0\0\0\x05IC\0", 0);
        assert_eq!(messages.next(stream, &mut at).map(|message| message.end), Some(6));
        assert_eq!(messages.next(stream, &mut at).map(|message| message.end), Some(12));
        assert!(messages.next(stream, &mut at).is_none());
    }
}
