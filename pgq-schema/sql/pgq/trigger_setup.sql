-- What a trigger is told by its arguments and by its table.

do $$
begin
    if to_regtype('pgq._trigger') is null then
        create type pgq._trigger as (
            arguments       text[],
            problem         text,       -- what is wrong with the arguments, and its SQLSTATE
            problem_code    text,
            skip            boolean,
            deny            boolean,
            backup          boolean,
            hindered        boolean,    -- by one of problem, skip and deny
            ignored         text,       -- the list of ignore=, NULL without it
            key             text,       -- the list of pkey= or of the primary key, as logutriga writes it
            expressions     text[],     -- queries for ev_type, ev_data, ev_extra1 to ev_extra4, and for when=
            columns         text[],
            kinds           text[],     -- of the columns: key, ignored, magic, other
            compared        integer[],  -- the columns that an update has to compare
            comparisons     text[],     -- of the columns: see pgq._row_columns
            visible         integer[],  -- the columns that an event has
            magic           integer[],  -- the columns that are ev_type, ev_data, ev_extra1 to ev_extra4
            unknown_magic   text,       -- a magic column that is none of these
            special         boolean,    -- there are expressions or magic columns
            row_format      text,       -- for format() with the values of the row
            type_format     text,       -- of jsontriga, for format() with the operation, schema and table
            times           integer[],  -- the columns that jsontriga writes as times
            wide_sql        text        -- for pgq._values
        );
    end if;
end;
$$;

comment on type pgq._trigger is
    'What a trigger is told by its arguments and by its table: made by pgq._trigger_setup.';

create or replace function pgq._trigger_arguments(
    i_arguments text[], i_columns text[], i_types oid[], i_truncate boolean)
returns pgq._trigger
language plpgsql
stable
as $$
declare
    c_fields    constant text[] := '{ev_type,ev_data,ev_extra1,ev_extra2,ev_extra3,ev_extra4,when}';
    v_trigger   pgq._trigger;
    v_argument  text;
    v_field     text;
    v_position  integer;
    v_problem   text;
    v_code      text := 'P0001';
begin
    v_trigger.arguments := coalesce(i_arguments, '{}');
    v_trigger.skip := 'SKIP' = any (v_trigger.arguments[2:]);
    v_trigger.deny := 'deny' = any (v_trigger.arguments[2:]);
    v_trigger.backup := 'backup' = any (v_trigger.arguments[2:]);
    if v_trigger.arguments = '{}' then
        v_problem := 'pgq trigger must have destination queue as argument';
    end if;

    foreach v_argument in array v_trigger.arguments[2:] loop
        v_field := split_part(v_argument, '=', 1);
        v_position := array_position(c_fields, v_field);
        if v_argument in ('SKIP', 'deny', 'backup') then
            continue;
        elsif v_argument like 'ignore=%' then
            v_trigger.ignored := substr(v_argument, 8);
        elsif v_argument like 'pkey=%' then
            v_trigger.key := substr(v_argument, 6);
        elsif v_argument not like '%=%' or v_position is null then
            v_problem := 'bad param to pgq trigger';
        elsif i_truncate then
            v_problem := 'Custom expressions do not make sense for truncater trigger';
        -- Of two for the same field the first counts, of two lists the last.
        elsif v_trigger.expressions[v_position] is null then
            begin
                v_trigger.expressions[v_position] :=
                    pgq._expression_sql(substr(v_argument, length(v_field) + 2), i_columns, i_types);
            exception
                when others then
                    get stacked diagnostics v_problem = message_text, v_code = returned_sqlstate;
            end;
        end if;
        exit when v_problem is not null;
    end loop;
    v_trigger.problem := v_problem;
    v_trigger.problem_code := v_code;
    v_trigger.hindered := v_problem is not null or v_trigger.skip or v_trigger.deny;
    return v_trigger;
end;
$$;

comment on function pgq._trigger_arguments(text[], text[], oid[], boolean) is
    'What the arguments of a trigger on a table with these columns say. The first argument is the queue.';

create or replace function pgq._trigger_setup(
    i_function text, i_relation oid, i_columns pgq._columns, i_arguments text[])
returns pgq._trigger
language plpgsql
stable
as $$
declare
    c_magic     constant text[] := '{type,data,extra1,extra2,extra3,extra4}';
    v_trigger   pgq._trigger := pgq._trigger_arguments(
        i_arguments, i_columns.names, i_columns.types, false);
    v_key       text[] := pgq._key_columns(i_relation);
    v_name      text;
    v_ignored   boolean;
    v_magic     integer;
begin
    if v_trigger.key is null then
        v_trigger.key := array_to_string(v_key, ',');
    else
        v_key := case v_trigger.key when '' then array[''] else string_to_array(v_trigger.key, ',') end;
    end if;

    v_trigger.compared := '{}';
    for i in 1..cardinality(i_columns.names) loop
        v_name := i_columns.names[i];
        v_ignored := v_trigger.ignored is not null and pgq._is_listed(v_name, v_trigger.ignored);
        v_trigger.kinds[i] := case
            when starts_with(v_name, '_pgq_ev_') then 'magic'
            when pgq._is_listed(v_name, v_trigger.key) then 'key'
            when v_ignored then 'ignored'
            else 'other'
        end;
        if v_trigger.kinds[i] = 'magic' then
            v_magic := array_position(c_magic, substr(v_name, 9));
            if v_magic is null then
                v_trigger.unknown_magic := coalesce(v_trigger.unknown_magic, v_name);
            else
                v_trigger.magic[v_magic] := i;
            end if;
        elsif not v_ignored then
            v_trigger.visible := v_trigger.visible || i;
        end if;
        -- All ask whether the key changed, the rest is of interest to ignore= and to sqltriga.
        if v_trigger.kinds[i] = 'key' or v_trigger.ignored is not null or i_function = 'sqltriga' then
            v_trigger.compared := v_trigger.compared || i;
        end if;
    end loop;

    v_trigger.columns := i_columns.names;
    v_trigger.comparisons := i_columns.comparisons;
    v_trigger.special := num_nonnulls(v_trigger.expressions, v_trigger.magic, v_trigger.unknown_magic) > 0;
    v_trigger.wide_sql := pgq._wide_sql(i_columns.names);
    if i_function = 'jsontriga' then
        v_trigger.row_format := pgq._json_row_format(i_columns, v_trigger.visible);
        v_trigger.type_format := pgq._json_type_format(v_key);
        v_trigger.times := array(
            select n
            from unnest(i_columns.types) with ordinality as t (type, n)
            where type = any ('{date,timestamp,timestamptz}'::regtype[]));
    else
        v_trigger.row_format := pgq._url_row_format(i_columns.names, v_trigger.visible);
    end if;
    return v_trigger;
end;
$$;

comment on function pgq._trigger_setup(text, oid, pgq._columns, text[]) is
    'What a trigger with this function, on this table, with these arguments has to do for each row.';

create or replace function pgq._trigger_arguments_on(i_function text, i_relation oid)
returns table (trigger_oid oid, arguments text[])
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    -- Each argument ends with a zero byte.
    select t.oid, array(
        select convert_from(decode(argument, 'hex'), getdatabaseencoding())
        from regexp_split_to_table(regexp_replace(encode(t.tgargs, 'hex'), '..', E'\\& ', 'g'), '00 ')
            with ordinality as s (argument, n)
        where n <= t.tgnargs
        order by n)
    from pg_trigger t
    where t.tgrelid = i_relation
        and t.tgfoid = to_regprocedure(format('pgq.%I()', i_function));
$$;

comment on function pgq._trigger_arguments_on(text, oid) is
    'The arguments of all triggers with this function on a table.';

create or replace function pgq._trigger_setups(i_function text, i_row anyelement)
returns pgq._trigger[]
language plpgsql
immutable
as $$
declare
    v_relation  oid := pgq._row_relation(i_row);
    v_columns   pgq._columns := pgq._row_columns(i_row, v_relation);
begin
    return array(
        select pgq._trigger_setup(i_function, v_relation, v_columns, t.arguments)
        from pgq._trigger_arguments_on(i_function, v_relation) t
        order by t.trigger_oid);
end;
$$;

comment on function pgq._trigger_setups(text, anyelement) is
    'The setups of all triggers with this function on the table that a row, which may be NULL, is of. Called '
    'immutable so that the planner calls it: see pgq.logutriga.';

create or replace function pgq._trigger_keys(i_function text, i_row anyelement)
returns text[]
language plpgsql
immutable
as $$
begin
    return array(
        select t.arguments::text
        from pgq._trigger_arguments_on(i_function, pgq._row_relation(i_row)) t
        order by t.trigger_oid);
end;
$$;

comment on function pgq._trigger_keys(text, anyelement) is
    'The arguments that belong to pgq._trigger_setups, to find one by them.';
