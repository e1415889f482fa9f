create schema if not exists pgq_dead;

comment on schema pgq_dead is
    'Dead letters: the events that consumers gave up, whole, until somebody replays, discards or purges them. Works
beside schema pgq of either engine.';
