create or replace function pgq_dead.list(
    x_queue text, x_consumer text, x_after_letter bigint, x_max_count integer,
    out letter_id bigint, out queue_name text, out consumer_name text, out subconsumer_name text,
    out reason text, out error text, out attempts integer, out dead_time timestamptz,
    out ev_id bigint, out ev_time timestamptz, out ev_txid bigint, out ev_retry integer,
    out ev_type text, out ev_data text,
    out ev_extra1 text, out ev_extra2 text, out ev_extra3 text, out ev_extra4 text)
returns setof record
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Planned for the values at hand: each combination of them has an index.
    return query execute
        'select letter_id, queue_name, consumer_name, subconsumer_name, reason, error, attempts, dead_time,'
        ' ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4'
        ' from pgq_dead.letter'
        ' where ($1 is null or queue_name = $1)'
        ' and ($2 is null or consumer_name = $2)'
        ' and ($3 is null or letter_id > $3)'
        ' order by letter_id limit $4'
    using x_queue, x_consumer, x_after_letter, x_max_count;
end;
$$;

comment on function pgq_dead.list(text, text, bigint, integer) is
    'Up to x_max_count letters by their ids, of those after x_after_letter. NULL as queue or consumer is all of
them, as letter from the first on, and as count as many as there are.';

create or replace function pgq_dead.count(x_queue text, x_consumer text)
returns bigint
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count     bigint;
begin
    execute
        'select count(*) from pgq_dead.letter'
        ' where ($1 is null or queue_name = $1)'
        ' and ($2 is null or consumer_name = $2)'
    into v_count
    using x_queue, x_consumer;
    return v_count;
end;
$$;

comment on function pgq_dead.count(text, text) is
    'The number of letters of a queue and consumer; NULL is all of them.';
