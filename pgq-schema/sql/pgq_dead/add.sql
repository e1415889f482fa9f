create or replace function pgq_dead.add(
    x_batch_id bigint, x_event_ids bigint[], x_reasons text[], x_errors text[], x_attempts integer[])
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_events    integer := coalesce(cardinality(x_event_ids), 0);
    v_batch     record;
    v_count     integer;
    v_missing   bigint[];
begin
    if coalesce(cardinality(x_reasons), 0) <> v_events
        or cardinality(x_errors) <> v_events
        or cardinality(x_attempts) <> v_events
    then
        raise exception 'there must be as many reasons, errors and attempts as events'
            using errcode = 'invalid_parameter_value',
                hint = 'Each event has its own, in the same order. All errors or all attempts may be NULL.';
    elsif v_events = 0 then
        return 0;
    end if;

    -- The members of a group have the sub_id of its main consumer, and their names begin with its name.
    select q.queue_name, c.co_name, (
        select mc.co_name
        from pgq.subscription m
            join pgq.consumer mc on mc.co_id = m.sub_consumer
        where m.sub_queue = s.sub_queue
            and m.sub_id = s.sub_id
            and starts_with(c.co_name, mc.co_name || '.')
        order by length(mc.co_name)
        limit 1) as main
    into v_batch
    from pgq.subscription s
        join pgq.queue q on q.queue_id = s.sub_queue
        join pgq.consumer c on c.co_id = s.sub_consumer
    where s.sub_batch = x_batch_id;

    if not found then
        raise exception 'batch not found'
            using hint = 'It was finished, or another session has the consumer now.';
    end if;

    -- An event can be there twice, when a consumer was moved back: the later one counts.
    with wish as (
        select distinct on (w.id) w.id, w.reason, w.error, w.attempts
        from unnest(x_event_ids, x_reasons, x_errors, x_attempts)
            with ordinality as w (id, reason, error, attempts, n)
        order by w.id, w.n desc
    ), event as (
        select distinct on (e.ev_id) e.*, w.reason, w.error, w.attempts
        from pgq.get_batch_events(x_batch_id) e
            join wish w on w.id = e.ev_id
        order by e.ev_id, e.ev_retry desc nulls last
    ), written as (
        insert into pgq_dead.letter (
            queue_name, consumer_name, subconsumer_name, reason, error, attempts,
            ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
        select v_batch.queue_name, coalesce(v_batch.main, v_batch.co_name),
            substr(v_batch.co_name, length(v_batch.main) + 2),
            e.reason, e.error, coalesce(e.attempts, e.ev_retry + 1, 1),
            e.ev_id, e.ev_time, e.ev_txid, e.ev_retry,
            e.ev_type, e.ev_data, e.ev_extra1, e.ev_extra2, e.ev_extra3, e.ev_extra4
        from event e
        order by e.ev_id
        returning 1
    )
    select (select count(*) from written),
        (select array_agg(w.id order by w.id) from wish w where not exists (select from event e where e.ev_id = w.id))
    into v_count, v_missing;

    if v_missing is not null then
        raise exception 'event not found'
            using detail = format(
                'Batch %s has no event %s.', x_batch_id, array_to_string(v_missing[:20], ', ', 'NULL'));
    end if;
    return v_count;
end;
$$;

comment on function pgq_dead.add(bigint, bigint[], text[], text[], integer[]) is
    'Makes letters of events of an open batch, in the name of the consumer that has it open, and returns how
many: one for each event, the last one where an event is named twice. To be called in the transaction that
finishes the batch, before that. Each event has its reason, error and attempts; NULL as attempts counts the
deliveries, and all errors or all attempts may be NULL. Fails, and adds none, if an event is not in the batch.
Reads the batch once.';
