-- A dynamic statement is parsed and planned each time, which takes longer than to insert the event. So
-- there is a function with a static insert for each event table, written anew when a queue is created. It
-- is an accelerator only: what is not in it goes the dynamic way.

create or replace function pgq._insert_static(
    i_queue_id integer, i_table integer, i_txid bigint,
    i_type text, i_data text, i_extra1 text, i_extra2 text, i_extra3 text, i_extra4 text)
returns bigint
language plpgsql
as $$
begin
    return null;
end;
$$;

comment on function pgq._insert_static(integer, integer, bigint, text, text, text, text, text, text) is
    'Inserts an event into a numbered table of a queue and returns its id, or NULL where that table has no
statement here. Written by pgq._write_insert_static.';

create or replace function pgq._write_insert_static()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    -- The branches are tried in turn, and each session reads them all.
    c_max_queues    constant integer := 200;
    v_branches      text;
begin
    select coalesce(string_agg(branch, '' order by queue_id), '')
    into v_branches
    from (
        select q.queue_id, format(
            '
    if i_queue_id operator(pg_catalog.=) %s then
        v_id := pg_catalog.nextval(%L);%s
    end if;',
            q.queue_id, pgq.quote_fqname(q.queue_event_seq), string_agg(format(
                '
        if i_table operator(pg_catalog.=) %s then
            insert into %s
            values (
                v_id, pg_catalog.now(), i_txid, null, null,
                i_type, i_data, i_extra1, i_extra2, i_extra3, i_extra4);
            return v_id;
        end if;',
                i, pgq.quote_fqname(q.queue_data_pfx || '_' || i)), '' order by i)) as branch
        from pgq.queue q
            cross join generate_series(0, q.queue_ntables - 1) i
        group by q.queue_id
        order by q.queue_id
        limit c_max_queues
    ) b;

    execute format(
        'create or replace function pgq._insert_static(
    i_queue_id integer, i_table integer, i_txid bigint,
    i_type text, i_data text, i_extra1 text, i_extra2 text, i_extra3 text, i_extra4 text)
returns bigint
language plpgsql
as %L',
        format('
declare
    v_id    bigint;
begin%s
    return null;
end;
', v_branches));
end;
$$;

comment on function pgq._write_insert_static() is
    'Writes pgq._insert_static, with the inserts for the tables of the oldest queues.';

do $$
begin
    perform pgq._write_insert_static();
end
$$;
