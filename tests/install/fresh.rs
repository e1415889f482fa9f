use pgq_core::Installation;
use pgq_schema::{Found, Schema};
use pgq_testkit::Server;
use pgq_testkit::postgres::{Client, NoTls};

use crate::bed::{Bed, assert_works, portable};
use crate::driver::Driver;

cases!(
    installs_everything_once,
    a_plan_changes_nothing,
    installs_what_is_asked_for,
    adds_what_is_not_there,
    adds_the_roles_later,
    joins_a_transaction,
    ignores_the_search_path,
    any_encoding,
);

fn installs_everything_once<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let plan = bed.driver.install(&portable())?;
    assert!(!plan.is_empty());
    assert_eq!(plan.found(Schema::PgqCoop), Some(&Found::Nothing));
    assert_eq!(bed.differences(), [""; 0]);
    bed.assert_works();

    let plan = bed.driver.install(&portable())?;
    assert!(plan.is_empty(), "{plan}");
    assert!(matches!(plan.found(Schema::Pgq), Some(Found::Portable { release: 1, .. })));
    let text = plan.to_string();
    assert!(text.contains("pgq: found the portable engine, release 1; kept\n"), "{text}");
    assert!(text.ends_with("nothing to do\n"), "{text}");
    Ok(())
}

fn a_plan_changes_nothing<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let plan = bed.driver.plan(&portable())?;
    assert_eq!(bed.value::<i64>("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^pgq'"), 0);
    let (text, whole) = (plan.to_string(), format!("{plan:#}"));
    let (findings, steps) = text.rsplit_once("\npgq_ext: ").unwrap();
    assert!(findings.starts_with("pgq: found nothing; new: the portable engine, release 1\n"), "{text}");
    let pgq = plan.steps().iter().filter(|step| step.title().starts_with("pgq: ")).count();
    let summary = format!(
        "found nothing; new: the portable engine, release 1\n{} steps: session 2, ",
        plan.steps().len()
    );
    assert!(steps.starts_with(&summary) && steps.contains(&format!(" pgq {pgq}, pgq_coop ")), "{text}");
    for part in [&text, ". pgq: tables\n", "create table if not exists pgq.queue"] {
        assert!(whole.contains(part), "{whole}");
    }
    let debug = format!("{plan:?}");
    assert!(debug.contains("pgq: tables") && !debug.contains("create table"), "{debug}");
    assert_eq!(plan.steps(), bed.driver.install(&portable())?.steps());
    Ok(())
}

fn installs_what_is_asked_for<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.driver.install(&portable().only([Schema::PgqExt]))?;
    assert_eq!(bed.value::<Vec<String>>(SCHEMAS), ["pgq_ext"]);
    assert_eq!(bed.value::<i32>("SELECT pgq_ext.set_last_tick('c', 7)"), 1);
    assert_refused!(
        bed.driver.install(&portable().only([Schema::PgqCoop])),
        Installation::Needs { schema: "pgq_coop", needs: "pgq" },
        ["pgq_coop", "install both"]
    );
    bed.driver.install(&portable().only([Schema::PgqCoop, Schema::Pgq]))?;
    assert_eq!(bed.value::<Vec<String>>(SCHEMAS), ["pgq", "pgq_coop", "pgq_ext"]);
    assert_eq!(bed.differences(), [""; 0]);
    Ok(())
}

const SCHEMAS: &str =
    "SELECT array_agg(nspname::text ORDER BY nspname) FROM pg_namespace WHERE nspname ~ '^pgq'";

fn adds_what_is_not_there<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.driver.install(&portable().only([Schema::Pgq]))?;
    bed.execute("SELECT pgq.create_queue('q')");
    let differences = bed.differences();
    assert_eq!(differences, ["schema pgq_coop is missing", "schema pgq_ext is missing"]);
    let plan = bed.driver.install(&portable())?;
    assert!(plan.steps().iter().all(|step| !step.title().starts_with("pgq:")), "{plan}");
    assert_eq!(bed.differences(), [""; 0]);
    assert_eq!(bed.value::<i64>("SELECT count(*) FROM pgq.queue"), 1);
    Ok(())
}

fn adds_the_roles_later<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.driver.install(&portable().without_roles())?;
    assert_eq!(bed.driver.check(&portable().without_roles())?, []);
    assert!(bed.driver.install(&portable().without_roles())?.is_empty());
    let differences = bed.differences();
    let grant = "grant execute on function pgq.next_batch(text, text) to pgq_reader is missing";
    assert!(differences.iter().any(|difference| difference == grant), "{differences:?}");

    let plan = bed.driver.install(&portable())?;
    assert!(plan.to_string().contains("; grants to the roles"), "{plan}");
    assert_eq!(bed.differences(), [""; 0]);
    assert!(bed.driver.install(&portable())?.is_empty());
    Ok(())
}

fn joins_a_transaction<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.driver.install_between("CREATE TABLE before ()", &portable(), "SELECT 1 / 0").unwrap_err();
    assert_eq!(bed.value::<i64>("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^pgq'"), 0);

    let before = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; \
         SET LOCAL search_path = \"My Schema\", public; SET LOCAL intervalstyle = iso_8601; \
         SET LOCAL quote_all_identifiers = on; SET LOCAL ROLE postgres";
    let after = "DO $$ BEGIN
         ASSERT current_setting('search_path') = '\"My Schema\", public', current_setting('search_path');
         ASSERT current_setting('intervalstyle') = 'iso_8601';
         ASSERT current_setting('quote_all_identifiers') = 'on';
         ASSERT current_setting('role') = 'postgres', current_setting('role');
         PERFORM pgq.create_queue('q');
         END $$";
    bed.driver.install_between(before, &portable(), after)?;
    assert_eq!(bed.differences(), [""; 0]);
    assert_eq!(bed.value::<i64>("SELECT count(*) FROM pgq.queue"), 1);
    Ok(())
}

/// Somebody's `txid_current` and `=` must not get into our tables and functions.
fn ignores_the_search_path<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let hostile = "CREATE SCHEMA other;
         CREATE FUNCTION other.txid_current() RETURNS bigint LANGUAGE sql AS 'SELECT 7::bigint';
         CREATE FUNCTION other.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT 'infinity'::timestamptz $$;
         SET search_path = other, pg_catalog; SET intervalstyle = sql_standard; SET quote_all_identifiers = on";
    bed.driver.execute(hostile)?;
    bed.driver.install(&portable())?;
    assert_eq!(bed.differences(), [""; 0]);
    bed.driver.execute("SELECT pgq.create_queue('q'); SELECT pgq.insert_event('q', 't', 'd')")?;
    assert_eq!(
        bed.value::<i64>("SELECT count(*) FROM pgq.event_1 WHERE ev_txid > 7 AND ev_time < 'infinity'"),
        1
    );
    Ok(())
}

fn any_encoding<D: Driver>() -> crate::Result {
    for encoding in ["LATIN1", "SQL_ASCII", "EUC_JP"] {
        let database = Server::shared()?.new_database().empty().encoding(encoding).create()?;
        let mut driver = D::connect(database.conninfo());
        driver.install(&portable())?;
        assert_eq!(driver.check(&portable())?, [], "{encoding}");
        assert_works(&mut Client::connect(database.conninfo(), NoTls)?);
    }
    Ok(())
}
