create schema if not exists pgq;

comment on schema pgq is 'PgQ, the portable engine: queues of events that consumers read in batches';
