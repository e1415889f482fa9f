use crate::bed::Bed;

/// Shadows, in a schema of the intruder's own, the operators and functions that code is most likely to use; each notes who it was that
/// called it.
const TRAPS: &str = r#"
create role intruder login in role pgq_reader, pgq_writer;
create schema trap authorization intruder;
create table trap.caught (who name, what text);
grant insert on trap.caught to public;
set role intruder;
do $$
declare
    f   record;
begin
    for f in
        select proname, oid::regprocedure as signature, pg_get_function_identity_arguments(oid) as arguments,
            pg_get_function_result(oid) as result
        from pg_proc
        where pronamespace = 'pg_catalog'::regnamespace and prokind = 'f' and not proretset and prorettype not in ('internal'::regtype, 'void'::regtype)
            and proname in ('txid_current', 'txid_current_snapshot', 'txid_snapshot_xmin', 'txid_snapshot_xmax', 'now', 'nextval',
                'setval', 'current_setting', 'set_config', 'quote_ident', 'quote_literal', 'strpos', 'left',
                'substr', 'split_part', 'to_regclass', 'to_regrole', 'pg_sequence_last_value', 'cardinality',
                'txid_visible_in_snapshot', 'octet_length', 'starts_with', 'pg_relation_size', 'array_to_string')
            and '"any"'::regtype <> all (proargtypes)
    loop
        execute format(
            'create function trap.%I(%s) returns %s language plpgsql set search_path = pg_catalog
             as $f$ begin insert into trap.caught values (current_user, %L); return pg_catalog.%I(%s); end $f$',
            f.proname, f.arguments, f.result, f.signature, f.proname, (
                select coalesce(string_agg('$' || i, ', ' order by i), '')
                from generate_series(1, (select pronargs from pg_proc where oid = f.signature::oid)) i));
    end loop;
    for f in
        select oprname, oprleft::regtype as l, oprright::regtype as r, oprresult::regtype as result, oid::regoperator as signature
        from pg_operator
        where oprnamespace = 'pg_catalog'::regnamespace and oprkind = 'b'
            and oprname in ('=', '<>', '<', '<=', '>', '>=', '||', '+', '-', '*', '/', '%', '&', '~~', '!~~')
            and oprleft::regtype::text in ('text', 'integer', 'bigint', 'interval', 'name', 'oid', 'xid',
                'timestamp with time zone', 'boolean', 'anynonarray', 'anyarray', 'anycompatiblearray')
            and oprresult::regtype::text not like 'any%'
    loop
        execute format(
            'create function trap.op(l %s, r %s) returns %s language plpgsql set search_path = pg_catalog
             as $f$ begin insert into trap.caught values (current_user, %L); return l operator(pg_catalog.%s) r; end $f$',
            f.l, f.r, f.result, f.signature, f.oprname);
        execute format('create operator trap.%s (function = trap.op, leftarg = %s, rightarg = %s)', f.oprname, f.l, f.r);
        execute format('alter function trap.op(%s, %s) rename to %I', f.l, f.r, 'op_' || f.signature::oid);
    end loop;
end
$$;
reset role;
"#;

/// What runs with the owner's rights runs none of them.
#[test]
fn a_shadowed_operator_gains_nothing() {
    let mut bed = Bed::new();
    bed.db.run(TRAPS);
    let mut intruder = bed.session();
    intruder.run("set session authorization intruder; set search_path = trap, pg_catalog, pgq");
    let calls = [
        "pgq.insert_event('q', 'a', 'b')",
        "pgq.insert_event('q', 'a', 'b', 'c', null, null, null)",
        "pgq.insert_events('q', '{a}', '{b}', null, null, null, null)",
        "pgq.current_event_table('q')",
        "pgq.register_consumer('q', 'mine')",
        "pgq.register_consumer_at('q', 'mine', 1)",
        "pgq.get_consumer_info()",
        "pgq.force_tick('q')",
    ];
    for call in calls {
        intruder.run(&format!("select {call}"));
    }
    bed.db.run("select pgq.set_queue_config('q', 'per_tx_limit', '9'); grant pgq_admin to intruder");
    let calls = [
        "pgq.insert_event('q', 'a', 'b')",
        "pgq.insert_event_raw('q', null, null, null, null, 'a', 'b', null, null, null, null)",
        "pgq.ticker()",
        "pgq.force_tick('q')",
        "pgq.ticker('q')",
        "pgq.next_batch('q', 'c')",
        "pgq.get_batch_info(1)",
        "pgq.get_batch_events(1)",
        "pgq.event_retry(1, 1, 0)",
        "pgq.events_retry(1, '{2}', '{0}')",
        "pgq.batch_retry(1, 0)",
        "pgq.finish_batch(1)",
        "pgq.maint_retry_events()",
        "pgq.event_retry_raw('q', 'c', pg_catalog.now(), null, pg_catalog.now(), 1, 'a', 'b', null, null, null, null)",
        "pgq.create_queue('mine')",
        "pgq.grant_perms('mine')",
        "pgq.set_queue_config('mine', 'rotation_period', '0')",
        "pgq.maint_rotate_tables_step1('mine')",
        "pgq.maint_rotate_tables_step2()",
        "pgq.set_queue_config('mine', 'external_ticker', 'true')",
        "pgq.ticker('mine', 7, pg_catalog.now(), 1)",
        "pgq.unregister_consumer('q', 'mine')",
        "pgq.drop_queue('mine')",
        "pgq.drop_queue('q', true)",
    ];
    for call in calls {
        intruder.run(&format!("select {call}"));
    }
    assert_eq!(intruder.answer("select pgq.repair_restored('q')"), "P0001 No such event queue");
    let caught = "select who, what, count(*) from trap.caught where who <> 'intruder' group by who, what";
    assert_eq!(bed.db.answer(caught), "");

    // The traps work: who does not pin the path falls into them.
    bed.db.run(
        "create function pgq.careless(a bigint) returns boolean language plpgsql security definer as 'begin return a = 1 and now() is not null; end'",
    );
    intruder.run("select pgq.careless(1::bigint)");
    assert_eq!(
        bed.db.answer(&format!("{caught} order by 2")),
        "postgres|=(bigint,integer)|1 postgres|now()|1"
    );
    bed.db.run("revoke pgq_reader, pgq_writer, pgq_admin from intruder; drop schema trap cascade; drop role intruder");
}

/// All functions that run with their owner's rights.
#[test]
fn every_definer_pins_the_path() {
    let mut bed = Bed::new();
    let definers = "from pg_proc join pg_namespace n on n.oid = pronamespace where nspname in ('pgq', 'pgq_coop', 'pgq_ext', 'pgq_dead') and prosecdef";
    assert_eq!(bed.db.answer(&format!("select count(distinct nspname) {definers}")), "4");
    let unpinned = "not exists (select from unnest(proconfig) c where c = 'search_path=pg_catalog, pg_temp')";
    let unpinned = format!("select nspname, proname, pronargs {definers} and {unpinned}");
    assert_eq!(bed.db.answer(&unpinned), "");
}
