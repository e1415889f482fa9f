use std::time::Duration;

/// What an event's data asks of its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    retries: u32,
    is_deadly: bool,
}

/// What a handler does with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    Retry(Duration),
    GiveUp,
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Consumer `c`.
    Consumer,
    /// The members `m.w0`, `m.w1` and so on.
    Members,
    /// The same, where a batch keeps its id when it is taken over, as PgQ's own pgq_coop does it.
    MembersKeepingIds,
}

impl Task {
    pub(crate) fn new(retries: u32, is_deadly: bool) -> Self {
        Self { retries, is_deadly }
    }

    pub(crate) fn data(self) -> String {
        format!("{}{}", self.retries, if self.is_deadly { "x" } else { "" })
    }

    pub(crate) fn of(data: &str) -> Self {
        let retries = data.trim_end_matches('x').parse().expect("a number of retries");
        Self { retries, is_deadly: data.ends_with('x') }
    }

    pub(crate) fn verdict(self, retry: u32) -> Verdict {
        match (retry < self.retries, self.is_deadly) {
            (true, _) => Verdict::Retry(Duration::from_secs(u64::from(retry))),
            (false, true) => Verdict::GiveUp,
            (false, false) => Verdict::Done,
        }
    }
}
