-- What the triggers need to know of a table, which is asked for once. Who changes the table may have no right
-- to its schema and to those of its types, so nothing here is looked up by name.

do $$
begin
    if to_regtype('pgq._columns') is null then
        create type pgq._columns as (
            names           text[],
            types           oid[],
            comparisons     text[]
        );
    end if;
end;
$$;

comment on type pgq._columns is 'The columns of a table in their order; see pgq._row_columns.';

create or replace function pgq._row_relation(i_row anyelement)
returns oid
language plpgsql
immutable
as $$
begin
    return (select t.typrelid from pg_catalog.pg_type t where t.oid operator(pg_catalog.=) pg_typeof(i_row));
end;
$$;

comment on function pgq._row_relation(anyelement) is
    'The table that a row, which may be NULL, is of. Called immutable so that the planner calls it: see '
    'pgq.logutriga.';

create or replace function pgq._column_names(i_relation oid)
returns text[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_names     text[] := '{}';
    v_name      text;
    v_number    integer := 0;
begin
    -- These functions tell what rows have now. Of pg_attribute, a repeatable read snapshot may see what was.
    loop
        v_number := v_number + 1;
        v_name := (pg_identify_object_as_address('pg_class'::regclass, i_relation, v_number)).object_names[3];
        exit when v_name is null;
        -- This is NULL for a column that was dropped.
        if has_column_privilege(i_relation, v_number::smallint, 'select') is not null then
            v_names := v_names || v_name;
        end if;
    end loop;
    return v_names;
end;
$$;

comment on function pgq._column_names(oid) is 'The columns of a table in their order.';

create or replace function pgq._key_columns(i_relation oid)
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

comment on function pgq._key_columns(oid) is
    'The columns of a primary key, in its order, by the names in its index.';

create or replace function pgq._comparison(i_type oid)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_type      oid := i_type;
    v_base      oid;
    v_kind      text;
begin
    loop
        select t.typbasetype, case when t.typelem <> 0 and t.typlen = -1 then 'array' else t.typtype::text end
        into v_base, v_kind
        from pg_type t
        where t.oid = v_type;
        exit when v_base is null or v_base = 0;
        v_type := v_base;
    end loop;

    return case
        when v_kind in ('array', 'e') then 'text'
        when v_type = any (
            '{boolean,smallint,integer,bigint,oid,uuid,bytea,date,time,timestamp,timestamptz,name,bit,varbit}'
            ::regtype[])
            then 'text'
        when v_type = any ('{text,varchar}'::regtype[]) then 'collation'
        when v_type = any (
            '{numeric,bpchar,jsonb,interval,timetz,inet,cidr,money,tsvector,macaddr}'::regtype[])
            then 'text first'
        when v_type = any ('{real,double precision}'::regtype[]) then 'float'
    end;
end;
$$;

comment on function pgq._comparison(oid) is
    'How values of a type are compared: by text, or by the operator = where the text differs (text first), '
    'also where it does not but may hide digits (float). It may depend on the collation. NULL is unknown.';

create or replace function pgq._row_columns(i_row anyelement, i_relation oid)
returns pgq._columns
language plpgsql
immutable
as $$
declare
    v_columns   pgq._columns;
    v_types     oid[];
    v_value     text;
begin
    v_columns.names := pgq._column_names(i_relation);
    execute concat('select array[', (
        select string_agg(format('pg_typeof(($1).%I)', name), ', ' order by n)
        from unnest(v_columns.names) with ordinality as t (name, n)), ']::oid[]')
    into v_types
    using i_row;
    v_columns.types := v_types;

    for i in 1..cardinality(v_types) loop
        v_columns.comparisons[i] := pgq._comparison(v_types[i]);
        if v_columns.comparisons[i] = 'collation' then
            execute format('select collation for (($1).%I)', v_columns.names[i]) into v_value using i_row;
            v_columns.comparisons[i] :=
                case when v_value in ('"default"', '"C"', '"POSIX"') then 'text' else 'text first' end;
        elsif v_columns.comparisons[i] is null then
            begin
                execute format('select array[($1).%1$I] = array[($1).%1$I]', v_columns.names[i]) using i_row;
                v_columns.comparisons[i] := 'value';
            exception
                -- There is no =, or no array.
                when undefined_function or undefined_object then
                    v_columns.comparisons[i] := 'text';
            end;
        end if;
    end loop;
    return v_columns;
end;
$$;

comment on function pgq._row_columns(anyelement, oid) is
    'The columns of a row of this table, with their types, domains as such, and how values are compared: as '
    'pgq._comparison says, else by the operator = of the type (value), or by text where it has none.';

create or replace function pgq._is_listed(i_name text, i_list text)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    -- The name is searched for between commas and blanks, so one that has these is found, and so its parts.
    select i_list ~ (E'(^|[,\\t-\\r ])'
        || regexp_replace(i_name, E'[][(){}.*+?^$|\\\\]', E'\\\\\\&', 'g')
        || E'($|[,\\t-\\r ])');
$$;

comment on function pgq._is_listed(text, text) is
    'Whether a column stands in a list such as that of ignore= or pkey=.';
