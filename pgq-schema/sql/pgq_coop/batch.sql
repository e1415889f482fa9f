create or replace function pgq_coop.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text,
    i_min_lag interval, i_min_count integer, i_min_interval interval, i_dead_interval interval)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_member    text := i_consumer_name || '.' || i_subconsumer_name;
    v_main      record;
    v_sub       record;
    v_dead      record;
    v_batch     record;
begin
    loop
        select s.sub_queue, s.sub_consumer, s.sub_id, s.sub_batch
        into v_main
        from pgq.subscription s
            join pgq.queue q on q.queue_id = s.sub_queue
            join pgq.consumer c on c.co_id = s.sub_consumer
        where q.queue_name = i_queue_name
            and c.co_name = i_consumer_name
        for update of s;
        exit when found;
        perform pgq_coop.register_subconsumer(i_queue_name, i_consumer_name, i_subconsumer_name);
    end loop;

    if v_main.sub_batch is not null then
        raise exception 'main consumer has batch open?'
            using hint = 'Finish it with pgq.finish_batch, and let only subconsumers take batches.';
    end if;

    loop
        select s.sub_consumer, s.sub_batch
        into v_sub
        from pgq.subscription s
            join pgq.consumer c on c.co_id = s.sub_consumer
        where s.sub_queue = v_main.sub_queue
            and s.sub_id = v_main.sub_id
            and c.co_name = v_member
        for update of s;
        exit when found;
        perform pgq_coop._join_group(i_queue_name, i_consumer_name, i_subconsumer_name);
    end loop;

    if v_sub.sub_batch is not null then
        update pgq.subscription
        set sub_active = now()
        where sub_queue = v_main.sub_queue
            and sub_consumer = v_sub.sub_consumer;
        return v_sub.sub_batch;
    end if;

    if i_dead_interval is not null then
        -- A member whose row is locked is just finishing, so it is not dead.
        select s.sub_consumer, s.sub_batch, s.sub_last_tick, s.sub_next_tick
        into v_dead
        from pgq.subscription s
            join pgq.consumer c on c.co_id = s.sub_consumer
        where s.sub_queue = v_main.sub_queue
            and s.sub_id = v_main.sub_id
            and s.sub_consumer <> v_sub.sub_consumer
            and starts_with(c.co_name, i_consumer_name || '.')
            and s.sub_active < now() - i_dead_interval
        order by s.sub_batch is null, s.sub_active
        limit 1
        for update of s skip locked;
        if found then
            delete from pgq.subscription
            where sub_queue = v_main.sub_queue
                and sub_consumer = v_dead.sub_consumer;
        end if;

        if v_dead.sub_batch is not null then
            -- With a new id, so that the old owner cannot finish the batch any more.
            update pgq.subscription
            set sub_last_tick = v_dead.sub_last_tick
            where sub_queue = v_main.sub_queue
                and sub_consumer = v_sub.sub_consumer;
            select * into v_batch
            from pgq.next_batch_custom(i_queue_name, v_member, null, null, null);
            update pgq.subscription
            set sub_next_tick = v_dead.sub_next_tick
            where sub_queue = v_main.sub_queue
                and sub_consumer = v_sub.sub_consumer;
            return v_batch.batch_id;
        end if;
    end if;

    select * into v_batch
    from pgq.next_batch_custom(i_queue_name, i_consumer_name, i_min_lag, i_min_count, i_min_interval);
    if v_batch.batch_id is null then
        return null;
    end if;

    update pgq.subscription
    set sub_active = now(),
        sub_last_tick = v_batch.cur_tick_id,
        sub_batch = null,
        sub_next_tick = null
    where sub_queue = v_main.sub_queue
        and sub_consumer = v_main.sub_consumer;
    update pgq.subscription
    set sub_active = now(),
        sub_last_tick = v_batch.prev_tick_id,
        sub_batch = v_batch.batch_id,
        sub_next_tick = v_batch.cur_tick_id
    where sub_queue = v_main.sub_queue
        and sub_consumer = v_sub.sub_consumer;
    return v_batch.batch_id;
end;
$$;

comment on function pgq_coop.next_batch_custom(text, text, text, interval, integer, interval, interval) is
    'Opens the next batch of a group for a subconsumer and returns its id, or NULL. Registers who is not
registered. An open batch is returned again. With i_dead_interval it first removes one member that has been
silent for longer, and takes over its batch under a new id, so that the old owner finishes nothing. Locks
the row of the main consumer, so the group waits until the transaction ends: commit at once.';

create or replace function pgq_coop.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text,
    i_min_lag interval, i_min_count integer, i_min_interval interval)
returns bigint
language sql
as $$
    select pgq_coop.next_batch_custom(
        i_queue_name, i_consumer_name, i_subconsumer_name, i_min_lag, i_min_count, i_min_interval, null);
$$;

comment on function pgq_coop.next_batch_custom(text, text, text, interval, integer, interval) is
    'Like pgq_coop.next_batch, for a batch of a certain size or age. See pgq.next_batch_custom.';

create or replace function pgq_coop.next_batch(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text)
returns bigint
language sql
as $$
    select pgq_coop.next_batch_custom(
        i_queue_name, i_consumer_name, i_subconsumer_name, null, null, null, null);
$$;

comment on function pgq_coop.next_batch(text, text, text) is
    'Opens the next batch for a subconsumer and returns its id, or NULL; an open batch is returned again,
and shows that the subconsumer is alive. See pgq_coop.next_batch_custom.';

create or replace function pgq_coop.next_batch(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text, i_dead_interval interval)
returns bigint
language sql
as $$
    select pgq_coop.next_batch_custom(
        i_queue_name, i_consumer_name, i_subconsumer_name, null, null, null, i_dead_interval);
$$;

comment on function pgq_coop.next_batch(text, text, text, interval) is
    'Like pgq_coop.next_batch, and takes over the batch of a member that has been silent for longer than
i_dead_interval. See pgq_coop.next_batch_custom.';

create or replace function pgq_coop.finish_batch(i_batch_id bigint)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update pgq.subscription s
    set sub_active = now(),
        sub_last_tick = null,
        sub_batch = null,
        sub_next_tick = null
    from pgq.consumer c
    where s.sub_batch = i_batch_id
        and c.co_id = s.sub_consumer
        and exists (
            select
            from pgq.subscription o
                join pgq.consumer oc on oc.co_id = o.sub_consumer
            where o.sub_queue = s.sub_queue
                and o.sub_id = s.sub_id
                and starts_with(c.co_name, oc.co_name || '.'));
    if found then
        return 1;
    end if;

    perform from pgq.subscription where sub_batch = i_batch_id;
    if found then
        return pgq.finish_batch(i_batch_id);
    end if;

    raise warning 'coop_finish_batch: batch % not found', i_batch_id;
    return 0;
end;
$$;

comment on function pgq_coop.finish_batch(bigint) is
    'Finishes the batch of a subconsumer. Returns 1, or 0 with a warning if there is no such batch, which
means that another one has it now. For the batch of a consumer without group it does what pgq.finish_batch
does.';
