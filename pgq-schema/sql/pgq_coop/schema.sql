create schema if not exists pgq_coop;

comment on schema pgq_coop is
    'Cooperative consumers: several subconsumers share the batches of one consumer. Works on the tables of
schema pgq: the rows of a group have the sub_id of its main consumer, and members are named
main.subconsumer.';
