create or replace function pgq.quote_fqname(i_name text)
returns text
language plpgsql
immutable
strict
parallel safe
as $$
declare
    -- Called for each event of the slower ways to insert, so without SET search_path.
    v_dot   integer := pg_catalog.strpos(i_name, '.');
begin
    if v_dot operator(pg_catalog.=) 0 then
        return pg_catalog.concat('public.', pg_catalog.quote_ident(i_name));
    end if;
    return pg_catalog.concat(
        pg_catalog.quote_ident(pg_catalog.left(i_name, v_dot operator(pg_catalog.-) 1)),
        '.',
        pg_catalog.quote_ident(pg_catalog.substr(i_name, v_dot operator(pg_catalog.+) 1)));
end;
$$;

comment on function pgq.quote_fqname(text) is
    'Quotes a name of the form schema.name, which is split at its first dot; the schema is public where
there is none.';

create or replace function pgq.seq_getval(i_seq_name text)
returns bigint
language plpgsql
strict
set search_path = pg_catalog, pg_temp
as $$
declare
    v_value     bigint;
begin
    execute 'select last_value from ' || pgq.quote_fqname(i_seq_name) into v_value;
    return v_value;
end;
$$;

comment on function pgq.seq_getval(text) is
    'The last value of a sequence; 1 also for one that was never used. Takes the right to SELECT from it.';

create or replace function pgq.seq_setval(i_seq_name text, i_new_value bigint)
returns bigint
language plpgsql
strict
set search_path = pg_catalog, pg_temp
as $$
declare
    v_value     bigint := pgq.seq_getval(i_seq_name);
begin
    if v_value < i_new_value then
        v_value := setval(pgq.quote_fqname(i_seq_name)::regclass, i_new_value);
    end if;
    return v_value;
end;
$$;

comment on function pgq.seq_setval(text, bigint) is
    'Raises a sequence to a value if it is behind it, and returns where it stands then; never lowers it.';

create or replace function pgq._seq_position(i_seq_name text)
returns bigint
language plpgsql
stable
strict
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(pg_sequence_last_value(pgq.quote_fqname(i_seq_name)::regclass), 0);
end;
$$;

comment on function pgq._seq_position(text) is
    'How far a sequence is: unlike seq_getval, 0 for one that was never used, so that its first value counts
as new.';
