-- What the triggers do with a setup.

create or replace function pgq._check_trigger(i_trigger pgq._trigger, i_op text, i_when text, i_table text)
returns void
language plpgsql
stable
as $$
begin
    if i_trigger.problem is not null then
        raise exception using message = i_trigger.problem, errcode = i_trigger.problem_code;
    elsif i_trigger.skip and i_when = 'AFTER' then
        raise exception 'SKIP does not work in AFTER trigger.';
    elsif i_trigger.deny then
        raise exception 'Table ''%'' to queue ''%'': change not allowed (%)',
            i_table, i_trigger.arguments[1], i_op;
    end if;
end;
$$;

comment on function pgq._check_trigger(pgq._trigger, text, text, text) is
    'Raises what a trigger has against this operation.';

create or replace function pgq._check_statement(i_arguments text[], i_op text, i_when text, i_table text)
returns void
language plpgsql
stable
as $$
declare
    v_trigger   pgq._trigger;
begin
    if i_op <> 'TRUNCATE' then
        raise exception 'pgq Ins/Upd/Del trigger must be fired FOR EACH ROW';
    end if;
    v_trigger := pgq._trigger_arguments(i_arguments, '{}', '{}', true);
    if v_trigger.problem is null then
        v_trigger.problem := case
            when v_trigger.ignored is not null then 'Column ignore does not make sense for truncate trigger'
            when v_trigger.key is not null then 'Custom pkey_list does not make sense for truncate trigger'
            when v_trigger.backup then 'Backup does not make sense for truncate trigger'
        end;
    end if;
    perform pgq._check_trigger(v_trigger, i_op, i_when, i_table);
end;
$$;

comment on function pgq._check_statement(text[], text, text, text) is
    'Raises what a trigger for each statement has against this operation. Only TRUNCATE is for those.';

create or replace function pgq._changes(
    i_trigger pgq._trigger, i_all boolean,
    i_new record, i_old record, i_new_values text[], i_old_values text[])
returns integer[]
language plpgsql
stable
as $$
declare
    i           integer;
    v_differ    boolean;
    v_changed   integer[] := '{}';
    v_doubtful  integer[] := '{}';
    v_ignored   boolean := false;
    v_others    integer[] := '{}';
begin
    foreach i in array i_trigger.compared loop
        v_differ := i_new_values[i] is distinct from i_old_values[i];
        if v_differ and (
            i_trigger.comparisons[i] = 'text' or i_new_values[i] is null or i_old_values[i] is null)
        then
            v_changed := v_changed || i;
        elsif v_differ
            or i_new_values[i] is not null and (
                i_trigger.comparisons[i] = 'value'
                or i_trigger.comparisons[i] = 'float' and current_setting('extra_float_digits')::integer < 1)
        then
            v_doubtful := v_doubtful || i;
        end if;
    end loop;
    if v_doubtful <> '{}' then
        v_changed := pgq._changed_values(i_trigger.columns, v_doubtful, i_new, i_old) || v_changed;
        v_changed := array(select n from unnest(v_changed) n order by n);
    end if;

    foreach i in array v_changed loop
        case i_trigger.kinds[i]
            when 'key' then raise exception 'primary key update not allowed';
            when 'other' then v_others := v_others || i;
            else v_ignored := true;
        end case;
        -- As in C: with ignore=, the key is not looked at any more once another column is found to differ.
        exit when v_others <> '{}' and not i_all;
    end loop;
    return case when v_others <> '{}' or not v_ignored then v_others end;
end;
$$;

comment on function pgq._changes(pgq._trigger, boolean, record, record, text[], text[]) is
    'All columns that an update changed, or the first of them, or NULL where they are all to be ignored. '
    'Fails where the key changed.';

create or replace function pgq._changed_values(
    i_columns text[], i_numbers integer[], i_new record, i_old record)
returns integer[]
language plpgsql
stable
as $$
declare
    v_sql       text;
    v_changed   integer[];
begin
    -- Arrays are compared by the = of the type itself, whatever operators the search path shows.
    v_sql := (
        select string_agg(
            format(
                'case when array[($1).%1$I] operator(pg_catalog.<>) array[($2).%1$I] then %2$s end',
                i_columns[n], n),
            ', ' order by n)
        from unnest(i_numbers) n);
    execute format('select array_remove(array[%s]::integer[], null)', v_sql)
    into v_changed
    using i_new, i_old;
    return v_changed;
end;
$$;

comment on function pgq._changed_values(text[], integer[], record, record) is
    'Which of these columns differ between two rows by the operator = of their type. None of them is NULL '
    'in either row.';

create or replace function pgq._special_fields(
    i_trigger pgq._trigger, i_row record, i_values text[], i_fields text[])
returns text[]
language plpgsql
stable
as $$
declare
    v_fields    text[] := i_fields;
begin
    if i_trigger.unknown_magic is not null then
        raise exception 'Unknown magic column: %', i_trigger.unknown_magic;
    end if;
    for i in 1..6 loop
        if i_trigger.magic[i] is not null then
            v_fields[i] := i_values[i_trigger.magic[i]];
        end if;
    end loop;
    for i in 1..6 loop
        if i_trigger.expressions[i] is not null then
            v_fields[i] := pgq._evaluate(i_trigger.expressions[i], i_row);
        end if;
    end loop;
    if i_trigger.expressions[7] is not null and not pgq._is_wanted(i_trigger.expressions[7], i_row) then
        return null;
    end if;
    return v_fields;
end;
$$;

comment on function pgq._special_fields(pgq._trigger, record, text[], text[]) is
    'The fields ev_type, ev_data, ev_extra1 to ev_extra4 of an event after magic columns and expressions, '
    'or NULL where when= does not want the event.';
