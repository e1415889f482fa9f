create or replace function pgq.batch_event_tables(x_batch_id bigint)
returns setof text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_batch     record;
    v_prev      integer;
begin
    select queue_data_pfx as pfx, queue_cur_table as cur, queue_ntables as ntables,
        queue_switch_step1 as step1, queue_switch_step2 as step2,
        txid_snapshot_xmin(l.tick_snapshot) as first_txid, txid_snapshot_xmax(c.tick_snapshot) as end_txid
    into v_batch
    from pgq.subscription
        join pgq.queue on queue_id = sub_queue
        join pgq.tick l on l.tick_queue = sub_queue and l.tick_id = sub_last_tick
        join pgq.tick c on c.tick_queue = sub_queue and c.tick_id = sub_next_tick
    where sub_batch = x_batch_id;

    if not found then
        raise exception 'Cannot find data for batch %', x_batch_id;
    end if;

    v_prev := (v_batch.cur - 1 + v_batch.ntables) % v_batch.ntables;

    if v_batch.end_txid < v_batch.step1 then
        return next v_batch.pfx || '_' || v_prev;
    elsif v_batch.first_txid > v_batch.step2 then
        return next v_batch.pfx || '_' || v_batch.cur;
    else
        return next v_batch.pfx || '_' || v_prev;
        return next v_batch.pfx || '_' || v_batch.cur;
    end if;
end;
$$;

comment on function pgq.batch_event_tables(bigint) is
    'The tables that have the events of an open batch: one, or two where it lies around a rotation.';

create or replace function pgq.batch_event_sql(x_batch_id bigint)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    c_columns   constant text :=
        'select ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data,'
        ' ev_extra1, ev_extra2, ev_extra3, ev_extra4 from ';
    v_batch     record;
    v_first     bigint;
    v_txid      bigint;
    v_single    bigint[] := '{}';
    v_owner     text;
    v_table     text;
    v_parts     text[] := '{}';
begin
    select sub_id, l.tick_snapshot as last_snapshot, c.tick_snapshot as cur_snapshot
    into v_batch
    from pgq.subscription
        join pgq.tick l on l.tick_queue = sub_queue and l.tick_id = sub_last_tick
        join pgq.tick c on c.tick_queue = sub_queue and c.tick_id = sub_next_tick
    where sub_batch = x_batch_id;

    if not found then
        raise exception 'batch not found'
            using hint = 'It was finished, or another session has the consumer now.';
    end if;

    -- Transactions from before the batch that ended in it: those near its start widen the range of ids, so
    -- that a busy server gets no long list; an old one is looked up by its id, however much lies between.
    v_first := txid_snapshot_xmax(v_batch.last_snapshot);
    for v_txid in
        select txid_snapshot_xip(v_batch.last_snapshot)
        except
        select txid_snapshot_xip(v_batch.cur_snapshot)
        order by 1 desc
    loop
        if v_txid >= v_first - 100 then
            v_first := v_txid;
        else
            v_single := v_single || v_txid;
        end if;
    end loop;

    v_owner := format('(ev_owner is null or ev_owner = %s)', v_batch.sub_id);

    for v_table in
        select pgq.quote_fqname(name) from pgq.batch_event_tables(x_batch_id) as name
    loop
        v_parts := v_parts || format(
            '%s%s where ev_txid between %s and %s and %s'
            ' and txid_visible_in_snapshot(ev_txid, %L) and not txid_visible_in_snapshot(ev_txid, %L)',
            c_columns, v_table, v_first, txid_snapshot_xmax(v_batch.cur_snapshot), v_owner,
            v_batch.cur_snapshot, v_batch.last_snapshot);

        if v_single <> '{}' then
            v_parts := v_parts || format(
                '%s%s where ev_txid in (%s) and %s',
                c_columns, v_table, array_to_string(v_single, ', '), v_owner);
        end if;
    end loop;

    return array_to_string(v_parts, ' union all ') || ' order by ev_id';
end;
$$;

comment on function pgq.batch_event_sql(bigint) is 'The query for the events of an open batch, by their id.';

create or replace function pgq.get_batch_events(
    x_batch_id bigint,
    out ev_id bigint, out ev_time timestamptz, out ev_txid bigint, out ev_retry integer,
    out ev_type text, out ev_data text,
    out ev_extra1 text, out ev_extra2 text, out ev_extra3 text, out ev_extra4 text)
returns setof record
language plpgsql
as $$
begin
    return query execute pgq.batch_event_sql(x_batch_id);
end;
$$;

comment on function pgq.get_batch_events(bigint) is
    'The events of an open batch, by their id, all at once: for large batches see pgq.get_batch_cursor.';

create or replace function pgq.get_batch_cursor(
    i_batch_id bigint, i_cursor_name text, i_quick_limit integer, i_extra_where text,
    out ev_id bigint, out ev_time timestamptz, out ev_txid bigint, out ev_retry integer,
    out ev_type text, out ev_data text,
    out ev_extra1 text, out ev_extra2 text, out ev_extra3 text, out ev_extra4 text)
returns setof record
language plpgsql
as $$
declare
    v_cursor    refcursor := i_cursor_name;
    v_sql       text;
begin
    if i_batch_id is null or i_cursor_name is null or i_quick_limit is null then
        return;
    end if;

    v_sql := pgq.batch_event_sql(i_batch_id);
    if i_extra_where is not null then
        v_sql := format(E'select * from (%s) as events where %s\norder by ev_id', v_sql, i_extra_where);
    end if;

    -- A cursor takes a single query, so a condition cannot bring a second statement with it.
    open v_cursor no scroll for execute v_sql;

    if i_quick_limit > 0 then
        return query execute format('fetch %s from %I', i_quick_limit, i_cursor_name);
    end if;
end;
$$;

comment on function pgq.get_batch_cursor(bigint, text, integer, text) is
    'Opens a cursor over the events of an open batch, by their id, and returns the first i_quick_limit of
them; the rest by FETCH in the same transaction. i_extra_where is a condition on their ten columns, as SQL:
never pass what users write. Unlike in the C extension it cannot end the query and begin another statement.';

create or replace function pgq.get_batch_cursor(
    i_batch_id bigint, i_cursor_name text, i_quick_limit integer,
    out ev_id bigint, out ev_time timestamptz, out ev_txid bigint, out ev_retry integer,
    out ev_type text, out ev_data text,
    out ev_extra1 text, out ev_extra2 text, out ev_extra3 text, out ev_extra4 text)
returns setof record
language plpgsql
strict
as $$
begin
    return query select * from pgq.get_batch_cursor(i_batch_id, i_cursor_name, i_quick_limit, null);
end;
$$;

comment on function pgq.get_batch_cursor(bigint, text, integer) is
    'Opens a cursor over the events of an open batch, by their id, and returns the first i_quick_limit of
them; the rest by FETCH in the same transaction.';
