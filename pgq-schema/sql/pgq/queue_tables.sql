create or replace function pgq.tune_storage(i_queue_name text)
returns integer
language plpgsql
strict
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue     pgq.queue;
begin
    select * into v_queue
    from pgq.queue
    where queue_name = i_queue_name;

    if not found then
        return 0;
    end if;

    -- Rows are never updated or deleted: a table is emptied as a whole, so vacuum has nothing to do.
    for i in 0 .. v_queue.queue_ntables - 1
    loop
        execute format(
            'alter table %s set (fillfactor = 100, autovacuum_enabled = off, toast.autovacuum_enabled = off)',
            pgq.quote_fqname(v_queue.queue_data_pfx || '_' || i));
    end loop;
    return 1;
end;
$$;

comment on function pgq.tune_storage(text) is
    'Sets the storage parameters of a queue''s event tables: 1, or 0 if there is no such queue. Takes their
ownership.';

create or replace function pgq._grant_perms_from(
    src_schema text, src_table text, dst_schema text, dst_table text)
returns integer
language plpgsql
strict
set search_path = pg_catalog, pg_temp
as $$
declare
    v_grant     record;
begin
    for v_grant in
        select
            string_agg(acl.privilege_type, ', ') as privileges,
            case acl.grantee
                when 0 then 'public'
                else quote_ident(pg_get_userbyid(acl.grantee))
            end as grantee,
            acl.is_grantable
        from pg_class c
            cross join aclexplode(c.relacl) acl
        where c.oid = format('%I.%I', src_schema, src_table)::regclass
            and acl.grantee <> c.relowner
        group by acl.grantee, acl.is_grantable
    loop
        execute format(
            'grant %s on table %I.%I to %s%s',
            v_grant.privileges, dst_schema, dst_table, v_grant.grantee,
            case when v_grant.is_grantable then ' with grant option' else '' end);
    end loop;
    return 1;
end;
$$;

comment on function pgq._grant_perms_from(text, text, text, text) is
    'Grants on one table what others than the owner may do on another one: 1.';

create or replace function pgq.grant_perms(x_queue_name text)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue     pgq.queue;
    v_seq       text;
    v_table     text;
begin
    select * into v_queue
    from pgq.queue
    where queue_name = x_queue_name;

    if not found then
        raise exception 'Queue not found';
    end if;

    foreach v_seq in array array[v_queue.queue_event_seq, v_queue.queue_tick_seq]
    loop
        execute format('grant select on sequence %s to public', pgq.quote_fqname(v_seq));
    end loop;
    if to_regrole('pgq_admin') is not null then
        execute format('grant usage on sequence %s to pgq_admin', pgq.quote_fqname(v_queue.queue_event_seq));
    end if;

    foreach v_table in array
        v_queue.queue_data_pfx
        || array(
            select v_queue.queue_data_pfx || '_' || i
            from generate_series(0, v_queue.queue_ntables - 1) i
        )
    loop
        perform pgq._grant_perms_from(
            'pgq', 'event_template', split_part(v_table, '.', 1), substr(v_table, strpos(v_table, '.') + 1));
    end loop;
    return 1;
end;
$$;

comment on function pgq.grant_perms(text) is
    'Grants on a queue''s tables what is granted on pgq.event_template, and the usual on its sequences: 1.';
