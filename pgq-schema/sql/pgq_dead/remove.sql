create or replace function pgq_dead.replay_to_consumer(x_letter_ids bigint[])
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_letter    record;
    v_count     integer := 0;
begin
    for v_letter in
        with removed as (
            delete from pgq_dead.letter
            where letter_id = any (x_letter_ids)
            returning *
        )
        select *, row_number() over (
            partition by queue_name, consumer_name, ev_id, ev_time order by letter_id desc) as nth
        from removed
        order by letter_id
    loop
        v_count := v_count + 1;
        -- Given up again after the consumer was moved back: one event with two letters.
        continue when v_letter.nth > 1;

        if not exists (
            select
            from pgq.subscription
                join pgq.queue on queue_id = sub_queue
                join pgq.consumer on co_id = sub_consumer
            where queue_name = v_letter.queue_name and co_name = v_letter.consumer_name)
        then
            raise exception 'Not subscriber to queue: %/%', v_letter.queue_name, v_letter.consumer_name
                using detail = format('Letter %s is of this consumer.', v_letter.letter_id),
                    hint = 'Register it again, or replay the letter as a new event.';
        end if;

        perform pgq.event_retry_raw(
            v_letter.queue_name, v_letter.consumer_name, now(), v_letter.ev_id, v_letter.ev_time, 0,
            v_letter.ev_type, v_letter.ev_data,
            v_letter.ev_extra1, v_letter.ev_extra2, v_letter.ev_extra3, v_letter.ev_extra4);
    end loop;
    return v_count;
end;
$$;

comment on function pgq_dead.replay_to_consumer(bigint[]) is
    'Puts the events of letters into the retry queues of the consumers that gave them up, due now, and removes
the letters; returns how many there were. The events keep id and time, and their retry count is 0 again. Fails,
and changes nothing, if a consumer is gone, or another event of the same id waits to be retried. Of letters of
one and the same event only one is replayed.';

create or replace function pgq_dead.replay_as_new(x_letter_ids bigint[])
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_letter    record;
    v_count     integer := 0;
begin
    -- Its snapshot may be older than a rotation, and the event would then go where no consumer looks.
    if current_setting('transaction_isolation') not like 'read %' then
        raise exception 'letters cannot be replayed as new events in a transaction that keeps its snapshot'
            using errcode = 'feature_not_supported',
                hint = 'Run it in a read committed transaction.';
    end if;

    -- The removal gives the transaction its id, so the queue's current table is looked up after that.
    for v_letter in
        with removed as (
            delete from pgq_dead.letter
            where letter_id = any (x_letter_ids)
            returning *
        )
        select *
        from removed
        order by letter_id
    loop
        if not exists (select from pgq.queue where queue_name = v_letter.queue_name) then
            raise exception 'No such queue: %', v_letter.queue_name
                using detail = format('Letter %s is of this queue.', v_letter.letter_id);
        end if;

        perform pgq.insert_event(
            v_letter.queue_name, v_letter.ev_type, v_letter.ev_data,
            v_letter.ev_extra1, v_letter.ev_extra2, v_letter.ev_extra3, v_letter.ev_extra4);
        v_count := v_count + 1;
    end loop;
    return v_count;
end;
$$;

comment on function pgq_dead.replay_as_new(bigint[]) is
    'Inserts the events of letters into their queues as new ones, for all consumers, in the order of the letters,
and removes the letters; returns how many there were. Fails, and changes nothing, if a queue is gone or accepts
no events. Takes a read committed transaction.';

create or replace function pgq_dead.discard(x_letter_ids bigint[])
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count     bigint;
begin
    delete from pgq_dead.letter
    where letter_id = any (x_letter_ids);

    get diagnostics v_count = row_count;
    return v_count;
end;
$$;

comment on function pgq_dead.discard(bigint[]) is
    'Removes letters, with the events in them, and returns how many there were.';

create or replace function pgq_dead.purge(x_queue text, x_consumer text, x_older_than interval)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count     bigint;
begin
    execute
        'delete from pgq_dead.letter'
        ' where ($1 is null or queue_name = $1)'
        ' and ($2 is null or consumer_name = $2)'
        ' and dead_time <= now() - $3'
    using x_queue, x_consumer, x_older_than;

    get diagnostics v_count = row_count;
    return v_count;
end;
$$;

comment on function pgq_dead.purge(text, text, interval) is
    'Removes the letters of a queue and consumer that are that old or older, and returns how many. NULL as queue
or consumer is all of them, and as age removes none.';
