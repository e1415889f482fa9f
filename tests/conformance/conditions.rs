use pgq_core::{
    BatchId, Created, Error, NewEvent, batch, consumer, event, maintenance, queue, tick, version,
};
use pgq_testkit::Server;

use crate::bed::{Bed, terminate, tick as make_tick, until, wait_for_waiters};
use crate::driver::{Batch, Client, Consumer, Driver, Session, Transaction};

cases!(
    not_installed,
    answers_of_another_shape,
    created_meanwhile_by_a_program_without_our_lock,
    registered_meanwhile_by_a_program_without_our_lock,
    a_read_only_session,
    a_conflict_is_transient,
    a_lost_connection_is_transient,
    nothing_else_is_transient,
);

fn not_installed<D: Driver>() -> crate::Result {
    let database = Server::shared()?.empty_database()?;
    let mut db = D::Client::connect(database.conninfo())?;
    let consumer = D::Consumer::new("q", "c");
    let new = [NewEvent::new("t", "d")];
    macro_rules! assert_not_installed {
        ($($function:literal: $result:expr),+ $(,)?) => {
            $(assert_error!($result, Error::NotInstalled { function: $function, .. }, "3F000", [$function, "CREATE EXTENSION"]);)+
        };
    }
    assert_not_installed!(
        "pgq.version": db.call(version::installed()),
        "pgq.create_queue": db.create("q"),
        "pgq.drop_queue": db.drop_queue("q"),
        "pgq.get_queue_info": db.info("q"),
        "pgq.get_consumer_info": db.consumers("q"),
        "pgq.insert_event": db.insert_event("q", "t", "d"),
        "pgq.insert_event": db.insert_events("q", new.clone()),
        "pgq.current_event_table": db.transaction()?.copy_events("q", new.clone()),
        "pgq.register_consumer": consumer.register(&mut db),
        "pgq.next_batch_custom": consumer.next_batch(&mut db),
        "pgq.next_batch": db.call(batch::next("q", "c")),
        "pgq.finish_batch": db.call(batch::finish(BatchId(1))),
        "pgq.ticker": db.call(tick::all()),
        "pg_try_advisory_lock": db.call(tick::lead()),
        "pgq.maint_operations": db.call(maintenance::operations()),
        "pgq.maint_retry_events": db.call(maintenance::retry_events(1)),
    );
    assert!(db.call(tick::current_txid()).is_ok());
    Ok(())
}

/// Somebody's own schema `pgq`.
fn answers_of_another_shape<D: Driver>() -> crate::Result {
    let database = Server::shared()?.empty_database()?;
    let mut db = D::Client::connect(database.conninfo())?;
    db.batch_execute(
        "CREATE SCHEMA pgq; \
         CREATE FUNCTION pgq.version() RETURNS integer LANGUAGE sql AS 'SELECT 3'; \
         CREATE FUNCTION pgq.next_batch(text, text) RETURNS SETOF bigint LANGUAGE sql AS 'SELECT 1::bigint WHERE false'; \
         CREATE FUNCTION pgq.finish_batch(bigint) RETURNS integer LANGUAGE sql AS 'SELECT NULL::integer'",
    )?;
    assert_error!(
        db.call(version::installed()),
        Error::UnexpectedAnswer { function: "pgq.version", .. },
        "",
        ["pgq.version"]
    );
    assert_error!(
        db.call(batch::next("q", "c")),
        Error::UnexpectedAnswer { function: "pgq.next_batch", .. },
        "",
        ["pgq.next_batch", "no row"]
    );
    assert_error!(
        db.call(batch::finish(BatchId(1))),
        Error::UnexpectedAnswer { function: "pgq.finish_batch", .. },
        "",
        ["pgq.finish_batch"]
    );
    assert_error!(
        db.call(batch::info(BatchId(1))),
        Error::NotInstalled { function: "pgq.get_batch_info", .. },
        "42883",
        ["pgq.get_batch_info"]
    );
    Ok(())
}

fn created_meanwhile_by_a_program_without_our_lock<D: Driver>() -> crate::Result {
    let bed = Bed::<D>::new()?;
    let conninfo = bed.database.conninfo();
    let (mut first, mut watcher) = (bed.connect(), bed.connect());
    let mut transaction = first.transaction()?;
    transaction.query("SELECT pgq.create_queue('new')")?;
    let second = std::thread::scope(|scope| -> crate::Result<_> {
        let second = scope.spawn(|| D::Client::connect(conninfo).unwrap().create("new"));
        wait_for_waiters::<D>(&mut watcher, 1);
        transaction.commit()?;
        Ok(second.join().unwrap())
    })?;
    if crate::engine::is_portable() {
        // It finds what the first has made, as with our lock.
        assert_eq!(second?, Created::Existed);
        return Ok(());
    }
    assert!(second.as_ref().err().unwrap().is_transient());
    assert_error!(second, Error::CreatedMeanwhile { .. }, "23505", ["try again"]);
    Ok(())
}

fn registered_meanwhile_by_a_program_without_our_lock<D: Driver>() -> crate::Result {
    let bed = Bed::<D>::new()?;
    let conninfo = bed.database.conninfo();
    let (mut first, mut watcher) = (bed.connect(), bed.connect());
    let mut transaction = first.transaction()?;
    transaction.query("SELECT pgq.register_consumer('q', 'new')")?;
    let second = std::thread::scope(|scope| -> crate::Result<_> {
        let second =
            scope.spawn(|| D::Consumer::new("q", "new").register(&mut D::Client::connect(conninfo).unwrap()));
        wait_for_waiters::<D>(&mut watcher, 1);
        transaction.commit()?;
        Ok(second.join().unwrap())
    })?;
    if crate::engine::is_portable() {
        // It finds what the first has made, as with our lock.
        assert_eq!(second?, Created::Existed);
        return Ok(());
    }
    assert!(second.as_ref().err().unwrap().is_transient());
    assert_error!(second, Error::CreatedMeanwhile { .. }, "23505", ["try again"]);
    Ok(())
}

fn a_read_only_session<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let consumer = bed.consumer();
    let mut standby = bed.connect();
    standby.batch_execute("SET default_transaction_read_only = on")?;
    assert!(consumer.next_batch(&mut standby)?.is_none());
    bed.produce(1..=3);
    // A batch that cannot be opened.
    assert_error!(
        consumer.next_batch(&mut standby),
        Error::ReadOnly { source: Some(_), .. },
        "25006",
        ["read-only"]
    );
    // A batch that is open, so that its events could be read, again and again.
    bed.db.call(batch::next("q", "c"))?.unwrap();
    let refused = consumer.next_batch(&mut standby);
    assert!(refused.as_ref().err().unwrap().is_transient());
    assert_error!(
        refused,
        Error::ReadOnly { source: None, .. },
        "",
        ["read-only", "target_session_attrs=read-write"]
    );
    assert!(standby.call(batch::next_info("q", "c")).is_err());
    for result in [standby.insert_event("q", "t", "d").map(|_| ()), standby.create("other").map(|_| ())] {
        assert_error!(result, Error::ReadOnly { .. }, "25006", ["read-only"]);
    }
    assert_eq!(bed.drain(), [1, 2, 3]);
    Ok(())
}

fn a_conflict_is_transient<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.produce([1]);
    let mut other = bed.connect();
    let open = bed.db.call(batch::next("q", "c"))?.unwrap();
    let mut holder = other.transaction()?;
    assert_eq!(holder.call(batch::finish(open))?, batch::Finish::Done);
    for (setting, state) in [("lock_timeout", "55P03"), ("statement_timeout", "57014")] {
        bed.db.batch_execute(&format!("SET {setting} = '50ms'"))?;
        let result = bed.db.call(batch::finish(open));
        assert!(result.as_ref().is_err_and(|error| error.is_transient() && !error.is_connection()));
        assert_error!(
            result,
            Error::Database { function: Some("pgq.finish_batch"), .. },
            state,
            ["pgq.finish_batch"]
        );
        bed.db.batch_execute(&format!("SET {setting} = 0"))?;
    }
    let mut serial = bed.db.transaction()?;
    serial.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM pgq.subscription")?;
    holder.commit()?;
    let result = serial.call(batch::finish(open));
    assert!(result.as_ref().is_err_and(Error::is_transient));
    assert_error!(result, Error::Database { .. }, "40001", ["pgq.finish_batch"]);
    Ok(())
}

fn a_lost_connection_is_transient<D: Driver>() -> crate::Result {
    let bed = Bed::<D>::new()?;
    let (mut victim, mut other) = (bed.connect(), bed.connect());
    let pid = victim.value("SELECT pg_backend_pid()");
    terminate::<D>(&mut other, pid);
    for _ in 0..2 {
        let error = victim.call(version::installed()).err().unwrap();
        assert!(error.is_connection() && error.is_transient(), "{error:?}");
    }
    let nowhere = D::Client::connect("host=/nowhere user=postgres").map_err(Error::from).err().unwrap();
    assert!(nowhere.is_connection(), "{nowhere:?}");
    let no_database = Server::shared()?.conninfo().replace("dbname=postgres", "dbname=none");
    let error = D::Client::connect(&no_database).map_err(Error::from).err().unwrap();
    assert_eq!(error.sqlstate().unwrap().code(), "3D000");
    assert!(!error.is_connection() && !error.is_transient(), "{error:?}");

    let mut idle = bed.connect();
    let pid: i32 = idle.value("SELECT pg_backend_pid()");
    // The end may come before the answer to this does.
    let begun = idle.batch_execute("SET idle_in_transaction_session_timeout = '1ms'; BEGIN");
    let gone = format!("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid})");
    until("the idle session is ended", || other.value(&gone));
    let error = begun.map_err(Error::from).and_then(|()| idle.call(version::installed())).err().unwrap();
    assert!(error.is_connection(), "{error:?}");
    Ok(())
}

fn nothing_else_is_transient<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let errors = [
        bed.db.drop_queue("none").err().unwrap(),
        bed.db.drop_queue("q").err().unwrap(),
        bed.db.call(consumer::register("none", "c")).err().unwrap(),
        bed.db.call(batch::events(BatchId(9))).err().unwrap(),
        bed.db.call(queue::set_config("q", "ticker_max_count", "x")).err().unwrap(),
        bed.db.call(event::insert("q", "t", "\0")).err().unwrap(),
        bed.db.batch_execute("SELECT 1 / 0").map_err(Error::from).err().unwrap(),
    ];
    for error in errors {
        assert!(!error.is_transient() && !error.is_connection(), "{error:?}");
        assert_eq!(error.database().unwrap().sqlstate(), error.sqlstate());
    }
    make_tick::<D>(&mut bed.db);
    bed.produce([1]);
    let unread = bed.consumer().next_batch(&mut bed.db)?.unwrap().finish().err().unwrap();
    assert!(!unread.is_transient() && unread.database().is_none());
    Ok(())
}
