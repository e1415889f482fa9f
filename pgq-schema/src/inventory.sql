with space as (
    select n.oid, n.nspname, n.nspowner, n.nspacl
    from pg_catalog.pg_namespace n
    where n.nspname in ('pgq', 'pgq_coop', 'pgq_ext', 'pgq_dead')
),
grantee (oid, name) as (
    select 0::oid, 'public'

    union all
    select r.oid, r.rolname::text
    from pg_catalog.pg_roles r
    where r.rolname in ('pgq_reader', 'pgq_writer', 'pgq_admin')
),
-- The tables and sequences of queues come and go.
relation as (
    select c.*, s.nspname, s.nspowner, pg_catalog.format('%I.%I', s.nspname, c.relname) as name
    from pg_catalog.pg_class c
    join space s on s.oid = c.relnamespace
    where not (s.nspname = 'pgq' and c.relname ~ '^event_[0-9]+(_|$)')
),
function as (
    select p.*, s.nspname, s.nspowner,
        pg_catalog.format('%I.%I(%s)', s.nspname, p.proname, pg_catalog.oidvectortypes(p.proargtypes)) as name
    from pg_catalog.pg_proc p
    join space s on s.oid = p.pronamespace
),
object (schema, kind, name, definition, owner, schema_owner, grants) as (
    select s.nspname, 'schema', pg_catalog.quote_ident(s.nspname), '', s.nspowner, s.nspowner,
        coalesce(s.nspacl, pg_catalog.acldefault('n', s.nspowner))
    from space s

    union all
    select f.nspname, 'function', f.name,
        pg_catalog.concat_ws(' ',
            '(' || pg_catalog.pg_get_function_arguments(f.oid) || ')',
            'returns ' || pg_catalog.pg_get_function_result(f.oid),
            (select l.lanname from pg_catalog.pg_language l where l.oid = f.prolang),
            case f.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
            case when f.proisstrict then 'strict' end,
            case when f.proleakproof then 'leakproof' end,
            case f.proparallel when 's' then 'parallel safe' when 'r' then 'parallel restricted' end,
            case when f.prosecdef then 'security definer' end,
            'set ' || pg_catalog.array_to_string(f.proconfig, ' set '),
            -- PgQ itself writes the body of one, anew for each queue.
            case when f.proname <> '_insert_static' then 'body ' || pg_catalog.md5(f.prosrc) end),
        f.proowner, f.nspowner, coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner))
    from function f

    union all
    select r.nspname, 'table', r.name,
        pg_catalog.concat_ws(' ',
            case r.relkind when 'r' then 'table' when 'v' then 'view' else 'kind ' || r.relkind::text end,
            case r.relpersistence when 'p' then 'permanent' when 'u' then 'unlogged' else 'temporary' end,
            case when r.relrowsecurity then 'row level security' end),
        r.relowner, r.nspowner, coalesce(r.relacl, pg_catalog.acldefault('r', r.relowner))
    from relation r
    where r.relkind in ('r', 'p', 'v', 'm', 'f')

    union all
    select r.nspname, 'sequence', r.name,
        pg_catalog.concat_ws(' ',
            pg_catalog.format_type(q.seqtypid, null),
            'start ' || q.seqstart, 'increment ' || q.seqincrement, 'from ' || q.seqmin, 'to ' || q.seqmax,
            'cache ' || q.seqcache,
            case when q.seqcycle then 'cycle' end,
            (
                select pg_catalog.format('of %I.%I', t.relname, a.attname)
                from pg_catalog.pg_depend d
                join pg_catalog.pg_class t on t.oid = d.refobjid
                join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                    and d.objid = r.oid
                    and d.deptype in ('a', 'i')
            )),
        r.relowner, r.nspowner, coalesce(r.relacl, pg_catalog.acldefault('s', r.relowner))
    from relation r
    join pg_catalog.pg_sequence q on q.seqrelid = r.oid

    union all
    select r.nspname, 'type', r.name,
        (
            select pg_catalog.string_agg(
                pg_catalog.format('%I %s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
            from pg_catalog.pg_attribute a
            where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
        ),
        y.typowner, r.nspowner, coalesce(y.typacl, pg_catalog.acldefault('T', y.typowner))
    from relation r
    join pg_catalog.pg_type y on y.oid = r.reltype
    where r.relkind = 'c'
),
part (schema, kind, name, definition) as (
    select o.schema, o.kind, o.name,
        o.definition || case when o.owner <> o.schema_owner
            then ' owned by ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(o.owner)) else '' end
    from object o

    union all
    select o.schema, 'grant',
        pg_catalog.format('%s on %s %s to %s', pg_catalog.lower(a.privilege_type), o.kind, o.name, g.name),
        case when a.is_grantable then 'with grant option' else '' end
    from object o, pg_catalog.aclexplode(o.grants) a
    join grantee g on g.oid = a.grantee
    where a.grantee <> o.owner

    union all
    select r.nspname, 'column', pg_catalog.format('%s.%I', r.name, a.attname),
        pg_catalog.concat_ws(' ',
            pg_catalog.row_number() over (partition by r.oid order by a.attnum),
            pg_catalog.format_type(a.atttypid, a.atttypmod),
            case when a.attnotnull then 'not null' end,
            case when a.attidentity <> '' then 'identity' end,
            case when a.attgenerated <> '' then 'generated' end,
            'default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid))
    from relation r
    join pg_catalog.pg_attribute a on a.attrelid = r.oid
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where r.relkind in ('r', 'p', 'v', 'm', 'f') and a.attnum > 0 and not a.attisdropped

    union all
    -- PostgreSQL 18 lists NOT NULL here too; it is with the column.
    select r.nspname, 'constraint', pg_catalog.format('%I on %s', c.conname, r.name), pg_catalog.pg_get_constraintdef(c.oid)
    from relation r
    join pg_catalog.pg_constraint c on c.conrelid = r.oid
    where c.contype <> 'n'

    union all
    select r.nspname, 'index', r.name,
        pg_catalog.pg_get_indexdef(i.indexrelid) || case when i.indisvalid then '' else ' invalid' end
    from relation r
    join pg_catalog.pg_index i on i.indexrelid = r.oid

    union all
    select r.nspname, 'trigger', pg_catalog.format('%I on %s', t.tgname, r.name), pg_catalog.pg_get_triggerdef(t.oid)
    from relation r
    join pg_catalog.pg_trigger t on t.tgrelid = r.oid
    where not t.tgisinternal

    union all
    select 'roles', 'role', r.rolname::text, ''
    from pg_catalog.pg_roles r
    where r.rolname in ('pgq_reader', 'pgq_writer', 'pgq_admin')

    union all
    select distinct 'roles', 'membership', 'pgq_admin in ' || r.rolname, ''
    from pg_catalog.pg_auth_members m
    join pg_catalog.pg_roles r on r.oid = m.roleid
    join pg_catalog.pg_roles a on a.oid = m.member
    where r.rolname in ('pgq_reader', 'pgq_writer') and a.rolname = 'pgq_admin'
)
select schema::text, kind || ' ' || name, definition::text
from part
order by schema collate "C", kind collate "C", name collate "C"
