use pgq_core::Error;
use pgq_core::consumer::IfClaimed;

use crate::bed::{Bed, terminate, until};
use crate::driver::{Client, Consumer, Driver, Session, SubConsumer};

cases!(
    the_second_fails,
    the_second_waits,
    a_lost_session_gives_it_up,
    as_often_as_claimed,
    names_do_not_mix,
    a_subconsumer,
);

fn the_second_fails<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let (consumer, mut other) = (bed.consumer(), bed.connect());
    consumer.claim(&mut bed.db, IfClaimed::Fail)?;
    let refused = consumer.claim(&mut other, IfClaimed::Fail);
    assert!(refused.as_ref().err().unwrap().is_transient());
    assert_error!(refused, Error::ConsumerClaimed { queue, consumer, .. } if queue == "q" && consumer == "c", "",
        ["\"q\"", "\"c\"", "another session"]);
    assert!(consumer.release(&mut bed.db)?);
    consumer.claim(&mut other, IfClaimed::Fail)?;
    Ok(())
}

fn the_second_waits<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let (consumer, conninfo) = (bed.consumer(), bed.database.conninfo());
    consumer.claim(&mut bed.db, IfClaimed::Wait)?;
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let mut other = D::Client::connect(conninfo).unwrap();
            D::Consumer::new("q", "c").claim(&mut other, IfClaimed::Wait).unwrap();
        });
        // Between two tries it holds nothing on the server.
        let asked = "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() \
             AND pid <> pg_backend_pid() AND state = 'idle' AND query LIKE '%pg_try_advisory_lock%'";
        until("the second has asked in vain", || bed.db.value(asked));
        assert!(!second.is_finished());
        assert!(consumer.release(&mut bed.db).unwrap());
        second.join().unwrap();
    });
    Ok(())
}

fn a_lost_session_gives_it_up<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let (consumer, mut other) = (bed.consumer(), bed.connect());
    consumer.claim(&mut other, IfClaimed::Fail)?;
    let pid = other.value("SELECT pg_backend_pid()");
    terminate::<D>(&mut bed.db, pid);
    consumer.claim(&mut bed.db, IfClaimed::Fail)?;
    Ok(())
}

fn as_often_as_claimed<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let consumer = bed.consumer();
    assert!(!consumer.release(&mut bed.db)?);
    consumer.claim(&mut bed.db, IfClaimed::Fail)?;
    consumer.claim(&mut bed.db, IfClaimed::Fail)?;
    assert!(consumer.release(&mut bed.db)?);
    assert!(consumer.release(&mut bed.db)?);
    assert!(!consumer.release(&mut bed.db)?);
    Ok(())
}

fn names_do_not_mix<D: Driver>() -> crate::Result {
    let bed = Bed::<D>::new()?;
    for (queue, consumer) in [("q", "c"), ("qc", ""), ("", "qc"), ("c", "q"), ("q", "C")] {
        D::Consumer::new(queue, consumer).claim(&mut bed.connect(), IfClaimed::Fail)?;
    }
    Ok(())
}

fn a_subconsumer<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let mut other = bed.connect();
    D::SubConsumer::new("q", "m", "a").claim(&mut bed.db, IfClaimed::Fail)?;
    D::SubConsumer::new("q", "m", "b").claim(&mut other, IfClaimed::Fail)?;
    D::Consumer::new("q", "m").claim(&mut other, IfClaimed::Fail)?;
    assert_error!(
        D::SubConsumer::new("q", "m", "a").claim(&mut other, IfClaimed::Fail),
        Error::ConsumerClaimed { .. },
        "",
        ["m.a"]
    );
    Ok(())
}
