use pgq_core::maintenance::{self, Operation};
use pgq_core::{Error, QueueConfig};
use pgq_testkit::Server;

use crate::bed::{Bed, ready_to_rotate, rotate, tick};
use crate::driver::{Batch, Consumer, Driver, Session};

cases!(
    operations_of_a_rotation,
    rotation_waits_for_consumers,
    rotation_leaves_a_read_table_alone,
    extra_operations,
    vacuumed,
    nothing_to_vacuum,
    retried_in_rounds,
    retry_of_a_disabled_queue,
    storage_and_schema,
);

fn operation(function: &str, argument: Option<&str>) -> Operation {
    Operation { function: function.into(), argument: argument.map(Into::into) }
}

fn operations_of_a_rotation<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    assert_eq!(bed.db.call(maintenance::operations())?, []);
    ready_to_rotate(&mut bed);
    let operations = bed.db.call(maintenance::operations())?;
    let step1 = operation("pgq.maint_rotate_tables_step1", Some("q"));
    let step2 = operation("pgq.maint_rotate_tables_step2", None);
    assert_eq!(operations, [step1, step2.clone()]);
    assert_eq!(bed.db.call(maintenance::run(&operations[0]))?, 0);
    assert_eq!(bed.db.info("q")?.unwrap().current_table, 1);
    assert_eq!(bed.db.call(maintenance::operations())?, [step2]);
    assert_eq!(bed.db.call(maintenance::run(&operations[1]))?, 0);
    bed.produce(4..=5);
    assert_eq!(bed.drain(), [4, 5]);
    Ok(())
}

fn rotation_waits_for_consumers<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.set_config("q", &QueueConfig::new().rotation_period(std::time::Duration::ZERO))?;
    bed.db.call(maintenance::rotate_step1("q"))?;
    // A consumer that stands on the first tick may still need the other tables.
    assert_eq!(bed.db.info("q")?.unwrap().current_table, 0);
    for table in [1, 2, 0] {
        bed.produce([table]);
        assert_eq!(bed.drain(), [table]);
        ready_to_rotate(&mut bed);
        rotate::<D>(&mut bed.db);
        assert_eq!(bed.db.info("q")?.unwrap().current_table, table);
    }
    bed.db.call(maintenance::rotate_step1("none"))?;
    Ok(())
}

fn rotation_leaves_a_read_table_alone<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    ready_to_rotate(&mut bed);
    let mut reader = bed.connect();
    reader.batch_execute("BEGIN; SELECT FROM pgq.event_1_1")?;
    bed.db.call(maintenance::rotate_step1("q"))?;
    assert_eq!(bed.db.info("q")?.unwrap().current_table, 0);
    reader.batch_execute("COMMIT")?;
    bed.db.call(maintenance::rotate_step1("q"))?;
    assert_eq!(bed.db.info("q")?.unwrap().current_table, 1);
    Ok(())
}

fn extra_operations<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute(
        "CREATE TABLE runs (queue text); CREATE SCHEMA \"My jobs\"; \
         CREATE FUNCTION \"My jobs\".\"clean.up\"(queue text) RETURNS integer LANGUAGE sql AS \
         $$ INSERT INTO runs VALUES (queue); SELECT 2 - count(*)::int FROM runs $$; \
         CREATE FUNCTION public.nothing() RETURNS void LANGUAGE sql AS ''; \
         CREATE FUNCTION public.big() RETURNS bigint LANGUAGE sql AS 'SELECT 5000000000'; \
         CREATE FUNCTION public.fails(queue text) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$; \
         UPDATE pgq.queue SET queue_extra_maint = '{My jobs.clean.up}'",
    )?;
    let operations = bed.db.call(maintenance::operations())?;
    assert_eq!(operations, [operation("My jobs.clean.up", Some("q"))]);
    assert_eq!(bed.db.call(maintenance::run(&operations[0]))?, 1);
    assert_eq!(bed.db.call(maintenance::run(&operations[0]))?, 0);
    assert_eq!(bed.db.call(maintenance::run(&operation("public.nothing", None)))?, 0);
    assert_eq!(bed.db.call(maintenance::run(&operation("public.big", None)))?, 5_000_000_000);
    assert_error!(
        bed.db.call(maintenance::run(&operation("public.fails", Some("q")))),
        Error::Database { .. },
        "P0001",
        [""]
    );
    assert_error!(
        bed.db.call(maintenance::run(&operation("public.none", None))),
        Error::NotInstalled { .. },
        "42883",
        [""]
    );
    Ok(())
}

fn vacuumed<D: Driver>() -> crate::Result {
    let server = Server::builder().setting("autovacuum", "off").start()?;
    let mut bed = Bed::<D>::on(crate::engine::new_database(&server).create()?)?;
    let tables = bed.db.call(maintenance::tables_to_vacuum())?;
    assert_eq!(tables[..5], ["pgq.subscription", "pgq.consumer", "pgq.queue", "pgq.tick", "pgq.retry_queue"]);
    assert!(tables[5..].iter().all(|table| table.starts_with("pgq_ext.")), "{tables:?}");
    let operations = bed.db.call(maintenance::operations())?;
    assert!(operations.iter().map(|operation| operation.argument.as_deref().unwrap()).eq(tables));
    for operation in &operations {
        assert_eq!(operation.function, "vacuum");
        assert_eq!(bed.db.call(maintenance::run(operation))?, 0);
    }
    assert_eq!(bed.db.call(maintenance::run(&operation("VACUUM Analyze", Some("pgq.tick"))))?, 0);
    assert_error!(
        bed.db.call(maintenance::run(&operation("vacuum", Some("pgq.none; SELECT 1")))),
        Error::Database { .. },
        "42P01",
        ["vacuum"]
    );
    drop(bed);
    Ok(())
}

fn nothing_to_vacuum<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    assert_eq!(db.call(maintenance::tables_to_vacuum())?, [""; 0]);
    Ok(())
}

fn retried_in_rounds<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    assert_eq!(bed.db.call(maintenance::retry_events(3))?, 0);
    assert_eq!(bed.db.call(maintenance::retry_events(0))?, 0);
    bed.produce(1..=35);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    while let Some(event) = batch.next_event()? {
        batch.retry(&event, std::time::Duration::ZERO);
    }
    batch.finish()?;
    assert_eq!(bed.db.call(maintenance::retry_events(1))?, 10);
    assert_eq!(bed.db.call(maintenance::retry_events(2))?, 20);
    assert_eq!(bed.db.call(maintenance::retry_events(100))?, 5);
    assert_eq!(bed.db.call(maintenance::retry_events(100))?, 0);
    tick::<D>(&mut bed.db);
    assert_eq!(bed.drain().len(), 35);
    Ok(())
}

fn retry_of_a_disabled_queue<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce([1]);
    let consumer = bed.consumer();
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    let event = batch.next_event()?.unwrap();
    batch.retry(&event, std::time::Duration::ZERO);
    batch.finish()?;
    bed.db.batch_execute("UPDATE pgq.queue SET queue_disable_insert = true")?;
    let moved = bed.db.call(maintenance::retry_events(1));
    if crate::engine::is_portable() {
        // Its retries wait, and those of other queues need not.
        assert_eq!(moved?, 0);
    } else {
        assert_error!(moved, Error::InsertDisabled { .. }, "XX000", ["queue_disable_insert"]);
    }
    bed.db.batch_execute("UPDATE pgq.queue SET queue_disable_insert = false")?;
    assert_eq!(bed.db.call(maintenance::retry_events(1))?, 1);
    Ok(())
}

fn storage_and_schema<D: Driver>() -> crate::Result {
    let Bed { mut db, database: _database } = Bed::<D>::new()?;
    db.batch_execute("ALTER TABLE pgq.event_1_0 RESET (fillfactor)")?;
    db.call(maintenance::tune_storage("q"))?;
    let options = "SELECT coalesce(reloptions::text, '') FROM pg_class WHERE oid = 'pgq.event_1_0'::regclass";
    assert!(db.value::<String>(options).contains("fillfactor=100"));
    db.call(maintenance::tune_storage("none"))?;
    db.call(maintenance::upgrade_schema())?;
    Ok(())
}
