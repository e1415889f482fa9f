create or replace function pgq.version()
returns text
language sql
immutable
parallel safe
as $$
    select '3.5'::text;
$$;

comment on function pgq.version() is 'The version of PgQ whose interface this is.';

create or replace function pgq.portable_release()
returns integer
language sql
immutable
parallel safe
as $$
    select 1;
$$;

comment on function pgq.portable_release() is
    'The release of the portable engine; the C extension has no such function.';
