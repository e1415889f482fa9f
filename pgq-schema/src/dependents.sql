-- What is in no schema of PgQ and depends on something in this one.
select pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
from pg_catalog.pg_depend d
left join pg_catalog.pg_trigger t on d.classid = 'pg_catalog.pg_trigger'::regclass and t.oid = d.objid
left join pg_catalog.pg_rewrite r on d.classid = 'pg_catalog.pg_rewrite'::regclass and r.oid = d.objid
left join pg_catalog.pg_attrdef f on d.classid = 'pg_catalog.pg_attrdef'::regclass and f.oid = d.objid
left join pg_catalog.pg_constraint k on d.classid = 'pg_catalog.pg_constraint'::regclass and k.oid = d.objid
left join pg_catalog.pg_proc p on d.classid = 'pg_catalog.pg_proc'::regclass and p.oid = d.objid
left join pg_catalog.pg_type y on d.classid = 'pg_catalog.pg_type'::regclass and y.oid = d.objid
left join pg_catalog.pg_class c
    on c.oid = coalesce(t.tgrelid, r.ev_class, f.adrelid, case when d.classid = 'pg_catalog.pg_class'::regclass then d.objid end)
left join pg_catalog.pg_namespace n on n.oid = coalesce(c.relnamespace, k.connamespace, p.pronamespace, y.typnamespace)
where d.deptype in ('n', 'a', 'i')
    and coalesce(n.nspname not in ('pgq', 'pgq_coop', 'pgq_ext', 'pgq_dead', 'pg_toast'), d.classid <> 'pg_catalog.pg_default_acl'::regclass)
    and exists (
        select
        from pg_catalog.pg_namespace own
        where own.nspname = '{schema}'
            and own.oid = case d.refclassid
                when 'pg_catalog.pg_class'::regclass then (select x.relnamespace from pg_catalog.pg_class x where x.oid = d.refobjid)
                when 'pg_catalog.pg_proc'::regclass then (select x.pronamespace from pg_catalog.pg_proc x where x.oid = d.refobjid)
                when 'pg_catalog.pg_type'::regclass then (select x.typnamespace from pg_catalog.pg_type x where x.oid = d.refobjid)
            end
    )
