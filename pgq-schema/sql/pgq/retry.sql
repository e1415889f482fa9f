create or replace function pgq.event_retry(x_batch_id bigint, x_event_id bigint, x_retry_time timestamptz)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue     integer;
    v_owner     integer;
    v_event     record;
begin
    select sub_queue, sub_id into v_queue, v_owner
    from pgq.subscription
    where sub_batch = x_batch_id;

    if not found then
        raise exception 'event not found'
            using detail = format('Batch %s is not open.', x_batch_id);
    end if;

    -- An event can be there twice, when a consumer was moved back: then the retry counts from the later one.
    execute format(
        'select * from (%s) as e where ev_id = $1 order by ev_retry desc nulls last limit 1',
        pgq.batch_event_sql(x_batch_id))
    into v_event
    using x_event_id;

    if v_event.ev_id is null then
        raise exception 'event not found'
            using detail = format('Batch %s has no event %s.', x_batch_id, x_event_id);
    end if;

    insert into pgq.retry_queue (
        ev_retry_after, ev_queue, ev_owner, ev_retry, ev_id, ev_time,
        ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
    values (
        x_retry_time, v_queue, v_owner, coalesce(v_event.ev_retry, 0) + 1, v_event.ev_id, v_event.ev_time,
        v_event.ev_type, v_event.ev_data,
        v_event.ev_extra1, v_event.ev_extra2, v_event.ev_extra3, v_event.ev_extra4)
    on conflict (ev_owner, ev_id) do nothing;
    return found::integer;
end;
$$;

comment on function pgq.event_retry(bigint, bigint, timestamptz) is
    'Has an event of an open batch delivered to this consumer again, at a time: 1, or 0 if it waits for that
already. Reads the whole batch: for many events see pgq.events_retry, which is portable only, and
pgq.batch_retry. An event that the batch has twice is queued once, where the C extension returns 0 and
queues nothing.';

create or replace function pgq.event_retry(x_batch_id bigint, x_event_id bigint, x_retry_seconds integer)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq.event_retry(x_batch_id, x_event_id, now() + make_interval(secs => x_retry_seconds));
end;
$$;

comment on function pgq.event_retry(bigint, bigint, integer) is
    'Has an event of an open batch delivered to this consumer again, after so many seconds: 1, or 0 if it
waits for that already. See the one with a time.';

create or replace function pgq.events_retry(
    x_batch_id bigint, x_event_ids bigint[], x_retry_seconds integer[])
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue     integer;
    v_owner     integer;
    v_count     integer;
    v_missing   bigint[];
begin
    if coalesce(cardinality(x_event_ids), 0) <> coalesce(cardinality(x_retry_seconds), 0) then
        raise exception 'there must be as many retry times as events'
            using errcode = 'invalid_parameter_value',
                hint = 'Each event has its own number of seconds, in the same order.';
    elsif coalesce(cardinality(x_event_ids), 0) = 0 then
        return 0;
    end if;

    select sub_queue, sub_id into v_queue, v_owner
    from pgq.subscription
    where sub_batch = x_batch_id;

    if not found then
        raise exception 'batch not found'
            using hint = 'It was finished, or another session has the consumer now.';
    end if;

    execute format($sql$
        with wish as (
            select distinct on (id) id, secs
            from unnest($1, $2) with ordinality as w (id, secs, n)
            order by id, n desc
        ), event as (
            select distinct on (ev_id) *
            from (%s) as e
            where ev_id = any ($1)
            order by ev_id, ev_retry desc nulls last
        ), queued as (
            insert into pgq.retry_queue (
                ev_retry_after, ev_queue, ev_owner, ev_retry, ev_id, ev_time,
                ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
            select now() + make_interval(secs => secs), $3, $4, coalesce(ev_retry, 0) + 1, ev_id, ev_time,
                ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4
            from event join wish on id = ev_id
            on conflict (ev_owner, ev_id) do nothing
            returning 1
        )
        select (select count(*) from queued),
            (select array_agg(id order by id) from wish where not exists (select from event where ev_id = id))
        $sql$, pgq.batch_event_sql(x_batch_id))
    into v_count, v_missing
    using x_event_ids, x_retry_seconds, v_queue, v_owner;

    if v_missing is not null then
        raise exception 'event not found'
            using detail = format(
                'Batch %s has no event %s.', x_batch_id, array_to_string(v_missing[:20], ', ', 'NULL'));
    end if;
    return v_count;
end;
$$;

comment on function pgq.events_retry(bigint, bigint[], integer[]) is
    'Has events of an open batch delivered to this consumer again, each after its number of seconds, the
last one where an event is named twice; returns how many did not wait for that already. Fails, and queues
none, if one is not in the batch. Reads the batch once. An addition: the C extension has no such function.';

create or replace function pgq.batch_retry(i_batch_id bigint, i_retry_seconds integer)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue     integer;
    v_owner     integer;
    v_count     integer;
begin
    select sub_queue, sub_id into v_queue, v_owner
    from pgq.subscription
    where sub_batch = i_batch_id;

    if not found then
        raise exception 'batch_retry: batch % not found', i_batch_id;
    end if;

    -- Of an event that is there twice, the later one goes first, and the other is a conflict.
    execute format($sql$
        insert into pgq.retry_queue (
            ev_retry_after, ev_queue, ev_owner, ev_retry, ev_id, ev_time,
            ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
        select now() + make_interval(secs => $1), $2, $3, coalesce(ev_retry, 0) + 1, ev_id, ev_time,
            ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4
        from (%s) as e
        order by ev_id, ev_retry desc nulls last
        on conflict (ev_owner, ev_id) do nothing
        $sql$, pgq.batch_event_sql(i_batch_id))
    using i_retry_seconds, v_queue, v_owner;

    get diagnostics v_count = row_count;
    return v_count;
end;
$$;

comment on function pgq.batch_retry(bigint, integer) is
    'Has all events of an open batch delivered to this consumer again, after so many seconds, and returns
how many did not wait for that already. An event that the batch has twice is queued once, where the C
extension fails.';

create or replace function pgq.event_retry_raw(
    x_queue text, x_consumer text, x_retry_after timestamptz,
    x_ev_id bigint, x_ev_time timestamptz, x_ev_retry integer,
    x_ev_type text, x_ev_data text, x_ev_extra1 text, x_ev_extra2 text, x_ev_extra3 text, x_ev_extra4 text)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue     integer;
    v_owner     integer;
    v_seq       text;
    v_id        bigint := x_ev_id;
begin
    select sub_queue, sub_id, queue_event_seq into v_queue, v_owner, v_seq
    from pgq.subscription
        join pgq.queue on queue_id = sub_queue
        join pgq.consumer on co_id = sub_consumer
    where queue_name = x_queue and co_name = x_consumer;

    if not found then
        raise exception 'consumer not registered'
            using hint = 'Register it with pgq.register_consumer.';
    end if;

    if v_id is null then
        v_id := nextval(pgq.quote_fqname(v_seq)::regclass);
    end if;

    insert into pgq.retry_queue (
        ev_retry_after, ev_queue, ev_owner, ev_retry, ev_id, ev_time,
        ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
    values (
        x_retry_after, v_queue, v_owner, x_ev_retry, v_id, x_ev_time,
        x_ev_type, x_ev_data, x_ev_extra1, x_ev_extra2, x_ev_extra3, x_ev_extra4);
    return v_id;
end;
$$;

comment on function pgq.event_retry_raw(
    text, text, timestamptz, bigint, timestamptz, integer, text, text, text, text, text, text) is
    'Has any event delivered to a consumer at a time, with a retry count of the caller''s choice, and
returns its id, a new one for NULL. An event that waits for that already is a unique violation.';
