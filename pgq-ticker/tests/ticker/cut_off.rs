//! Connections on which nothing arrives any more, while both ends are open.

use std::time::Duration;

use pgq_testkit::{Mode, Proxy, Server};
use pgq_ticker::aio;

use crate::bed::{Bed, Options, Ticker, until};

cases!(cut_off_leader_is_replaced);

fn impatient() -> Options {
    Options { answer: Duration::from_secs(1), ..Options::ticks() }
}

/// By the server, which ends a session that it hears nothing from.
fn cut_off_leader_is_replaced<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.always_due("q");
    let proxy = Proxy::before(Server::shared().unwrap()).unwrap();
    let leader = T::spawn(&proxy.conninfo(&bed.database), impatient());
    // Goes before the ticker, should this fail: it lets go of the thread, which has no limit of its own.
    let proxy = proxy;
    until("it leads", || leader.leads());
    let standby: T = bed.spawn(impatient());
    bed.is_ticked("q");
    proxy.switch_new(Mode::Cut);
    proxy.switch_open(Mode::Blackhole);
    let took = until("the other leads", || standby.leads());
    println!("taken over within {took:?}");
    assert!(took > Duration::from_millis(500) && took < Duration::from_secs(8), "{took:?}");
    bed.is_ticked("q");
    assert_eq!(bed.inversions(), 0);
    drop(proxy);
    until("it has noticed", || !leader.leads());
}

/// The driver of the thread has no such limit.
#[test]
fn a_task_takes_another_connection() {
    let mut bed = Bed::new("q");
    bed.always_due("q");
    let proxy = Proxy::before(Server::shared().unwrap()).unwrap();
    let ticker = <aio::Ticker as Ticker>::spawn(&proxy.conninfo(&bed.database), impatient());
    bed.is_ticked("q");
    assert_eq!(proxy.accepted(), 1);
    proxy.switch_open(Mode::Blackhole);
    let took = until("it gives up", || ticker.stats().trouble.is_some());
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(ticker.stats().trouble.unwrap().contains("did not answer within"));
    bed.is_ticked("q");
    assert_eq!(proxy.accepted(), 2);
}
