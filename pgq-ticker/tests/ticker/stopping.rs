use std::convert::Infallible;
use std::future::Ready;
use std::time::Duration;

use pgq_core::Error;
use pgq_sync::postgres::Socket;
use pgq_sync::postgres::tls::{MakeTlsConnect, NoTlsStream, TlsConnect};
use pgq_ticker::State;
use pgq_ticker::{aio, sync};

use crate::bed::{Bed, Options, Ticker, until};

cases!(stop_waits_for_the_step, drop_frees_the_lock);

fn stop_waits_for_the_step<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.execute(
        "CREATE TABLE done (); CREATE FUNCTION app_slow(text) RETURNS void LANGUAGE sql \
         AS 'SELECT pg_sleep(0.7); INSERT INTO done DEFAULT VALUES'; UPDATE pgq.queue SET queue_extra_maint = '{app_slow}'",
    );
    let ticker: T = bed.spawn(Options::all());
    let at_work =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    until("it is at work", || bed.count(at_work) > 0);
    let stats = ticker.stop();
    assert_eq!(bed.count("SELECT count(*) FROM done"), 1);
    assert_eq!((stats.state, stats.maintained), (State::Stopped, 1));
}

fn drop_frees_the_lock<T: Ticker>() {
    let mut bed = Bed::new("q");
    let ticker: T = bed.spawn(Options::ticks());
    until("it leads", || ticker.leads());
    drop(ticker);
    let locks = "SELECT count(*) FROM pg_locks JOIN pg_database d ON database = d.oid AND datname = current_database() \
         WHERE locktype = 'advisory'";
    let took = until("the lock is free", || bed.count(locks) == 0);
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_task_that_lost_its_runtime_says_so() {
    let bed = Bed::new("q");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ticker = {
        let _runtime = runtime.enter();
        aio::Ticker::builder(bed.database.conninfo().parse().unwrap()).spawn()
    };
    until("it leads", || Ticker::leads(&ticker));
    runtime.shutdown_timeout(Duration::from_secs(10));
    assert_eq!(ticker.stats().state, State::Stopped);
    assert!(matches!(Ticker::tick_now(&ticker, "q"), Err(Error::TickerStopped)));
}

#[test]
fn a_thread_that_panicked_says_so() {
    let bed = Bed::new("q");
    let config = bed.database.conninfo().parse().unwrap();
    let ticker = sync::Ticker::builder(config).tls(Panics).spawn().unwrap();
    until("it has panicked", || ticker.stats().state == State::Stopped);
    assert!(matches!(ticker.tick_now("q"), Err(Error::TickerStopped)));
}

#[derive(Clone)]
struct Panics;

impl MakeTlsConnect<Socket> for Panics {
    type Stream = NoTlsStream;
    type TlsConnect = Self;
    type Error = Infallible;

    fn make_tls_connect(&mut self, _: &str) -> Result<Self, Infallible> {
        panic!("as asked for")
    }
}

impl TlsConnect<Socket> for Panics {
    type Stream = NoTlsStream;
    type Error = Infallible;
    type Future = Ready<Result<NoTlsStream, Infallible>>;

    fn connect(self, _: Socket) -> Self::Future {
        panic!("as asked for")
    }
}
