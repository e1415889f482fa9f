create or replace function pgq._json_type_format(i_key text[])
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select '{"op":"%s","table":[%s,%s],"pkey":['
        || coalesce(string_agg(replace(to_json(name)::text, '%', '%%'), ',' order by n), '') || ']}'
    from unnest(i_key) with ordinality as t (name, n);
$$;

comment on function pgq._json_type_format(text[]) is
    'The format of ev_type on a table with this key, for format() with the operation and the quoted schema '
    'and table.';

create or replace function pgq._json_row_format(i_columns pgq._columns, i_visible integer[])
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    -- The byte 3 marks booleans, whose t and f pgq._json_row replaces.
    select '{' || coalesce(string_agg(
        replace(to_json(i_columns.names[i])::text, '%', '%%')
        || case
            when i_columns.types[i] = any ('{smallint,integer,bigint}'::regtype[]) then ':%' || i || '$s'
            when i_columns.types[i] = 'boolean'::regtype then E':\x03%' || i || '$s'
            else ':"%' || i || '$s"'
        end, ',' order by i), '') || '}'
    from unnest(i_visible) i;
$$;

comment on function pgq._json_row_format(pgq._columns, integer[]) is
    'The format of a row with these columns, for pgq._json_row. Most types are strings in it.';

create or replace function pgq._json_escape(i_text text)
returns text
language plpgsql
immutable
strict
as $$
declare
    v_text      text collate "C" := replace(replace(i_text, E'\\', E'\\\\'), '"', E'\\"');
begin
    if v_text ~ E'[\\x03-\\x1f]' then
        v_text := replace(replace(replace(replace(replace(v_text,
            E'\n', E'\\n'), E'\t', E'\\t'), E'\r', E'\\r'), E'\b', E'\\b'), E'\f', E'\\f');
        for i in 3..31 loop
            v_text := replace(v_text, chr(i), E'\\u00' || lpad(to_hex(i), 2, '0'));
        end loop;
    end if;
    return v_text;
end;
$$;

comment on function pgq._json_escape(text) is
    'What stands in a JSON string for a text. The bytes 1 and 2, which mark the ends of values and NULLs, '
    'stay.';

create or replace function pgq._json_escaped(i_values text[])
returns text[]
language plpgsql
stable
as $$
declare
    v_plain     text collate "C" := array_to_string(i_values, '');
begin
    if octet_length(v_plain) > 1000000 or strpos(v_plain, E'\x01') > 0 or strpos(v_plain, E'\x02') > 0 then
        return array(
            select coalesce(
                replace(replace(pgq._json_escape(value), E'\x01', E'\\u0001'), E'\x02', E'\\u0002'), E'\x02')
            from unnest(i_values) with ordinality as t (value, n)
            order by n);
    end if;
    return string_to_array(pgq._json_escape(array_to_string(i_values, E'\x01', E'\x02')), E'\x01');
end;
$$;

comment on function pgq._json_escaped(text[]) is
    'Values as they stand in JSON strings, and the byte 2 for NULL.';

create or replace function pgq._json_times(i_trigger pgq._trigger, i_row record, i_values text[])
returns text[]
language plpgsql
stable
as $$
declare
    i           integer;
    v_values    text[] := i_values;
    v_value     text;
begin
    foreach i in array i_trigger.times loop
        v_value := v_values[i];
        if current_setting('datestyle') not like 'ISO%' then
            execute format('select to_json(($1).%I) #>> array[]::text[]', i_trigger.columns[i])
            into v_value
            using i_row;
        elsif v_value ~ ' [0-9]' then
            -- A time: it gets a T before it, and its offset from UTC gets minutes.
            v_value := regexp_replace(v_value, ' ', 'T');
            v_value := regexp_replace(v_value, '([+-][0-9]{2})( BC)?$', E'\\1:00\\2');
        end if;
        v_values[i] := v_value;
    end loop;
    return v_values;
end;
$$;

comment on function pgq._json_times(pgq._trigger, record, text[]) is
    'The values of a row with dates and times as to_json() writes them.';

create or replace function pgq._json_row(i_trigger pgq._trigger, i_row record, i_values text[])
returns text
language plpgsql
stable
as $$
declare
    v_values    text[] := i_values;
begin
    if i_trigger.times <> '{}' then
        v_values := pgq._json_times(i_trigger, i_row, v_values);
    end if;
    return replace(replace(replace(replace(replace(
        format(i_trigger.row_format, variadic pgq._json_escaped(v_values)),
        E'\x03t', 'true'), E'\x03f', 'false'), E'"\x02"', 'null'), E'\x02', 'null'), E'\x03', '');
end;
$$;

comment on function pgq._json_row(pgq._trigger, record, text[]) is
    'A row with these values as a JSON object.';

create or replace function pgq.jsontriga()
returns trigger
language plpgsql
stable
as $$
declare
    v_table     text := tg_table_schema || '.' || tg_table_name;
    v_trigger   pgq._trigger;
    v_values    text[];
    v_old       text[];
    v_type      text;
    v_data      text;
    v_backup    text;
    v_fields    text[];
    v_id        bigint;
begin
    <<event>>
    begin
        exit event when current_setting('session_replication_role') = 'local';

        if tg_level = 'STATEMENT' then
            perform pgq._check_statement(tg_argv[:], tg_op, tg_when, v_table);
            v_type := format(
                pgq._json_type_format(pgq._key_columns(tg_relid)),
                tg_op, to_json(tg_table_schema), to_json(tg_table_name));
            v_id := pgq.insert_event(tg_argv[0], v_type, '{}', v_table, null, null, null);
            exit event;
        end if;

        -- See pgq.logutriga.
        v_trigger := case when tg_relid = pgq._row_relation(case when false then new end) then
            (pgq._trigger_setups('jsontriga', case when false then new end))[
                array_position(
                    pgq._trigger_keys('jsontriga', case when false then new end), tg_argv[:]::text)]
        end;
        if v_trigger.arguments is null or v_trigger.problem is not null then
            v_trigger := pgq._trigger_setup(
                'jsontriga', tg_relid, pgq._row_columns(new, tg_relid), tg_argv[:]);
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
                v_backup := pgq._json_row(v_trigger, old, v_old);
            end if;
        end if;

        v_type := format(v_trigger.type_format, tg_op, to_json(tg_table_schema), to_json(tg_table_name));
        if tg_op = 'DELETE' then
            v_data := pgq._json_row(v_trigger, old, v_values);
        else
            v_data := pgq._json_row(v_trigger, new, v_values);
        end if;
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

comment on function pgq.jsontriga() is
    'Trigger like pgq.logutriga, which writes the row, and what ev_type says, as JSON.';
