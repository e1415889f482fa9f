use pgq_core::{Error, Op, Trigger};

use crate::bed::{Bed, tick};
use crate::driver::{Batch, Client, Consumer, Driver, Session, Transaction};

cases!(written_and_decoded, attached_again, detached, refused_before_anything_is_sent, without_a_table);

const TABLE: &str =
    "CREATE SCHEMA \"My shop\"; CREATE TABLE \"My shop\".\"Orders\" (id int PRIMARY KEY, note text)";

/// The rows that changes were made to, as they are decoded.
fn changes<D: Driver>(bed: &mut Bed<D>) -> Vec<(Op, Option<String>, Option<String>)> {
    tick::<D>(&mut bed.db);
    let consumer = bed.consumer();
    let Some(mut batch) = consumer.next_batch(&mut bed.db).unwrap() else { return Vec::new() };
    let mut changes = Vec::new();
    while let Some(event) = batch.next_event().unwrap() {
        let change = event.change().unwrap();
        assert_eq!(change.table.as_deref(), Some("My shop.Orders"));
        let column = |name| change.row.get(name).map(str::to_owned);
        changes.push((change.op, column("id"), column("note")));
    }
    batch.finish().unwrap();
    changes
}

fn written_and_decoded<D: Driver>() -> crate::Result {
    for trigger in [Trigger::logutriga("q"), Trigger::jsontriga("q")] {
        let mut bed = Bed::<D>::new()?;
        bed.db.batch_execute(TABLE)?;
        bed.db.attach(&trigger, "My shop.Orders")?;
        let mut transaction = bed.db.transaction()?;
        transaction.batch_execute(
            "INSERT INTO \"My shop\".\"Orders\" VALUES (1, 'a&b=c'), (2, NULL); \
             UPDATE \"My shop\".\"Orders\" SET note = '' WHERE id = 2; DELETE FROM \"My shop\".\"Orders\" WHERE id = 1",
        )?;
        transaction.commit()?;
        let some = |text: &str| Some(text.to_owned());
        let changed = changes(&mut bed);
        assert_eq!(
            changed[..3],
            [
                (Op::Insert, some("1"), some("a&b=c")),
                (Op::Insert, some("2"), None),
                (Op::Update, some("2"), some("")),
            ]
        );
        assert_eq!((changed.len(), &changed[3].0, &changed[3].1), (4, &Op::Delete, &some("1")));
    }
    Ok(())
}

fn attached_again<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute(TABLE)?;
    bed.db.attach(&Trigger::logutriga("q"), "My shop.Orders")?;
    bed.db.attach(&Trigger::logutriga("q").ignore(["note"]), "My shop.Orders")?;
    bed.db.batch_execute("INSERT INTO \"My shop\".\"Orders\" VALUES (1, 'a')")?;
    assert_eq!(changes(&mut bed), [(Op::Insert, Some("1".to_owned()), None)]);
    Ok(())
}

fn detached<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute(TABLE)?;
    bed.db.attach(&Trigger::logutriga("q"), "My shop.Orders")?;
    let mut transaction = bed.db.transaction()?;
    transaction.detach(&Trigger::logutriga("q"), "My shop.Orders")?;
    transaction.rollback()?;
    bed.db.batch_execute("INSERT INTO \"My shop\".\"Orders\" VALUES (1, 'a')")?;
    assert_eq!(changes(&mut bed).len(), 1);
    for _ in 0..2 {
        bed.db.detach(&Trigger::logutriga("q"), "My shop.Orders")?;
    }
    bed.db.batch_execute("INSERT INTO \"My shop\".\"Orders\" VALUES (2, 'a')")?;
    assert_eq!(changes(&mut bed), []);
    Ok(())
}

/// The connection is dead, so the refusal can only have come from this side.
fn refused_before_anything_is_sent<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let pid = bed.db.value("SELECT pg_backend_pid()");
    crate::bed::terminate::<D>(&mut bed.connect(), pid);
    let nameless = Trigger::logutriga("q").ignore([""]);
    assert_error!(bed.db.attach(&nameless, "t"), Error::InvalidValue { .. }, "", ["cannot be"]);
    Ok(())
}

fn without_a_table<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    assert_error!(
        db.attach(&Trigger::logutriga("q"), "public.none"),
        Error::Database { .. },
        "42P01",
        ["CREATE TRIGGER", r#""public"."none""#]
    );
    db.detach(&Trigger::logutriga("q"), "public.none")?;
    Ok(())
}
