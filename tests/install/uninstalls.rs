use pgq_core::Installation;
use pgq_schema::{Engine, Schema, Setup};
use pgq_testkit::Server;

use crate::bed::{Bed, portable};
use crate::driver::Driver;

cases!(
    removes_what_it_installed,
    refuses_while_something_would_be_lost,
    removes_what_is_in_use_when_told_to,
    keeps_what_another_schema_needs,
    removes_the_extension,
);

const LEFT: &str = "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^pgq'";

fn removes_what_it_installed<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::installed()?;
    let plan = bed.driver.uninstall(&portable())?;
    let drops: Vec<_> =
        plan.steps().iter().map(|step| step.title()).filter(|title| title.contains("drop")).collect();
    assert_eq!(drops, ["pgq_ext: drop the schema", "pgq_coop: drop the schema", "pgq: drop the schema"]);
    assert_eq!(bed.value::<i64>(LEFT), 0);
    assert_eq!(
        bed.value::<i64>(
            "SELECT count(*) FROM pg_roles WHERE rolname IN ('pgq_reader', 'pgq_writer', 'pgq_admin')"
        ),
        3
    );
    assert!(bed.driver.uninstall(&portable())?.is_empty());
    bed.driver.install(&portable())?;
    assert_eq!(bed.differences(), [""; 0]);
    Ok(())
}

/// Something that an uninstallation would destroy, what undoes it, and how it is called.
const USES: &[(&str, &str, &str)] = &[
    (
        "SELECT pgq.create_queue('q'); SELECT pgq.create_queue('r')",
        "SELECT pgq.drop_queue('q'); SELECT pgq.drop_queue('r')",
        "schema pgq is in use by 2 queue(s)",
    ),
    (
        "SELECT pgq.create_queue('q'); SELECT pgq_coop.register_subconsumer('q', 'c', 's')",
        "SELECT pgq_coop.unregister_subconsumer('q', 'c', 's', 0); SELECT pgq.drop_queue('q', true)",
        "schema pgq_coop is in use by 1 subconsumer(s)",
    ),
    (
        "SELECT pgq_ext.set_last_tick('c', 1); SELECT pgq_ext.set_batch_done('d', 1)",
        "DELETE FROM pgq_ext.completed_tick; DELETE FROM pgq_ext.completed_batch",
        "schema pgq_ext is in use by the recorded positions of 2 consumer(s)",
    ),
    (
        "CREATE TABLE t (id int); CREATE TRIGGER tell AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION pgq.logutriga('q')",
        "DROP TABLE t",
        "schema pgq is in use by trigger tell on table t",
    ),
    ("CREATE VIEW v AS SELECT queue_name FROM pgq.queue", "DROP VIEW v", "on view v"),
    (
        "CREATE TABLE u (name text DEFAULT pgq.version())",
        "DROP TABLE u",
        "schema pgq is in use by default value for column name",
    ),
    ("CREATE TABLE w (id int REFERENCES pgq.consumer)", "DROP TABLE w", "w_id_fkey"),
    ("CREATE TABLE x () INHERITS (pgq.event_template)", "DROP TABLE x", "schema pgq is in use by table x"),
];

fn refuses_while_something_would_be_lost<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::installed()?;
    for (make, undo, part) in USES {
        bed.execute(make);
        assert_refused!(bed.driver.uninstall(&portable()), Installation::InUse { .. }, [part, "with_data"]);
        bed.execute(undo);
    }
    assert_eq!(bed.differences(), [""; 0]);
    bed.driver.uninstall(&portable())?;
    Ok(())
}

fn removes_what_is_in_use_when_told_to<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::installed()?;
    for (make, _, _) in USES {
        // The second makes a queue of the first again.
        bed.execute(make);
    }
    bed.driver.uninstall(&portable().with_data())?;
    assert_eq!(bed.value::<i64>(LEFT), 0);
    bed.execute("INSERT INTO t VALUES (1)");
    Ok(())
}

fn keeps_what_another_schema_needs<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::installed()?;
    let pgq = portable().only([Schema::Pgq]);
    assert_refused!(
        bed.driver.uninstall(&pgq),
        Installation::InUse { schema: "pgq", .. },
        ["schema pgq_coop"]
    );
    assert_refused!(bed.driver.uninstall(&pgq.with_data()), Installation::InUse { .. }, ["schema pgq_coop"]);
    bed.driver.uninstall(&portable().only([Schema::PgqCoop]))?;
    assert_eq!(bed.value::<i64>(LEFT), 2);
    Ok(())
}

fn removes_the_extension<D: Driver>() -> crate::Result {
    needs_extension!(Server::shared()?);
    let mut bed = Bed::<D>::new()?;
    let setup = Setup::new().engine(Engine::Extension);
    for queue in [false, true] {
        bed.driver.install(&setup)?;
        if queue {
            bed.execute("SELECT pgq.create_queue('q')");
            assert_refused!(bed.driver.uninstall(&setup), Installation::InUse { .. }, ["1 queue(s)"]);
            bed.driver.uninstall(&setup.clone().with_data())?;
        } else {
            bed.driver.uninstall(&setup)?;
        }
        assert_eq!(bed.value::<i64>(LEFT), 0);
        assert_eq!(bed.value::<i64>("SELECT count(*) FROM pg_extension WHERE extname = 'pgq'"), 0);
    }
    Ok(())
}
