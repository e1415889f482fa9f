create or replace function pgq._check_rotation(i_queue pgq.queue)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_txid      bigint := txid_current();
    v_table     text;
begin
    -- A rotation empties the table after the current one. If the row of that table in pg_class, as our
    -- snapshot sees it, names another file than the one in use, and was superseded by a transaction older
    -- than ours, then the tables were rotated between our snapshot and our transaction id, and an event in
    -- the table of our snapshot would never be looked for. The size is asked for because that takes a lock,
    -- and so notices what other sessions have done.
    v_table := i_queue.queue_data_pfx || '_' || (i_queue.queue_cur_table + 1) % i_queue.queue_ntables;
    perform
    from pg_class
    where oid = to_regclass(pgq.quote_fqname(v_table))
        and case when pg_relation_size(oid) >= 0 then relfilenode <> pg_relation_filenode(oid) end
        and (v_txid - xmax::text::bigint) & 4294967295 < 2147483648;

    if found then
        raise exception 'could not serialize access: the event tables of queue "%" were rotated meanwhile',
            i_queue.queue_name
            using errcode = 'serialization_failure',
                hint = 'Run the transaction again. Beginning it with select txid_current() avoids this.';
    end if;
end;
$$;

comment on function pgq._check_rotation(pgq.queue) is
    'Fails with 40001 if the snapshot of a repeatable read or serializable transaction does not know the
table that takes its events. The queue is to be read after the transaction has its id.';

create or replace function pgq._producer_queue(i_queue_name text, i_count integer)
returns pgq.queue
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    -- Before the queue is read: a rotation after that waits for this transaction.
    v_txid      text := txid_current();
    v_queue     pgq.queue;
    v_setting   text;
    v_counted   text;
    v_events    bigint := i_count;
begin
    if i_queue_name is null then
        raise exception 'Queue name must not be NULL';
    end if;

    select * into v_queue
    from pgq.queue
    where queue_name = i_queue_name;

    if not found then
        raise exception 'No such queue'
            using detail = format('There is no queue "%s".', i_queue_name);
    end if;

    if v_queue.queue_disable_insert and current_setting('session_replication_role') <> 'replica' then
        raise exception 'Insert into queue disallowed'
            using detail = format('Queue "%s" has queue_disable_insert set.', i_queue_name);
    end if;

    if v_queue.queue_per_tx_limit >= 0 then
        v_setting := 'pgq.tx_' || v_queue.queue_id;
        v_counted := current_setting(v_setting, true);
        if split_part(v_counted, ':', 1) = v_txid then
            v_events := v_events + split_part(v_counted, ':', 2)::bigint;
        end if;
        if v_events > v_queue.queue_per_tx_limit then
            raise exception 'Queue ''%'' allows max % events from one TX',
                i_queue_name, v_queue.queue_per_tx_limit;
        end if;
        perform set_config(v_setting, v_txid || ':' || v_events, true);
    end if;

    if current_setting('transaction_isolation') not like 'read%' then
        perform pgq._check_rotation(v_queue);
    end if;
    return v_queue;
end;
$$;

comment on function pgq._producer_queue(text, integer) is
    'The queue as this transaction may insert that many events into it, or the error that says why not.
Locks nothing. Unlike in the C extension, events that were rolled back to a savepoint do not count for
the limit per transaction.';

create or replace function pgq.insert_event_raw(
    queue_name text, ev_id bigint, ev_time timestamptz, ev_owner integer, ev_retry integer,
    ev_type text, ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq._insert_event(
        pgq._producer_queue(queue_name, 1), ev_id, ev_time, ev_owner, ev_retry,
        ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4);
end;
$$;

comment on function pgq.insert_event_raw(
    text, bigint, timestamptz, integer, integer, text, text, text, text, text, text) is
    'Inserts an event with an id, time, owner and retry count of the caller''s choice, NULL for the usual,
and returns its id. The sequence of ids moves on in any case: that is what the ticker sees.';

create or replace function pgq._insert_event(
    i_queue pgq.queue, i_id bigint, i_time timestamptz, i_owner integer, i_retry integer,
    i_type text, i_data text, i_extra1 text, i_extra2 text, i_extra3 text, i_extra4 text)
returns bigint
language plpgsql
as $$
declare
    v_next_id   bigint := pg_catalog.nextval(pgq.quote_fqname(i_queue.queue_event_seq)::pg_catalog.regclass);
    v_id        bigint := coalesce(i_id, v_next_id);
    v_table     text := pg_catalog.concat(i_queue.queue_data_pfx, '_', i_queue.queue_cur_table);
begin
    execute pg_catalog.format(
        'insert into %s values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)', pgq.quote_fqname(v_table))
    using
        v_id, coalesce(i_time, pg_catalog.now()), pg_catalog.txid_current(), i_owner, i_retry,
        i_type, i_data, i_extra1, i_extra2, i_extra3, i_extra4;
    return v_id;
end;
$$;

comment on function pgq._insert_event(
    pgq.queue, bigint, timestamptz, integer, integer, text, text, text, text, text, text) is
    'Inserts an event into the current table of a queue that was read after the transaction had its id.';

create or replace function pgq.insert_event(
    queue_name text, ev_type text, ev_data text,
    ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    -- Before the queue is read: a rotation after that waits for this transaction.
    v_txid      bigint := txid_current();
    v_queue_id  integer;
    v_table     integer;
    v_id        bigint;
begin
    select q.queue_id, q.queue_cur_table into v_queue_id, v_table
    from pgq.queue q
    where q.queue_name = insert_event.queue_name
        and q.queue_per_tx_limit is null
        and not q.queue_disable_insert;

    if v_queue_id is not null and current_setting('transaction_isolation') = 'read committed' then
        v_id := pgq._insert_static(
            v_queue_id, v_table, v_txid, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4);
    end if;

    if v_id is null then
        v_id := pgq._insert_event(
            pgq._producer_queue(insert_event.queue_name, 1), null, null, null, null,
            ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4);
    end if;
    return v_id;
end;
$$;

comment on function pgq.insert_event(text, text, text, text, text, text, text) is
    'Inserts an event and returns its id. It is delivered when, and only if, the transaction commits and a
tick comes after that. Locks nothing but the event table, in its weakest way. In a repeatable read or
serializable transaction it fails with 40001 where the tables were rotated meanwhile, which the C
extension does not notice. Triggers call it in an assignment, which is faster than PERFORM.';

create or replace function pgq.insert_event(queue_name text, ev_type text, ev_data text)
returns bigint
language sql
return pgq.insert_event(queue_name, ev_type, ev_data, null, null, null, null);

comment on function pgq.insert_event(text, text, text) is
    'Inserts an event without extra fields and returns its id; see the form with seven arguments, which it
becomes when it is planned.';
