-- The release that the function of a schema would return. It is not called: anybody who may create a schema could have made it.
select pg_catalog.substring(pg_catalog.lower(p.prosrc), '^[^a-z0-9]*select[^a-z0-9]+([0-9]{1,9})[^a-z0-9]*$') as release
from pg_catalog.pg_proc p
join pg_catalog.pg_language l on l.oid = p.prolang
where p.pronamespace = {schema} and p.proname = 'portable_release' and p.pronargs = 0 and l.lanname = 'sql'
