create or replace function pgq_ext.is_batch_done(a_consumer text, a_subconsumer text, a_batch_id bigint)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_done      boolean;
begin
    select b.last_batch_id = a_batch_id
    into v_done
    from pgq_ext.completed_batch b
    where b.consumer_id = a_consumer
        and b.subconsumer_id = a_subconsumer;
    if not found then
        return false;
    end if;
    return v_done;
end;
$$;

comment on function pgq_ext.is_batch_done(text, text, bigint) is
    'Whether this is the batch that was recorded last for a subconsumer. Only that one is remembered: for
those before it this is false.';

create or replace function pgq_ext.is_batch_done(a_consumer text, a_batch_id bigint)
returns boolean
language sql
as $$
    select pgq_ext.is_batch_done(a_consumer, '', a_batch_id);
$$;

comment on function pgq_ext.is_batch_done(text, bigint) is
    'Whether this is the batch that was recorded last for a consumer.';

create or replace function pgq_ext.set_batch_done(a_consumer text, a_subconsumer text, a_batch_id bigint)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if a_batch_id is null or a_batch_id <= 0 then
        return true;
    end if;

    -- Whoever records the same batch at the same time waits here, and then finds it recorded.
    insert into pgq_ext.completed_batch as b (consumer_id, subconsumer_id, last_batch_id)
    values (a_consumer, a_subconsumer, a_batch_id)
    on conflict (consumer_id, subconsumer_id) do update
        set last_batch_id = excluded.last_batch_id
        where b.last_batch_id <> excluded.last_batch_id;
    return found;
end;
$$;

comment on function pgq_ext.set_batch_done(text, text, bigint) is
    'Records a batch for a subconsumer: true if it is recorded now, false if it was the last one already.
Ids that are NULL or not positive are not recorded, and true. Locks the record until the transaction ends.
Of two sessions that record the same batch at once only one gets true; the other waits, and gets false if
the first one commits.';

create or replace function pgq_ext.set_batch_done(a_consumer text, a_batch_id bigint)
returns boolean
language sql
as $$
    select pgq_ext.set_batch_done(a_consumer, '', a_batch_id);
$$;

comment on function pgq_ext.set_batch_done(text, bigint) is
    'Records a batch for a consumer: true if it is recorded now, false if it was the last one already.';
