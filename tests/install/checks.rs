use crate::bed::{Bed, portable};
use crate::driver::Driver;

cases!(finds_what_differs, leaves_alone_what_is_yours);

/// What somebody may do to an installation, and what is said about it then.
const CHANGES: &[(&str, &str)] = &[
    ("DROP FUNCTION pgq.force_tick(text)", "function pgq.force_tick(text) is missing"),
    ("ALTER FUNCTION pgq.finish_batch(bigint) SECURITY INVOKER", "function pgq.finish_batch(bigint) is `"),
    ("ALTER FUNCTION pgq.finish_batch(bigint) RESET search_path", "function pgq.finish_batch(bigint) is `"),
    ("ALTER FUNCTION pgq.finish_batch(bigint) OWNER TO pgq_admin", "function pgq.finish_batch(bigint) is `"),
    ("ALTER FUNCTION pgq.version() VOLATILE", "function pgq.version() is `() returns text sql volatile"),
    (
        "CREATE OR REPLACE FUNCTION pgq.version() RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT NULL'",
        "function pgq.version() is `",
    ),
    (
        "CREATE FUNCTION pgq.insert_event(text, text, json) RETURNS bigint LANGUAGE sql AS 'SELECT 1'",
        "function pgq.insert_event(text, text, json) should not be there",
    ),
    (
        "DROP FUNCTION pgq.force_tick(text); CREATE FUNCTION pgq.force_tick(other text) RETURNS bigint LANGUAGE sql AS 'SELECT 1'",
        "function pgq.force_tick(text) is `(other text) returns bigint sql volatile",
    ),
    ("ALTER TABLE pgq.queue DROP COLUMN queue_extra_maint", "column pgq.queue.queue_extra_maint is missing"),
    ("ALTER TABLE pgq.queue ADD COLUMN mine text", "column pgq.queue.mine should not be there"),
    (
        "ALTER TABLE pgq.queue ALTER COLUMN queue_ntables SET DEFAULT 5",
        "column pgq.queue.queue_ntables is `3 integer not null default 5`, and should be `3 integer not null default 3`",
    ),
    (
        "ALTER TABLE pgq.tick ALTER COLUMN tick_event_seq DROP NOT NULL",
        "column pgq.tick.tick_event_seq is `5 bigint`",
    ),
    (
        "ALTER TABLE pgq.tick ALTER COLUMN tick_event_seq TYPE numeric",
        "column pgq.tick.tick_event_seq is `5 numeric not null`",
    ),
    (
        "ALTER TABLE pgq.tick DROP CONSTRAINT tick_queue_fkey",
        "constraint tick_queue_fkey on pgq.tick is missing",
    ),
    (
        "ALTER TABLE pgq.queue ADD CHECK (queue_name <> '')",
        "constraint queue_queue_name_check on pgq.queue should not be there",
    ),
    ("ALTER TABLE pgq.retry_queue SET UNLOGGED", "table pgq.retry_queue is `table unlogged`"),
    (
        "ALTER TABLE pgq.tick ENABLE ROW LEVEL SECURITY",
        "table pgq.tick is `table permanent row level security`",
    ),
    ("DROP INDEX pgq.rq_retry_idx", "index pgq.rq_retry_idx is missing"),
    (
        "CREATE TRIGGER mine BEFORE INSERT ON pgq.tick EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "trigger mine on pgq.tick should not be there",
    ),
    ("ALTER SEQUENCE pgq.batch_id_seq CYCLE", "sequence pgq.batch_id_seq is `"),
    ("DROP SEQUENCE pgq.batch_id_seq", "sequence pgq.batch_id_seq is missing"),
    ("GRANT INSERT ON pgq.queue TO PUBLIC", "grant insert on table pgq.queue to public should not be there"),
    ("REVOKE SELECT ON pgq.queue FROM PUBLIC", "grant select on table pgq.queue to public is missing"),
    (
        "GRANT EXECUTE ON FUNCTION pgq.create_queue(text) TO pgq_reader",
        "grant execute on function pgq.create_queue(text) to pgq_reader should not be there",
    ),
    (
        "REVOKE EXECUTE ON FUNCTION pgq_coop.finish_batch(bigint) FROM pgq_reader",
        "grant execute on function pgq_coop.finish_batch(bigint) to pgq_reader is missing",
    ),
    ("REVOKE USAGE ON SCHEMA pgq FROM PUBLIC", "grant usage on schema pgq to public is missing"),
    ("DROP SCHEMA pgq_ext CASCADE", "schema pgq_ext is missing"),
    ("REVOKE pgq_reader FROM pgq_admin", "membership pgq_admin in pgq_reader is missing"),
];

fn finds_what_differs<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::installed()?;
    for (change, expected) in CHANGES {
        let differences = bed.driver.check_after(change, &portable())?;
        let texts: Vec<_> = differences.iter().map(ToString::to_string).collect();
        assert!(texts.iter().any(|text| text.starts_with(expected)), "{change}: {texts:#?}");
        assert_eq!(bed.differences(), [""; 0]);
    }
    let differences = bed.driver.check_after("ALTER FUNCTION pgq.version() VOLATILE", &portable())?;
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].item(), "function pgq.version()");
    assert!(differences[0].found().is_some_and(|found| found.contains("volatile")));
    Ok(())
}

fn leaves_alone_what_is_yours<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::installed()?;
    bed.execute(
        "SELECT pgq.create_queue('q');
         COMMENT ON FUNCTION pgq.version() IS 'mine';
         CREATE INDEX my_index ON pgq.tick (tick_time);
         CREATE TABLE pgq.my_table (id serial PRIMARY KEY);
         CREATE VIEW pgq.my_view AS SELECT * FROM pgq.queue;
         CREATE FUNCTION pgq.my_maintenance(text) RETURNS integer LANGUAGE sql AS 'SELECT 0';
         GRANT SELECT ON pgq.event_template TO pg_monitor;
         ALTER TABLE pgq.tick SET (fillfactor = 90)",
    );
    assert_eq!(bed.differences(), [""; 0]);
    Ok(())
}
