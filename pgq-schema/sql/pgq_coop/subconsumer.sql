create or replace function pgq_coop.register_subconsumer(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pgq_coop._register_consumer(i_queue_name, i_consumer_name);
    return pgq_coop._join_group(i_queue_name, i_consumer_name, i_subconsumer_name);
end;
$$;

comment on function pgq_coop.register_subconsumer(text, text, text) is
    'Registers a subconsumer, and its main consumer where that is new. Returns 1, or 0 if it was there. Two
sessions may register at once. A consumer main.subconsumer that is not of this group is an error and stays
as it is.';

create or replace function pgq_coop.unregister_subconsumer(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text, i_batch_handling integer)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_main      record;
    v_sub       record;
begin
    select s.sub_queue, s.sub_id
    into v_main
    from pgq.subscription s
        join pgq.queue q on q.queue_id = s.sub_queue
        join pgq.consumer c on c.co_id = s.sub_consumer
    where q.queue_name = i_queue_name
        and c.co_name = i_consumer_name
    for update of s;
    if not found then
        return 0;
    end if;

    select s.sub_consumer, s.sub_batch
    into v_sub
    from pgq.subscription s
        join pgq.consumer c on c.co_id = s.sub_consumer
    where s.sub_queue = v_main.sub_queue
        and s.sub_id = v_main.sub_id
        and c.co_name = i_consumer_name || '.' || i_subconsumer_name
    for update of s;
    if not found then
        return 0;
    end if;

    if v_sub.sub_batch is not null then
        if i_batch_handling is distinct from 1 then
            raise exception 'subconsumer has active batch'
                using hint = 'Finish the batch first, or hand its events to the group with batch handling 1.';
        end if;
        perform pgq.batch_retry(v_sub.sub_batch, 0);
    end if;

    delete from pgq.subscription
    where sub_queue = v_main.sub_queue
        and sub_consumer = v_sub.sub_consumer;
    return 1;
end;
$$;

comment on function pgq_coop.unregister_subconsumer(text, text, text, integer) is
    'Unregisters a subconsumer. Returns 1, or 0 if there is none. With an open batch it is an error, unless
i_batch_handling is 1: then the events of the batch go into the retry queue, and the group gets them again.
Locks the rows of the main consumer and of the subconsumer.';

create or replace function pgq_coop._register_consumer(i_queue_name text, i_consumer_name text)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq.register_consumer(i_queue_name, i_consumer_name);
exception
    -- Another session has registered the same new name. It is through now, so the consumer is there.
    when unique_violation then
        return pgq.register_consumer(i_queue_name, i_consumer_name);
end;
$$;

comment on function pgq_coop._register_consumer(text, text) is
    'pgq.register_consumer, also for an engine where the second of two sessions fails on a new name.';

create or replace function pgq_coop._join_group(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_member    text := i_consumer_name || '.' || i_subconsumer_name;
    v_main      record;
    v_new       integer;
    v_other     text;
begin
    select s.sub_queue, s.sub_consumer, s.sub_id
    into v_main
    from pgq.subscription s
        join pgq.queue q on q.queue_id = s.sub_queue
        join pgq.consumer c on c.co_id = s.sub_consumer
    where q.queue_name = i_queue_name
        and c.co_name = i_consumer_name;

    select c.co_name
    into v_other
    from pgq.subscription s
        join pgq.consumer c on c.co_id = s.sub_consumer
    where s.sub_queue = v_main.sub_queue
        and s.sub_id = v_main.sub_id
        and starts_with(i_consumer_name, c.co_name || '.');
    if found then
        raise exception 'consumer "%" of queue "%" is a subconsumer of "%"',
            i_consumer_name, i_queue_name, v_other
            using errcode = 'object_not_in_prerequisite_state',
                hint = 'A subconsumer cannot have subconsumers. Use names without dots.';
    end if;

    v_new := pgq_coop._register_consumer(i_queue_name, v_member);
    if v_new = 0 then
        perform
        from pgq.subscription s
            join pgq.consumer c on c.co_id = s.sub_consumer
        where s.sub_queue = v_main.sub_queue
            and s.sub_id = v_main.sub_id
            and c.co_name = v_member;
        if not found then
            raise exception 'consumer "%" of queue "%" is not a subconsumer of "%"',
                v_member, i_queue_name, i_consumer_name
                using errcode = 'object_not_in_prerequisite_state',
                    hint = 'Another consumer has that name. Choose another one for the subconsumer.';
        end if;
        return 0;
    end if;

    update pgq.subscription s
    set sub_id = v_main.sub_id,
        sub_last_tick = null,
        sub_next_tick = null,
        sub_batch = null
    from pgq.consumer c
    where c.co_name = v_member
        and s.sub_consumer = c.co_id
        and s.sub_queue = v_main.sub_queue;
    return 1;
end;
$$;

comment on function pgq_coop._join_group(text, text, text) is
    'Registers a subconsumer of a main consumer that is registered. Returns 1, or 0 if it was there.';
