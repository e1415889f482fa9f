create or replace function pgq.maint_retry_events()
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    c_at_once   constant integer := 10;
    v_event     pgq.retry_queue;
    v_queue     pgq.queue;
    v_moved     integer := 0;
begin
    -- Another mover waits here, and looks after that; consumers that put events in do not.
    lock table pgq.retry_queue in share update exclusive mode;
    perform txid_current();

    for v_event in
        select r.*
        from pgq.retry_queue r
            join pgq.queue q
            on q.queue_id = r.ev_queue
        where r.ev_retry_after <= now()
            and (not q.queue_disable_insert or current_setting('session_replication_role') = 'replica')
        order by r.ev_retry_after
        limit c_at_once
    loop
        select * into v_queue
        from pgq.queue
        where queue_id = v_event.ev_queue;
        continue when not found;

        if current_setting('transaction_isolation') not like 'read%' then
            perform pgq._check_rotation(v_queue);
        end if;

        perform pgq._insert_event(
            v_queue, v_event.ev_id, v_event.ev_time, v_event.ev_owner, v_event.ev_retry,
            v_event.ev_type, v_event.ev_data,
            v_event.ev_extra1, v_event.ev_extra2, v_event.ev_extra3, v_event.ev_extra4);

        delete from pgq.retry_queue
        where ev_owner = v_event.ev_owner and ev_id = v_event.ev_id;

        v_moved := v_moved + 1;
    end loop;
    return v_moved;
end;
$$;

comment on function pgq.maint_retry_events() is
    'Puts events whose time has come back into their queues, at most ten: how many. To be called until it
returns 0. Unlike in the C extension, those of a queue that refuses inserts stay and keep no others from
moving, and limits per transaction do not apply.';

create or replace function pgq.maint_tables_to_vacuum()
returns setof text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select t.name
    from unnest(array[
            'pgq.subscription', 'pgq.consumer', 'pgq.queue', 'pgq.tick', 'pgq.retry_queue',
            'pgq_ext.completed_tick', 'pgq_ext.completed_batch', 'pgq_ext.completed_event',
            'pgq_ext.partial_batch',
            'pgq_node.local_state', 'londiste.seq_info', 'txid.epoch', 'londiste.completed'
        ]) with ordinality t (name, nr)
    where to_regclass(t.name) is not null
        and not current_setting('autovacuum')::boolean
    order by t.nr;
$$;

comment on function pgq.maint_tables_to_vacuum() is
    'The tables of PgQ that need a vacuum now and then; none where autovacuum is on.';

create or replace function pgq.maint_operations(out func_name text, out func_arg text)
returns setof record
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select 'pgq.maint_rotate_tables_step1'::text, queue_name
    from pgq.queue
    where queue_switch_step2 is not null
        and queue_switch_time + queue_rotation_period < now()
    order by queue_name;

    if found or exists (select from pgq.queue where queue_switch_step2 is null) then
        func_name := 'pgq.maint_rotate_tables_step2';
        return next;
    end if;

    return query
    select extra, queue_name
    from pgq.queue
        cross join unnest(queue_extra_maint) with ordinality e (extra, nr)
    order by queue_name, nr;

    return query
    select 'vacuum'::text, t
    from pgq.maint_tables_to_vacuum() t;

    if to_regprocedure('pgq_node.maint_watermark(text)') is not null then
        return query execute
            $q$ select 'pgq_node.maint_watermark'::text, queue_name
                from pgq_node.node_info
                where node_type = 'root'
                order by queue_name $q$;
    end if;

    if to_regprocedure('londiste.periodic_maintenance()') is not null then
        return query execute
            $q$ select 'londiste.root_check_seqs'::text, queue_name
                from pgq_node.node_info
                where node_type = 'root'
                order by queue_name $q$;
        return query
        select 'londiste.periodic_maintenance'::text, null::text;
    end if;
end;
$$;

comment on function pgq.maint_operations() is
    'What is to be done now to maintain the queues, in this order, each in a transaction of its own, and
again while it returns another number than 0. A function is called with the argument, or without where
that is NULL; vacuum is the statement.';

create or replace function pgq.upgrade_schema()
returns integer
language sql
set search_path = pg_catalog, pg_temp
as $$
    select 0;
$$;

comment on function pgq.upgrade_schema() is
    'Does nothing and returns 0: the schema of the portable engine is brought up to date by running its SQL
again.';
