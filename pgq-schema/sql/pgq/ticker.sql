create or replace function pgq._insert_tick(i_queue pgq.queue)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    -- Read before the snapshot is taken: what is counted here may come a tick later, but never stays
    -- uncounted.
    v_event_seq     bigint := pgq._seq_position(i_queue.queue_event_seq);
    v_tick_id       bigint;
begin
    insert into pgq.tick (tick_queue, tick_id, tick_event_seq)
    values (i_queue.queue_id, nextval(i_queue.queue_tick_seq), v_event_seq)
    returning tick_id into v_tick_id;
    return v_tick_id;
end;
$$;

comment on function pgq._insert_tick(pgq.queue) is
    'Makes a tick and returns its id. The caller sees to it that nobody else does the same at the same time.';

create or replace function pgq._notify_tick(i_queue_name text)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    select pg_notify('pgq_tick', case when octet_length(i_queue_name) <= 7900 then i_queue_name else '' end);
$$;

comment on function pgq._notify_tick(text) is
    'Tells who listens on the channel pgq_tick which queue has a new tick; nothing for a name longer than a
payload.';

create or replace function pgq._check_ticker_isolation()
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('transaction_isolation') not like 'read%' then
        raise exception 'ticks cannot be made in a transaction of isolation level %',
            current_setting('transaction_isolation')
            using errcode = 'active_sql_transaction',
                detail = 'Its snapshot may be older than the last tick, and events would be delivered twice.',
                hint = 'Make ticks in a read committed transaction of their own.';
    end if;
end;
$$;

comment on function pgq._check_ticker_isolation() is
    'Fails in a transaction that keeps its snapshot: a tick needs a new one.';

create or replace function pgq._tick_is_due(i_queue pgq.queue)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_last      pgq.tick;
    v_prev_time timestamptz;
    v_new       bigint;
    v_lag       interval;
    v_gap       interval;
    v_xmax      bigint;
begin
    select * into v_last
    from pgq.tick
    where tick_queue = i_queue.queue_id
    order by tick_id desc
    limit 1;

    if not found then
        return true;
    end if;

    v_xmax := txid_snapshot_xmax(txid_current_snapshot());
    if txid_snapshot_xmin(v_last.tick_snapshot) > v_xmax then
        raise exception 'Invalid PgQ state: old xmin=%, old xmax=%, cur txid=%',
            txid_snapshot_xmin(v_last.tick_snapshot), txid_snapshot_xmax(v_last.tick_snapshot), v_xmax
            using detail = format('Queue "%s" has a tick from a future that this server has not reached.',
                    i_queue.queue_name),
                hint = format('After a restore from a dump, run: select pgq.repair_restored(%L)',
                    i_queue.queue_name);
    elsif txid_snapshot_xmax(v_last.tick_snapshot) > v_xmax then
        raise warning 'Dubious PgQ state: old xmax=%, cur txid=%',
            txid_snapshot_xmax(v_last.tick_snapshot), v_xmax;
    end if;

    -- A clock that was set back must not keep events waiting until it has caught up.
    v_lag := now() - v_last.tick_time;
    v_lag := greatest(v_lag, -v_lag);

    v_new := pgq._seq_position(i_queue.queue_event_seq) - v_last.tick_event_seq;
    if v_new > 0 then
        return v_new >= i_queue.queue_ticker_max_count or v_lag >= i_queue.queue_ticker_max_lag;
    elsif v_new < 0 then
        raise warning 'Negative new_events?  old=% cur=%',
            v_last.tick_event_seq, v_last.tick_event_seq + v_new;
    end if;

    select tick_time into v_prev_time
    from pgq.tick
    where tick_queue = i_queue.queue_id and tick_id < v_last.tick_id
    order by tick_id desc
    limit 1;

    if not found then
        return true;
    end if;

    -- An idle queue ticks at twice the last distance each time, until that is its idle period.
    v_gap := v_last.tick_time - v_prev_time;
    return v_lag >= i_queue.queue_ticker_max_lag / 2
        and (v_lag >= v_gap * 2 or v_lag >= i_queue.queue_ticker_idle_period);
end;
$$;

comment on function pgq._tick_is_due(pgq.queue) is
    'Whether a queue needs a tick, by its number of new events and the time since the last tick.';

create or replace function pgq.ticker(
    i_queue_name text, i_tick_id bigint, i_orig_timestamp timestamptz, i_event_seq bigint)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue     pgq.queue;
begin
    perform pgq._check_ticker_isolation();

    select * into v_queue
    from pgq.queue
    where queue_name = i_queue_name and queue_external_ticker and not queue_ticker_paused
    for no key update;

    if not found then
        raise exception 'queue not found or ticker disabled: %', i_queue_name;
    end if;

    insert into pgq.tick (tick_queue, tick_id, tick_time, tick_event_seq)
    values (v_queue.queue_id, i_tick_id, i_orig_timestamp, i_event_seq);

    perform pgq.seq_setval(v_queue.queue_tick_seq, i_tick_id);
    perform pgq.seq_setval(v_queue.queue_event_seq, i_event_seq);
    perform pgq._notify_tick(i_queue_name);
    return i_tick_id;
end;
$$;

comment on function pgq.ticker(text, bigint, timestamptz, bigint) is
    'Makes a tick that was made elsewhere, on a queue with an external ticker, and returns its id. Raises
the queue''s sequences to it. Read committed only; locks the queue''s row.';

create or replace function pgq._tick_if_due(i_queue pgq.queue)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue     pgq.queue;
    v_tick_id   bigint;
begin
    if not pgq._tick_is_due(i_queue) then
        return null;
    end if;

    -- Who ticked meanwhile held this lock. The next look is a statement of its own, so it sees that tick.
    select * into v_queue
    from pgq.queue
    where queue_id = i_queue.queue_id and not queue_external_ticker and not queue_ticker_paused
    for no key update;

    if not found or not pgq._tick_is_due(v_queue) then
        return null;
    end if;

    v_tick_id := pgq._insert_tick(v_queue);
    perform pgq._notify_tick(v_queue.queue_name);
    return v_tick_id;
end;
$$;

comment on function pgq._tick_if_due(pgq.queue) is
    'Makes a tick if one is due and returns its id, else NULL. Looks without a lock first, then locks the
queue''s row.';

create or replace function pgq.ticker(i_queue_name text)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue     pgq.queue;
begin
    perform pgq._check_ticker_isolation();

    select * into v_queue
    from pgq.queue
    where queue_name = i_queue_name;

    if not found then
        raise exception 'no such queue'
            using detail = format('There is no queue "%s".', i_queue_name);
    elsif v_queue.queue_external_ticker then
        raise exception 'This queue has external tick source.';
    elsif v_queue.queue_ticker_paused then
        raise exception 'Ticker has been paused for this queue';
    end if;

    return pgq._tick_if_due(v_queue);
end;
$$;

comment on function pgq.ticker(text) is
    'Makes a tick if one is due and returns its id, else NULL. Read committed only. Unlike the C extension
it may run in parallel: a tick that is made locks the queue''s row. Without one due there is no lock and
no transaction id. Each tick notifies the channel pgq_tick.';

create or replace function pgq.ticker()
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue     pgq.queue;
    v_ticks     bigint := 0;
begin
    perform pgq._check_ticker_isolation();

    -- Locks in the order of names, like rotation, so that the two never wait for each other.
    for v_queue in
        select *
        from pgq.queue
        where not queue_external_ticker and not queue_ticker_paused
        order by queue_name
    loop
        if pgq._tick_if_due(v_queue) is not null then
            v_ticks := v_ticks + 1;
        end if;
    end loop;
    return v_ticks;
end;
$$;

comment on function pgq.ticker() is
    'Makes the ticks that are due on all queues and returns how many that were; see ticker(text).';

create or replace function pgq.force_tick(i_queue_name text)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue     pgq.queue;
    v_seq       regclass;
    v_ids       bigint;
begin
    select * into v_queue
    from pgq.queue
    where queue_name = i_queue_name;

    if not found then
        return null;
    end if;

    if not v_queue.queue_external_ticker and not v_queue.queue_ticker_paused then
        v_seq := pgq.quote_fqname(v_queue.queue_event_seq)::regclass;
        v_ids := 2 * greatest(v_queue.queue_ticker_max_count, 0)::bigint + 1000;
        if v_ids <= 100000 then
            perform max(nextval(v_seq)) from generate_series(1, v_ids);
        else
            -- Would set the sequence back if others took as many ids between the two calls, so only for a
            -- wide leap.
            perform setval(v_seq, nextval(v_seq) + v_ids);
        end if;
    end if;

    return (select max(tick_id) from pgq.tick where tick_queue = v_queue.queue_id);
end;
$$;

comment on function pgq.force_tick(text) is
    'Makes a tick due, by passing over so many event ids that it takes, and returns the id of the last tick:
wait until it changes.';
