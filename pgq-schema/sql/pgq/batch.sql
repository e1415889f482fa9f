create or replace function pgq.find_tick_helper(
    i_queue_id integer, i_prev_tick_id bigint, i_prev_tick_time timestamptz, i_prev_tick_seq bigint,
    i_min_count bigint, i_min_interval interval,
    out next_tick_id bigint, out next_tick_time timestamptz, out next_tick_seq bigint)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count     bigint;
    v_interval  interval;
begin
    select tick_id, tick_time, tick_event_seq
    into next_tick_id, next_tick_time, next_tick_seq
    from pgq.tick
    where tick_queue = i_queue_id and tick_id > i_prev_tick_id
    order by tick_id desc
    limit 1;

    if not found then
        return;
    end if;

    v_count := next_tick_seq - i_prev_tick_seq;
    v_interval := next_tick_time - i_prev_tick_time;

    if v_count > i_min_count * 2 or v_interval > i_min_interval * 2 then
        -- Everything at once would be more than twice what was asked for.
        select tick_id, tick_time, tick_event_seq
        into next_tick_id, next_tick_time, next_tick_seq
        from pgq.tick
        where tick_queue = i_queue_id
            and tick_id > i_prev_tick_id
            and (tick_event_seq - i_prev_tick_seq >= i_min_count
                or tick_time - i_prev_tick_time >= i_min_interval)
        order by tick_id
        limit 1;
    elsif v_count >= i_min_count or v_interval >= i_min_interval then
        return;
    else
        next_tick_id := null;
        next_tick_time := null;
        next_tick_seq := null;
    end if;
end;
$$;

comment on function pgq.find_tick_helper(integer, bigint, timestamptz, bigint, bigint, interval) is
    'The tick that ends a batch of at least so many events or so much time, and where there is a backlog not
of more than twice as much, if it can be; NULLs if there is none yet. A criterion that is NULL does not
count.';

create or replace function pgq.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_min_lag interval, i_min_count integer, i_min_interval interval,
    out batch_id bigint, out cur_tick_id bigint, out prev_tick_id bigint,
    out cur_tick_time timestamptz, out prev_tick_time timestamptz,
    out cur_tick_event_seq bigint, out prev_tick_event_seq bigint)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue     integer;
    v_consumer  integer;
begin
    loop
        select s.sub_queue, s.sub_consumer, s.sub_batch,
            l.tick_id, l.tick_time, l.tick_event_seq,
            c.tick_id, c.tick_time, c.tick_event_seq
        into v_queue, v_consumer, batch_id,
            prev_tick_id, prev_tick_time, prev_tick_event_seq,
            cur_tick_id, cur_tick_time, cur_tick_event_seq
        from pgq.queue q
            join pgq.consumer on co_name = i_consumer_name
            join pgq.subscription s on s.sub_queue = q.queue_id and s.sub_consumer = co_id
            left join pgq.tick l on l.tick_queue = s.sub_queue and l.tick_id = s.sub_last_tick
            left join pgq.tick c on c.tick_queue = s.sub_queue and c.tick_id = s.sub_next_tick
        where q.queue_name = i_queue_name;

        if not found then
            raise exception 'Not subscriber to queue: %/%',
                coalesce(i_queue_name, 'NULL'), coalesce(i_consumer_name, 'NULL')
                using hint = 'Register the consumer with pgq.register_consumer.';
        elsif prev_tick_id is null then
            raise exception 'PgQ corruption: Consumer % on queue % does not see tick <NULL>',
                i_consumer_name, i_queue_name
                using hint = format(
                    'pgq.register_consumer_at moves it to a tick. After a restore from a dump, run: '
                    'select pgq.repair_restored(%L). A subconsumer takes its batches by pgq_coop.next_batch.',
                    i_queue_name);
        elsif batch_id is not null then
            return;
        end if;

        if i_min_count is null and i_min_interval is null then
            select tick_id, tick_time, tick_event_seq
            into cur_tick_id, cur_tick_time, cur_tick_event_seq
            from pgq.tick
            where tick_queue = v_queue and tick_id > prev_tick_id
            order by tick_id
            limit 1;
        else
            select next_tick_id, next_tick_time, next_tick_seq
            into cur_tick_id, cur_tick_time, cur_tick_event_seq
            from pgq.find_tick_helper(
                v_queue, prev_tick_id, prev_tick_time, prev_tick_event_seq, i_min_count, i_min_interval);
        end if;

        if cur_tick_id is null or i_min_lag is not null and now() - cur_tick_time < i_min_lag then
            cur_tick_id := null;
            cur_tick_time := null;
            cur_tick_event_seq := null;
            prev_tick_id := null;
            prev_tick_time := null;
            prev_tick_event_seq := null;
            return;
        end if;

        batch_id := nextval('pgq.batch_id_seq');
        update pgq.subscription
        set sub_batch = batch_id,
            sub_next_tick = cur_tick_id,
            sub_active = now()
        where sub_queue = v_queue
            and sub_consumer = v_consumer
            and sub_last_tick = prev_tick_id
            and sub_batch is null;
        -- Else another session has opened a batch since we looked: it is that one, or what comes after it.
        exit when found;
    end loop;
end;
$$;

comment on function pgq.next_batch_custom(text, text, interval, integer, interval) is
    'Opens the consumer''s next batch, of at least so many events or so much time, that ended at least
i_min_lag ago, and returns it with its ticks; an open batch is returned again, and NULLs if there is none
yet. Writes and locks only when it opens one. Of two sessions at once the second waits and gets the batch of
the first, where the C extension gives it one of its own and makes that of the first invalid.';

create or replace function pgq.next_batch_info(
    i_queue_name text, i_consumer_name text,
    out batch_id bigint, out cur_tick_id bigint, out prev_tick_id bigint,
    out cur_tick_time timestamptz, out prev_tick_time timestamptz,
    out cur_tick_event_seq bigint, out prev_tick_event_seq bigint)
language sql
as $$
    select * from pgq.next_batch_custom(i_queue_name, i_consumer_name, null, null, null);
$$;

comment on function pgq.next_batch_info(text, text) is
    'Opens the consumer''s next batch, up to the next tick, and returns it with its ticks; NULLs if there is
none yet.';

create or replace function pgq.next_batch(i_queue_name text, i_consumer_name text)
returns bigint
language sql
as $$
    select batch_id from pgq.next_batch_custom(i_queue_name, i_consumer_name, null, null, null);
$$;

comment on function pgq.next_batch(text, text) is
    'Opens the consumer''s next batch, up to the next tick, and returns its id; NULL if there is none yet.';

create or replace function pgq.get_batch_info(
    x_batch_id bigint,
    out queue_name text, out consumer_name text, out batch_start timestamptz, out batch_end timestamptz,
    out prev_tick_id bigint, out tick_id bigint, out lag interval, out seq_start bigint, out seq_end bigint)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    select q.queue_name, co_name, l.tick_time, c.tick_time, l.tick_id, c.tick_id, now() - c.tick_time,
        l.tick_event_seq, c.tick_event_seq
    into queue_name, consumer_name, batch_start, batch_end, prev_tick_id, tick_id, lag, seq_start, seq_end
    from pgq.subscription
        join pgq.queue q on q.queue_id = sub_queue
        join pgq.consumer on co_id = sub_consumer
        join pgq.tick l on l.tick_queue = sub_queue and l.tick_id = sub_last_tick
        join pgq.tick c on c.tick_queue = sub_queue and c.tick_id = sub_next_tick
    where sub_batch = x_batch_id;
end;
$$;

comment on function pgq.get_batch_info(bigint) is
    'The queue, consumer and ticks of an open batch; NULLs if it is not open. The positions are estimates.';

create or replace function pgq.finish_batch(x_batch_id bigint)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- A subconsumer that has no batch stands nowhere: the position is that of the group.
    update pgq.subscription
    set sub_active = now(),
        sub_last_tick = case
            when pgq._main_of_subconsumer(sub_queue, sub_id, co_name) is null then sub_next_tick
        end,
        sub_next_tick = null,
        sub_batch = null
    from pgq.consumer
    where sub_batch = x_batch_id and co_id = sub_consumer;

    if not found then
        raise warning 'finish_batch: batch % not found', x_batch_id;
        return 0;
    end if;
    return 1;
end;
$$;

comment on function pgq.finish_batch(bigint) is
    'Finishes a batch: 1, or 0 with a warning if it is not open, which means that another session has
finished it or has the consumer now. Of two sessions at once the second waits and gets 0. For the batch of a
subconsumer it does what pgq_coop.finish_batch does.';
