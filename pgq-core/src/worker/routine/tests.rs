use std::sync::{Arc, Mutex};

use super::*;
use crate::worker::{Handling, NoTicks};

struct Bench {
    routine: Routine,
    notices: Arc<Mutex<Vec<Notice>>>,
    now: Instant,
}

const OK: Result<Prepared> = Ok(Prepared { writes: true, installed: true, dead_letters: true });

impl Bench {
    fn new(options: WorkerOptions) -> Self {
        let notices: Arc<Mutex<Vec<Notice>>> = Arc::default();
        let callback = {
            let notices = Arc::clone(&notices);
            move |notice: &Notice| notices.lock().unwrap().push(notice.clone())
        };
        let reader = Reader::consumer("orders", "mail");
        let journal = Journal::new("orders", "mail", Some(Arc::new(callback)));
        let now = Instant::now();
        let routine =
            Routine::new(options, Handling::Event, &reader, journal, fastrand::Rng::with_seed(3), now);
        Self { routine, notices, now }
    }

    fn working(options: WorkerOptions) -> Self {
        let mut bench = Self::new(options);
        bench.connect();
        assert!(matches!(bench.next(), Action::Claim));
        bench.routine.claimed(Ok(true), bench.now);
        assert!(matches!(bench.next(), Action::Listen));
        bench.routine.listening(Ok(()), bench.now);
        bench
    }

    fn connect(&mut self) {
        assert!(matches!(self.next(), Action::Connect));
        self.routine.connected();
        assert!(matches!(self.next(), Action::Prepare));
        self.routine.prepared(OK, self.now);
    }

    fn next(&mut self) -> Action {
        self.routine.next(self.now)
    }

    /// The next action that is none of waiting, and how long that took.
    fn after_waiting(&mut self) -> (Action, Duration) {
        let begin = self.now;
        loop {
            match self.next() {
                Action::Wait(wait) => self.now += wait,
                action => return (action, self.now - begin),
            }
        }
    }

    fn ask(&mut self, worked: Worked) {
        assert!(matches!(self.after_waiting().0, Action::Ask));
        self.routine.worked(worked, self.now);
    }

    fn fail(&mut self, error: Error) {
        self.ask(Worked::Not { batch: Some(BatchId(1)), because: Unfinished::Server(error) });
    }

    fn count(&self, wanted: impl Fn(&Notice) -> bool) -> usize {
        self.notices.lock().unwrap().iter().filter(|notice| wanted(notice)).count()
    }
}

fn batch(prev_tick: i64, tick: i64) -> NextBatch {
    let time = chrono::DateTime::UNIX_EPOCH;
    NextBatch {
        id: BatchId(tick),
        tick: TickId(tick),
        prev_tick: TickId(prev_tick),
        tick_time: time,
        prev_tick_time: time,
        tick_event_seq: 0,
        prev_tick_event_seq: 0,
    }
}

fn gone() -> Error {
    Error::NoAnswerInTime { waited: Duration::from_secs(30) }
}

fn lost() -> Error {
    Error::BatchLost { queue: "orders".into(), consumer: "mail".into(), batch: BatchId(1) }
}

#[test]
fn asks_again_at_once_after_a_batch_and_polls_after_none() {
    let mut bench = Bench::working(WorkerOptions::new());
    bench.ask(Worked::Finished(batch(1, 2)));
    assert!(matches!(bench.next(), Action::Ask));
    bench.routine.worked(Worked::Nothing, bench.now);
    let (action, waited) = bench.after_waiting();
    assert!(matches!(action, Action::Ask));
    assert!((1.0..1.25).contains(&waited.as_secs_f64()), "{waited:?}");
}

#[test]
fn a_notification_of_this_queue_wakes_it() {
    let mut bench = Bench::working(WorkerOptions::new());
    for (payload, wakes) in [("others", false), ("orders", true), ("", true)] {
        bench.ask(Worked::Nothing);
        assert!(matches!(bench.next(), Action::Wait(_)));
        bench.routine.notified(payload);
        assert_eq!(matches!(bench.next(), Action::Ask), wakes, "{payload:?}");
    }
}

#[test]
fn a_notification_that_comes_during_a_look_asks_for_another() {
    let mut bench = Bench::working(WorkerOptions::new());
    assert!(matches!(bench.next(), Action::Ask));
    bench.routine.notified("orders");
    bench.routine.worked(Worked::Nothing, bench.now);
    assert!(matches!(bench.next(), Action::Ask));
    bench.routine.worked(Worked::Nothing, bench.now);
    assert!(matches!(bench.next(), Action::Wait(_)));
}

#[test]
fn a_lost_connection_is_made_anew_after_a_growing_pause() {
    let mut bench = Bench::working(WorkerOptions::new());
    bench.fail(gone());
    assert!(matches!(bench.next(), Action::Disconnect));
    let mut pauses = Vec::new();
    for _ in 0..12 {
        let (action, pause) = bench.after_waiting();
        assert!(matches!(action, Action::Connect));
        pauses.push(pause);
        bench.routine.lost(&gone(), bench.now);
    }
    assert!(
        pauses[0] < Duration::from_millis(100)
            && pauses.iter().any(|pause| *pause > Duration::from_millis(800)),
        "{pauses:?}"
    );
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(1_500)), "{pauses:?}");
    let (_, _) = bench.after_waiting();
    bench.routine.connected();
    bench.routine.prepared(OK, bench.now);
    assert!(matches!(bench.next(), Action::Claim));
}

#[test]
fn a_read_only_server_is_left() {
    let mut bench = Bench::new(WorkerOptions::new());
    assert!(matches!(bench.next(), Action::Connect));
    bench.routine.connected();
    bench.routine.prepared(Ok(Prepared { writes: false, installed: true, dead_letters: true }), bench.now);
    assert!(matches!(bench.next(), Action::Disconnect));
    assert!(matches!(bench.next(), Action::Wait(_)));
}

#[test]
fn stands_by_for_who_has_claimed_the_name() {
    let mut bench = Bench::new(WorkerOptions::new());
    bench.connect();
    for _ in 0..5 {
        let (action, _) = bench.after_waiting();
        assert!(matches!(action, Action::Claim));
        bench.routine.claimed(Ok(false), bench.now);
    }
    assert_eq!(bench.count(|notice| *notice == Notice::StandingBy), 1);
    let (_, waited) = bench.after_waiting();
    assert!(waited <= Duration::from_millis(750), "{waited:?}");
    bench.routine.claimed(Ok(true), bench.now);
    assert!(matches!(bench.next(), Action::Listen));
}

#[test]
fn a_batch_that_is_taken_away_each_time_makes_no_busy_loop() {
    let mut bench = Bench::working(WorkerOptions::new().claim(Claim::StandBy));
    let begin = bench.now;
    for _ in 0..20 {
        bench.fail(lost());
        bench.ask(Worked::Finished(batch(1, 2)));
    }
    assert!(bench.now - begin >= Duration::from_secs(2), "{:?}", bench.now - begin);
}

#[test]
fn a_permanent_error_ends_it_or_is_waited_for() {
    let missing =
        || Error::NotInGroup { queue: "q".into(), consumer: "c".into(), main: "m".into(), source: None };
    let mut bench = Bench::working(WorkerOptions::new());
    bench.fail(missing());
    assert!(matches!(bench.next(), Action::End(Err(Error::NotInGroup { .. }))));

    let mut bench = Bench::working(WorkerOptions::new().permanent(Permanent::Wait));
    let begin = bench.now;
    for _ in 0..10 {
        bench.fail(missing());
    }
    assert!(bench.now - begin > Duration::from_secs(45), "{:?}", bench.now - begin);
}

#[test]
fn says_once_that_no_ticks_come() {
    let mut bench = Bench::working(WorkerOptions::new());
    let ticks = |age, waiting| {
        let (age, max_lag) = (Duration::from_secs(age), Duration::from_secs(3));
        Ok(Some(Ticks { age, waiting, max_lag, cause: NoTicks::NoTicker }))
    };
    let stalls = |bench: &Bench| bench.count(|notice| matches!(notice, Notice::NoTicks { .. }));
    let look = |bench: &mut Bench, age, waiting| loop {
        match bench.after_waiting().0 {
            Action::Ask => bench.routine.worked(Worked::Nothing, bench.now),
            Action::Look => break bench.routine.looked(ticks(age, waiting), bench.now),
            action => panic!("{action:?}"),
        }
    };
    look(&mut bench, 60, 0);
    look(&mut bench, 20, 5);
    assert_eq!(stalls(&bench), 0);
    look(&mut bench, 40, 5);
    look(&mut bench, 70, 5);
    assert_eq!(stalls(&bench), 1);
    bench.ask(Worked::Finished(batch(1, 2)));
    assert_eq!(bench.count(|notice| *notice == Notice::TicksAgain), 1);
}

#[test]
fn says_once_that_no_notification_comes() {
    let is_deaf = |bench: &Bench| bench.count(|notice| matches!(notice, Notice::Deaf { .. }));
    let find = |bench: &mut Bench, tick| bench.ask(Worked::Finished(batch(tick, tick + 1)));
    let mut bench = Bench::working(WorkerOptions::new());
    for tick in 1..9 {
        bench.ask(Worked::Nothing);
        find(&mut bench, tick);
    }
    assert_eq!(is_deaf(&bench), 1);

    // A backlog was announced before.
    let mut bench = Bench::working(WorkerOptions::new());
    (1..9).for_each(|tick| find(&mut bench, tick));
    assert_eq!(is_deaf(&bench), 0);

    // A look can be faster than the notification, but not always. Behind a pooler, notifications come with looks alone.
    for (waits, deaf) in [(true, 0), (false, 1)] {
        let mut bench = Bench::working(WorkerOptions::new());
        for tick in 1..9 {
            bench.ask(Worked::Nothing);
            if tick % 3 == 0 {
                assert!(!waits || matches!(bench.next(), Action::Wait(_)));
                bench.routine.notified("orders");
            }
            find(&mut bench, tick);
        }
        assert_eq!(is_deaf(&bench), deaf);
    }
}

#[test]
fn says_that_somebody_moved_the_consumer() {
    let mut bench = Bench::working(WorkerOptions::new());
    bench.ask(Worked::Finished(batch(1, 2)));
    bench.routine.opened(&batch(2, 3));
    bench.ask(Worked::Finished(batch(2, 3)));
    assert_eq!(bench.count(|notice| matches!(notice, Notice::Moved { .. })), 0);
    bench.routine.opened(&batch(8, 9));
    assert_eq!(bench.count(|notice| *notice == Notice::Moved { from: TickId(3), to: TickId(8) }), 1);
}

#[test]
fn says_that_somebody_moved_it_past_a_batch_that_was_rolled_back() {
    let moved = |bench: &Bench| bench.count(|notice| matches!(notice, Notice::Moved { .. }));
    let redo = |bench: &mut Bench| {
        bench.routine.worked(Worked::Not { batch: Some(BatchId(1)), because: Unfinished::Redo }, bench.now);
    };
    let mut bench = Bench::working(WorkerOptions::new());
    bench.routine.opened(&batch(1, 2));
    redo(&mut bench);
    bench.routine.opened(&batch(1, 2));
    assert_eq!(moved(&bench), 0);
    redo(&mut bench);
    bench.routine.opened(&batch(5, 6));
    assert_eq!(moved(&bench), 1);
    bench.fail(lost());
    bench.routine.opened(&batch(6, 7));
    bench.fail(gone());
    bench.routine.opened(&batch(7, 8));
    assert_eq!(moved(&bench), 1);
}

#[test]
fn stops_between_two_batches() {
    let mut bench = Bench::working(WorkerOptions::new());
    bench.ask(Worked::Finished(batch(1, 2)));
    bench.routine.stop();
    bench.routine.stop();
    assert!(matches!(bench.next(), Action::End(Ok(()))));
    assert_eq!(bench.count(|notice| *notice == Notice::Stopping), 1);
}

#[test]
fn without_dead_letters_it_does_not_begin() {
    let mut bench = Bench::new(WorkerOptions::new());
    assert!(matches!(bench.next(), Action::Connect));
    bench.routine.connected();
    bench.routine.prepared(Ok(Prepared { writes: true, installed: true, dead_letters: false }), bench.now);
    assert!(matches!(bench.next(), Action::End(Err(Error::NoDeadLetters))));
}

#[test]
fn times_can_be_for_ever() {
    let mut bench = Bench::working(WorkerOptions::new().poll(Duration::MAX).no_ticks_after(Duration::MAX));
    bench.ask(Worked::Nothing);
    assert!(matches!(bench.next(), Action::Wait(_)));
}
