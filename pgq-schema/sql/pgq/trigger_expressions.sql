-- The arguments when=, ev_type=, ev_data= and ev_extra1= to ev_extra4= of the triggers.

create or replace function pgq._comment_at_start(i_sql text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_length    integer := 0;
    v_depth     integer := 0;
begin
    loop
        case substr(i_sql, v_length + 1, 2)
            when '/*' then v_depth := v_depth + 1;
            when '*/' then v_depth := v_depth - 1;
            when '' then return null;
            -- Back by one, as only one character is passed.
            else v_length := v_length - 1;
        end case;
        v_length := v_length + 2;
        exit when v_depth = 0;
    end loop;
    return left(i_sql, v_length);
end;
$$;

comment on function pgq._comment_at_start(text) is
    'The comment that begins with the text''s first characters, or NULL where it has no end.';

create or replace function pgq._dollar_string_at_start(i_sql text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select i_tag || left(rest, nullif(strpos(rest, i_tag), 0) - 1) || i_tag
    from substring(i_sql from E'^\\$[^$]*\\$') as i_tag
        cross join lateral substr(i_sql, length(i_tag) + 1) as rest;
$$;

comment on function pgq._dollar_string_at_start(text) is
    'The dollar-quoted string that begins with the text''s first character, or NULL where it has no end.';

create or replace function pgq._expression_tokens(i_expression text)
returns text[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    c_escaped   constant text := E'''(?:[^''\\\\]|''''|\\\\.)*''';
    c_string    constant text := case current_setting('standard_conforming_strings')
        when 'on' then E'''(?:[^'']|'''')*'''
        else c_escaped
    end;
    -- Of the alternatives, the one that takes most counts.
    c_pattern   constant text := E'^(?:[\\t-\\r ]+|--[^\\n]*|[eE]' || c_escaped || '|' || c_string
        || E'|\\$[0-9]+|[0-9]+\\.?[0-9]*|\\.[0-9]+|[A-Za-z_][A-Za-z0-9_.]*|"[A-Za-z0-9_.]+'
        || E'|(?![''".$])[\\x01-\\x7f])';
    v_rest      text := i_expression;
    v_token     text;
    v_tokens    text[] := '{}';
begin
    while v_rest <> '' loop
        v_token := case
            when v_rest like '/*%' then pgq._comment_at_start(v_rest)
            when v_rest ~ E'^\\$([A-Za-z_][A-Za-z0-9_]*)?\\$' then pgq._dollar_string_at_start(v_rest)
            else substring(v_rest from c_pattern)
        end;
        if v_token is null then
            raise exception 'QB: syntax error';
        end if;
        v_tokens := v_tokens || v_token;
        v_rest := substr(v_rest, length(v_token) + 1);
    end loop;
    return v_tokens;
end;
$$;

comment on function pgq._expression_tokens(text) is
    'Takes an expression apart: blanks, comments, strings, words with their dots, and single characters. '
    'Fails at identifiers in double quotes, and at letters other than A to Z, outside strings.';

create or replace function pgq._expression_sql(i_expression text, i_columns text[], i_types oid[])
returns text
language plpgsql
as $$
declare
    v_tokens    text[] := pgq._expression_tokens(i_expression);
    -- The columns that are named, in the order in which they first are.
    v_used      text[] := array(
        select token
        from unnest(v_tokens) with ordinality as t (token, n)
        where token = any (i_columns)
        group by token
        order by min(n));
    v_types     text;
    v_sql       text;
    v_token     text;
begin
    -- They are parameters, which an expression may also name by number. This shows what is wrong with it.
    select '(' || string_agg(format_type(i_types[array_position(i_columns, name)], null), ', ' order by n)
        || ')'
    into v_types
    from unnest(v_used) with ordinality as t (name, n);
    select string_agg(coalesce('$' || array_position(v_used, token), token), '' order by n)
    into v_sql
    from unnest(v_tokens) with ordinality as t (token, n);
    begin
        execute concat('prepare pgq_expression', v_types, ' as select ', v_sql);
        deallocate pgq_expression;
    exception
        when insufficient_privilege then
            -- It may be but the names of the types that are out of reach.
            null;
    end;

    foreach v_token in array v_tokens loop
        if v_token ~ E'^\\$[0-9]+$' and v_used[left(substr(v_token, 2), 9)::integer] is null then
            raise exception 'there is no parameter %', v_token
                using errcode = 'undefined_parameter';
        end if;
    end loop;

    -- For each row there is but one parameter, the row.
    select string_agg(
        case
            when token = any (i_columns) then format('(($1).%I)', token)
            when token ~ E'^\\$[0-9]+$' then format('(($1).%I)', v_used[substr(token, 2)::integer])
            else token
        end, '' order by n)
    into v_sql
    from unnest(v_tokens) with ordinality as t (token, n);
    return concat('select ', v_sql);
end;
$$;

comment on function pgq._expression_sql(text, text[], oid[]) is
    'The query of an expression: words that equal the name of a column, to the letter, become that column '
    'of the row $1. Fails where the server does not understand it, with the names that the session''s '
    'search path shows.';

create or replace function pgq._evaluate(i_sql text, i_row record)
returns text
language plpgsql
stable
as $$
declare
    -- What is assigned to it passes through its own output function, see pgq._row16.
    v_value     refcursor;
    v_count     bigint;
begin
    execute i_sql into v_value using i_row;
    get diagnostics v_count = row_count;
    if v_count <> 1 then
        raise exception 'Expect 1 row from override query, got %', v_count;
    end if;
    return v_value;
end;
$$;

comment on function pgq._evaluate(text, record) is
    'The result of a query of pgq._expression_sql about this row, with the names that the writer of the row '
    'may use.';

create or replace function pgq._is_wanted(i_sql text, i_row record)
returns boolean
language plpgsql
stable
as $$
declare
    v_type      oid;
    v_value     refcursor;
    v_count     bigint;
begin
    if rtrim(i_sql, E' \n') = 'select' then
        raise exception 'when= query result must be boolean, got=0';
    end if;
    execute format(E'select pg_typeof(value), value from (%s\n) as t (value)', rtrim(i_sql, E'; \n'))
    into v_type, v_value using i_row;
    get diagnostics v_count = row_count;
    if v_count <> 1 then
        raise exception 'Expect 1 row from override query, got %', v_count;
    elsif v_type <> 'boolean'::regtype then
        raise exception 'when= query result must be boolean, got=%', v_type;
    elsif v_value is null then
        raise exception 'when= should not be NULL';
    end if;
    return v_value::text = 't';
end;
$$;

comment on function pgq._is_wanted(text, record) is 'Like pgq._evaluate, for the expression of when=.';
