create or replace function pgq._url_row_format(i_columns text[], i_visible integer[])
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(string_agg(replace(substr(name, 2), '%', '%%') || '%' || i || '$s', '&' order by i), '')
    from unnest(pgq._urlencoded(i_columns)) with ordinality as t (name, i)
    where i = any (i_visible);
$$;

comment on function pgq._url_row_format(text[], integer[]) is
    'The format of a row with these columns, for format() with what pgq._urlencoded makes of the values.';

create or replace function pgq.logutriga()
returns trigger
language plpgsql
stable
as $$
declare
    v_table     text := tg_table_schema || '.' || tg_table_name;
    v_trigger   pgq._trigger;
    v_values    text[];
    v_old       text[];
    v_type      text := 'R';
    v_data      text := '';
    v_backup    text;
    v_fields    text[];
    v_id        bigint;
begin
    <<event>>
    begin
        exit event when current_setting('session_replication_role') = 'local';

        if tg_level = 'STATEMENT' then
            perform pgq._check_statement(tg_argv[:], tg_op, tg_when, v_table);
            v_id := pgq.insert_event(tg_argv[0], v_type, v_data, v_table, null, null, null);
            exit event;
        end if;

        -- "case when false then new end" is a NULL of the table's type that the planner knows, so that it
        -- makes constants of all that is called with it. Because of the comparison the plan has the table's
        -- oid in it, and with that it is dropped as soon as the table, its key or its triggers change.
        v_trigger := case when tg_relid = pgq._row_relation(case when false then new end) then
            (pgq._trigger_setups('logutriga', case when false then new end))[
                array_position(
                    pgq._trigger_keys('logutriga', case when false then new end), tg_argv[:]::text)]
        end;
        if v_trigger.arguments is null or v_trigger.problem is not null then
            v_trigger := pgq._trigger_setup(
                'logutriga', tg_relid, pgq._row_columns(new, tg_relid), tg_argv[:]);
        end if;
        if v_trigger.hindered then
            perform pgq._check_trigger(v_trigger, tg_op, tg_when, v_table);
        end if;
        if tg_op <> 'INSERT' and v_trigger.key = '' then
            raise exception 'Update/Delete on table without pkey';
        end if;

        if tg_op = 'DELETE' then
            v_values := pgq._values(old, cardinality(v_trigger.columns), v_trigger.wide_sql);
        else
            v_values := pgq._values(new, cardinality(v_trigger.columns), v_trigger.wide_sql);
        end if;
        if tg_op = 'UPDATE' then
            v_old := pgq._values(old, cardinality(v_trigger.columns), v_trigger.wide_sql);
            exit event when pgq._changes(v_trigger, false, new, old, v_values, v_old) is null;
            if v_trigger.backup then
                v_backup := format(v_trigger.row_format, variadic pgq._urlencoded(v_old));
            end if;
        end if;

        v_type := left(tg_op, 1) || ':' || v_trigger.key;
        v_data := format(v_trigger.row_format, variadic pgq._urlencoded(v_values));
        if not v_trigger.special then
            v_id := pgq.insert_event(tg_argv[0], v_type, v_data, v_table, v_backup, null, null);
        else
            v_fields := array[v_type, v_data, v_table, v_backup, null, null];
            if tg_op = 'DELETE' then
                v_fields := pgq._special_fields(v_trigger, old, v_values, v_fields);
            else
                v_fields := pgq._special_fields(v_trigger, new, v_values, v_fields);
            end if;
            if v_fields is not null then
                v_id := pgq.insert_event(
                    tg_argv[0], v_fields[1], v_fields[2], v_fields[3], v_fields[4], v_fields[5], v_fields[6]);
            end if;
        end if;
    end;

    if tg_when = 'AFTER' or v_trigger.skip then
        return null;
    elsif tg_op = 'DELETE' then
        return old;
    end if;
    return new;
end;
$$;

comment on function pgq.logutriga() is
    'Trigger that writes each change of a row as an event: names and values, urlencoded. Arguments: the '
    'queue, then any of ignore=, pkey=, backup, SKIP, deny, when=, ev_type=, ev_data=, ev_extra1= to '
    'ev_extra4=. Who changes the table needs EXECUTE on pgq.insert_event. It is stable so that expressions '
    'see what the statement sees.';
