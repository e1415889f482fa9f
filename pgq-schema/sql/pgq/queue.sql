create or replace function pgq.create_queue(i_queue_name text)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id        integer;
    v_queue     pgq.queue;
    v_parent    text;
    v_table     text;
begin
    if i_queue_name is null then
        raise exception 'Invalid NULL value'
            using hint = 'A queue needs a name.';
    end if;

    if exists (select from pgq.queue where queue_name = i_queue_name) then
        return 0;
    end if;

    v_id := nextval('pgq.queue_queue_id_seq');

    -- Waits for somebody who is creating a queue of this name just now.
    insert into pgq.queue (queue_id, queue_name, queue_data_pfx, queue_event_seq, queue_tick_seq)
    values (
        v_id,
        i_queue_name,
        format('pgq.event_%s', v_id),
        format('pgq.event_%s_id_seq', v_id),
        format('pgq.event_%s_tick_seq', v_id)
    )
    on conflict (queue_name) do nothing
    returning * into v_queue;

    if not found then
        return 0;
    end if;

    execute 'create sequence ' || pgq.quote_fqname(v_queue.queue_event_seq);
    execute 'create sequence ' || pgq.quote_fqname(v_queue.queue_tick_seq);

    v_parent := pgq.quote_fqname(v_queue.queue_data_pfx);
    execute format('create table %s () inherits (pgq.event_template)', v_parent);

    for i in 0 .. v_queue.queue_ntables - 1
    loop
        v_table := pgq.quote_fqname(v_queue.queue_data_pfx || '_' || i);
        execute format('create table %s () inherits (%s)', v_table, v_parent);
        execute format(
            'alter table %s alter column ev_id set default nextval(%L)', v_table, v_queue.queue_event_seq);
        execute format('create index %I on %s (ev_txid)', format('event_%s_%s_txid_idx', v_id, i), v_table);
    end loop;

    perform pgq.grant_perms(i_queue_name);
    perform pgq._insert_tick(v_queue);
    perform pgq.tune_storage(i_queue_name);
    perform pgq._write_insert_static();

    return 1;
end;
$$;

comment on function pgq.create_queue(text) is
    'Creates a queue, with its tables and first tick: 1, or 0 if it was there. Other calls wait until the
transaction ends. Of two that create the same queue at once, the second waits and returns 0.';

create or replace function pgq.drop_queue(x_queue_name text, x_force boolean)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue     pgq.queue;
    v_consumer  text;
begin
    select * into v_queue
    from pgq.queue
    where queue_name = x_queue_name
    for update;

    if not found then
        raise exception 'No such event queue';
    end if;

    if x_force then
        for v_consumer in
            select consumer_name from pgq.get_consumer_info(x_queue_name)
        loop
            perform pgq.unregister_consumer(x_queue_name, v_consumer);
        end loop;
    elsif exists (select from pgq.subscription where sub_queue = v_queue.queue_id) then
        raise exception 'cannot drop queue, consumers still attached'
            using hint = format('Unregister them, or pgq.drop_queue(%L, true) does.', x_queue_name);
    end if;

    for i in 0 .. v_queue.queue_ntables - 1
    loop
        execute 'drop table if exists ' || pgq.quote_fqname(v_queue.queue_data_pfx || '_' || i);
    end loop;
    execute 'drop table if exists ' || pgq.quote_fqname(v_queue.queue_data_pfx);
    execute 'drop sequence if exists ' || pgq.quote_fqname(v_queue.queue_event_seq);
    execute 'drop sequence if exists ' || pgq.quote_fqname(v_queue.queue_tick_seq);

    delete from pgq.retry_queue where ev_queue = v_queue.queue_id;
    delete from pgq.tick where tick_queue = v_queue.queue_id;
    delete from pgq.queue where queue_id = v_queue.queue_id;

    return 1;
end;
$$;

comment on function pgq.drop_queue(text, boolean) is
    'Drops a queue with all its events, and with its consumers where forced: 1. Waits for open producers and
readers.';

create or replace function pgq.drop_queue(x_queue_name text)
returns integer
language sql
strict
set search_path = pg_catalog, pg_temp
as $$
    select pgq.drop_queue(x_queue_name, false);
$$;

comment on function pgq.drop_queue(text) is 'Drops a queue that has no consumers, with all its events: 1.';

create or replace function pgq.set_queue_config(x_queue_name text, x_param_name text, x_param_value text)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if x_queue_name is null or x_param_name is null then
        raise exception 'Invalid NULL value';
    end if;

    if not exists (select from pgq.queue where queue_name = x_queue_name) then
        raise exception 'No such event queue';
    end if;

    if x_param_name not in (
        'ticker_max_count', 'ticker_max_lag', 'ticker_idle_period', 'ticker_paused',
        'rotation_period', 'external_ticker', 'per_tx_limit'
    ) then
        -- The stray letter belongs to the text that clients know.
        raise exception 'cannot change parameter "%s"', x_param_name;
    end if;

    if x_param_value is null and x_param_name <> 'per_tx_limit' then
        raise exception 'query string argument of EXECUTE is null'
            using errcode = 'null_value_not_allowed',
                hint = 'The parameter needs a value.';
    end if;

    execute format(
        'update pgq.queue set %I = %L where queue_name = %L',
        'queue_' || x_param_name, x_param_value, x_queue_name);
    return 1;
end;
$$;

comment on function pgq.set_queue_config(text, text, text) is
    'Sets a parameter of a queue, named like its column without queue_: 1. Unlike the C extension it also
takes per_tx_limit, where NULL is no limit.';
