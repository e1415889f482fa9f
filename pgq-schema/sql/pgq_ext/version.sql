create or replace function pgq_ext.version()
returns text
language sql
immutable
parallel safe
as $$
    select '3.1'::text;
$$;

comment on function pgq_ext.version() is 'The version of pgq_ext whose interface this is.';

create or replace function pgq_ext.portable_release()
returns integer
language sql
immutable
parallel safe
as $$
    select 1;
$$;

comment on function pgq_ext.portable_release() is
    'The release of the portable pgq_ext. An addition: only the portable one has this function.';

create or replace function pgq_ext.upgrade_schema()
returns integer
language sql
as $$
    select 0;
$$;

comment on function pgq_ext.upgrade_schema() is
    'Changes nothing and returns 0: the tables are always those of this version. Kept for programs that call
it.';
