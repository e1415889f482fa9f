-- Letters have payload: nobody but the owner reads the table, and the functions go to those who may read events.
revoke all on pgq_dead.letter from public;
revoke all on sequence pgq_dead.letter_letter_id_seq from public;
revoke all on all functions in schema pgq_dead from public;

grant usage on schema pgq_dead to public;
grant execute on function
    pgq_dead.version(),
    pgq_dead.portable_release()
    to public;
