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
