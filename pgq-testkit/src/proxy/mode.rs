use std::time::Duration;

/// What a [`Proxy`](crate::Proxy) does with a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mode {
    /// Passes everything on.
    #[default]
    Pass,

    /// Passes nothing on and keeps both ends open, as a network that loses everything.
    ///
    /// Not the news of an end either. What arrives meanwhile is passed on when another mode is set, as it would
    /// be sent again once the network works. A new connection is accepted, and does not reach the server.
    Blackhole,

    /// Has the operating system refuse new connections; those that are open work.
    Refuse,

    /// Closes the connection, at once.
    Cut,

    /// Like [`Mode::Cut`], by a reset instead of an orderly end.
    Reset,

    /// Closes the connection after so many bytes to the client, from now or from its start, wherever in a message that is.
    CutAfter(u64),

    /// Closes the connection after so many bytes of the first answer that is longer.
    ///
    /// An answer is what comes between one request and the next.
    Truncate(u64),

    /// Waits so long before it passes on what arrives, in each direction.
    Delay(Duration),

    /// Passes on one byte at a time, in packets of their own.
    OneByteAtATime,

    /// Passes a statement that begins so on to the server, waits until the server has answered, and then closes
    /// the connection instead of passing on the answer: the statement has taken effect and the client cannot know.
    ///
    /// Compares without regard to case and to space before it. Knows simple queries, also the first of several
    /// in one string, and prepared statements when they are executed.
    DropReplyTo(String),

    /// Closes the connection instead of passing on a statement that begins so: it has not taken effect, and the
    /// client cannot know.
    CutBefore(String),
}

impl Mode {
    /// The beginning of the statements that it is about.
    pub(crate) fn statement(&self) -> Option<&str> {
        match self {
            Self::DropReplyTo(beginning) | Self::CutBefore(beginning) => Some(beginning),
            _ => None,
        }
    }
}
