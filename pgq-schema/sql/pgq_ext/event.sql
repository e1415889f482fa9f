create or replace function pgq_ext.is_event_done(
    a_consumer text, a_subconsumer text, a_batch_id bigint, a_event_id bigint)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select
        from pgq_ext.completed_event e
        where e.consumer_id = a_consumer
            and e.subconsumer_id = a_subconsumer
            and e.batch_id = a_batch_id
            and e.event_id = a_event_id);
end;
$$;

comment on function pgq_ext.is_event_done(text, text, bigint, bigint) is
    'Whether an event of a batch was recorded for a subconsumer. Only events of the last batch are
remembered.';

create or replace function pgq_ext.is_event_done(a_consumer text, a_batch_id bigint, a_event_id bigint)
returns boolean
language sql
as $$
    select pgq_ext.is_event_done(a_consumer, '', a_batch_id, a_event_id);
$$;

comment on function pgq_ext.is_event_done(text, bigint, bigint) is
    'Whether an event of a batch was recorded for a consumer. Only events of the last batch are remembered.';

create or replace function pgq_ext.set_event_done(
    a_consumer text, a_subconsumer text, a_batch_id bigint, a_event_id bigint)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (
        select
        from pgq_ext.partial_batch b
        where b.consumer_id = a_consumer
            and b.subconsumer_id = a_subconsumer
            and b.cur_batch_id = a_batch_id)
    then
        insert into pgq_ext.partial_batch (consumer_id, subconsumer_id, cur_batch_id)
        values (a_consumer, a_subconsumer, a_batch_id)
        on conflict (consumer_id, subconsumer_id) do update
            set cur_batch_id = excluded.cur_batch_id;

        -- Not only of the batch before: another session may have recorded events of an older one since.
        delete from pgq_ext.completed_event e
        where e.consumer_id = a_consumer
            and e.subconsumer_id = a_subconsumer
            and e.batch_id <> a_batch_id;
    end if;

    insert into pgq_ext.completed_event (consumer_id, subconsumer_id, batch_id, event_id)
    values (a_consumer, a_subconsumer, a_batch_id, a_event_id)
    on conflict do nothing;
    return found;
end;
$$;

comment on function pgq_ext.set_event_done(text, text, bigint, bigint) is
    'Records an event of a batch for a subconsumer: true if it is recorded now, false if it was already. The
first event of another batch forgets those of the batch before, and locks the record of the batch. Of two
sessions that record the same event at once only one gets true; the other waits, and gets false if the first
one commits.';

create or replace function pgq_ext.set_event_done(a_consumer text, a_batch_id bigint, a_event_id bigint)
returns boolean
language sql
as $$
    select pgq_ext.set_event_done(a_consumer, '', a_batch_id, a_event_id);
$$;

comment on function pgq_ext.set_event_done(text, bigint, bigint) is
    'Records an event of a batch for a consumer: true if it is recorded now, false if it was already.';
