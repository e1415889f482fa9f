create or replace function pgq._sql_insert(i_trigger pgq._trigger, i_values text[])
returns text
language plpgsql
stable
as $$
begin
    return (
        select '(' || coalesce(string_agg(quote_ident(i_trigger.columns[i]), ',' order by i), '')
            || ') values ('
            || coalesce(string_agg(coalesce(quote_literal(i_values[i]), 'null'), ',' order by i), '') || ')'
        from unnest(i_trigger.visible) i);
end;
$$;

comment on function pgq._sql_insert(pgq._trigger, text[]) is
    'What follows INSERT INTO and the table for a row of these values.';

create or replace function pgq._sql_where(i_trigger pgq._trigger, i_values text[])
returns text
language plpgsql
stable
as $$
declare
    v_where     text := '';
begin
    for i in 1..cardinality(i_trigger.columns) loop
        continue when i_trigger.kinds[i] <> 'key';
        if i_values[i] is null then
            raise exception 'logtriga: Unexpected NULL key value';
        end if;
        v_where := concat(
            v_where, case when v_where <> '' then ' and ' end,
            quote_ident(i_trigger.columns[i]), '=', quote_literal(i_values[i]));
    end loop;
    return v_where;
end;
$$;

comment on function pgq._sql_where(pgq._trigger, text[]) is
    'The condition that finds the row with these values by its key.';

create or replace function pgq._sql_update(
    i_trigger pgq._trigger, i_changes integer[], i_new_values text[], i_old_values text[])
returns text
language plpgsql
stable
as $$
declare
    v_first_key integer := array_position(i_trigger.kinds, 'key');
    v_set       text;
begin
    v_set := (
        select string_agg(
            quote_ident(i_trigger.columns[i]) || '=' || quote_nullable(i_new_values[i]), ',' order by i)
        from unnest(i_changes) i);
    if v_set is null then
        if v_first_key is null or i_old_values[v_first_key] is null then
            raise exception 'logtriga: Unexpected NULL key value';
        end if;
        v_set := quote_ident(i_trigger.columns[v_first_key]) || '='
            || quote_literal(i_old_values[v_first_key]);
    end if;
    return v_set || ' where ' || pgq._sql_where(i_trigger, i_old_values);
end;
$$;

comment on function pgq._sql_update(pgq._trigger, integer[], text[], text[]) is
    'What follows UPDATE, the table and SET for these changes; the key is set to what it is where there are '
    'none.';

create or replace function pgq.sqltriga()
returns trigger
language plpgsql
stable
as $$
declare
    v_table     text := tg_table_schema || '.' || tg_table_name;
    v_trigger   pgq._trigger;
    v_values    text[];
    v_old       text[];
    v_changes   integer[];
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

        -- See pgq.logutriga.
        v_trigger := case when tg_relid = pgq._row_relation(case when false then new end) then
            (pgq._trigger_setups('sqltriga', case when false then new end))[
                array_position(
                    pgq._trigger_keys('sqltriga', case when false then new end), tg_argv[:]::text)]
        end;
        if v_trigger.arguments is null or v_trigger.problem is not null then
            v_trigger := pgq._trigger_setup(
                'sqltriga', tg_relid, pgq._row_columns(new, tg_relid), tg_argv[:]);
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
            v_changes := pgq._changes(v_trigger, true, new, old, v_values, v_old);
            exit event when v_changes is null;
            if v_trigger.backup then
                v_backup := format(v_trigger.row_format, variadic pgq._urlencoded(v_old));
            end if;
        end if;

        v_type := left(tg_op, 1);
        v_data := case tg_op
            when 'INSERT' then pgq._sql_insert(v_trigger, v_values)
            when 'UPDATE' then pgq._sql_update(v_trigger, v_changes, v_values, v_old)
            else pgq._sql_where(v_trigger, v_values)
        end;
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

comment on function pgq.sqltriga() is
    'Trigger like pgq.logutriga, which writes the part of a statement that follows the name of the table. '
    'Of an update it writes the columns that changed.';
