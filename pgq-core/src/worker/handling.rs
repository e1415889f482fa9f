use std::num::NonZeroU32;

use super::{Exhausted, Routes, Undecodable, UnknownType, WorkerOptions};
use crate::batch::Reader;
use crate::{Error, Result};

/// What a worker gives to its handlers, and where. What it was told is checked here, before it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Handling {
    /// Event by event, in the transaction of the batch.
    Event,
    /// The batch, in its transaction.
    Batch,
    /// Event by event, without a transaction.
    Outside,
    /// Like [`Outside`](Self::Outside), those of one key one after the other.
    Keyed,
    /// Many events at once, without a transaction.
    Window,
}

impl Handling {
    /// That of a worker with these handlers, in the transaction.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] where there is none, one twice, or one for events and one for batches.
    pub fn in_transaction<H, B>(routes: &Routes<H>, batch: Option<&B>) -> Result<Self> {
        if let Some(twice) = routes.twice() {
            let value = format!("set twice for {twice}");
            return Err(refused(&value, "only one of them would be called: make one of both"));
        }
        match (routes.is_empty(), batch) {
            (false, None) => Ok(Self::Event),
            (true, Some(_)) => Ok(Self::Batch),
            (true, None) => {
                let reason =
                    "all events would be of an unknown type: set one with `on`, `otherwise` or `on_batch`";
                Err(refused("missing", reason))
            }
            (false, Some(_)) => {
                let reason = "it is the one or the other: leave out `on_batch`, or `on` and `otherwise`";
                Err(refused("both for events and for batches", reason))
            }
        }
    }

    /// That of a worker with these handlers, without a transaction: so many `at_once`, and by `key`, where that was said.
    ///
    /// # Errors
    /// Those of [`in_transaction`](Self::in_transaction), and where these do not go together.
    pub fn outside<H, B, K>(
        routes: &Routes<H>,
        window: Option<&B>,
        at_once: Option<usize>,
        key: Option<&K>,
    ) -> Result<Self> {
        let (name, value, reason) = match (Self::in_transaction(routes, window)?, at_once, key) {
            (_, Some(0), _) => {
                ("concurrency", "0", "no event would ever be handled: 1 is one after the other")
            }
            (Self::Batch, Some(_), _) => (
                "concurrency",
                "set with `on_batch`",
                "its handler is called with many events, one call after the other",
            ),
            (Self::Batch, None, Some(_)) => (
                "key",
                "set with `on_batch`",
                "its handler is called with events of all keys, in their order",
            ),
            (_, None, Some(_)) => {
                let reason = "events are handled one after the other unless `concurrency` says more: set that too (to 1, if it is \
                              only that an event is to be retried in its place)";
                ("key", "set without `concurrency`", reason)
            }
            (Self::Batch, None, None) => return Ok(Self::Window),
            (_, _, Some(_)) => return Ok(Self::Keyed),
            (_, _, None) => return Ok(Self::Outside),
        };
        Err(Error::InvalidValue { name, value: value.to_owned(), reason })
    }

    /// The error of a worker that was given handlers before it was told that they are to be outside of the transaction.
    pub fn misplaced() -> Error {
        refused("set before `outside`", "it would be in the transaction: say `outside` first")
    }

    /// Checks that the options make sense, and go together with how the worker reads and handles.
    ///
    /// # Errors
    /// [`Error::InvalidValue`]
    pub fn check(self, options: &WorkerOptions, reader: &Reader) -> Result<()> {
        options.check()?;
        if let Some(events) = options.slice {
            self.check_slice(events, reader)?;
        }
        let repeats_at_once = matches!(self, Self::Batch | Self::Keyed | Self::Window);
        let retries = &options.retries;
        if repeats_at_once && retries.exhausted == Exhausted::Retry && retries.longest.is_zero() {
            let reason = "what fails is retried in its place and for ever: without a pause the worker would do nothing else";
            let name = "the longest of RetryPolicy::pauses";
            return Err(Error::InvalidValue { name, value: "zero".to_owned(), reason });
        }
        Ok(())
    }

    /// Whether an event can become a dead letter without its handler asking for it.
    pub(super) fn needs_dead_letters(self, options: &WorkerOptions) -> bool {
        let WorkerOptions { retries, unknown, undecodable, .. } = options;
        let by_event = !matches!(self, Self::Batch | Self::Window);
        retries.exhausted == Exhausted::DeadLetter
            || (by_event && (*unknown == UnknownType::DeadLetter || *undecodable == Undecodable::DeadLetter))
    }

    fn check_slice(self, events: NonZeroU32, reader: &Reader) -> Result<()> {
        let reason = match self {
            _ if reader.sub().is_some() => {
                "the batch of a subconsumer can go to another one in the middle: leave it out, or use a plain consumer"
            }
            Self::Batch => "the handler is one for whole batches: leave it out, or handle event by event",
            Self::Outside | Self::Keyed | Self::Window => {
                "the handlers are outside of the transaction, so there is none to be cut: leave it out"
            }
            Self::Event => return Ok(()),
        };
        Err(Error::InvalidValue { name: "WorkerOptions::slice", value: events.to_string(), reason })
    }
}

fn refused(value: &str, reason: &'static str) -> Error {
    Error::InvalidValue { name: "the handler of a worker", value: value.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::worker::RetryPolicy;

    const NONE: Option<&()> = None;
    const SOME: Option<&()> = Some(&());

    fn routes() -> Routes<()> {
        let mut routes = Routes::default();
        routes.on("a", ());
        routes
    }

    fn says<T>(result: Result<T>) -> String {
        result.map_or_else(|error| error.to_string(), |_| "nothing".to_owned())
    }

    #[test]
    fn one_handler_for_each() {
        assert_eq!(Handling::in_transaction(&routes(), NONE).unwrap(), Handling::Event);
        assert_eq!(Handling::in_transaction(&Routes::<()>::default(), SOME).unwrap(), Handling::Batch);
        let none = says(Handling::in_transaction(&Routes::<()>::default(), NONE));
        assert!(none.starts_with("the handler of a worker cannot be missing: "), "{none}");
        let both = says(Handling::in_transaction(&routes(), SOME));
        assert!(both.contains("both for events and for batches"), "{both}");
        let mut twice = routes();
        twice.on("a", ());
        let twice = says(Handling::in_transaction(&twice, NONE));
        assert!(twice.contains("set twice for events of type \"a\""), "{twice}");
        let mut twice = Routes::default();
        twice.otherwise(());
        twice.otherwise(());
        let twice = says(Handling::outside(&twice, NONE, None, NONE));
        assert!(twice.contains("set twice for events of other types"), "{twice}");
    }

    #[test]
    fn keys_take_concurrency() {
        let outside = |at_once, key| Handling::outside(&routes(), NONE, at_once, key);
        assert_eq!(outside(None, NONE).unwrap(), Handling::Outside);
        assert_eq!(outside(Some(1), SOME).unwrap(), Handling::Keyed);
        assert!(says(outside(None, SOME)).starts_with("key cannot be set without `concurrency`: "));
        assert!(says(outside(Some(0), NONE)).starts_with("concurrency cannot be 0: "));
        let window = |at_once, key| Handling::outside(&Routes::<()>::default(), SOME, at_once, key);
        assert_eq!(window(None, NONE).unwrap(), Handling::Window);
        assert!(says(window(None, SOME)).starts_with("key cannot be set with `on_batch`: "));
        assert!(says(window(Some(2), SOME)).starts_with("concurrency cannot be set with `on_batch`: "));
    }

    #[test]
    fn slices_are_for_plain_consumers_in_the_transaction() {
        let options = WorkerOptions::new().slice(NonZeroU32::new(9).unwrap());
        let plain = Reader::consumer("q", "c");
        assert_eq!(says(Handling::Event.check(&options, &plain)), "nothing");
        for handling in [Handling::Batch, Handling::Outside, Handling::Keyed, Handling::Window] {
            let refused = says(handling.check(&options, &plain));
            assert!(refused.starts_with("WorkerOptions::slice cannot be 9: "), "{refused}");
        }
        let member = Reader::subconsumer("q", "c", "s");
        assert!(says(Handling::Event.check(&options, &member)).contains("subconsumer"));
    }

    #[test]
    fn no_worker_is_to_spin() {
        let plain = Reader::consumer("q", "c");
        let zero = Duration::ZERO;
        for (options, name) in [
            (WorkerOptions::new().poll(zero), "WorkerOptions::poll"),
            (WorkerOptions::new().answer_limit(zero), "WorkerOptions::answer_limit"),
            (WorkerOptions::new().handler_limit(zero), "WorkerOptions::handler_limit"),
            (WorkerOptions::new().stuck_after(zero), "WorkerOptions::stuck_after"),
            (WorkerOptions::new().no_ticks_after(zero), "WorkerOptions::no_ticks_after"),
            (WorkerOptions::new().retries(RetryPolicy::new().attempts(0)), "RetryPolicy::attempts"),
        ] {
            let refused = says(Handling::Event.check(&options, &plain));
            assert!(refused.starts_with(&format!("{name} cannot be ")), "{refused}");
        }
        let stops_at_once = WorkerOptions::new().grace(zero);
        assert_eq!(says(Handling::Event.check(&stops_at_once, &plain)), "nothing");
        let retries = RetryPolicy::new().pauses(zero, zero);
        for (exhausted, refuses) in [(Exhausted::Retry, true), (Exhausted::DeadLetter, false)] {
            let options = WorkerOptions::new().retries(retries.clone().exhausted(exhausted));
            for in_place in [Handling::Batch, Handling::Keyed, Handling::Window] {
                assert_eq!(in_place.check(&options, &plain).is_err(), refuses);
            }
            // PgQ's retry queue is the pause.
            assert!(Handling::Event.check(&options, &plain).is_ok());
        }
    }
}
