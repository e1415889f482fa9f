use pgq_core::Installation;
use pgq_schema::{Engine, Found, Schema, Setup};
use pgq_testkit::Server;

use crate::bed::{Bed, portable};
use crate::driver::{Driver, Sync};

cases!(
    a_superuser_gets_the_extension_unless_told_otherwise,
    the_extension_is_not_replaced,
    the_portable_engine_is_not_replaced,
    what_was_made_by_hand_is_left_alone,
    a_server_without_the_extension_says_so,
    the_extension_makes_its_schema_itself,
);

fn a_superuser_gets_the_extension_unless_told_otherwise<D: Driver>() -> crate::Result {
    needs_extension!(Server::shared()?);
    let mut bed = Bed::<D>::new()?;
    let plan = bed.driver.install(&Setup::new())?;
    assert!(plan.to_string().contains("pgq: found nothing; new: the extension, version "), "{plan}");
    assert_eq!(bed.value::<i64>("SELECT count(*) FROM pg_extension WHERE extname = 'pgq'"), 1);
    assert_eq!(bed.value::<i32>("SELECT pgq_coop.portable_release() + pgq_ext.portable_release()"), 2);
    assert_eq!(bed.driver.check(&Setup::new())?, []);
    bed.assert_works();
    bed.execute("SELECT pgq.create_queue('q'), pgq_coop.register_subconsumer('q', 'c', 's')");

    let plan = bed.driver.install(&Setup::new())?;
    assert!(plan.is_empty() && matches!(plan.found(Schema::Pgq), Some(Found::Extension { .. })), "{plan}");
    assert!(bed.driver.upgrade(&Setup::new())?.is_empty());
    assert!(bed.driver.install(&Setup::new().engine(Engine::Extension))?.is_empty());
    Ok(())
}

fn the_extension_is_not_replaced<D: Driver>() -> crate::Result {
    needs_extension!(Server::shared()?);
    let mut bed = Bed::<D>::new()?;
    bed.driver.install(&Setup::new().engine(Engine::Extension).only([Schema::Pgq]))?;
    let parts =
        ["schema pgq", "the extension, version", "the portable engine was asked for", "drain", "uninstall"];
    assert_refused!(bed.driver.plan(&portable()), Installation::OtherEngine { schema: "pgq", .. }, parts);
    assert_refused!(bed.driver.install(&portable()), Installation::OtherEngine { schema: "pgq", .. }, parts);
    assert_refused!(bed.driver.upgrade(&portable()), Installation::OtherEngine { schema: "pgq", .. }, parts);
    assert_refused!(bed.driver.check(&portable()), Installation::OtherEngine { schema: "pgq", .. }, parts);
    let refused = bed.db.batch_execute(&portable().sql()).unwrap_err();
    let refused = refused.as_db_error().ok_or("not by the server")?;
    assert!(refused.message().contains("schema pgq is that of an extension"), "{refused:?}");
    let hint = refused.hint().unwrap_or_default();
    assert!(
        hint.contains("`print_sql --only pgq_coop,pgq_ext`") && hint.contains("docs/engines.md"),
        "{hint}"
    );
    assert_eq!(bed.value::<i64>("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^pgq_'"), 0);
    // Beside it, the others install.
    bed.driver.execute(&portable().only([Schema::PgqCoop, Schema::PgqExt]).sql())?;
    assert!(bed.driver.install(&Setup::new())?.is_empty());
    Ok(())
}

fn the_portable_engine_is_not_replaced<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::installed()?;
    assert!(bed.driver.install(&Setup::new())?.is_empty());
    let extension = Setup::new().engine(Engine::Extension);
    let parts = ["schema pgq", "the portable engine, release 1", "the extension was asked for"];
    assert_refused!(bed.driver.install(&extension), Installation::OtherEngine { schema: "pgq", .. }, parts);
    assert_refused!(bed.driver.upgrade(&extension), Installation::OtherEngine { schema: "pgq", .. }, parts);
    assert_refused!(bed.driver.check(&extension), Installation::OtherEngine { schema: "pgq", .. }, parts);
    Ok(())
}

fn what_was_made_by_hand_is_left_alone<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.execute("CREATE SCHEMA pgq; CREATE TABLE pgq.queue (queue_id integer)");
    let parts = ["schema pgq", "neither an extension nor the portable engine", "leave pgq out"];
    for setup in [Setup::new(), portable(), Setup::new().engine(Engine::Extension)] {
        assert_refused!(bed.driver.install(&setup), Installation::UnknownOrigin { schema: "pgq" }, parts);
        assert_refused!(bed.driver.upgrade(&setup), Installation::UnknownOrigin { schema: "pgq" }, parts);
        assert_refused!(bed.driver.check(&setup), Installation::UnknownOrigin { schema: "pgq" }, parts);
        let uninstalled = bed.driver.uninstall(&setup.with_data());
        assert_refused!(uninstalled, Installation::UnknownOrigin { schema: "pgq" }, parts);
    }
    assert!(bed.execute_fails(&portable().sql()).contains("neither an extension nor"));
    bed.driver.install(&portable().only([Schema::PgqExt]))?;
    assert_eq!(bed.value::<i64>("SELECT count(*) FROM pg_class WHERE relnamespace = 'pgq'::regnamespace"), 1);
    Ok(())
}

fn a_server_without_the_extension_says_so<D: Driver>() -> crate::Result {
    let server = Server::shared()?;
    if server.has_extension()? {
        eprintln!("skipped: the server has the extension pgq");
        return Ok(());
    }
    let mut bed = Bed::<D>::on(server)?;
    let parts = ["the server does not have it", "package", "portable"];
    let extension = Setup::new().engine(Engine::Extension);
    assert_refused!(bed.driver.install(&extension), Installation::NoExtension { .. }, parts);
    bed.driver.install(&Setup::new())?;
    assert_eq!(bed.differences(), [""; 0]);
    Ok(())
}

fn the_extension_makes_its_schema_itself<D: Driver>() -> crate::Result {
    needs_extension!(Server::shared()?);
    let mut bed = Bed::<D>::new()?;
    bed.execute("CREATE SCHEMA pgq");
    let extension = Setup::new().engine(Engine::Extension);
    assert_refused!(
        bed.driver.install(&extension),
        Installation::NoExtension { .. },
        ["drop the empty schema"]
    );
    // Where it is free to choose, it takes the schema that is there.
    let plan = bed.driver.install(&Setup::new())?;
    assert_eq!(plan.found(Schema::Pgq), Some(&Found::Empty));
    assert_eq!(bed.differences(), [""; 0]);
    Ok(())
}

/// As `docs/engines.md` says.
#[test]
fn a_transaction_moves_from_one_engine_to_the_other() -> crate::Result {
    needs_extension!(Server::shared()?);
    let mut bed = Bed::<Sync>::new()?;
    let engine = |engine| pgq_sync::Installer::new().engine(engine);
    engine(Engine::Extension).install(&mut bed.db)?;
    for to in [Engine::Portable, Engine::Extension] {
        bed.execute("SELECT pgq.create_queue('q'), pgq_ext.set_last_tick('c', 7)");
        let mut transaction = bed.db.transaction()?;
        let old = pgq_sync::Installer::new().only([Schema::Pgq, Schema::PgqCoop]).with_data();
        old.uninstall(&mut transaction)?;
        engine(to).install(&mut transaction)?;
        transaction.execute("SELECT pgq.create_queue('r')", &[])?;
        transaction.commit()?;
        assert_eq!(bed.value::<String>("SELECT string_agg(queue_name, ',') FROM pgq.queue"), "r");
        assert_eq!(bed.value::<i64>("SELECT pgq_ext.get_last_tick('c')"), 7);
        assert_eq!(engine(to).check(&mut bed.db)?, []);
        bed.assert_works();
    }
    Ok(())
}
