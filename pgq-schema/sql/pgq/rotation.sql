create or replace function pgq.maint_rotate_tables_step1(i_queue_name text)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue         pgq.queue;
    v_lowest_tick   bigint;
    v_lowest_xmin   bigint;
    v_next          integer;
    v_table         text;
begin
    -- This lock neither waits for ticks, which share the row's key, nor makes producers wait, which lock
    -- nothing.
    select * into v_queue
    from pgq.queue
    where queue_name = i_queue_name
        and queue_switch_step2 is not null
        and queue_switch_time + queue_rotation_period <= now()
    for no key update;

    if not found then
        return 0;
    end if;

    if greatest(v_queue.queue_switch_step1, v_queue.queue_switch_step2) > txid_current() then
        raise exception 'queue % maint failure: step1=%, current=%',
            i_queue_name, v_queue.queue_switch_step1, txid_current()
            using detail = 'The last rotation is from a future that this server has not reached.',
                hint = format('After a restore from a dump, run: select pgq.repair_restored(%L)',
                    i_queue_name);
    end if;

    select min(sub_last_tick) into v_lowest_tick
    from pgq.subscription
    where sub_queue = v_queue.queue_id;

    if v_lowest_tick is not null then
        select txid_snapshot_xmin(tick_snapshot) into v_lowest_xmin
        from pgq.tick
        where tick_queue = v_queue.queue_id and tick_id = v_lowest_tick;

        if not found then
            raise exception 'queue % maint failure: tick % not found', i_queue_name, v_lowest_tick
                using hint = 'Move the consumer that is there by pgq.register_consumer_at, or unregister it.';
        elsif v_lowest_xmin <= v_queue.queue_switch_step2 then
            return 0;
        end if;
    end if;

    v_next := (v_queue.queue_cur_table + 1) % v_queue.queue_ntables;
    v_table := pgq.quote_fqname(v_queue.queue_data_pfx || '_' || v_next);
    begin
        execute format('lock table %s in access exclusive mode nowait', v_table);
    exception
        when lock_not_available then
            return 0;
    end;
    execute 'truncate ' || v_table;

    update pgq.queue
    set queue_cur_table = v_next,
        queue_switch_time = now(),
        queue_switch_step1 = txid_current(),
        queue_switch_step2 = null
    where queue_id = v_queue.queue_id;

    delete from pgq.tick
    where tick_queue = v_queue.queue_id
        and txid_snapshot_xmin(tick_snapshot) < v_queue.queue_switch_step2;

    return 0;
end;
$$;

comment on function pgq.maint_rotate_tables_step1(text) is
    'Rotates the event tables of a queue, if that is due and nobody needs the oldest one any more: empties
it and directs inserts to it. 0 in any case; pgq.queue.queue_switch_time tells. Waits for no reader: it
gives up until the next time. Step 2 must follow in a later transaction.';

create or replace function pgq.maint_rotate_tables_step2()
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue     pgq.queue;
begin
    -- Step 2 stands for: whoever got an id after this one knows of the rotation. An id from before that
    -- proves nothing.
    if txid_current_if_assigned() is not null then
        raise exception 'step 2 of a rotation needs a transaction of its own'
            using errcode = 'active_sql_transaction',
                detail = 'This transaction has written before, so its id may be older than the rotation.',
                hint = 'Commit first.';
    end if;

    -- Which rotations there are is read before the id is assigned, by the first update: one that ends after
    -- that has to wait. In the order of names, like ticks, so that the two never wait for each other.
    for v_queue in
        select *
        from pgq.queue
        where queue_switch_step2 is null
        order by queue_name
    loop
        update pgq.queue
        set queue_switch_step2 = txid_current()
        where queue_id = v_queue.queue_id
            and queue_switch_step1 = v_queue.queue_switch_step1
            and queue_switch_step2 is null;
    end loop;
    return 0;
end;
$$;

comment on function pgq.maint_rotate_tables_step2() is
    'Completes the rotations that step 1 began, on all queues: 0. Takes a transaction of its own, which the
C extension does not check.';
