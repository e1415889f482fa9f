-- The roles of PgQ: consumers are members of pgq_reader, producers of pgq_writer, whoever runs the queues
-- of pgq_admin. They belong to the whole cluster, so another database may be creating them at this very
-- moment.

do $$
declare
    v_role  name;
begin
    foreach v_role in array array['pgq_reader', 'pgq_writer', 'pgq_admin']
    loop
        if to_regrole(v_role) is null then
            begin
                execute format('create role %I nologin', v_role);
            exception
                when duplicate_object or unique_violation then
                    null;
            end;
        end if;
    end loop;
end
$$;

do $$
declare
    v_role  name;
begin
    foreach v_role in array array['pgq_reader', 'pgq_writer']
    loop
        if not exists (
            select
            from pg_catalog.pg_auth_members
            where roleid = to_regrole(v_role) and member = to_regrole('pgq_admin')
        ) then
            begin
                execute format('grant %I to pgq_admin', v_role);
            exception
                -- Somebody else granted it since we looked; PostgreSQL has no better code for one of the
                -- two ways to meet.
                when unique_violation or internal_error then
                    null;
            end;
        end if;
    end loop;
end
$$;
