revoke all on all functions in schema pgq_coop from public;

grant usage on schema pgq_coop to public;
grant execute on function
    pgq_coop.version(),
    pgq_coop.portable_release()
    to public;
