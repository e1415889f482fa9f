create or replace function pgq_dead.version()
returns text
language sql
immutable
parallel safe
as $$
    select '1.0'::text;
$$;

comment on function pgq_dead.version() is 'The version of the interface of pgq_dead.';

create or replace function pgq_dead.portable_release()
returns integer
language sql
immutable
parallel safe
as $$
    select 1;
$$;

comment on function pgq_dead.portable_release() is 'The release of pgq_dead.';
