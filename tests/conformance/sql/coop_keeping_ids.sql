-- Cooperative consumers whose batches keep their id when they are taken over, and whose idle members age while they poll:
-- what PgQ's own pgq_coop does. Beside the C extension, in place of our pgq_coop.
create schema pgq_coop;

create function pgq_coop.register_subconsumer(i_queue_name text, i_consumer_name text, i_subconsumer_name text)
returns integer language plpgsql as $$
declare
    member text := i_consumer_name || '.' || i_subconsumer_name;
    is_new integer;
begin
    perform pgq.register_consumer(i_queue_name, i_consumer_name);
    is_new := pgq.register_consumer(i_queue_name, member);
    if is_new = 1 then
        update pgq.subscription s set sub_id = m.sub_id, sub_last_tick = null, sub_next_tick = null
        from pgq.subscription m
        where s.sub_consumer = (select co_id from pgq.consumer where co_name = member)
            and m.sub_consumer = (select co_id from pgq.consumer where co_name = i_consumer_name)
            and s.sub_queue = m.sub_queue
            and s.sub_queue = (select queue_id from pgq.queue where queue_name = i_queue_name);
    end if;
    return is_new;
end $$;

create function pgq_coop.unregister_subconsumer(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text, i_batch_handling integer
) returns integer language plpgsql as $$
declare
    member record;
begin
    select s.* into member from pgq.subscription s
    join pgq.consumer on co_id = sub_consumer join pgq.queue on queue_id = sub_queue
    where queue_name = i_queue_name and co_name = i_consumer_name || '.' || i_subconsumer_name
    for update of s;
    if not found then
        return 0;
    end if;
    if member.sub_batch is not null and i_batch_handling is distinct from 1 then
        raise exception 'subconsumer has active batch';
    end if;
    delete from pgq.subscription where sub_queue = member.sub_queue and sub_consumer = member.sub_consumer;
    return 1;
end $$;

create function pgq_coop.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text,
    i_min_lag interval, i_min_count integer, i_min_interval interval, i_dead_interval interval
) returns bigint language plpgsql as $$
declare
    member text := i_consumer_name || '.' || i_subconsumer_name;
    main record;
    own record;
    dead record;
    batch bigint;
begin
    loop
        select s.* into main from pgq.subscription s
        join pgq.consumer on co_id = sub_consumer join pgq.queue on queue_id = sub_queue
        where queue_name = i_queue_name and co_name = i_consumer_name
        for update of s;
        exit when found;
        perform pgq_coop.register_subconsumer(i_queue_name, i_consumer_name, i_subconsumer_name);
    end loop;
    if main.sub_batch is not null then
        raise exception 'main consumer has batch open?';
    end if;
    perform pgq_coop.register_subconsumer(i_queue_name, i_consumer_name, i_subconsumer_name);
    select s.* into own from pgq.subscription s join pgq.consumer on co_id = sub_consumer
    where sub_queue = main.sub_queue and co_name = member;
    if own.sub_batch is not null then
        update pgq.subscription set sub_active = now()
        where sub_queue = own.sub_queue and sub_consumer = own.sub_consumer;
        return own.sub_batch;
    end if;
    select * into dead from pgq.subscription
    where sub_queue = main.sub_queue and sub_id = main.sub_id
        and sub_consumer not in (main.sub_consumer, own.sub_consumer)
        and sub_active < now() - i_dead_interval
    limit 1;
    delete from pgq.subscription where sub_queue = dead.sub_queue and sub_consumer = dead.sub_consumer;
    if dead.sub_batch is not null then
        update pgq.subscription
        set sub_batch = dead.sub_batch, sub_last_tick = dead.sub_last_tick, sub_next_tick = dead.sub_next_tick,
            sub_active = now()
        where sub_queue = own.sub_queue and sub_consumer = own.sub_consumer;
        return dead.sub_batch;
    end if;
    select batch_id into batch
    from pgq.next_batch_custom(i_queue_name, i_consumer_name, i_min_lag, i_min_count, i_min_interval);
    select * into main from pgq.subscription where sub_batch = batch;
    update pgq.subscription
    set sub_last_tick = sub_next_tick, sub_batch = null, sub_next_tick = null, sub_active = now()
    where sub_batch = batch;
    update pgq.subscription
    set sub_batch = batch, sub_last_tick = main.sub_last_tick, sub_next_tick = main.sub_next_tick, sub_active = now()
    where sub_queue = own.sub_queue and sub_consumer = own.sub_consumer and batch is not null;
    return batch;
end $$;

create function pgq_coop.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text,
    i_min_lag interval, i_min_count integer, i_min_interval interval
) returns bigint language sql as $$ select pgq_coop.next_batch_custom($1, $2, $3, $4, $5, $6, null) $$;

create function pgq_coop.next_batch(i_queue_name text, i_consumer_name text, i_subconsumer_name text)
returns bigint language sql as $$ select pgq_coop.next_batch_custom($1, $2, $3, null, null, null, null) $$;

create function pgq_coop.next_batch(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text, i_dead_interval interval
) returns bigint language sql as $$ select pgq_coop.next_batch_custom($1, $2, $3, null, null, null, $4) $$;

create function pgq_coop.finish_batch(i_batch_id bigint) returns integer language plpgsql as $$
begin
    update pgq.subscription set sub_active = now(), sub_last_tick = null, sub_next_tick = null, sub_batch = null
    where sub_batch = i_batch_id;
    if not found then
        raise warning 'coop_finish_batch: batch % not found', i_batch_id;
        return 0;
    end if;
    return 1;
end $$;

create function pgq_coop.version() returns text language sql as $$ select null::text $$;
