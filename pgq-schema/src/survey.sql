with me as (
    select r.oid, r.rolname, r.rolsuper, r.rolcreaterole
    from pg_catalog.pg_roles r
    where r.rolname = current_user
),
role as (
    select r.oid, r.rolname
    from pg_catalog.pg_roles r
    where r.rolname in ('pgq_reader', 'pgq_writer', 'pgq_admin')
),
member as (
    select r.rolname
    from role r
    join pg_catalog.pg_auth_members m on m.roleid = r.oid
    join role a on a.oid = m.member
    where a.rolname = 'pgq_admin'
),
space as (
    select n.oid, n.nspname, n.nspowner, e.extname, e.extversion, e.extowner
    from pg_catalog.pg_namespace n
    left join pg_catalog.pg_extension e on e.extname = n.nspname
    where n.nspname in ('pgq', 'pgq_coop', 'pgq_ext', 'pgq_dead')
),
fact (about, key, value) as (
    select '', 'user', me.rolname::text
    from me

    union all
    select '', 'superuser', me.rolsuper::text
    from me

    union all
    select '', 'create roles', (me.rolsuper or me.rolcreaterole)::text
    from me

    union all
    select '', 'create schemas', pg_catalog.has_database_privilege(d.oid, 'create')::text
    from pg_catalog.pg_database d
    where d.datname = pg_catalog.current_database()

    union all
    select '', 'database', pg_catalog.current_database()::text

    union all
    select '', name, pg_catalog.current_setting(name)
    from pg_catalog.unnest(array['search_path', 'intervalstyle', 'quote_all_identifiers', 'role']) name

    union all
    select '', 'isolation', pg_catalog.current_setting('transaction_isolation')

    union all
    select '', 'transaction began', extract(epoch from pg_catalog.now())::text

    union all
    select '', 'extension offered', v.version || case when v.trusted then ' trusted' when v.superuser then ' superuser' else '' end
    from pg_catalog.pg_available_extensions x
    join pg_catalog.pg_available_extension_versions v on v.name = x.name and v.version = x.default_version
    where x.name = 'pgq'

    union all
    select r.rolname::text, 'role', ''
    from role r

    union all
    select r.rolname::text, 'grantable', ''
    from role r, me
    where me.rolsuper
        or me.rolcreaterole and pg_catalog.current_setting('server_version_num')::integer < 160000
        or pg_catalog.pg_has_role(r.oid, 'member with admin option')

    union all
    select m.rolname::text, 'member', ''
    from member m

    union all
    select s.nspname::text, 'owner', pg_catalog.pg_get_userbyid(s.nspowner)::text
    from space s

    union all
    select s.nspname::text, 'may own', ''
    from space s
    where pg_catalog.pg_has_role(s.nspowner, 'member')

    union all
    select s.nspname::text, 'extension', s.extversion
    from space s
    where s.extname is not null

    union all
    select s.nspname::text, 'may drop extension', ''
    from space s
    where pg_catalog.pg_has_role(s.extowner, 'member')

    union all
    select s.nspname::text, 'content', ''
    from space s
    where exists (select from pg_catalog.pg_class c where c.relnamespace = s.oid)
        or exists (select from pg_catalog.pg_proc p where p.pronamespace = s.oid)

    union all
    select s.nspname::text, 'release', r.release
    from space s, lateral ({release}) r
    where r.release is not null

    union all
    select s.nspname::text, 'granted', ''
    from space s
    where exists (
        select
        from pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a, role r
        where p.pronamespace = s.oid and a.grantee = r.oid
    )
)
select about::text, key::text, value::text
from fact
