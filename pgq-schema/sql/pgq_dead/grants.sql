-- consumers
grant execute on function
    pgq_dead.add(bigint, bigint[], text[], text[], integer[]),
    pgq_dead.list(text, text, bigint, integer),
    pgq_dead.count(text, text)
    to pgq_reader;

-- What removes a letter is for those who run the queues.
grant execute on function
    pgq_dead.replay_to_consumer(bigint[]),
    pgq_dead.replay_as_new(bigint[]),
    pgq_dead.discard(bigint[]),
    pgq_dead.purge(text, text, interval)
    to pgq_admin;
