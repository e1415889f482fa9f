use std::thread;

use pgq_core::Result;
use pgq_core::batch::Reader;
use pgq_core::fault_point::{Pause, Point};

/// Does at this point what a test wants: nothing, without the feature `fault-points`.
pub(crate) fn reach(reader: &Reader, point: Point) -> Result<()> {
    match reader.reach(point)? {
        Pause::None => {}
        Pause::Sleep(time) => thread::sleep(time),
        Pause::UntilDropped => panic!("fault point {point}: a thread has no future to drop"),
    }
    Ok(())
}

/// Commits, with the points around it. What is sent is answered here, so two of them are one.
pub(crate) fn commit(reader: &Reader, commit: impl FnOnce() -> Result<(), postgres::Error>) -> Result<()> {
    reach(reader, Point::BeforeCommit)?;
    reach(reader, Point::CommitSent)?;
    commit()?;
    reach(reader, Point::AfterCommit)
}
