use pgq_core::Installation;
use pgq_schema::{Engine, Found, Schema, Setup};
use pgq_testkit::Server;

use crate::bed::{Bed, portable};
use crate::driver::Driver;

cases!(
    only_when_asked_for,
    by_a_script,
    beside_the_extension,
    differences_are_found_and_repaired,
    kept_by_an_uninstallation,
);

const THERE: &str = "SELECT to_regnamespace('pgq_dead') IS NOT NULL";

/// Makes a queue, and a letter of its event. The event must be committed before the tick.
fn write<D: Driver>(bed: &mut Bed<D>) {
    bed.execute("SELECT pgq.create_queue('q'), pgq.register_consumer('q', 'c')");
    bed.execute("SELECT pgq.insert_event('q', 't', 'd')");
    bed.execute("SELECT pgq.force_tick('q'), pgq.ticker('q')");
    bed.execute("SELECT pgq_dead.add(pgq.next_batch('q', 'c'), '{1}', '{error}', NULL, NULL)");
}

fn everything() -> Setup {
    portable().only(Schema::ALL)
}

fn only_when_asked_for<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let dead = portable().only([Schema::PgqDead]);
    assert_refused!(
        bed.driver.install(&dead),
        Installation::Needs { schema: "pgq_dead", needs: "pgq" },
        ["pgq_dead", "install both"]
    );
    bed.driver.install(&portable())?;
    assert!(!bed.value::<bool>(THERE));
    let differences: Vec<_> = bed.driver.check(&everything())?.iter().map(ToString::to_string).collect();
    assert_eq!(differences, ["schema pgq_dead is missing"]);

    let plan = bed.driver.install(&dead)?;
    assert_eq!(plan.found(Schema::PgqDead), Some(&Found::Nothing));
    assert_eq!(plan.found(Schema::Pgq), None);
    assert_eq!(bed.driver.check(&everything())?, []);
    assert!(bed.driver.install(&everything())?.is_empty());
    write(&mut bed);
    Ok(())
}

fn by_a_script<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let dead = portable().only([Schema::PgqDead]).sql();
    assert!(bed.execute_fails(&dead).contains("schema pgq_dead needs schema pgq"));
    assert!(!portable().sql().contains("pgq_dead"));
    bed.driver.execute(&portable().sql())?;
    for _ in 0..2 {
        bed.driver.execute(&dead)?;
        bed.driver.execute(&everything().sql())?;
    }
    assert_eq!(bed.driver.check(&everything())?, []);
    write(&mut bed);
    Ok(())
}

fn beside_the_extension<D: Driver>() -> crate::Result {
    needs_extension!(Server::shared()?);
    let mut bed = Bed::<D>::new()?;
    let everything = Setup::new().engine(Engine::Extension).only(Schema::ALL);
    bed.driver.install(&everything)?;
    assert_eq!(bed.driver.check(&everything)?, []);
    write(&mut bed);
    assert_eq!(bed.value::<i64>("SELECT count(*) FROM pgq_dead.list('q', 'c', NULL, NULL)"), 1);
    Ok(())
}

fn differences_are_found_and_repaired<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.driver.install(&everything())?;
    write(&mut bed);
    for (change, expected) in [
        ("DROP INDEX pgq_dead.letter_queue_idx", "index pgq_dead.letter_queue_idx is missing"),
        (
            "GRANT SELECT ON pgq_dead.letter TO pgq_reader",
            "grant select on table pgq_dead.letter to pgq_reader should not be there",
        ),
        (
            "ALTER FUNCTION pgq_dead.purge RESET search_path",
            "function pgq_dead.purge(text, text, interval) is `",
        ),
        (
            "REVOKE EXECUTE ON FUNCTION pgq_dead.add FROM pgq_reader",
            "grant execute on function pgq_dead.add(bigint, bigint[], text[], text[], integer[]) to pgq_reader is missing",
        ),
    ] {
        let differences = bed.driver.check_after(change, &everything())?;
        let texts: Vec<_> = differences.iter().map(ToString::to_string).collect();
        assert!(texts.len() == 1 && texts[0].starts_with(expected), "{change}: {texts:#?}");
    }
    bed.execute(
        "CREATE OR REPLACE FUNCTION pgq_dead.portable_release() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 0';
         DROP INDEX pgq_dead.letter_queue_idx; DROP FUNCTION pgq_dead.count(text, text)",
    );
    let plan = bed.driver.upgrade(&everything())?;
    assert!(
        plan.to_string().contains("pgq_dead: found the portable engine, release 0; upgrade to release 1"),
        "{plan}"
    );
    assert_eq!(bed.driver.check(&everything())?, []);
    assert_eq!(bed.value::<i64>("SELECT count(*) FROM pgq_dead.letter"), 1);
    Ok(())
}

fn kept_by_an_uninstallation<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.driver.install(&everything())?;
    write(&mut bed);
    bed.execute("SELECT pgq.drop_queue('q', true)");
    for setup in [everything(), portable().only([Schema::PgqDead])] {
        assert_refused!(
            bed.driver.uninstall(&setup),
            Installation::InUse { schema: "pgq_dead", .. },
            ["schema pgq_dead is in use by 1 dead letter(s)", "with_data"]
        );
    }
    // Not even with everything else.
    assert_refused!(
        bed.driver.uninstall(&portable().with_data()),
        Installation::InUse { schema: "pgq", .. },
        ["schema pgq_dead"]
    );
    bed.execute("DELETE FROM pgq_dead.letter");
    bed.driver.uninstall(&portable().only([Schema::PgqDead]))?;
    assert!(!bed.value::<bool>(THERE));

    bed.driver.install(&everything())?;
    write(&mut bed);
    bed.driver.uninstall(&everything().with_data())?;
    assert_eq!(bed.value::<i64>("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^pgq'"), 0);
    Ok(())
}
