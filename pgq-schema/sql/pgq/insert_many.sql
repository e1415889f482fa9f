create or replace function pgq.insert_events(
    queue_name text, ev_types text[], ev_datas text[],
    ev_extra1s text[], ev_extra2s text[], ev_extra3s text[], ev_extra4s text[])
returns setof bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count     integer := cardinality(ev_types);
    v_queue     pgq.queue;
begin
    if v_count is null
        or cardinality(ev_datas) is distinct from v_count
        or cardinality(ev_extra1s) <> v_count
        or cardinality(ev_extra2s) <> v_count
        or cardinality(ev_extra3s) <> v_count
        or cardinality(ev_extra4s) <> v_count
    then
        raise exception 'the arrays of an insert of many events differ in length'
            using errcode = 'array_subscript_error',
                hint = 'Types and data have an element for each event; extra fields may be NULL as a whole.';
    end if;

    v_queue := pgq._producer_queue(queue_name, v_count);

    return query execute format(
        'insert into %s
         select nextval(%L), now(), txid_current(), null, null, e.*
         from (
             select unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), unnest($6)
         ) e
         returning ev_id',
        pgq.quote_fqname(v_queue.queue_data_pfx || '_' || v_queue.queue_cur_table),
        pgq.quote_fqname(v_queue.queue_event_seq))
    using ev_types, ev_datas, ev_extra1s, ev_extra2s, ev_extra3s, ev_extra4s;
end;
$$;

comment on function pgq.insert_events(text, text[], text[], text[], text[], text[], text[]) is
    'Inserts many events by one statement and returns their ids, in the order of the arrays. Extra fields
that are NULL as a whole are so in every event. Not in the C extension.';

create or replace function pgq.current_event_table(x_queue_name text)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    -- Before the queue is read: a rotation after that waits for this transaction.
    v_txid      bigint := txid_current();
    v_queue     pgq.queue;
begin
    select * into v_queue
    from pgq.queue
    where queue_name = x_queue_name;

    if not found then
        raise exception 'Event queue not found';
    end if;

    if v_queue.queue_disable_insert and current_setting('session_replication_role') <> 'replica' then
        raise exception 'Writing to queue disabled';
    end if;

    if current_setting('transaction_isolation') not like 'read%' then
        perform pgq._check_rotation(v_queue);
    end if;
    return v_queue.queue_data_pfx || '_' || v_queue.queue_cur_table;
end;
$$;

comment on function pgq.current_event_table(text) is
    'The table that takes the events of this transaction, until it ends: for COPY and INSERT by those who
may. Gives the transaction its id, so unlike in the C extension nothing is lost by a rotation in
between.';
