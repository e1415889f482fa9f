use super::Kind;
pub(crate) use super::batch::Pace;
pub(crate) use super::coop::Member;
use super::view::Key;

/// What a statement asks for.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// The empty statement, by which a client sees whether anybody is there.
    Nothing,
    One,
    Begin,
    Commit,
    Rollback,
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    Listen,
    Unlisten,
    /// Something about the session that the model has no use for.
    Setting,
    /// The session is to wait for locks only for a moment.
    LimitWaits,
    IsReadOnly,
    /// Whether the session can write, and add dead letters.
    Abilities,
    CreateQueue {
        queue: String,
    },
    Insert {
        queue: String,
        event_type: String,
        data: String,
    },
    ForceTick {
        queue: String,
    },
    Tick {
        queue: String,
    },
    /// Up to ten times so many events.
    MoveRetries {
        rounds: i32,
    },
    Register {
        key: Key,
        at: Option<i64>,
    },
    Unregister {
        key: Key,
    },
    Info {
        queue: Option<String>,
        consumer: Option<String>,
    },
    RegisterMember {
        member: Member,
    },
    UnregisterMember {
        member: Member,
    },
    Claim {
        key: Key,
    },
    Unclaim {
        key: Key,
    },
    Next {
        key: Key,
        pace: Pace,
    },
    NextOfMember {
        member: Member,
        pace: Pace,
        dead: Option<i64>,
    },
    /// Over the events after this id, if there is one.
    Cursor {
        batch: i64,
        name: String,
        limit: i32,
        after: Option<i64>,
    },
    Fetch {
        name: String,
        limit: i32,
    },
    CloseCursor {
        name: String,
    },
    Finish {
        batch: i64,
    },
    FinishFenced {
        member: Member,
        batch: i64,
    },
    Beat {
        member: Member,
        batch: i64,
    },
    /// How the queue stands with its ticks.
    TicksOf {
        queue: String,
    },
    BatchInfo {
        batch: i64,
    },
    /// Of which events were applied, by that consumer of pgq_ext.
    LockRecords {
        of: String,
    },
    EventsDone {
        of: String,
        batch: i64,
        events: Vec<i64>,
    },
    SetEventsDone {
        of: String,
        batch: i64,
        events: Vec<i64>,
    },
    RetryMeans {
        batch: i64,
    },
    RetryAll {
        batch: i64,
        seconds: i32,
    },
    RetrySet {
        batch: i64,
        events: Vec<i64>,
        seconds: Vec<i32>,
    },
    AddLetters {
        batch: i64,
        events: Vec<i64>,
        reasons: Vec<Option<String>>,
        errors: Vec<Option<String>>,
        attempts: Vec<i32>,
    },
    InsertSink {
        event: i64,
        worker: String,
    },
}

impl Request {
    /// The columns of its answer; none where it answers with no rows at all.
    pub(crate) fn columns(&self) -> &'static [Kind] {
        use Kind::{Bool, Float8, Int4, Int8, Text, Time};
        match self {
            Self::Cursor { .. } | Self::Fetch { .. } => {
                &[Int8, Time, Int8, Int4, Text, Text, Text, Text, Text, Text]
            }
            Self::Next { .. } => &[Int8, Int8, Int8, Time, Time, Int8, Int8, Bool],
            Self::NextOfMember { .. } => &[Int8, Int8, Int8, Time, Time, Int8, Int8, Bool, Bool],
            Self::Info { .. } => &[Text, Text, Float8, Float8, Int8, Int8, Int8, Int8],
            Self::RegisterMember { .. } => &[Int4, Bool],
            Self::RetryMeans { .. } => &[Bool, Bool],
            Self::Abilities => &[Bool, Bool, Bool, Int8],
            Self::TicksOf { .. } => &[Float8, Int8, Float8, Bool, Bool, Float8],
            Self::BatchInfo { .. } => &[Text, Text, Time, Time, Int8, Int8, Float8, Int8, Int8],
            Self::EventsDone { .. } => &[Int8],
            Self::Claim { .. } | Self::Unclaim { .. } | Self::Beat { .. } | Self::SetEventsDone { .. } => {
                &[Bool]
            }
            Self::Insert { .. } | Self::ForceTick { .. } | Self::Tick { .. } | Self::MoveRetries { .. } => {
                &[Int8]
            }
            Self::IsReadOnly | Self::LockRecords { .. } => &[Text],
            Self::One
            | Self::CreateQueue { .. }
            | Self::Register { .. }
            | Self::Unregister { .. }
            | Self::UnregisterMember { .. }
            | Self::Finish { .. }
            | Self::FinishFenced { .. }
            | Self::RetryAll { .. }
            | Self::RetrySet { .. }
            | Self::AddLetters { .. } => &[Int4],
            _ => &[],
        }
    }

    /// Whether it may run in a transaction that failed.
    pub(crate) fn ends_transaction(&self) -> bool {
        matches!(self, Self::Commit | Self::Rollback | Self::RollbackTo(_))
    }

    /// What the server calls it when it is done.
    pub(crate) fn tag(&self, rows: usize) -> String {
        match self {
            Self::Begin => "BEGIN".to_owned(),
            Self::Commit => "COMMIT".to_owned(),
            Self::Rollback | Self::RollbackTo(_) => "ROLLBACK".to_owned(),
            Self::Savepoint(_) => "SAVEPOINT".to_owned(),
            Self::Release(_) => "RELEASE".to_owned(),
            Self::Listen => "LISTEN".to_owned(),
            Self::Unlisten => "UNLISTEN".to_owned(),
            Self::Setting | Self::LimitWaits => "SET".to_owned(),
            Self::CloseCursor { .. } => "CLOSE CURSOR".to_owned(),
            Self::Fetch { .. } => format!("FETCH {rows}"),
            Self::InsertSink { .. } => "INSERT 0 1".to_owned(),
            _ => format!("SELECT {rows}"),
        }
    }
}
