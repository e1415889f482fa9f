//! Places where the drivers can be made to fail, for this project's own tests. Without the feature `fault-points` there is no way to
//! set what happens there, and nothing does.

#[cfg(feature = "fault-points")]
mod hook;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::{Error, Result};

#[cfg(feature = "fault-points")]
pub use self::hook::{Action, Hook};

/// A place in the life of a batch, in the order in which a worker comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// The connection stands.
    AfterConnect,
    /// There is a batch. As a rule that is committed.
    AfterNext,
    /// The transaction that the batch is worked on in is about to begin.
    AfterNextCommit,
    /// The cursor is open, and its first chunk here.
    AfterDeclare,
    /// A further chunk is here.
    MidFetch,
    /// An event, or a batch, is about to be given to the handler.
    BeforeHandler,
    /// The handler has returned.
    AfterHandler,
    /// The dead letters and the retries are about to be queued.
    BeforeFence,
    /// They are, and the batch is about to be finished.
    AfterFence,
    /// The server has answered that it is finished.
    AfterFinish,
    /// The commit is about to be sent.
    BeforeCommit,
    /// The commit is sent, and its answer not yet awaited. The blocking driver cannot do the one without the other: there it is the
    /// same as [`BeforeCommit`](Self::BeforeCommit).
    CommitSent,
    /// The commit is answered.
    AfterCommit,
}

impl Point {
    /// All of them, in their order.
    pub const ALL: [Self; 13] = [
        Self::AfterConnect,
        Self::AfterNext,
        Self::AfterNextCommit,
        Self::AfterDeclare,
        Self::MidFetch,
        Self::BeforeHandler,
        Self::AfterHandler,
        Self::BeforeFence,
        Self::AfterFence,
        Self::AfterFinish,
        Self::BeforeCommit,
        Self::CommitSent,
        Self::AfterCommit,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::AfterConnect => "after_connect",
            Self::AfterNext => "after_next",
            Self::AfterNextCommit => "after_next_commit",
            Self::AfterDeclare => "after_declare",
            Self::MidFetch => "mid_fetch",
            Self::BeforeHandler => "before_handler",
            Self::AfterHandler => "after_handler",
            Self::BeforeFence => "before_fence",
            Self::AfterFence => "after_fence",
            Self::AfterFinish => "after_finish",
            Self::BeforeCommit => "before_commit",
            Self::CommitSent => "commit_sent",
            Self::AfterCommit => "after_commit",
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Point {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let unknown = || Error::InvalidValue {
            name: "a fault point",
            value: format!("{name:?}"),
            reason: "there is none of this name",
        };
        Self::ALL.into_iter().find(|point| point.name() == name).ok_or_else(unknown)
    }
}

/// What is left to do for a driver that has reached a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Nothing: it goes on.
    None,
    /// It goes on after this time.
    Sleep(Duration),
    /// It never goes on: its future is going to be dropped.
    UntilDropped,
}

/// What a [`Reader`](crate::batch::Reader) knows of faults: nothing, unless the feature is on and a test has set a hook.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultPoints {
    #[cfg(feature = "fault-points")]
    hook: Option<Hook>,
}

impl FaultPoints {
    #[cfg(feature = "fault-points")]
    pub(crate) fn new(hook: Hook) -> Self {
        Self { hook: Some(hook) }
    }

    #[cfg(feature = "fault-points")]
    pub(crate) fn reach(&self, point: Point) -> Result<Pause> {
        self.hook.as_ref().map_or(Ok(Pause::None), |hook| hook.reach(point))
    }

    #[cfg(not(feature = "fault-points"))]
    #[inline]
    pub(crate) fn reach(&self, _: Point) -> Result<Pause> {
        Ok(Pause::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_found_by_their_names() {
        for point in Point::ALL {
            assert_eq!(point.to_string().parse::<Point>().unwrap(), point);
        }
        assert!(Point::ALL.is_sorted());
        let error = "after_lunch".parse::<Point>().unwrap_err();
        assert_eq!(error.to_string(), r#"a fault point cannot be "after_lunch": there is none of this name"#);
    }

    #[test]
    fn do_nothing_unless_set() {
        let pauses = Point::ALL.map(|point| FaultPoints::default().reach(point).unwrap());
        assert_eq!(pauses, [Pause::None; 13]);
    }
}
