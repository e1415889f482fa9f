//! Who listens hears of each tick once, whichever engine makes it.

use std::time::Duration;

use pgq_sync::postgres::Client;
use pgq_sync::postgres::fallible_iterator::FallibleIterator;
use pgq_ticker::State;

use crate::bed::{Bed, Options, Ticker, is_portable, until};

cases!(
    of_ticks_on_demand,
    of_ticks_on_demand_at_a_standby,
    of_the_beat,
    of_queues_that_are_ticked_one_by_one,
    not_at_all
);

struct Listener(Client);

impl Listener {
    fn new(bed: &Bed) -> Self {
        let mut db = bed.connect();
        db.batch_execute("LISTEN pgq_tick").unwrap();
        Self(db)
    }

    /// The payloads of all notifications up to now: they come in the order of the commits, so this one is the last.
    fn heard(&mut self, bed: &mut Bed) -> Vec<String> {
        bed.execute("NOTIFY pgq_tick, 'the end'");
        let mut notifications = self.0.notifications();
        let mut waiting = notifications.timeout_iter(Duration::from_secs(30));
        let mut heard = Vec::new();
        loop {
            let notification = waiting.next().unwrap().expect("the last notification");
            match notification.payload() {
                "the end" => return heard,
                payload => heard.push(payload.to_owned()),
            }
        }
    }
}

/// Makes no tick unless it is asked.
fn on_demand() -> Options {
    Options { tick: Duration::from_secs(3_600), ..Options::ticks() }
}

fn made(bed: &mut Bed, queue: &str) -> usize {
    let ticks = format!(
        "SELECT count(*) FROM pgq.tick JOIN pgq.queue ON queue_id = tick_queue WHERE queue_name = '{queue}'"
    );
    bed.count(&ticks).try_into().unwrap()
}

fn of_ticks_on_demand<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.never_due("q");
    let before = made(&mut bed, "q");
    let mut listener = Listener::new(&bed);
    let ticker: T = bed.spawn(on_demand());
    until("it leads", || ticker.leads());
    for number in 1..=5 {
        ticker.tick_now("q").unwrap();
        assert!(made(&mut bed, "q") >= before + number);
    }
    let ticks = made(&mut bed, "q") - before;
    assert_eq!(listener.heard(&mut bed), vec!["q"; ticks]);
}

fn of_ticks_on_demand_at_a_standby<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.never_due("q");
    let before = made(&mut bed, "q");
    let mut listener = Listener::new(&bed);
    let leader: T = bed.spawn(Options::ticks());
    until("one leads", || leader.leads());
    let standby: T = bed.spawn(Options::ticks());
    until("the other stands by", || standby.stats().state == State::Standby);
    standby.tick_now("q").unwrap();
    drop((standby, leader));
    assert_eq!(listener.heard(&mut bed).len(), made(&mut bed, "q") - before);
}

fn of_the_beat<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.always_due("q");
    let before = made(&mut bed, "q");
    let mut listener = Listener::new(&bed);
    let ticker: T = bed.spawn(Options::ticks());
    until("there are many ticks", || ticker.stats().ticks >= 20);
    // Ticks until its last step, of which it has told or not.
    ticker.stop();
    let ticks = made(&mut bed, "q") - before;
    let heard = listener.heard(&mut bed);
    assert!(heard.len() == ticks || !is_portable() && heard.len() + 1 == ticks, "{} of {ticks}", heard.len());
    let payload = if is_portable() { "q" } else { "" };
    assert!(heard.iter().all(|heard| heard == payload), "{heard:?}");
}

fn of_queues_that_are_ticked_one_by_one<T: Ticker>() {
    let mut bed = Bed::new("broken");
    bed.execute("UPDATE pgq.tick SET tick_snapshot = '4000000000:4000000000:'");
    let long = "x".repeat(100);
    for queue in ["it's \"odd\"", &long] {
        bed.create(queue);
        bed.always_due(queue);
    }
    let mut listener = Listener::new(&bed);
    let ticker: T = bed.spawn(Options::ticks());
    until("there are many ticks", || ticker.stats().ticks >= 20);
    ticker.stop();
    let heard = listener.heard(&mut bed);
    for queue in ["it's \"odd\"", &long] {
        assert!(heard.iter().filter(|heard| *heard == queue).count() >= 9, "{heard:?}");
    }
    assert!(!heard.iter().any(String::is_empty), "{heard:?}");
}

/// The ticks are made where the notifications fail.
fn not_at_all<T: Ticker>() {
    if is_portable() {
        return;
    }
    let mut bed = Bed::new("q");
    bed.always_due("q");
    let mute = format!("{}_mute", bed.database.name());
    bed.execute(&format!(
        "CREATE ROLE {mute} LOGIN IN ROLE pgq_admin; REVOKE EXECUTE ON FUNCTION pg_notify(text, text) FROM public"
    ));
    let mut listener = Listener::new(&bed);
    let ticker = T::spawn(&bed.database.conninfo_as(&mute), Options::ticks());
    until("a notification failed", || ticker.stats().failing.keys().eq(["notification"]));
    bed.is_ticked("q");
    ticker.tick_now("q").unwrap();
    assert!(ticker.leads());
    assert_eq!(listener.heard(&mut bed), [""; 0]);
    bed.execute("GRANT EXECUTE ON FUNCTION pg_notify(text, text) TO public");
    until("nothing fails", || ticker.stats().failing.is_empty());
    bed.is_ticked("q");
    drop(ticker);
    assert!(!listener.heard(&mut bed).is_empty());
    bed.execute(&format!("DROP ROLE {mute}"));
}
