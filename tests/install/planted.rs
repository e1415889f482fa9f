use pgq_core::Installation;
use pgq_schema::{Schema, Setup};

use crate::bed::{Bed, portable};
use crate::driver::Driver;

cases!(is_never_run);

/// Functions that somebody with `CREATE` on the database may leave where ours would be. A sequence keeps its value when what called it
/// is rolled back.
const PLANTED: &[&str] = &[
    "() RETURNS integer LANGUAGE sql AS $$ SELECT nextval('public.ran'); SELECT 1 $$",
    "() RETURNS integer LANGUAGE sql AS $$ SELECT 1 + nextval('public.ran')::integer $$",
    "() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('public.ran') AS x1 $$",
    "() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('public.ran'); RETURN 1; END $$",
    "(a bigint DEFAULT nextval('public.ran')) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "(VARIADIC a integer[] DEFAULT '{}') RETURNS integer LANGUAGE sql AS $$ SELECT nextval('public.ran')::integer $$",
];

fn is_never_run<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.execute("CREATE SEQUENCE public.ran");
    for schema in Schema::ALL {
        let (name, parts) = (schema.name(), [schema.name(), "neither an extension nor the portable engine"]);
        for function in PLANTED {
            bed.execute(&format!("CREATE SCHEMA {name}; CREATE FUNCTION {name}.portable_release{function}"));
            for setup in
                [Setup::new().only(Schema::ALL), portable().only(Schema::ALL), portable().only([schema])]
            {
                assert_refused!(bed.driver.plan(&setup), Installation::UnknownOrigin { .. }, parts);
                assert_refused!(bed.driver.install(&setup), Installation::UnknownOrigin { .. }, parts);
                assert_refused!(bed.driver.upgrade(&setup), Installation::UnknownOrigin { .. }, parts);
                assert_refused!(bed.driver.check(&setup), Installation::UnknownOrigin { .. }, parts);
                assert_refused!(bed.driver.uninstall(&setup), Installation::UnknownOrigin { .. }, parts);
            }
            assert!(bed.execute_fails(&portable().only(Schema::ALL).sql()).contains(parts[1]), "{function}");
            assert!(!bed.value::<bool>("SELECT is_called FROM public.ran"), "{function}");
            bed.execute(&format!("DROP SCHEMA {name} CASCADE"));
        }
    }
    Ok(())
}
