use std::sync::Barrier;

use pgq_core::Created;

use crate::bed::Bed;
use crate::driver::{Client, Consumer, Driver, Session};

cases!(
    eight_create_the_same_queue,
    eight_register_the_same_consumer,
    eight_produce,
    consumers_do_not_disturb_each_other
);

/// What eight sessions get that do the same at once.
fn at_once<D: Driver, T: Send>(bed: &Bed<D>, work: impl Fn(&mut D::Client, usize) -> T + Sync) -> Vec<T> {
    let (barrier, conninfo) = (&Barrier::new(8), bed.database.conninfo());
    let work = &work;
    std::thread::scope(|scope| {
        let session = |number| {
            move || {
                let mut db = D::Client::connect(conninfo).unwrap();
                barrier.wait();
                work(&mut db, number)
            }
        };
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(session(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn made_once(results: Vec<pgq_core::Result<Created>>) {
    let results: Result<Vec<_>, _> = results.into_iter().collect();
    assert_eq!(results.unwrap().iter().filter(|created| **created == Created::New).count(), 1);
}

fn eight_create_the_same_queue<D: Driver>() -> crate::Result {
    let bed = Bed::<D>::new()?;
    made_once(at_once(&bed, |db, _| db.create("same")));
    Ok(())
}

fn eight_register_the_same_consumer<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    made_once(at_once(&bed, |db, _| D::Consumer::new("q", "same").register(db)));
    let start = bed.db.info("q")?.unwrap().last_tick.unwrap();
    made_once(at_once(&bed, |db, _| D::Consumer::new("q", "at").register_at(db, start)));
    // A name that is new, but on eight queues.
    for number in 0..8 {
        bed.db.create(&number.to_string())?;
    }
    let results = at_once(&bed, |db, number| D::Consumer::new(&number.to_string(), "many").register(db));
    assert!(results.into_iter().all(|result| result.unwrap() == Created::New));
    Ok(())
}

fn eight_produce<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    at_once(&bed, |db, number| {
        let first = number as u32 * 100;
        crate::bed::insert::<D>(db, first..first + 50);
        for number in first + 50..first + 100 {
            db.insert_event("q", "number", &number.to_string()).unwrap();
        }
    });
    crate::bed::tick::<D>(&mut bed.db);
    let mut numbers = bed.drain();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..800));
    Ok(())
}

fn consumers_do_not_disturb_each_other<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    for number in 0..8 {
        D::Consumer::new("q", &number.to_string()).register(&mut bed.db)?;
    }
    for first in [0, 100, 200] {
        bed.produce(first..first + 100);
    }
    let read =
        at_once(&bed, |db, number| crate::bed::drain::<D>(db, &D::Consumer::new("q", &number.to_string())));
    assert!(read.into_iter().all(|numbers| numbers.into_iter().eq(0..300)));
    Ok(())
}
