-- What the three roles may do. A function with a leading underscore is granted where one that runs with its
-- caller's rights calls it.

-- consumers
grant select on pgq.queue, pgq.consumer, pgq.tick, pgq.subscription, pgq.event_template to pgq_reader;
grant execute on function
    pgq.register_consumer(text, text),
    pgq.register_consumer_at(text, text, bigint),
    pgq.unregister_consumer(text, text),
    pgq.next_batch(text, text),
    pgq.next_batch_info(text, text),
    pgq.next_batch_custom(text, text, interval, integer, interval),
    pgq.get_batch_events(bigint),
    pgq.get_batch_cursor(bigint, text, integer),
    pgq.get_batch_cursor(bigint, text, integer, text),
    pgq.get_batch_info(bigint),
    pgq.event_retry(bigint, bigint, timestamptz),
    pgq.event_retry(bigint, bigint, integer),
    pgq.events_retry(bigint, bigint[], integer[]),
    pgq.batch_retry(bigint, integer),
    pgq.finish_batch(bigint),
    pgq.force_tick(text),
    pgq.batch_event_sql(bigint),
    pgq.batch_event_tables(bigint),
    pgq.find_tick_helper(integer, bigint, timestamptz, bigint, bigint, interval)
    to pgq_reader;

-- producers
grant execute on function
    pgq.insert_event(text, text, text),
    pgq.insert_event(text, text, text, text, text, text, text),
    pgq.insert_events(text, text[], text[], text[], text[], text[], text[]),
    pgq.current_event_table(text),
    pgq._check_rotation(pgq.queue),
    pgq.logutriga(),
    pgq.sqltriga(),
    pgq.jsontriga()
    to pgq_writer;

-- those who run the queues
grant select, insert, update, delete
    on pgq.queue, pgq.consumer, pgq.tick, pgq.subscription, pgq.retry_queue
    to pgq_admin;
grant select, insert, truncate on pgq.event_template to pgq_admin;
grant execute on function
    pgq.create_queue(text),
    pgq.drop_queue(text),
    pgq.drop_queue(text, boolean),
    pgq.set_queue_config(text, text, text),
    pgq.insert_event_raw(text, bigint, timestamptz, integer, integer, text, text, text, text, text, text),
    pgq._producer_queue(text, integer),
    pgq._insert_event(pgq.queue, bigint, timestamptz, integer, integer, text, text, text, text, text, text),
    pgq._check_rotation(pgq.queue),
    pgq.event_retry_raw(
        text, text, timestamptz, bigint, timestamptz, integer, text, text, text, text, text, text),
    pgq.ticker(),
    pgq.ticker(text),
    pgq.ticker(text, bigint, timestamptz, bigint),
    pgq.maint_operations(),
    pgq.maint_retry_events(),
    pgq.maint_rotate_tables_step1(text),
    pgq.maint_rotate_tables_step2(),
    pgq.maint_tables_to_vacuum(),
    pgq.tune_storage(text),
    pgq.grant_perms(text),
    pgq._grant_perms_from(text, text, text, text),
    pgq.upgrade_schema(),
    pgq.seq_setval(text, bigint),
    pgq.repair_restored(text)
    to pgq_admin;

-- Queues that are older than the roles.
do $$
begin
    perform pgq.grant_perms(queue_name) from pgq.queue;
end
$$;
