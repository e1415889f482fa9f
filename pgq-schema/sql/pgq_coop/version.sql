create or replace function pgq_coop.version()
returns text
language sql
immutable
parallel safe
as $$
    select '3.4'::text;
$$;

comment on function pgq_coop.version() is 'The version of pgq_coop whose interface this is.';

create or replace function pgq_coop.portable_release()
returns integer
language sql
immutable
parallel safe
as $$
    select 1;
$$;

comment on function pgq_coop.portable_release() is
    'The release of the portable pgq_coop. An addition: only the portable one has this function.';
