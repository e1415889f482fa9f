create schema if not exists pgq_ext;

comment on schema pgq_ext is
    'What consumers have done in this database, recorded in the transactions that do it. Needs no schema pgq
here.';
