use pgq_core::Installation;
use pgq_schema::{Found, Schema};

use crate::bed::{Bed, portable};
use crate::driver::Driver;

cases!(
    brings_an_older_release_to_this_one,
    repairs_this_release,
    leaves_out_what_is_not_there,
    refuses_a_newer_release,
    refuses_where_nothing_is_there,
);

/// Makes an installation look like one of an earlier release: another body, a function that is not there yet, and fewer grants.
pub(crate) const MAKE_OLDER: &str = "
    CREATE OR REPLACE FUNCTION pgq.portable_release() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 0';
    CREATE OR REPLACE FUNCTION pgq.version() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '3.0'::text $$;
    DROP FUNCTION pgq.repair_restored(text);
    ALTER FUNCTION pgq.finish_batch(bigint) SECURITY INVOKER;
    REVOKE EXECUTE ON FUNCTION pgq.next_batch(text, text) FROM pgq_reader;
    DROP INDEX pgq.rq_retry_idx";

fn brings_an_older_release_to_this_one<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::installed()?;
    bed.execute(
        "SELECT pgq.create_queue('q'), pgq.register_consumer('q', 'c'), pgq.insert_event('q', 't', 'd')",
    );
    bed.execute(MAKE_OLDER);
    assert_eq!(bed.differences().len(), 7, "{:#?}", bed.differences());
    let kept = bed.driver.install(&portable())?;
    assert!(
        kept.is_empty() && kept.to_string().contains("release 0; kept; an upgrade is possible"),
        "{kept}"
    );

    let plan = bed.driver.upgrade(&portable())?;
    assert!(matches!(plan.found(Schema::Pgq), Some(Found::Portable { release: 0, .. })));
    assert!(
        plan.to_string().contains("pgq: found the portable engine, release 0; upgrade to release 1"),
        "{plan}"
    );
    assert!(plan.to_string().contains("pgq_coop: found the portable engine, release 1; kept"), "{plan}");
    assert_eq!(bed.differences(), [""; 0]);
    assert!(bed.driver.upgrade(&portable())?.is_empty());
    assert_eq!(bed.value::<i64>("SELECT count(*) FROM pgq.event_1"), 1);
    bed.assert_works();
    Ok(())
}

fn repairs_this_release<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::installed()?;
    bed.execute(
        "GRANT EXECUTE ON FUNCTION pgq.create_queue(text) TO PUBLIC; DROP FUNCTION pgq_ext.version()",
    );
    let plan = bed.driver.upgrade(&portable())?;
    assert!(plan.to_string().contains("pgq: found the portable engine, release 1; repair"), "{plan}");
    assert_eq!(bed.differences(), [""; 0]);
    Ok(())
}

fn leaves_out_what_is_not_there<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.driver.install(&portable().only([Schema::Pgq]))?;
    bed.execute(MAKE_OLDER);
    let plan = bed.driver.upgrade(&portable())?;
    assert!(plan.to_string().contains("pgq_ext: found nothing; left out"), "{plan}");
    assert_eq!(bed.differences(), ["schema pgq_coop is missing", "schema pgq_ext is missing"]);
    Ok(())
}

fn refuses_a_newer_release<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::installed()?;
    bed.execute(
        "CREATE OR REPLACE FUNCTION pgq.portable_release() RETURNS integer LANGUAGE sql AS 'SELECT 99'",
    );
    let parts = ["schema pgq", "release 99", "up to 1", "newer library"];
    assert_refused!(bed.driver.upgrade(&portable()), Installation::NewerRelease { found: 99, .. }, parts);
    assert_refused!(bed.driver.check(&portable()), Installation::NewerRelease { found: 99, .. }, parts);
    assert!(bed.execute_fails(&portable().sql()).contains("schema pgq is of release 99"));
    // An application of an earlier release may start beside one of this.
    let plan = bed.driver.install(&portable())?;
    assert!(plan.is_empty() && plan.to_string().contains("it is newer than this library"), "{plan}");
    Ok(())
}

fn refuses_where_nothing_is_there<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let parts = ["pgq, pgq_coop, pgq_ext", "install"];
    assert_refused!(bed.driver.upgrade(&portable()), Installation::NothingThere { .. }, parts);
    Ok(())
}
