use std::time::{Duration, Instant};

use pgq_testkit::{Error, Server, Shutdown};

use crate::bed::{Bed, Options, Ticker, connect, until};

cases!(server_dies_and_comes_back);

fn server_dies_and_comes_back<T: Ticker>() {
    let server = Server::start().unwrap();
    let mut bed = Bed::on(server.database().unwrap());
    bed.create("q");
    bed.always_due("q");
    let ticker: T = bed.spawn(Options::ticks());
    bed.is_ticked("q");
    resumes("killed", &mut bed, &ticker, || {
        server.kill()?;
        until("the loss is noticed", || !ticker.leads());
        server.start_again()
    });
    resumes("restarted", &mut bed, &ticker, || server.restart(Shutdown::Fast));
    resumes("restarted at once", &mut bed, &ticker, || server.restart(Shutdown::Immediate));
    assert_eq!(bed.inversions(), 0);
}

fn resumes<T: Ticker>(how: &str, bed: &mut Bed, ticker: &T, outage: impl FnOnce() -> Result<(), Error>) {
    outage().unwrap();
    let accepts = Instant::now();
    bed.db = connect(bed.database.conninfo());
    bed.is_ticked("q");
    let took = accepts.elapsed();
    println!("{how}: ticks resumed {took:?} after the server accepted connections");
    assert!(took < Duration::from_secs(8), "{took:?}");
    until("it says so", || ticker.leads() && ticker.stats().trouble.is_none());
}
