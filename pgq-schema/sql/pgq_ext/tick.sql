create or replace function pgq_ext.get_last_tick(a_consumer text, a_subconsumer text)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        select t.last_tick_id
        from pgq_ext.completed_tick t
        where t.consumer_id = a_consumer
            and t.subconsumer_id = a_subconsumer);
end;
$$;

comment on function pgq_ext.get_last_tick(text, text) is
    'The last tick recorded for a subconsumer; NULL if there is none.';

create or replace function pgq_ext.get_last_tick(a_consumer text)
returns bigint
language sql
as $$
    select pgq_ext.get_last_tick(a_consumer, '');
$$;

comment on function pgq_ext.get_last_tick(text) is
    'The last tick recorded for a consumer; NULL if there is none.';

create or replace function pgq_ext.set_last_tick(a_consumer text, a_subconsumer text, a_tick_id bigint)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if a_tick_id is null then
        delete from pgq_ext.completed_tick t
        where t.consumer_id = a_consumer
            and t.subconsumer_id = a_subconsumer;
        return 1;
    end if;

    insert into pgq_ext.completed_tick (consumer_id, subconsumer_id, last_tick_id)
    values (a_consumer, a_subconsumer, a_tick_id)
    on conflict (consumer_id, subconsumer_id) do update
        set last_tick_id = excluded.last_tick_id;
    return 1;
end;
$$;

comment on function pgq_ext.set_last_tick(text, text, bigint) is
    'Records a tick for a subconsumer, forwards or backwards; NULL removes the record. Returns 1. Locks the
record; a second session that records the first tick at once waits, where others fail with a unique
violation.';

create or replace function pgq_ext.set_last_tick(a_consumer text, a_tick_id bigint)
returns integer
language sql
as $$
    select pgq_ext.set_last_tick(a_consumer, '', a_tick_id);
$$;

comment on function pgq_ext.set_last_tick(text, bigint) is
    'Records a tick for a consumer, forwards or backwards; NULL removes the record. Returns 1.';
