create or replace function pgq._full_txid(i_xid xid)
returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    select txid_current() - ((txid_current() - i_xid::text::bigint) & 4294967295);
$$;

comment on function pgq._full_txid(xid) is
    'A transaction id of this server''s last four thousand million, with its epoch.';

create or replace function pgq._unfinished_events(i_queue pgq.queue)
returns setof pgq.event_template
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    -- An event of this server was stored by its own transaction, one of the dump by that of the restore,
    -- whose id is lower as long as this server is the younger one. What comes with such an event is of the
    -- dump too.
    return query execute format(
        $q$
        with position as (
            select
                s.sub_id,
                s.sub_batch,
                pgq._main_of_subconsumer(s.sub_queue, s.sub_id, c.co_name) is not null as is_member,
                l.tick_snapshot as last_snapshot,
                n.tick_snapshot as next_snapshot
            from pgq.subscription s
                join pgq.consumer c
                on c.co_id = s.sub_consumer
                left join pgq.tick l
                on l.tick_queue = s.sub_queue and l.tick_id = s.sub_last_tick
                left join pgq.tick n
                on n.tick_queue = s.sub_queue and n.tick_id = s.sub_next_tick
            where s.sub_queue = $1
        ),
        restore as (
            select distinct xmin as xid
            from %1$s
            where ev_txid > pgq._full_txid(xmin)
        ),
        event as (
            select e.*, not exists (select from restore r where r.xid = e.xmin) as is_native
            from %1$s e
        )
        select e.ev_id, e.ev_time, txid_current(), g.sub_id, e.ev_retry, e.ev_type, e.ev_data,
            e.ev_extra1, e.ev_extra2, e.ev_extra3, e.ev_extra4
        from event e
            cross join (select distinct sub_id from position) g
        where (e.ev_owner is null or e.ev_owner = g.sub_id)
            and (
                e.is_native
                or exists (
                    select
                    from position p
                    where p.sub_id = g.sub_id
                        and coalesce(not txid_visible_in_snapshot(e.ev_txid, p.last_snapshot), true)
                        and (
                            not p.is_member
                            or p.sub_batch is not null
                            and coalesce(txid_visible_in_snapshot(e.ev_txid, p.next_snapshot), true)
                        )
                )
            )
        $q$,
        pgq.quote_fqname(i_queue.queue_data_pfx))
    using i_queue.queue_id;
end;
$$;

comment on function pgq._unfinished_events(pgq.queue) is
    'The events of a restored queue that a subscription has not finished, owned by it; for a cooperating
group once. Where the tick of a subscription is missing, all events are.';

create or replace function pgq.repair_restored(x_queue_name text)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue     pgq.queue;
    v_table     text;
    v_snapshot  txid_snapshot;
    v_tick_id   bigint;
    v_copies    bigint;
begin
    perform pgq._check_ticker_isolation();

    select * into v_queue
    from pgq.queue
    where queue_name = x_queue_name
    for update;

    if not found then
        raise exception 'No such event queue';
    end if;

    perform from pgq.subscription where sub_queue = v_queue.queue_id for update;
    execute format('lock table %s in access exclusive mode', pgq.quote_fqname(v_queue.queue_data_pfx));

    -- A tick of this server is stored by a transaction that its snapshot does not know to be over.
    if not exists (
        select
        from pgq.tick
        where tick_queue = v_queue.queue_id
            and txid_snapshot_xmin(tick_snapshot) > pgq._full_txid(xmin)
    ) then
        raise exception 'queue "%" does not come from the dump of a server with higher transaction ids',
            x_queue_name
            using errcode = 'object_not_in_prerequisite_state',
                hint = 'It needs no repair.';
    end if;

    create temporary table pgq_unfinished (like pgq.event_template) on commit drop;
    insert into pg_temp.pgq_unfinished
    select * from pgq._unfinished_events(v_queue);

    perform pgq._raise_sequences(v_queue);

    for i in 0 .. v_queue.queue_ntables - 1
    loop
        execute 'truncate ' || pgq.quote_fqname(v_queue.queue_data_pfx || '_' || i);
    end loop;

    v_table := pgq.quote_fqname(v_queue.queue_data_pfx || '_' || v_queue.queue_cur_table);
    execute format('insert into %s select * from pg_temp.pgq_unfinished order by ev_id, ev_owner', v_table);
    get diagnostics v_copies = row_count;
    drop table pg_temp.pgq_unfinished;

    -- A snapshot never says of its own transaction that it goes on, but the copies must come after this tick.
    select format('%s:%s:%s',
            least(txid_snapshot_xmin(now.snapshot), txid_current()),
            greatest(txid_snapshot_xmax(now.snapshot), txid_current() + 1),
            (select string_agg(xip::text, ',' order by xip)
            from (select txid_snapshot_xip(now.snapshot) union select txid_current()) running (xip)))
    into v_snapshot
    from (select txid_current_snapshot()) now (snapshot);

    delete from pgq.tick
    where tick_queue = v_queue.queue_id;

    insert into pgq.tick (tick_queue, tick_id, tick_snapshot, tick_event_seq)
    values (
        v_queue.queue_id,
        nextval(pgq.quote_fqname(v_queue.queue_tick_seq)),
        v_snapshot,
        greatest(pgq._seq_position(v_queue.queue_event_seq) - v_copies, 0)
    )
    returning tick_id into v_tick_id;

    -- A subconsumer without a batch stands nowhere.
    update pgq.subscription
    set sub_last_tick = case
            when pgq._main_of_subconsumer(sub_queue, sub_id, co_name) is null then v_tick_id
        end,
        sub_batch = null,
        sub_next_tick = null
    from pgq.consumer
    where sub_queue = v_queue.queue_id and co_id = sub_consumer;

    update pgq.queue
    set queue_switch_step1 = txid_current(),
        queue_switch_step2 = txid_current(),
        queue_switch_time = now()
    where queue_id = v_queue.queue_id;

    return v_copies;
end;
$$;

comment on function pgq.repair_restored(text) is
    'Makes a queue work that was restored from a dump of a server with higher transaction ids: each consumer
gets, as copies of its own, the events that it had not finished, and goes on from there; open batches
are over. Returns the number of copies. Locks out producers and consumers of the queue until the end of
the transaction. Not in the C extension.';

create or replace function pgq._raise_sequence(i_seq_name text, i_id bigint)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if pgq._seq_position(i_seq_name) < i_id then
        perform setval(pgq.quote_fqname(i_seq_name)::regclass, i_id);
    end if;
end;
$$;

comment on function pgq._raise_sequence(text, bigint) is
    'Makes a sequence go on after an id; NULL changes nothing. Unlike seq_setval it tells an unused sequence
from one at 1.';

create or replace function pgq._raise_sequences(i_queue pgq.queue)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_last_event    bigint;
begin
    perform pgq._raise_sequence('pgq.queue_queue_id_seq', max(queue_id)) from pgq.queue;
    perform pgq._raise_sequence('pgq.consumer_co_id_seq', max(co_id)) from pgq.consumer;
    perform pgq._raise_sequence('pgq.subscription_sub_id_seq', max(sub_id)) from pgq.subscription;
    perform pgq._raise_sequence('pgq.batch_id_seq', max(sub_batch)) from pgq.subscription;

    perform pgq._raise_sequence(i_queue.queue_tick_seq, max(tick_id))
    from pgq.tick
    where tick_queue = i_queue.queue_id;

    execute 'select max(ev_id) from ' || pgq.quote_fqname(i_queue.queue_data_pfx) into v_last_event;
    perform pgq._raise_sequence(i_queue.queue_event_seq, greatest(v_last_event, max(ev_id)))
    from pgq.retry_queue
    where ev_queue = i_queue.queue_id;
end;
$$;

comment on function pgq._raise_sequences(pgq.queue) is
    'Raises the sequences of PgQ and of a queue that are behind the ids that are there.';
