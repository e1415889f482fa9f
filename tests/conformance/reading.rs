use pgq_core::{EmptyBatches, Filter, NewEvent};

use crate::bed::{Bed, drain, insert, number, read, tick};
use crate::driver::{
    Batch, Client, Consumer, Driver, LoadedBatch, NextEvents, Session, SubConsumer, Transaction,
};

cases!(
    every_consumer_sees_everything,
    idle_ticks_are_finished_silently,
    idle_ticks_are_handed_over,
    next_events_over_several_batches,
    next_events_one_by_one,
    next_events_of_nothing,
    next_events_past_empty_batches,
    filtered_by_type_and_prefix,
    filtered_by_table_and_extras,
    filtered_empty_batches_are_finished,
    no_filter_value_becomes_code,
    loaded_and_finished,
    the_connection_is_usable_between_batches,
);

fn every_consumer_sees_everything<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let consumers: Vec<_> = (0..4).map(|n| D::Consumer::new("q", &format!("c{n}"))).collect();
    for consumer in &consumers {
        consumer.register(&mut bed.db)?;
    }
    bed.produce(1..=3);
    assert_eq!(drain::<D>(&mut bed.db, &consumers[0]), [1, 2, 3]);
    bed.produce(4..=5);
    assert_eq!(drain::<D>(&mut bed.db, &consumers[0]), [4, 5]);
    for consumer in &consumers[1..] {
        assert_eq!(drain::<D>(&mut bed.db, consumer), [1, 2, 3, 4, 5]);
    }
    assert_eq!(bed.drain(), [1, 2, 3, 4, 5]);
    Ok(())
}

fn idle_ticks_are_finished_silently<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    for _ in 0..50 {
        tick::<D>(&mut bed.db);
    }
    let last = bed.db.info("q")?.unwrap().last_tick;
    let consumer = bed.consumer();
    assert!(consumer.next_batch(&mut bed.db)?.is_none());
    let info = consumer.info(&mut bed.db)?.unwrap();
    assert_eq!((info.last_tick, info.current_batch), (last, None));
    assert!(!bed.db.value::<bool>("SELECT txid_current_if_assigned() IS NOT NULL"));
    Ok(())
}

fn idle_ticks_are_handed_over<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let alone = bed.consumer().empty_batches(EmptyBatches::HandOver);
    let member = bed.member("a").empty_batches(EmptyBatches::HandOver);
    for numbers in [vec![], vec![1], vec![]] {
        bed.produce(numbers.clone());
        let mut batch = alone.next_batch(&mut bed.db)?.unwrap();
        assert_eq!(read::<D>(&mut batch), numbers);
        batch.finish()?;
        let batch = member.next_loaded(&mut bed.db)?.unwrap();
        assert_eq!(batch.events().len(), numbers.len());
        batch.finish(&mut bed.db)?;
    }
    assert!(alone.next_batch(&mut bed.db)?.is_none() && member.next_batch(&mut bed.db)?.is_none());

    for numbers in [vec![], vec![2], vec![], vec![3], vec![]] {
        bed.produce(numbers);
    }
    let mut events = alone.next_events(&mut bed.db);
    assert_eq!(number(&events.next_event()?.unwrap()), 2);
    assert_eq!(number(&events.next_event()?.unwrap()), 3);
    assert_eq!(events.next_event()?, None);
    Ok(())
}

fn next_events_over_several_batches<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    for batch in 0..5 {
        bed.produce(batch * 30..(batch + 1) * 30);
    }
    let (consumer, mut other) = (bed.consumer(), bed.connect());
    let mut events = consumer.next_events(&mut bed.db);
    for expected in 0..150 {
        assert_eq!(number(&events.next().unwrap()?), expected);
        if expected % 30 == 0 {
            // The batches before this one are finished, this one is open.
            let info = consumer.info(&mut other)?.unwrap();
            assert_eq!(info.last_tick.unwrap().0, 1 + i64::from(expected / 30));
            assert!(info.current_batch.is_some());
        }
    }
    assert!(events.next().is_none());
    assert!(events.next().is_none());
    assert_eq!(consumer.info(&mut other)?.unwrap().current_batch, None);
    Ok(())
}

fn next_events_one_by_one<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=2);
    bed.produce(3..=4);
    let consumer = bed.consumer();
    let mut events = consumer.next_events(&mut bed.db);
    for expected in 1..=4 {
        assert_eq!(number(&events.next_event()?.unwrap()), expected);
    }
    assert_eq!(events.next_event()?, None);
    assert_eq!(events.next_event()?, None);
    drop(events);
    let gone = D::Consumer::new("q", "none");
    let mut events = gone.next_events(&mut bed.db);
    assert!(events.next_event().is_err());
    assert_eq!(events.next_event()?, None);
    Ok(())
}

fn next_events_of_nothing<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    assert!(bed.consumer().next_events(&mut bed.db).next().is_none());
    let gone = D::Consumer::new("q", "none");
    let mut events = gone.next_events(&mut bed.db);
    assert!(events.next().unwrap().is_err());
    assert!(events.next().is_none());
    Ok(())
}

fn next_events_past_empty_batches<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    for number in 1..=3 {
        tick::<D>(&mut bed.db);
        bed.produce([number]);
        tick::<D>(&mut bed.db);
    }
    let consumer = bed.consumer();
    let mut events = consumer.next_events(&mut bed.db);
    for expected in 1..=3 {
        assert_eq!(number(&events.next().unwrap()?), expected);
    }
    assert!(events.next().is_none());
    drop(events);
    assert_eq!(consumer.info(&mut bed.db)?.unwrap().last_tick, bed.db.info("q")?.unwrap().last_tick);
    Ok(())
}

/// What the filter lets through of `new`, as the numbers of the events.
fn filtered<D: Driver>(bed: &mut Bed<D>, new: &[NewEvent<'_>], filter: Filter) -> Vec<usize> {
    let numbered = new.iter().enumerate().map(|(n, event)| event.clone().data(n.to_string()));
    bed.db.insert_events("q", numbered).unwrap();
    tick::<D>(&mut bed.db);
    let consumer = bed.consumer().filter(filter);
    drain::<D>(&mut bed.db, &consumer).into_iter().map(|number| number as usize).collect()
}

fn filtered_by_type_and_prefix<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let new = ["I:id", "U:id", "D:id", "i:id", "I", ""].map(|name| NewEvent::default().event_type(name));
    let new = [new.as_slice(), &[NewEvent::default()]].concat();
    assert_eq!(filtered(&mut bed, &new, Filter::new().types(["U:id", "I", "x"])), [1, 4]);
    assert_eq!(filtered(&mut bed, &new, Filter::new().type_prefixes(["I:", "D"])), [0, 2]);
    assert_eq!(filtered(&mut bed, &new, Filter::new().type_prefixes([""])), [0, 1, 2, 3, 4, 5]);
    assert_eq!(filtered(&mut bed, &new, Filter::new().types([""])), [5]);
    assert!(filtered(&mut bed, &new, Filter::new().types([""; 0])).is_empty());
    assert_eq!(filtered(&mut bed, &new, Filter::new()).len(), 7);
    Ok(())
}

fn filtered_by_table_and_extras<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let new = ["public.a", "public.b", "Public.a"].map(|table| NewEvent::default().extra1(table));
    assert_eq!(filtered(&mut bed, &new, Filter::new().tables(["public.a", "public.b"])), [0, 1]);
    let new = [
        NewEvent::default().extra1("1").extra2("2").extra3("3").extra4("4"),
        NewEvent::default().extra1("1").extra2("2").extra3("3"),
        NewEvent::default().extra1("2").extra2("1").extra3("4").extra4("3"),
    ];
    assert_eq!(filtered(&mut bed, &new, Filter::new().extra1("1")), [0, 1]);
    assert_eq!(filtered(&mut bed, &new, Filter::new().extra1("1").extra2("2").extra3("3").extra4("4")), [0]);
    assert_eq!(filtered(&mut bed, &new, Filter::new().extra3("4")), [2]);
    Ok(())
}

fn filtered_empty_batches_are_finished<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3);
    bed.produce(4..=6);
    let consumer = bed.consumer().filter(Filter::new().types(["other"]));
    assert!(consumer.next_batch(&mut bed.db)?.is_none());
    assert_eq!(consumer.info(&mut bed.db)?.unwrap().last_tick, bed.db.info("q")?.unwrap().last_tick);
    Ok(())
}

fn no_filter_value_becomes_code<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute("CREATE TABLE victim (id int); INSERT INTO victim VALUES (1)")?;
    let attempts = [
        "x') OR true --",
        "x'; DELETE FROM victim; --",
        r"x\'; DELETE FROM victim; --",
        r"\",
        "'",
        "$$ || pg_sleep(100) || $$",
        "%s $1 {}",
        "日本 🦀",
        "line\nbreak\r\t",
    ];
    for settings in ["SET standard_conforming_strings = on", "SET standard_conforming_strings = off"] {
        bed.db.batch_execute(settings)?;
        let new = attempts.map(|text| NewEvent::default().event_type(text).extra1(text).extra4(text));
        for (n, text) in attempts.into_iter().enumerate() {
            let filter =
                Filter::new().types([text]).type_prefixes([text]).tables([text]).extra1(text).extra4(text);
            assert_eq!(filtered(&mut bed, &new, filter), [n], "{text}");
        }
    }
    assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM victim"), 1);
    let nul = bed.consumer().filter(Filter::new().types(["a\0b"]));
    insert::<D>(&mut bed.db, [1]);
    tick::<D>(&mut bed.db);
    assert!(nul.next_batch(&mut bed.db).is_err());
    Ok(())
}

fn loaded_and_finished<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce(1..=3_000);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    batch.next_event()?.unwrap();
    let loaded = batch.load()?;
    // The event that was read before is not among them.
    assert!(loaded.events().iter().map(number).eq(2..=3_000));
    assert_eq!(
        bed.db.value::<i64>(
            "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%' AND \
        datname = current_database()"
        ),
        0
    );
    loaded.finish(&mut bed.db)?;
    assert!(bed.drain().is_empty());
    Ok(())
}

fn the_connection_is_usable_between_batches<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce([1]);
    bed.produce([2]);
    let consumer = bed.consumer();
    for expected in 1..=2 {
        let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
        assert_eq!(number(&batch.next_event()?.unwrap()), expected);
        batch.finish()?;
        let mut transaction = bed.db.transaction()?;
        transaction.insert_event("q", "number", "3")?;
        transaction.rollback()?;
    }
    assert!(consumer.next_batch(&mut bed.db)?.is_none());
    assert!(bed.db.value::<bool>("SELECT pg_current_xact_id_if_assigned() IS NULL"));
    Ok(())
}
