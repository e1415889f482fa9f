create or replace function pgq.get_queue_info(
    i_queue_name text,
    out queue_name text, out queue_ntables integer, out queue_cur_table integer,
    out queue_rotation_period interval, out queue_switch_time timestamptz,
    out queue_external_ticker boolean, out queue_ticker_paused boolean,
    out queue_ticker_max_count integer, out queue_ticker_max_lag interval,
    out queue_ticker_idle_period interval,
    out ticker_lag interval, out ev_per_sec double precision, out ev_new bigint, out last_tick_id bigint)
returns setof record
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
        select q.queue_name, q.queue_ntables, q.queue_cur_table, q.queue_rotation_period, q.queue_switch_time,
            q.queue_external_ticker, q.queue_ticker_paused,
            q.queue_ticker_max_count, q.queue_ticker_max_lag, q.queue_ticker_idle_period,
            now() - last.tick_time,
            (last.tick_event_seq - old.tick_event_seq)
                / nullif(extract(epoch from last.tick_time - old.tick_time), 0)::float8,
            coalesce(pg_sequence_last_value(pgq.quote_fqname(q.queue_event_seq)::regclass), 0)
                - last.tick_event_seq,
            last.tick_id
        from pgq.queue q
            left join lateral (
                select *
                from pgq.tick
                where tick_queue = q.queue_id
                order by tick_id desc
                limit 1
            ) last on true
            left join lateral (
                select *
                from pgq.tick
                where tick_queue = q.queue_id and tick_id >= last.tick_id - 20
                order by tick_id
                limit 1
            ) old on true
        where i_queue_name is null or q.queue_name = i_queue_name
        order by q.queue_name;
end;
$$;

comment on function pgq.get_queue_info(text) is
    'A queue, or all of them for NULL: how it is configured, how old its last tick is, and by the sequence
of event ids how many events came per second over the last 20 ticks, and since the last one.';

create or replace function pgq.get_queue_info(
    out queue_name text, out queue_ntables integer, out queue_cur_table integer,
    out queue_rotation_period interval, out queue_switch_time timestamptz,
    out queue_external_ticker boolean, out queue_ticker_paused boolean,
    out queue_ticker_max_count integer, out queue_ticker_max_lag interval,
    out queue_ticker_idle_period interval,
    out ticker_lag interval, out ev_per_sec double precision, out ev_new bigint, out last_tick_id bigint)
returns setof record
language sql
set search_path = pg_catalog, pg_temp
as $$
    select * from pgq.get_queue_info(null);
$$;

comment on function pgq.get_queue_info() is 'All queues; see the one with a name.';

create or replace function pgq.get_consumer_info(
    i_queue_name text, i_consumer_name text,
    out queue_name text, out consumer_name text, out lag interval, out last_seen interval,
    out last_tick bigint, out current_batch bigint, out next_tick bigint, out pending_events bigint)
returns setof record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
        select q.queue_name, co_name, now() - last.tick_time, now() - sub_active,
            sub_last_tick, sub_batch, sub_next_tick,
            top.tick_event_seq - last.tick_event_seq
        from pgq.queue q
            join pgq.subscription on sub_queue = q.queue_id
            join pgq.consumer on co_id = sub_consumer
            left join pgq.tick last on last.tick_queue = q.queue_id and last.tick_id = sub_last_tick
            left join lateral (
                select tick_event_seq
                from pgq.tick
                where tick_queue = q.queue_id
                order by tick_id desc
                limit 1
            ) top on true
        where (i_queue_name is null or q.queue_name = i_queue_name)
            and (i_consumer_name is null or co_name = i_consumer_name)
        order by q.queue_name, co_name;
end;
$$;

comment on function pgq.get_consumer_info(text, text) is
    'The consumers of a queue, NULL for all of either: how far each is behind, when it last opened or
finished a batch, its ticks and open batch, and by the sequence of event ids how many events are between its
last tick and the newest.';

create or replace function pgq.get_consumer_info(
    i_queue_name text,
    out queue_name text, out consumer_name text, out lag interval, out last_seen interval,
    out last_tick bigint, out current_batch bigint, out next_tick bigint, out pending_events bigint)
returns setof record
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    select * from pgq.get_consumer_info(i_queue_name, null);
$$;

comment on function pgq.get_consumer_info(text) is 'The consumers of a queue; see the one with two names.';

create or replace function pgq.get_consumer_info(
    out queue_name text, out consumer_name text, out lag interval, out last_seen interval,
    out last_tick bigint, out current_batch bigint, out next_tick bigint, out pending_events bigint)
returns setof record
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    select * from pgq.get_consumer_info(null, null);
$$;

comment on function pgq.get_consumer_info() is 'All consumers of all queues; see the one with two names.';
