-- What everybody may do, and nothing else. Event tables have the privileges of pgq.event_template: see
-- pgq.grant_perms.

revoke all on all functions in schema pgq from public;
revoke all on
    pgq.queue, pgq.consumer, pgq.tick, pgq.subscription, pgq.event_template, pgq.retry_queue
    from public;
revoke all on sequence
    pgq.queue_queue_id_seq, pgq.consumer_co_id_seq, pgq.subscription_sub_id_seq, pgq.batch_id_seq
    from public;

grant usage on schema pgq to public;
grant select on pgq.queue, pgq.consumer, pgq.tick, pgq.subscription to public;
grant execute on function
    pgq.version(),
    pgq.portable_release(),
    pgq.quote_fqname(text),
    pgq.seq_getval(text),
    pgq.get_queue_info(),
    pgq.get_queue_info(text),
    pgq.get_consumer_info(),
    pgq.get_consumer_info(text),
    pgq.get_consumer_info(text, text)
    to public;

-- The triggers run with the rights of whoever changes the table, and so does what they call. None of it writes; the event is
-- inserted by pgq.insert_event, which is granted to who may.
grant execute on function
    pgq._changed_values(text[], integer[], record, record),
    pgq._changes(pgq._trigger, boolean, record, record, text[], text[]),
    pgq._check_statement(text[], text, text, text),
    pgq._check_trigger(pgq._trigger, text, text, text),
    pgq._column_names(oid),
    pgq._comment_at_start(text),
    pgq._comparison(oid),
    pgq._dollar_string_at_start(text),
    pgq._evaluate(text, record),
    pgq._expression_sql(text, text[], oid[]),
    pgq._expression_tokens(text),
    pgq._is_listed(text, text),
    pgq._is_wanted(text, record),
    pgq._json_escape(text),
    pgq._json_escaped(text[]),
    pgq._json_row(pgq._trigger, record, text[]),
    pgq._json_row_format(pgq._columns, integer[]),
    pgq._json_times(pgq._trigger, record, text[]),
    pgq._json_type_format(text[]),
    pgq._key_columns(oid),
    pgq._row_columns(anyelement, oid),
    pgq._row_relation(anyelement),
    pgq._special_fields(pgq._trigger, record, text[], text[]),
    pgq._sql_insert(pgq._trigger, text[]),
    pgq._sql_update(pgq._trigger, integer[], text[], text[]),
    pgq._sql_where(pgq._trigger, text[]),
    pgq._trigger_arguments(text[], text[], oid[], boolean),
    pgq._trigger_arguments_on(text, oid),
    pgq._trigger_keys(text, anyelement),
    pgq._trigger_setup(text, oid, pgq._columns, text[]),
    pgq._trigger_setups(text, anyelement),
    pgq._url_row_format(text[], integer[]),
    pgq._urlencode(text),
    pgq._urlencode_bytes(bytea),
    pgq._urlencoded(text[]),
    pgq._values(record, integer, text),
    pgq._values_16(record),
    pgq._values_256(record),
    pgq._values_64(record),
    pgq._wide_sql(text[])
    to public;
