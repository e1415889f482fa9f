create or replace function pgq.register_consumer_at(
    x_queue_name text, x_consumer_name text, x_tick_pos bigint)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue     integer;
    v_consumer  integer;
    v_tick      bigint := x_tick_pos;
begin
    select queue_id into v_queue
    from pgq.queue
    where queue_name = x_queue_name;

    if not found then
        raise exception 'Event queue not created yet'
            using hint = 'Create it with pgq.create_queue.';
    end if;

    loop
        select co_id into v_consumer
        from pgq.consumer
        where co_name = x_consumer_name
        for update;
        exit when found;

        -- Waits for somebody who is registering the same name just now, and then goes round to find it.
        insert into pgq.consumer (co_name)
        values (x_consumer_name)
        on conflict (co_name) do nothing
        returning co_id into v_consumer;
        exit when found;
    end loop;

    if x_tick_pos is not null and not exists (
        select from pgq.tick where tick_queue = v_queue and tick_id = x_tick_pos
    ) then
        raise exception 'cannot reposition, tick not found: %', x_tick_pos
            using hint = 'Ticks are kept for at least one rotation period; see pgq.tick.';
    end if;

    if exists (select from pgq.subscription where sub_queue = v_queue and sub_consumer = v_consumer) then
        if x_tick_pos is not null then
            update pgq.subscription
            set sub_last_tick = x_tick_pos,
                sub_batch = null,
                sub_next_tick = null,
                sub_active = now()
            where sub_queue = v_queue and sub_consumer = v_consumer;
        end if;
        return 0;
    end if;

    if v_tick is null then
        select max(tick_id) into v_tick
        from pgq.tick
        where tick_queue = v_queue;

        if v_tick is null then
            raise exception 'No ticks for this queue.  Please run ticker on database.';
        end if;
    end if;

    insert into pgq.subscription (sub_queue, sub_consumer, sub_last_tick)
    values (v_queue, v_consumer, v_tick);
    return 1;
end;
$$;

comment on function pgq.register_consumer_at(text, text, bigint) is
    'Registers a consumer at a tick and returns 1, or moves one that is registered there, which discards its
open batch, and returns 0; NULL stands for the newest tick and moves nobody. Locks the consumer''s row. Two
sessions may register the same new name at once: unlike in the C extension the second waits and finds it.';

create or replace function pgq.register_consumer(x_queue_name text, x_consumer_id text)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq.register_consumer_at(x_queue_name, x_consumer_id, null);
end;
$$;

comment on function pgq.register_consumer(text, text) is
    'Registers a consumer at the newest tick and returns 1, or 0 if it was registered, which changes
nothing. Events of before that the tick did not see are delivered too.';

create or replace function pgq._main_of_subconsumer(
    i_queue_id integer, i_sub_id integer, i_consumer_name text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        select co_name
        from pgq.subscription
            join pgq.consumer on co_id = sub_consumer
        where sub_queue = i_queue_id
            and sub_id = i_sub_id
            and starts_with(i_consumer_name, co_name || '.')
        limit 1
    );
end;
$$;

comment on function pgq._main_of_subconsumer(integer, integer, text) is
    'The consumer whose subconsumer this one is, by their common sub_id and its name; NULL for one that is
none.';

create or replace function pgq.unregister_consumer(x_queue_name text, x_consumer_name text)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_consumer  integer;
    v_sub       pgq.subscription;
    v_count     integer;
begin
    select co_id into v_consumer
    from pgq.consumer
    where co_name = x_consumer_name
    for update;

    if not found then
        return 0;
    end if;

    select s.* into v_sub
    from pgq.subscription s
        join pgq.queue on queue_id = sub_queue
    where queue_name = x_queue_name and sub_consumer = v_consumer
    for update of s;

    if not found then
        return 0;
    end if;

    if pgq._main_of_subconsumer(v_sub.sub_queue, v_sub.sub_id, x_consumer_name) is not null then
        -- The group is past the batch already: without this its events would be lost.
        if v_sub.sub_batch is not null then
            perform pgq.batch_retry(v_sub.sub_batch, 0);
        end if;

        delete from pgq.subscription
        where sub_queue = v_sub.sub_queue and sub_consumer = v_consumer;
        return 1;
    end if;

    delete from pgq.subscription
    using pgq.consumer
    where sub_queue = v_sub.sub_queue
        and sub_id = v_sub.sub_id
        and co_id = sub_consumer
        and (co_id = v_consumer or starts_with(co_name, x_consumer_name || '.'));
    get diagnostics v_count = row_count;

    -- Another subscription has this id only after a restore without the sequences; its events are not ours.
    if not exists (
        select from pgq.subscription where sub_queue = v_sub.sub_queue and sub_id = v_sub.sub_id
    ) then
        delete from pgq.retry_queue
        where ev_owner = v_sub.sub_id and ev_queue = v_sub.sub_queue;
    end if;

    delete from pgq.consumer
    where co_id = v_consumer
        and not exists (select from pgq.subscription where sub_consumer = v_consumer);
    return v_count;
end;
$$;

comment on function pgq.unregister_consumer(text, text) is
    'Unregisters a consumer with its events that wait for a retry, a main consumer with its subconsumers,
and returns how many were unregistered; 0 if there is none. An open batch is given up, where that of a
subconsumer goes into the retry queue of its group (in the C extension it is lost). Subconsumers are known
by name, not by how their row looks. Locks the rows of consumer and subscription.';
