create table if not exists pgq.queue (
    queue_id                    serial,
    queue_name                  text            not null,
    queue_ntables               integer         not null default 3,
    queue_cur_table             integer         not null default 0,
    queue_rotation_period       interval        not null default interval '2 hours',
    queue_switch_step1          bigint          not null default txid_current(),
    queue_switch_step2          bigint          default txid_current(),
    queue_switch_time           timestamptz     not null default now(),
    queue_external_ticker       boolean         not null default false,
    queue_disable_insert        boolean         not null default false,
    queue_ticker_paused         boolean         not null default false,
    queue_ticker_max_count      integer         not null default 500,
    queue_ticker_max_lag        interval        not null default interval '3 seconds',
    queue_ticker_idle_period    interval        not null default interval '1 minute',
    queue_per_tx_limit          integer,
    queue_data_pfx              text            not null,
    queue_event_seq             text            not null,
    queue_tick_seq              text            not null,
    queue_extra_maint           text[],

    constraint queue_pkey primary key (queue_id),
    constraint queue_name_uq unique (queue_name)
);

comment on table pgq.queue is 'The queues, and how each of them ticks and rotates its event tables.';
comment on column pgq.queue.queue_id is 'Id; part of the names of the queue''s tables and sequences.';
comment on column pgq.queue.queue_name is 'The name that all functions take: any text, case-sensitive.';
comment on column pgq.queue.queue_ntables is 'How many event tables take turns; not to be changed later.';
comment on column pgq.queue.queue_cur_table is 'The number of the event table that takes inserts now.';
comment on column pgq.queue.queue_rotation_period is
    'The least time between two rotations of the event tables.';
comment on column pgq.queue.queue_switch_step1 is 'The transaction that switched to the current event table.';
comment on column pgq.queue.queue_switch_step2 is
    'A later transaction, which saw the switch committed; NULL until there was one.';
comment on column pgq.queue.queue_switch_time is 'When the current event table was switched to.';
comment on column pgq.queue.queue_external_ticker is 'Ticks come from elsewhere, with their ids.';
comment on column pgq.queue.queue_disable_insert is
    'Inserts are refused, except where session_replication_role is replica.';
comment on column pgq.queue.queue_ticker_paused is 'No ticks are made.';
comment on column pgq.queue.queue_ticker_max_count is 'A tick is due after this many new events.';
comment on column pgq.queue.queue_ticker_max_lag is
    'A tick is due this long after the last one, if there are new events.';
comment on column pgq.queue.queue_ticker_idle_period is
    'A tick is due this long after the last one in any case.';
comment on column pgq.queue.queue_per_tx_limit is
    'How many events one transaction may insert; NULL is no limit.';
comment on column pgq.queue.queue_data_pfx is 'The name of the parent of the event tables.';
comment on column pgq.queue.queue_event_seq is 'The sequence of event ids.';
comment on column pgq.queue.queue_tick_seq is 'The sequence of tick ids.';
comment on column pgq.queue.queue_extra_maint is
    'Functions that take the queue''s name, to be run with its maintenance.';

create table if not exists pgq.consumer (
    co_id       serial,
    co_name     text        not null,

    constraint consumer_pkey primary key (co_id),
    constraint consumer_name_uq unique (co_name)
);

comment on table pgq.consumer is 'The names of consumers, each shared by all queues that it reads.';
comment on column pgq.consumer.co_id is 'Id.';
comment on column pgq.consumer.co_name is 'The name that all functions take.';

create table if not exists pgq.tick (
    tick_queue      integer         not null,
    tick_id         bigint          not null,
    tick_time       timestamptz     not null default now(),
    tick_snapshot   txid_snapshot   not null default txid_current_snapshot(),
    tick_event_seq  bigint          not null,

    constraint tick_pkey primary key (tick_queue, tick_id),
    constraint tick_queue_fkey foreign key (tick_queue) references pgq.queue (queue_id)
);

comment on table pgq.tick is 'The ticks of each queue; what was committed between two of them is a batch.';
comment on column pgq.tick.tick_queue is 'The queue.';
comment on column pgq.tick.tick_id is 'Id, counted for each queue, with gaps.';
comment on column pgq.tick.tick_time is 'When the transaction that made the tick began.';
comment on column pgq.tick.tick_snapshot is 'Which transactions were over at the tick.';
comment on column pgq.tick.tick_event_seq is
    'The last event id that was taken before the tick: an estimate, never a border.';

create sequence if not exists pgq.batch_id_seq;

comment on sequence pgq.batch_id_seq is 'The ids of batches, for all queues.';

create table if not exists pgq.subscription (
    sub_id          serial,
    sub_queue       integer         not null,
    sub_consumer    integer         not null,
    sub_last_tick   bigint,
    sub_active      timestamptz     not null default now(),
    sub_batch       bigint,
    sub_next_tick   bigint,

    constraint subscription_pkey primary key (sub_queue, sub_consumer),
    constraint subscription_batch_idx unique (sub_batch),
    constraint sub_queue_fkey foreign key (sub_queue) references pgq.queue (queue_id),
    constraint sub_consumer_fkey foreign key (sub_consumer) references pgq.consumer (co_id)
);

comment on table pgq.subscription is 'Which consumer reads which queue, how far it is, and its open batch.';
comment on column pgq.subscription.sub_id is
    'Id, the owner of events that are to be retried; shared by the members of a cooperating group.';
comment on column pgq.subscription.sub_queue is 'The queue.';
comment on column pgq.subscription.sub_consumer is 'The consumer.';
comment on column pgq.subscription.sub_last_tick is
    'Everything up to this tick is finished; NULL for a subconsumer without a batch.';
comment on column pgq.subscription.sub_active is 'When a batch was last opened or finished.';
comment on column pgq.subscription.sub_batch is 'The open batch; NULL if there is none.';
comment on column pgq.subscription.sub_next_tick is 'The tick that ends the open batch.';

create table if not exists pgq.event_template (
    ev_id       bigint          not null,
    ev_time     timestamptz     not null,
    ev_txid     bigint          not null default txid_current(),
    ev_owner    integer,
    ev_retry    integer,
    ev_type     text,
    ev_data     text,
    ev_extra1   text,
    ev_extra2   text,
    ev_extra3   text,
    ev_extra4   text
);

comment on table pgq.event_template is
    'The parent of all event tables, itself empty. New event tables get its privileges.';
comment on column pgq.event_template.ev_id is
    'Id, counted for each queue; an event that is retried keeps it.';
comment on column pgq.event_template.ev_time is 'When the transaction that produced the event began.';
comment on column pgq.event_template.ev_txid is
    'The transaction that inserted this row, which decides on its batch.';
comment on column pgq.event_template.ev_owner is
    'The subscription that alone gets the event; NULL is everybody.';
comment on column pgq.event_template.ev_retry is 'How often the event was retried; NULL for the first time.';
comment on column pgq.event_template.ev_type is 'What kind of event it is: the producer''s choice.';
comment on column pgq.event_template.ev_data is 'The payload.';
comment on column pgq.event_template.ev_extra1 is 'For the producer; triggers put the table here.';
comment on column pgq.event_template.ev_extra2 is 'For the producer; triggers put the old row here.';
comment on column pgq.event_template.ev_extra3 is 'For the producer.';
comment on column pgq.event_template.ev_extra4 is 'For the producer.';

create table if not exists pgq.retry_queue (
    ev_retry_after  timestamptz     not null,
    ev_queue        integer         not null,
    ev_id           bigint          not null,
    ev_time         timestamptz     not null,
    ev_txid         bigint,
    ev_owner        integer         not null,
    ev_retry        integer,
    ev_type         text,
    ev_data         text,
    ev_extra1       text,
    ev_extra2       text,
    ev_extra3       text,
    ev_extra4       text,

    constraint rq_pkey primary key (ev_owner, ev_id),
    constraint rq_queue_id_fkey foreign key (ev_queue) references pgq.queue (queue_id)
);

create index if not exists rq_retry_idx on pgq.retry_queue (ev_retry_after);

comment on table pgq.retry_queue is 'Events that a consumer wants to get again, until their time has come.';
comment on column pgq.retry_queue.ev_retry_after is 'When the event goes back into its queue.';
comment on column pgq.retry_queue.ev_queue is 'The queue.';
comment on column pgq.retry_queue.ev_owner is 'The subscription that wants it again.';
comment on column pgq.retry_queue.ev_retry is 'Which retry it will be.';
comment on column pgq.retry_queue.ev_id is 'The id of the event, which it keeps.';
comment on column pgq.retry_queue.ev_time is 'The time of the event, which it keeps.';
comment on column pgq.retry_queue.ev_txid is
    'NULL: the transaction that puts it back will be the one that counts.';
comment on column pgq.retry_queue.ev_type is 'As in the event.';
comment on column pgq.retry_queue.ev_data is 'As in the event.';
comment on column pgq.retry_queue.ev_extra1 is 'As in the event.';
comment on column pgq.retry_queue.ev_extra2 is 'As in the event.';
comment on column pgq.retry_queue.ev_extra3 is 'As in the event.';
comment on column pgq.retry_queue.ev_extra4 is 'As in the event.';
