use std::fmt;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use super::{Pause, Point};
use crate::{Error, Result};

/// What happens to a driver that reaches a [`Point`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes on.
    Go,
    /// It returns an error as of a lost connection.
    Error,
    /// It panics.
    Panic,
    /// It goes on after this time.
    Sleep(Duration),
    /// The process ends with this code.
    Exit(i32),
    /// It never goes on, so that its future can be dropped here. The blocking driver, which has no future, panics.
    DropFuture,
}

/// Decides what happens at the points that a driver reaches.
///
/// It is asked on the driver's thread or task, just before the action. Whatever else is to happen there it can do itself: end the
/// session on the server, tell the test. It should not block where that would be wrong in a future.
#[derive(Clone)]
pub struct Hook(Arc<dyn Fn(Point) -> Action + Send + Sync>);

impl Hook {
    /// Decides by this function.
    pub fn new(decide: impl Fn(Point) -> Action + Send + Sync + 'static) -> Self {
        Self(Arc::new(decide))
    }

    /// Does what was decided, and tells how long the driver is to pause.
    ///
    /// # Errors
    /// That of [`Action::Error`], a lost connection.
    ///
    /// # Panics
    /// At [`Action::Panic`].
    pub fn reach(&self, point: Point) -> Result<Pause> {
        match (self.0)(point) {
            Action::Go => Ok(Pause::None),
            Action::Error => Err(Error::NoAnswerInTime { waited: Duration::ZERO }),
            Action::Panic => panic!("fault point {point}"),
            Action::Sleep(time) => Ok(Pause::Sleep(time)),
            Action::Exit(code) => process::exit(code),
            Action::DropFuture => Ok(Pause::UntilDropped),
        }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hook").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::panic;

    use super::*;
    use crate::batch::Reader;

    fn reach(action: Action) -> Result<Pause> {
        Reader::consumer("q", "c").with_fault_points(Hook::new(move |_| action)).reach(Point::MidFetch)
    }

    #[test]
    fn acts_as_decided() {
        let second = Duration::from_secs(1);
        assert_eq!(reach(Action::Go).unwrap(), Pause::None);
        assert_eq!(reach(Action::Sleep(second)).unwrap(), Pause::Sleep(second));
        assert_eq!(reach(Action::DropFuture).unwrap(), Pause::UntilDropped);
        let error = reach(Action::Error).unwrap_err();
        assert!(error.is_connection() && error.is_transient(), "{error:?}");
        let panicked = panic::catch_unwind(|| reach(Action::Panic)).unwrap_err();
        assert_eq!(panicked.downcast_ref::<String>().unwrap(), "fault point mid_fetch");
    }

    #[test]
    fn decides_by_the_point() {
        let hook = Hook::new(|point| match point {
            Point::AfterNext => Action::DropFuture,
            _ => Action::Go,
        });
        let reader = Reader::subconsumer("q", "c", "1").with_fault_points(hook);
        let stops = Point::ALL.into_iter().filter(|point| reader.reach(*point).unwrap() != Pause::None);
        assert_eq!(stops.collect::<Vec<_>>(), [Point::AfterNext]);
    }
}
