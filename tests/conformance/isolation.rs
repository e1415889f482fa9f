use pgq_core::{Error, NewEvent, event, tick};

use crate::bed::{Bed, tick as make_tick};
use crate::driver::{Client, Driver, Session, Transaction};

cases!(
    a_snapshot_before_the_id_is_refused,
    a_refused_transaction_goes_on,
    an_id_first_is_fine,
    any_write_first_is_fine,
    read_committed_needs_nothing,
);

const LEVELS: [&str; 2] = ["repeatable read", "serializable"];

fn set<D: Driver>(transaction: &mut D::Transaction<'_>, level: &str) -> crate::Result {
    Ok(transaction.batch_execute(&format!("SET TRANSACTION ISOLATION LEVEL {level}"))?)
}

fn a_snapshot_before_the_id_is_refused<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let new = || [NewEvent::new("number", "1")];
    for level in LEVELS {
        let mut transaction = bed.db.transaction()?;
        set::<D>(&mut transaction, level)?;
        let one = &new()[0];
        for result in [
            transaction.insert_event("q", "number", "1").map(|_| ()),
            transaction.insert("q", one).map(|_| ()),
            transaction.call(event::insert_many("q", &new())).map(|_| ()),
            transaction.call(event::insert_raw("q", None, None, None, None, one)).map(|_| ()),
            transaction.insert_events("q", new()).map(|_| ()),
            transaction.call(event::current_table("q")).map(|_| ()),
            transaction.copy_events("q", new()).map(|_| ()),
        ] {
            assert_error!(result, Error::NoTransactionId { queue, isolation, .. } if queue == "q" && isolation == level, "",
                ["\"q\"", level, "SELECT txid_current()"]);
        }
        transaction.commit()?;
    }
    make_tick::<D>(&mut bed.db);
    assert!(bed.drain().is_empty());
    Ok(())
}

fn a_refused_transaction_goes_on<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute("CREATE TABLE t (x int)")?;
    let mut transaction = bed.db.transaction()?;
    set::<D>(&mut transaction, "serializable")?;
    assert!(transaction.insert_event("q", "number", "1").is_err());
    transaction.batch_execute("INSERT INTO t VALUES (1)")?;
    transaction.commit()?;
    assert_eq!(bed.db.value::<i64>("SELECT count(*) FROM t"), 1);
    Ok(())
}

fn an_id_first_is_fine<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    for level in LEVELS {
        let mut transaction = bed.db.transaction()?;
        set::<D>(&mut transaction, level)?;
        transaction.call(tick::current_txid())?;
        transaction.insert_event("q", "number", "1")?;
        transaction.insert_events("q", [NewEvent::new("number", "2"), NewEvent::new("number", "3")])?;
        transaction.copy_events("q", [NewEvent::new("number", "4")])?;
        transaction.commit()?;
        make_tick::<D>(&mut bed.db);
        assert_eq!(bed.drain(), [1, 2, 3, 4]);
    }
    Ok(())
}

fn any_write_first_is_fine<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute("CREATE TABLE t (x int)")?;
    for level in LEVELS {
        let mut transaction = bed.db.transaction()?;
        set::<D>(&mut transaction, level)?;
        transaction.batch_execute("INSERT INTO t VALUES (1)")?;
        transaction.insert_event("q", "number", "1")?;
        transaction.commit()?;
        make_tick::<D>(&mut bed.db);
        assert_eq!(bed.drain(), [1]);
    }
    Ok(())
}

fn read_committed_needs_nothing<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    for level in ["read committed", "read uncommitted"] {
        let mut transaction = bed.db.transaction()?;
        set::<D>(&mut transaction, level)?;
        transaction.query("SELECT 1")?;
        transaction.insert_event("q", "number", "1")?;
        transaction.commit()?;
        make_tick::<D>(&mut bed.db);
        assert_eq!(bed.drain(), [1]);
    }
    Ok(())
}
