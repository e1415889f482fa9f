create table if not exists pgq_dead.letter (
    letter_id           bigint          generated always as identity,
    queue_name          text            not null,
    consumer_name       text            not null,
    subconsumer_name    text,
    reason              text            not null,
    error               text,
    attempts            integer         not null,
    dead_time           timestamptz     not null default now(),

    ev_id               bigint          not null,
    ev_time             timestamptz     not null,
    ev_txid             bigint          not null,
    ev_retry            integer,
    ev_type             text,
    ev_data             text,
    ev_extra1           text,
    ev_extra2           text,
    ev_extra3           text,
    ev_extra4           text,

    constraint letter_pkey primary key (letter_id)
);

create index if not exists letter_queue_idx on pgq_dead.letter (queue_name, letter_id);
create index if not exists letter_consumer_idx on pgq_dead.letter (queue_name, consumer_name, letter_id);

comment on table pgq_dead.letter is
    'The events that consumers gave up. Has names and no references, so that a letter outlives its queue.';
comment on column pgq_dead.letter.letter_id is 'Id.';
comment on column pgq_dead.letter.queue_name is 'The queue.';
comment on column pgq_dead.letter.consumer_name is 'The consumer that gave the event up; the main one of a group.';
comment on column pgq_dead.letter.subconsumer_name is 'The member of the group that did it; NULL for a plain consumer.';
comment on column pgq_dead.letter.reason is 'Why, in a word or two, such as error, panic or timeout.';
comment on column pgq_dead.letter.error is 'Why, at length.';
comment on column pgq_dead.letter.attempts is 'How many times it was delivered, or what the consumer counted.';
comment on column pgq_dead.letter.dead_time is 'When the transaction that gave it up began.';
comment on column pgq_dead.letter.ev_id is 'This and the following are the event, as it was delivered last.';
