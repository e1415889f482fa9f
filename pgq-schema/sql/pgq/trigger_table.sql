-- What the triggers need to know of a table. It is asked for when a statement is planned, and not for each row.

create or replace function pgq._row_relation(i_row anyelement)
returns regclass
language plpgsql
immutable
as $$
begin
    return pg_typeof(i_row)::text::regclass;
end;
$$;

comment on function pgq._row_relation(anyelement) is
    'The table that a row, which may be NULL, is of. Called immutable to be called by the planner: see pgq.logutriga.';

create or replace function pgq._columns(i_relation regclass)
returns text[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_columns   text[] := '{}';
    v_name      text;
    v_number    integer := 0;
begin
    -- These functions tell what a row has now; what a repeatable read snapshot sees of pg_attribute may be older.
    loop
        v_number := v_number + 1;
        v_name := (pg_identify_object_as_address('pg_class'::regclass, i_relation, v_number)).object_names[3];
        exit when v_name is null;
        -- This is NULL for a column that was dropped.
        if has_column_privilege(i_relation, v_number::smallint, 'select') is not null then
            v_columns := v_columns || v_name;
        end if;
    end loop;
    return v_columns;
end;
$$;

comment on function pgq._columns(regclass) is 'The columns of a table in their order.';

create or replace function pgq._column_types(i_relation regclass, i_columns text[])
returns oid[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_types     oid[];
begin
    execute format('select array[%s]::oid[]', (
        select string_agg(format('pg_typeof((null::%s).%I)', i_relation, name), ', ' order by n)
        from unnest(i_columns) with ordinality as t (name, n)))
    into v_types;
    return v_types;
end;
$$;

comment on function pgq._column_types(regclass, text[]) is 'The types of the columns of a table, domains as such.';

create or replace function pgq._key_columns(i_relation regclass)
returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    -- The index keeps the names that columns had when it was made, and has those of INCLUDE, too.
    select array(
        select a.attname::text
        from pg_index i
            join pg_attribute a
            on a.attrelid = i.indexrelid
        where i.indrelid = i_relation
            and i.indisprimary
        order by a.attnum);
$$;

comment on function pgq._key_columns(regclass) is 'The columns of a primary key, in its order, by the names in its index.';

create or replace function pgq._comparison(i_relation regclass, i_column text, i_type oid)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_type      oid := i_type;
    v_base      oid;
    v_kind      text;
    v_collation text;
begin
    loop
        select t.typbasetype, case when t.typelem <> 0 and t.typlen = -1 then 'array' else t.typtype::text end
        into v_base, v_kind
        from pg_type t
        where t.oid = v_type;
        exit when v_base is null or v_base = 0;
        v_type := v_base;
    end loop;

    if v_kind in ('array', 'e') or v_type = any (
        '{boolean,smallint,integer,bigint,oid,uuid,bytea,date,time,timestamp,timestamptz,name,bit,varbit}'
        ::regtype[])
    then
        return 'text';
    elsif v_type = any ('{text,varchar}'::regtype[]) then
        execute format('select coalesce(collation for ((null::%s).%I), %L)', i_relation, i_column, '') into v_collation;
        return case when v_collation in ('"default"', '"C"', '"POSIX"') then 'text' else 'text first' end;
    elsif v_type = any ('{numeric,bpchar,jsonb,interval,timetz,inet,cidr,money,tsvector,macaddr}'::regtype[]) then
        return 'text first';
    elsif v_type = any ('{real,double precision}'::regtype[]) then
        return 'float';
    end if;

    execute format('select array[null::%1$s] = array[null::%1$s]', v_type::regtype);
    return 'value';
exception
    when undefined_function or undefined_object then
        return 'text';
end;
$$;

comment on function pgq._comparison(regclass, text, oid) is
    'How values of a column are compared: by their text, by the operator = of the type, or by that where the text differs '
    '(text first), also where it does not but may hide digits (float). Arrays and types without = go by text.';

create or replace function pgq._is_listed(i_name text, i_list text)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    -- The name is searched for between commas and blanks, so a name that has these is found, and its parts are as well.
    select i_list ~ (E'(^|[,\\t-\\r ])'
        || regexp_replace(i_name, E'[][(){}.*+?^$|\\\\]', E'\\\\\\&', 'g')
        || E'($|[,\\t-\\r ])');
$$;

comment on function pgq._is_listed(text, text) is 'Whether a column stands in a list such as that of ignore= or pkey=.';
