use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pgq_testkit::{PgBouncer, Server, available};

use crate::bed::{Bed, Options, StopOnDrop, Ticker, connect, until};

cases!(never_ticks_without_the_lock);

/// Behind PgBouncer in transaction mode the lock is on one session, and the next statement may be on the other one.
fn never_ticks_without_the_lock<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.always_due("q");
    let bouncer = PgBouncer::before(Server::shared().unwrap());
    let Some(bouncer) = available(bouncer).unwrap() else { return };
    bed.execute(
        "CREATE TABLE made (pid int, has_lock bool); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO public.made SELECT pg_backend_pid(), EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted \
         AND pid = pg_backend_pid()); RETURN NULL; END $$; \
         CREATE TRIGGER note AFTER INSERT ON pgq.tick FOR EACH ROW EXECUTE FUNCTION note()",
    );
    let (conninfo, done) = (bouncer.conninfo(&bed.database), AtomicBool::new(false));
    let made = "SELECT count(*) FROM made";
    thread::scope(|scope| {
        let _stop = StopOnDrop(&done);
        for number in 1..=2 {
            let (conninfo, done) = (&conninfo, &done);
            scope.spawn(move || {
                let mut db = connect(conninfo);
                while !done.load(Ordering::Relaxed) {
                    db.batch_execute(&format!("BEGIN; SELECT pg_sleep(0.00{number}); COMMIT")).unwrap();
                    thread::sleep(Duration::from_millis(number));
                }
            });
        }
        let ticker = T::spawn(&conninfo, Options::ticks());
        for _ in 0..3 {
            let troubled =
                || ticker.stats().trouble.is_some_and(|trouble| trouble.contains("not through a pooler"));
            until("it says what is wrong", troubled);
            until("it tries again", || !troubled());
        }
        until("it has ticked where it could", || bed.count(made) > 0);
        // Also what one asks for is not done on a session without the lock.
        let _ = ticker.tick_now("q");
        drop(ticker);
    });
    let (all, without) = (bed.count(made), bed.count("SELECT count(*) FROM made WHERE NOT has_lock"));
    println!("{all} ticks");
    assert_eq!((without, bed.inversions()), (0, 0));
    assert_eq!(bed.count("SELECT count(DISTINCT pid) FROM made"), 1);
}
