revoke all on all tables in schema pgq_ext from public;
revoke all on all functions in schema pgq_ext from public;

grant usage on schema pgq_ext to public;
grant execute on function
    pgq_ext.version(),
    pgq_ext.portable_release()
    to public;
