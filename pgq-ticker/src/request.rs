use std::time::{Duration, Instant};

use pgq_core::{Call, Error, SessionId, TxId, tick};

use crate::reply::Reply;

/// Tells requests apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RequestId(pub(crate) u64);

/// The wish for a tick that covers all that was committed when it was uttered.
///
/// It commits a transaction of its own, the marker, and waits for a tick that sees it: its snapshot is younger than the wish. The
/// one who leads makes that tick; a stand-by, who must not, leaves it to the leader.
#[derive(Debug)]
pub(crate) struct Request {
    id: RequestId,
    queue: String,
    asked: Instant,
    due: Instant,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Mark,
    Force(TxId),
    Ask(TxId),
    Tick(TxId),
    Cover(TxId),
}

impl Request {
    pub(crate) const LIMIT: Duration = Duration::from_secs(30);
    /// For how long the asker waits, should the ticker be busy just when it ought to give up.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(31);
    const POLL: Duration = Duration::from_millis(20);

    pub(crate) fn new(id: RequestId, queue: String, now: Instant) -> Self {
        Self { id, queue, asked: now, due: now, stage: Stage::Mark }
    }

    /// Takes in the answer to [`call`](Self::call); `true` when the tick is there.
    pub(crate) fn replied(&mut self, reply: &Reply, leading: bool, now: Instant) -> bool {
        self.stage = match (self.stage, reply) {
            (_, Reply::Marked(marker)) => Stage::Force(*marker),
            (Stage::Force(marker), _) if leading => Stage::Tick(marker),
            (Stage::Force(marker), _) => Stage::Ask(marker),
            (Stage::Ask(marker) | Stage::Tick(marker), _) => Stage::Cover(marker),
            (_, Reply::Covered(true)) => return true,
            (Stage::Cover(marker), _) => {
                self.due = now + Self::POLL;
                if leading { Stage::Tick(marker) } else { Stage::Cover(marker) }
            }
            (Stage::Mark, _) => Stage::Mark,
        };
        false
    }

    pub(crate) fn start_over(&mut self) {
        self.stage = Stage::Mark;
    }

    pub(crate) fn id(&self) -> RequestId {
        self.id
    }

    pub(crate) fn queue(&self) -> &str {
        &self.queue
    }

    pub(crate) fn call(&self, leads: Option<SessionId>) -> Call<'_, Reply> {
        match (self.stage, leads) {
            (Stage::Mark, _) => tick::current_txid().map(Reply::Marked),
            (Stage::Force(_), _) => tick::force(&self.queue).map(Reply::Forced),
            (Stage::Tick(_), Some(session)) => tick::queue_on(&self.queue, session).map(Reply::TickedQueue),
            (Stage::Ask(_) | Stage::Tick(_), _) => tick::refusal(&self.queue).map(|()| Reply::NotRefused),
            (Stage::Cover(marker), _) => tick::covers(&self.queue, marker).map(Reply::Covered),
        }
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due <= now
    }

    pub(crate) fn is_late(&self, now: Instant) -> bool {
        now >= self.asked + Self::LIMIT
    }

    pub(crate) fn late(&self, trouble: Option<String>) -> Error {
        Error::NoTickInTime { queue: self.queue.clone(), waited: Self::LIMIT, trouble }
    }

    /// When it wants attention next.
    pub(crate) fn next(&self, now: Instant) -> Instant {
        if self.is_due(now) { self.asked + Self::LIMIT } else { self.due }
    }
}
