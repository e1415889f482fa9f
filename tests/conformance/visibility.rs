use pgq_core::{Event, batch};

use crate::bed::{Bed, insert, tick};
use crate::driver::{Client, Driver, Session, Transaction};

cases!(
    uncommitted_events_do_not_come,
    rolled_back_events_never_come,
    events_of_a_rolled_back_savepoint_never_come,
    commit_decides_and_not_the_id,
    a_tick_in_between_is_too_early,
    ordered_by_id_inside_a_batch,
    all_events_of_a_transaction_come_together,
    a_tick_of_the_same_transaction_loses_nothing,
);

fn uncommitted_events_do_not_come<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let mut producer = bed.connect();
    let mut open = producer.transaction()?;
    insert::<D>(&mut open, [1]);
    bed.produce([2]);
    assert_eq!(bed.drain(), [2]);
    bed.produce([3]);
    assert_eq!(bed.drain(), [3]);
    open.commit()?;
    assert!(bed.drain().is_empty());
    tick::<D>(&mut bed.db);
    assert_eq!(bed.drain(), [1]);
    Ok(())
}

fn rolled_back_events_never_come<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let mut transaction = bed.db.transaction()?;
    insert::<D>(&mut transaction, 1..=3);
    transaction.insert_event("q", "number", "4")?;
    transaction.copy_events("q", [pgq_core::NewEvent::new("number", "5")])?;
    transaction.rollback()?;
    let mut transaction = bed.db.transaction()?;
    transaction.insert_event("q", "number", "6")?;
    drop(transaction);
    bed.produce([7]);
    assert_eq!(bed.drain(), [7]);
    Ok(())
}

fn events_of_a_rolled_back_savepoint_never_come<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let mut transaction = bed.db.transaction()?;
    insert::<D>(&mut transaction, [1]);
    transaction.batch_execute("SAVEPOINT here")?;
    insert::<D>(&mut transaction, 2..=3);
    transaction.batch_execute("ROLLBACK TO here")?;
    insert::<D>(&mut transaction, [4]);
    transaction.batch_execute("SAVEPOINT there")?;
    insert::<D>(&mut transaction, [5]);
    transaction.batch_execute("RELEASE there")?;
    transaction.commit()?;
    tick::<D>(&mut bed.db);
    assert_eq!(bed.drain(), [1, 4, 5]);
    Ok(())
}

fn commit_decides_and_not_the_id<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let mut producer = bed.connect();
    let mut long = producer.transaction()?;
    let early = long.insert_event("q", "number", "1")?;
    let late = bed.db.insert_event("q", "number", "2")?;
    assert!(early < late);
    tick::<D>(&mut bed.db);
    assert_eq!(next(&mut bed), [(late, 2)]);
    long.commit()?;
    tick::<D>(&mut bed.db);
    assert_eq!(next(&mut bed), [(early, 1)]);
    Ok(())
}

/// Two hundred transactions end meanwhile, so that the batch has to look for the long one one by one.
fn a_tick_in_between_is_too_early<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let mut producer = bed.connect();
    let mut long = producer.transaction()?;
    insert::<D>(&mut long, [1]);
    for number in 2..=201 {
        bed.db.insert_event("q", "number", &number.to_string())?;
    }
    tick::<D>(&mut bed.db);
    assert!(bed.drain().into_iter().eq(2..=201));
    insert::<D>(&mut long, [202]);
    tick::<D>(&mut bed.db);
    assert!(bed.drain().is_empty());
    long.commit()?;
    bed.produce([203]);
    assert_eq!(bed.drain(), [1, 202, 203]);
    Ok(())
}

fn ordered_by_id_inside_a_batch<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let (mut one, mut two) = (bed.connect(), bed.connect());
    let (mut one, mut two) = (one.transaction()?, two.transaction()?);
    for number in 1..=20 {
        insert::<D>(if number % 2 == 0 { &mut one } else { &mut two }, [number]);
    }
    one.commit()?;
    insert::<D>(&mut two, [21]);
    two.commit()?;
    tick::<D>(&mut bed.db);
    assert!(bed.drain().into_iter().eq(1..=21));
    Ok(())
}

fn all_events_of_a_transaction_come_together<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let mut producer = bed.connect();
    let mut transaction = producer.transaction()?;
    for number in 1..=5 {
        insert::<D>(&mut transaction, [number]);
        tick::<D>(&mut bed.db);
    }
    transaction.commit()?;
    tick::<D>(&mut bed.db);
    while let Some(open) = bed.db.call(batch::next("q", "c"))? {
        let events = bed.db.call(batch::events(open))?;
        assert!(events.is_empty() || events.len() == 5);
        assert_eq!(bed.db.call(batch::finish(open))?, batch::Finish::Done);
    }
    Ok(())
}

fn a_tick_of_the_same_transaction_loses_nothing<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let mut transaction = bed.db.transaction()?;
    insert::<D>(&mut transaction, [1]);
    transaction.call(pgq_core::tick::force("q"))?;
    transaction.call(pgq_core::tick::queue("q"))?.unwrap();
    insert::<D>(&mut transaction, [2]);
    transaction.commit()?;
    tick::<D>(&mut bed.db);
    assert_eq!(bed.drain(), [1, 2]);
    Ok(())
}

fn next<D: Driver>(bed: &mut Bed<D>) -> Vec<(pgq_core::EventId, u32)> {
    let open = bed.db.call(batch::next("q", "c")).unwrap().unwrap();
    let events = bed.db.call(batch::events(open)).unwrap();
    assert_eq!(bed.db.call(batch::finish(open)).unwrap(), batch::Finish::Done);
    events.iter().map(|event: &Event| (event.id, crate::bed::number(event))).collect()
}
