-- The values of a row as text, and how logutriga writes them.

do $$
declare
    v_width     integer;
begin
    foreach v_width in array '{16,64,256}'::integer[] loop
        if to_regtype('pgq._row' || v_width) is null then
            execute format('create type pgq._row%s as (%s)', v_width, (
                select string_agg('c' || n || ' refcursor', ', ' order by n)
                from generate_series(1, v_width) n));
        end if;
        execute format('comment on type pgq._row%s is %L', v_width,
            'A row of that many columns as text: plpgsql assigns anything to a refcursor, which is text, by '
            'the output function of its type. Casts to text itself write some types differently.');

        execute format('
create or replace function pgq._values_%1$s(i_row record)
returns text[]
language plpgsql
stable
as $body$
declare
    r   pgq._row%1$s;
begin
    r := i_row;
    return array[%2$s];
end;
$body$;

comment on function pgq._values_%1$s(record) is ''See pgq._values.'';',
            v_width, (select string_agg('r.c' || n, ', ' order by n) from generate_series(1, v_width) n));
    end loop;
end;
$$;

create or replace function pgq._values(i_row record, i_width integer, i_wide_sql text)
returns text[]
language plpgsql
stable
as $$
declare
    v_values    text[];
begin
    -- With these checks on, plpgsql does not assign a row to one of another width.
    if i_width > 256
        or current_setting('plpgsql.extra_errors') || current_setting('plpgsql.extra_warnings') <> 'nonenone'
    then
        execute i_wide_sql into v_values using i_row;
        return v_values;
    elsif i_width > 64 then
        return (pgq._values_256(i_row))[1:i_width];
    elsif i_width > 16 then
        return (pgq._values_64(i_row))[1:i_width];
    end if;
    return (pgq._values_16(i_row))[1:i_width];
end;
$$;

comment on function pgq._values(record, integer, text) is
    'The values of a row of so many columns, each as the output function of its type writes it. Rows of '
    'more than 256 columns are read by the statement of pgq._wide_sql.';

create or replace function pgq._wide_sql(i_columns text[])
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    -- concat() calls output functions, too, but has no NULL; "is null" would be true for a row full of them.
    -- unnest() makes columns of the row, each of which would take the row apart again.
    select 'select array['
        || string_agg(
            format('case when num_nulls(r.%1$I) = 0 then concat(r.%1$I) end', name), ', ' order by n)
        || ']::text[] from unnest(array[$1]) as r'
    from unnest(i_columns) with ordinality as t (name, n);
$$;

comment on function pgq._wide_sql(text[]) is
    'The statement that reads the values of these columns from the row $1.';

create or replace function pgq._urlencode_bytes(i_bytes bytea)
returns text
language plpgsql
immutable
strict
as $$
declare
    -- Searches go by bytes, which is fast and the same in every locale. Backslashes are doubled by encode().
    v_text      text collate "C" := replace(replace(encode(i_bytes, 'escape'), '%', '%25'), E'\\\\', '%5c');
begin
    if v_text ~ E'[\\x03-\\x1f\\x7f]' then
        for i in 3..31 loop
            v_text := replace(v_text, chr(i), '%' || lpad(to_hex(i), 2, '0'));
        end loop;
        v_text := replace(v_text, chr(127), '%7f');
    end if;
    v_text := replace(replace(replace(replace(replace(replace(replace(replace(replace(v_text,
        '+', '%2b'), ' ', '+'), ',', '%2c'), ':', '%3a'), '"', '%22'), '/', '%2f'), '{', '%7b'),
        '}', '%7d'), '@', '%40');
    if v_text ~ E'[][!#$&''()*;<=>?^`|~]' then
        v_text := replace(replace(replace(replace(replace(replace(replace(replace(replace(
            replace(replace(replace(replace(replace(replace(replace(replace(replace(
            replace(v_text,
            '!', '%21'), '#', '%23'), '$', '%24'), '&', '%26'), '''', '%27'), '(', '%28'), ')', '%29'),
            '*', '%2a'), ';', '%3b'), '<', '%3c'), '=', '%3d'), '>', '%3e'), '?', '%3f'), '[', '%5b'),
            ']', '%5d'), '^', '%5e'), '`', '%60'), '|', '%7c'), '~', '%7e');
    end if;
    if strpos(v_text, E'\\') > 0 then
        -- The other bytes stand there in octal, as \ooo. Two digits make the first hexadecimal one; where the
        -- second of them is odd, the third stands for 8 more.
        v_text := replace(replace(replace(replace(replace(replace(replace(replace(v_text,
            E'\\20', '%8'), E'\\22', '%9'), E'\\24', '%a'), E'\\26', '%b'), E'\\30', '%c'), E'\\32', '%d'),
            E'\\34', '%e'), E'\\36', '%f');
        v_text := replace(replace(replace(replace(replace(replace(replace(replace(v_text,
            E'\\21', E'%8\x03'), E'\\23', E'%9\x03'), E'\\25', E'%a\x03'), E'\\27', E'%b\x03'),
            E'\\31', E'%c\x03'), E'\\33', E'%d\x03'), E'\\35', E'%e\x03'), E'\\37', E'%f\x03');
        v_text := replace(replace(replace(replace(replace(replace(replace(replace(v_text,
            E'\x030', '8'), E'\x031', '9'), E'\x032', 'a'), E'\x033', 'b'), E'\x034', 'c'), E'\x035', 'd'),
            E'\x036', 'e'), E'\x037', 'f');
    end if;
    return v_text;
end;
$$;

comment on function pgq._urlencode_bytes(bytea) is
    'Encodes all but letters, digits and _.- as %xx, and a space as +. The bytes 1 and 2 stay, as they are '
    'the marks of pgq._urlencoded.';

create or replace function pgq._urlencode(i_text text)
returns text
language sql
stable
strict
set search_path = pg_catalog, pg_temp
as $$
    -- Every replace() that finds something makes a copy, so giants go by pieces. These may cut characters.
    select replace(replace(
        string_agg(pgq._urlencode_bytes(substr(bytes, n, 250000)), '' order by n),
        E'\x01', '%01'), E'\x02', '%02')
    from convert_to(i_text, getdatabaseencoding()) as bytes
        cross join generate_series(1, greatest(octet_length(bytes), 1), 250000) n;
$$;

comment on function pgq._urlencode(text) is
    'Encodes a text of any size and with any bytes, in the encoding of the database.';

create or replace function pgq._urlencoded(i_values text[])
returns text[]
language plpgsql
stable
as $$
declare
    -- All values go in one string, as a call for each would cost more than what it does.
    v_joined    text collate "C" := array_to_string(i_values, E'\x01', E'\x02');
    v_encoded   text[];
begin
    if octet_length(v_joined) < 1000000
        and (strpos(v_joined, E'\x02') = 0 or strpos(array_to_string(i_values, ''), E'\x02') = 0)
    then
        if v_joined ~ E'[^A-Za-z0-9_. +:,"/{}@\\x01\\x02-]' then
            v_joined := pgq._urlencode_bytes(convert_to(v_joined, getdatabaseencoding()));
        else
            v_joined := replace(replace(replace(replace(replace(replace(replace(replace(replace(v_joined,
                '+', '%2b'), ' ', '+'), ':', '%3a'), ',', '%2c'), '"', '%22'), '/', '%2f'),
                '{', '%7b'), '}', '%7d'), '@', '%40');
        end if;
        v_encoded := string_to_array(
            replace(replace('=' || v_joined, E'\x01', E'\x01='), E'=\x02', ''), E'\x01');
    end if;

    -- Giants, and values that have a mark in them.
    if v_encoded is null or cardinality(v_encoded) <> cardinality(i_values) then
        v_encoded := array(
            select coalesce('=' || pgq._urlencode(value), '')
            from unnest(i_values) with ordinality as t (value, n)
            order by n);
    end if;
    return v_encoded;
end;
$$;

comment on function pgq._urlencoded(text[]) is
    'What logutriga writes after the names of columns: = and the encoded value, or nothing for NULL.';
