use std::io::Write;
use std::process::{Command, Stdio};

use pgq_schema::{Schema, Setup};

use crate::bed::{Bed, portable};
use crate::driver::{Driver, Sync};

cases!(installs_by_one_query, upgrades, needs_what_it_needs, is_run_by_the_owner);

fn installs_by_one_query<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    for _ in 0..2 {
        bed.driver.execute(&portable().sql())?;
        assert_eq!(bed.differences(), [""; 0]);
    }
    assert!(bed.driver.install(&portable())?.is_empty());
    bed.assert_works();
    Ok(())
}

/// Also with what stands before and after it in the transaction of a migration tool.
fn upgrades<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::installed()?;
    bed.execute("SELECT pgq.create_queue('q')");
    bed.execute(crate::upgrades::MAKE_OLDER);
    bed.execute("SET search_path = pg_temp");
    let sql = portable().sql();
    bed.execute(&format!(
        "BEGIN; CREATE TABLE migration (id integer); {sql}; INSERT INTO migration VALUES (1); COMMIT"
    ));
    bed.execute("RESET search_path");
    assert_eq!(bed.differences(), [""; 0]);
    assert_eq!(bed.value::<i64>("SELECT count(*) FROM pgq.queue"), 1);
    Ok(())
}

fn needs_what_it_needs<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let coop = portable().only([Schema::PgqCoop]);
    assert!(bed.execute_fails(&coop.sql()).contains("schema pgq_coop needs schema pgq"));
    bed.driver.execute(&portable().only([Schema::Pgq]).sql())?;
    bed.driver.execute(&coop.sql())?;
    bed.driver.execute(&portable().only([Schema::PgqExt]).without_roles().sql())?;
    assert_eq!(bed.driver.check(&portable().only([Schema::Pgq, Schema::PgqCoop]))?, []);
    assert_eq!(bed.driver.check(&portable().only([Schema::PgqExt]).without_roles())?, []);
    Ok(())
}

/// Else a superuser would run what another user may have put there, and own half of what is there after it.
fn is_run_by_the_owner<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.execute(
        "CREATE SEQUENCE public.ran; CREATE SCHEMA pgq AUTHORIZATION pg_monitor;
         CREATE FUNCTION pgq.portable_release() RETURNS integer LANGUAGE sql AS 'SELECT 1';
         CREATE VIEW pgq.queue AS SELECT 'q'::text AS queue_name, nextval('public.ran')",
    );
    let refused = bed.execute_fails(&portable().sql());
    assert_eq!(refused, "schema pgq belongs to role pg_monitor, and this is run by postgres");
    assert!(!bed.value::<bool>("SELECT is_called FROM public.ran"));
    bed.execute("DROP VIEW pgq.queue; DROP FUNCTION pgq.portable_release()");
    bed.execute_fails(&portable().sql());
    bed.execute("ALTER SCHEMA pgq OWNER TO postgres");
    bed.execute(&portable().sql());
    assert_eq!(bed.differences(), [""; 0]);
    Ok(())
}

/// A statement at a time, as psql sends them; `-1` makes a transaction of it.
#[test]
fn runs_in_psql() -> crate::Result {
    if Command::new("psql").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: there is no psql");
        return Ok(());
    }
    let mut bed = Bed::<Sync>::new()?;
    for transaction in ["-1", "-1", "--no-align"] {
        let mut psql = Command::new("psql")
            .args([transaction, "-q", "-X", "-v", "ON_ERROR_STOP=1", "-d", bed.database.conninfo()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        psql.stdin.take().ok_or("no stdin")?.write_all(Setup::new().sql().as_bytes())?;
        assert!(psql.wait()?.success(), "{transaction}");
        assert_eq!(bed.differences(), [""; 0]);
    }
    Ok(())
}
