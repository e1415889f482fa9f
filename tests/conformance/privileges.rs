use std::time::Duration;

use pgq_core::batch::RetryMeans;
use pgq_core::chrono::Utc;
use pgq_core::event::{self, Retry};
use pgq_core::{
    BatchId, Created, Error, EventId, Filter, NewEvent, QueueConfig, Role, TickId, batch, consumer, grants,
    maintenance, queue, tick, version,
};
use pgq_testkit::postgres::{Client as Superuser, NoTls};
use pgq_testkit::{Database, Server};

use crate::bed::{Bed, tick as make_tick};
use crate::driver::{Batch, Client, Consumer, Driver, Session, Transaction};
use crate::engine::is_portable;

cases!(a_writer_produces, a_writer_may_not_copy, a_reader_consumes, an_admin_does_all, nobody_looks);

/// A role of this test's own, in one of PgQ's roles; dropped with this value.
pub(crate) struct Login {
    name: String,
}

impl Login {
    pub(crate) fn new(database: &Database, role: &str) -> Self {
        let name = format!("{}_{role}", database.name());
        superuser(&format!("CREATE ROLE {name} LOGIN"));
        if !role.is_empty() {
            superuser(&format!("GRANT {role} TO {name}"));
        }
        Self { name }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        superuser(&format!("DROP ROLE {}", self.name));
    }
}

fn superuser(sql: &str) {
    let mut db = Superuser::connect(Server::shared().unwrap().conninfo(), NoTls).unwrap();
    db.batch_execute(sql).unwrap();
}

/// A bed, and a second connection to it as a login role in this role.
fn logged_in<D: Driver>(role: &str) -> crate::Result<(D::Client, Bed<D>, Login)> {
    let database = crate::engine::database()?;
    let login = Login::new(&database, role);
    let bed = Bed::<D>::on(database)?;
    Ok((D::Client::connect(&bed.database.conninfo_as(login.name()))?, bed, login))
}

macro_rules! assert_refused {
    ($db:expr, $role:expr, $($function:literal => $call:expr),+ $(,)?) => {
        $(assert_error!($db.call($call), Error::MissingPrivilege { function: $function, role, .. } if *role == $role, "42501",
            [$function, $role.name(), "GRANT"]);)+
    };
}

fn a_writer_produces<D: Driver>() -> crate::Result {
    let (mut db, mut bed, _login) = logged_in::<D>("pgq_writer")?;
    let new = || NewEvent::new("number", "3").extra1("x");
    db.insert_event("q", "number", "1")?;
    db.insert("q", &NewEvent::new("number", "2"))?;
    assert_eq!(db.insert_events("q", [new(), new()])?, 2);
    assert_eq!(db.call(event::current_table("q"))?, "pgq.event_1_0");
    make_tick::<D>(&mut bed.db);
    assert_eq!(bed.drain(), [1, 2, 3, 3]);

    assert_error!(
        bed.consumer().next_batch(&mut db),
        Error::MissingPrivilege { function: "pgq.next_batch_custom", role: Role::Reader, .. },
        "42501",
        ["pgq.next_batch_custom", "GRANT pgq_reader"]
    );
    refuses_to_consume::<D>(&mut db);
    refuses_to_administer::<D>(&mut db);
    Ok(())
}

/// A `COPY` that fails before it begins costs the driver its connection (rust-postgres#1337), so it must not come to that.
fn a_writer_may_not_copy<D: Driver>() -> crate::Result {
    let (mut db, _bed, _login) = logged_in::<D>("pgq_writer")?;
    assert_error!(
        db.transaction()?.copy_events("q", [NewEvent::new("t", "d")]),
        Error::MissingPrivilege { function: "COPY", role: Role::Admin, .. },
        "",
        ["COPY", "pgq_admin"]
    );
    db.insert_event("q", "t", "d")?;
    Ok(())
}

fn a_reader_consumes<D: Driver>() -> crate::Result {
    let (mut db, mut bed, _login) = logged_in::<D>("pgq_reader")?;
    let consumer = D::Consumer::new("q", "mine");
    assert_eq!(consumer.register(&mut db)?, Created::New);
    assert_eq!(consumer.register_at(&mut db, TickId(1))?, Created::Existed);
    bed.produce(1..=3);
    let mut batch = consumer.next_batch(&mut db)?.unwrap();
    assert_eq!(crate::bed::read::<D>(&mut batch), [1, 2, 3]);
    batch.finish()?;
    consumer.register_at(&mut db, TickId(1))?;
    let open = db.call(batch::next("q", "mine"))?.unwrap();
    assert!(db.call(batch::info(open))?.is_some());
    assert_eq!(db.call(event::retry_after(open, EventId(1), Duration::ZERO))?, Retry::Queued);
    assert_eq!(db.call(batch::retry(open, Duration::ZERO))?, 2);
    let means = if is_portable() { RetryMeans::Set } else { RetryMeans::Each };
    assert_eq!(db.call(batch::retry_means(open))?, Some(means));
    assert_eq!(db.call(batch::retry_means(BatchId(999)))?, None);
    assert!(db.call(tick::force("q"))?.is_some());
    assert_eq!(consumer.unregister(&mut db)?, 1);
    refuses_to_produce::<D>(&mut db);
    refuses_to_administer::<D>(&mut db);
    Ok(())
}

fn an_admin_does_all<D: Driver>() -> crate::Result {
    let (mut db, _bed, _login) = logged_in::<D>("pgq_admin")?;
    assert_eq!(db.create("mine")?, Created::New);
    db.set_config("mine", &QueueConfig::new().ticker_max_count(1))?;
    assert_eq!(db.call(consumer::register("mine", "c"))?, Created::New);
    let new = || NewEvent::new("number", "1");
    let mut transaction = db.transaction()?;
    assert_eq!(transaction.copy_events("mine", [new(), new()])?, 2);
    transaction.commit()?;
    db.call(event::insert_raw("mine", None, None, None, None, &new()))?;
    crate::bed::tick_on::<D>(&mut db, "mine");
    let open = db.call(batch::next("mine", "c"))?.unwrap();
    let means = if is_portable() { RetryMeans::Set } else { RetryMeans::Raw };
    assert_eq!(db.call(batch::retry_means(open))?, Some(means));
    assert_eq!(crate::bed::drain::<D>(&mut db, &D::Consumer::new("mine", "c")), [1, 1, 1]);
    db.call(event::retry_raw("mine", "c", Utc::now(), None, Utc::now(), None, &new()))?;
    assert!(db.call(maintenance::retry_events(1)).is_ok());
    assert!(db.call(maintenance::operations()).is_ok());
    db.call(maintenance::rotate_step1("mine"))?;
    db.call(maintenance::rotate_step2())?;
    db.call(grants::apply("mine"))?;
    db.drop_with_consumers("mine")?;
    Ok(())
}

fn nobody_looks<D: Driver>() -> crate::Result {
    let (mut db, bed, _login) = logged_in::<D>("")?;
    assert!(db.info("q")?.is_some());
    assert_eq!(db.consumers("q")?.len(), 1);
    assert!(bed.consumer().info(&mut db)?.is_some());
    assert_eq!(db.call(queue::info_all())?.len(), 1);
    assert!(db.call(version::installed())?.is_some());
    let session = db.call(tick::lead())?.unwrap();
    assert_eq!(session.0, db.value::<i32>("SELECT pg_backend_pid()"));
    let marker = db.call(tick::current_txid())?;
    assert!(!db.call(tick::covers("q", marker))?);
    refuses_to_produce::<D>(&mut db);
    refuses_to_consume::<D>(&mut db);
    refuses_to_administer::<D>(&mut db);
    Ok(())
}

fn refuses_to_produce<D: Driver>(db: &mut D::Client) {
    let new = [NewEvent::new("t", "d")];
    assert_refused!(db, Role::Writer,
        "pgq.insert_event" => event::insert("q", "t", "d"),
        "pgq.insert_event" => event::insert_extras("q", &new[0]),
        "pgq.insert_event" => event::insert_many("q", &new),
        "pgq.current_event_table" => event::current_table("q"),
    );
    assert_refused!(db, Role::Admin, "pgq.current_event_table" => event::copy("q"));
}

fn refuses_to_consume<D: Driver>(db: &mut D::Client) {
    let none = BatchId(1);
    assert_refused!(db, Role::Reader,
        "pgq.register_consumer" => consumer::register("q", "mine"),
        "pgq.register_consumer_at" => consumer::register_at("q", "mine", TickId(1)),
        "pgq.unregister_consumer" => consumer::unregister("q", "c"),
        "pgq.next_batch" => batch::next("q", "c"),
        "pgq.next_batch_info" => batch::next_info("q", "c"),
        "pgq.next_batch_custom" => batch::next_custom("q", "c", Default::default()),
        "pgq.get_batch_info" => batch::info(none),
        "pgq.get_batch_info" => batch::retry_means(none),
        "pgq.get_batch_events" => batch::events(none),
        "pgq.get_batch_cursor" => batch::cursor(none, "cursor", 1, &Filter::new()),
        "pgq.finish_batch" => batch::finish(none),
        "pgq.batch_retry" => batch::retry(none, Duration::ZERO),
        "pgq.event_retry" => event::retry_after(none, EventId(1), Duration::ZERO),
        "pgq.event_retry" => event::retry_at(none, EventId(1), Utc::now()),
        "pgq.event_retry" => event::retry_many(none, &[(EventId(1), Duration::ZERO)]),
        "pgq.force_tick" => tick::force("q"),
    );
}

fn refuses_to_administer<D: Driver>(db: &mut D::Client) {
    let new = NewEvent::new("t", "d");
    let now = Utc::now();
    assert_refused!(db, Role::Admin,
        "pgq.create_queue" => queue::create("mine"),
        "pgq.drop_queue" => queue::drop("q"),
        "pgq.drop_queue" => queue::drop_with_consumers("q"),
        "pgq.set_queue_config" => queue::set_config("q", "ticker_max_count", "1"),
        "pgq.insert_event_raw" => event::insert_raw("q", None, None, None, None, &new),
        "pgq.event_retry_raw" => event::retry_raw("q", "c", now, None, now, None, &new),
        "pgq.event_retry_raw" => event::retry_many_raw("q", "c", BatchId(1), &[(EventId(1), Duration::ZERO)]),
        "pgq.ticker" => tick::all(),
        "pgq.ticker" => tick::queue("q"),
        "pgq.ticker" => tick::external("q", TickId(9), now, 9),
        "pgq.maint_operations" => maintenance::operations(),
        "pgq.maint_retry_events" => maintenance::retry_events(1),
        "pgq.maint_rotate_tables_step1" => maintenance::rotate_step1("q"),
        "pgq.maint_rotate_tables_step2" => maintenance::rotate_step2(),
        "pgq.maint_tables_to_vacuum" => maintenance::tables_to_vacuum(),
        "pgq.tune_storage" => maintenance::tune_storage("q"),
        "pgq.upgrade_schema" => maintenance::upgrade_schema(),
        "pgq.grant_perms" => grants::apply("q"),
    );
}
