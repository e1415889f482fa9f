use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs};

use pgq_testkit::{Database, Engine, Server};

use crate::bed::{Bed, drain, tick};
use crate::session::Session;

/// Events 1 and 2, each behind a tick, and 3, which is behind none. `fast` has finished 1, `slow` nothing, `open` has 1 in its open batch,
/// and so has a member of the group `team`, which is past it; `retry` has finished 1, which came twice, and 2, which is to come again.
fn fill(db: &mut Session) {
    db.run("select pgq.create_queue('q')");
    for consumer in ["fast", "slow", "open", "team", "retry"] {
        db.run(&format!("select pgq.register_consumer('q', '{consumer}')"));
    }
    db.run("select pgq_coop.register_subconsumer('q', 'team', 'one'), pgq_coop.register_subconsumer('q', 'team', 'two')");
    let produce = |db: &mut Session, data: &str| {
        db.run(&format!("select pgq.insert_event('q', 'number', '{data}')"));
    };
    produce(db, "1");
    tick(db, "q");
    assert_eq!(drain(db, "fast"), ["1"]);
    assert_eq!(db.answer("select ev_data from pgq.get_batch_events(pgq.next_batch('q', 'open'))"), "1");
    assert_eq!(
        db.answer("select ev_data from pgq.get_batch_events(pgq_coop.next_batch('q', 'team', 'one'))"),
        "1"
    );
    db.run("select pgq.event_retry(b, 1, 0), pgq.finish_batch(b) from pgq.next_batch('q', 'retry') b");
    db.run("select pgq.maint_retry_events()");
    produce(db, "2");
    tick(db, "q");
    assert_eq!(
        db.first_column("select ev_data from pgq.get_batch_events(pgq.next_batch('q', 'retry'))"),
        "1,2"
    );
    db.run(
        "select pgq.event_retry(b, ev_id, 0) from pgq.next_batch('q', 'retry') b, pgq.get_batch_events(b) where ev_data = '2'",
    );
    db.run("select pgq.finish_batch(pgq.next_batch('q', 'retry'))");
    produce(db, "3");
}

/// Dumps a database and restores it into an empty one of another server.
fn move_to(from: &Database, to: &Server) -> Option<Database> {
    let target = to.new_database().empty().create().unwrap();
    let program = |name: &str| {
        let folder = env::var_os("PGQ_TEST_PG_BIN").map(PathBuf::from).unwrap_or_default();
        Command::new(if folder.as_os_str().is_empty() { PathBuf::from(name) } else { folder.join(name) })
    };
    let dump = program("pg_dump").arg(from.conninfo()).output().ok()?;
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let file = env::temp_dir().join(format!("{}.sql", target.name()));
    fs::write(&file, dump.stdout).unwrap();
    let restored = program("psql")
        .args(["-q", "-v", "ON_ERROR_STOP=1", "-d", target.conninfo(), "-f"])
        .arg(&file)
        .stdout(Stdio::null())
        .output();
    fs::remove_file(&file).unwrap();
    let restored = restored.ok()?;
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    Some(target)
}

fn older_database() -> (Database, Session) {
    let database = Server::shared().unwrap().new_database().engine(Engine::Portable).create().unwrap();
    let mut db = Session::new(&database);
    db.run("do $$ begin for i in 1 .. 5000 loop perform txid_current(); commit; end loop; end $$");
    fill(&mut db);
    (database, db)
}

#[test]
fn repairs_what_a_younger_server_restored() {
    let (old, _) = older_database();
    let younger = Server::start().unwrap();
    // Its roles come from a database of the same engine.
    let _roles = younger.new_database().engine(Engine::Portable).create().unwrap();
    let Some(restored) = move_to(&old, &younger) else {
        println!("skipped: pg_dump or psql is missing");
        return;
    };
    let mut db = Session::new(&restored);
    for sql in ["select pgq.ticker('q')", "select pgq.ticker()"] {
        assert!(db.answer(sql).starts_with("P0001 Invalid PgQ state: old xmin="), "{sql}");
    }
    db.run("update pgq.queue set queue_rotation_period = '0'");
    assert!(
        db.answer("select pgq.maint_rotate_tables_step1('q')")
            .starts_with("P0001 queue q maint failure: step1=")
    );
    // Producers of this server do not wait for the repair, and what they have inserted is not lost by it.
    db.run("begin; select pgq.insert_event('q', 'number', '4'); savepoint s; select pgq.insert_event('q', 'number', '5'); commit");
    db.run("select pgq.insert_events('q', '{number}', '{6}', null, null, null, null)");

    let ids = db.answer("select max(batch) from (select sub_batch from pgq.subscription) s (batch)");
    assert_eq!(db.answer("select pgq.repair_restored('q')"), "27");
    db.check(&[
        ("select count(*) from pgq.tick", "1"),
        (
            "select count(*) from pgq.subscription where sub_batch is not null or sub_next_tick is not null",
            "0",
        ),
        (
            "select count(*), count(sub_last_tick), count(distinct sub_last_tick) from pgq.subscription",
            "7|5|1",
        ),
        (
            "select pgq.repair_restored('q')",
            "55000 queue \"q\" does not come from the dump of a server with higher transaction ids",
        ),
        ("select pgq.maint_retry_events()", "1"),
    ]);
    tick(&mut db, "q");
    assert_eq!(drain(&mut db, "fast"), ["2", "3", "4", "5", "6"]);
    assert_eq!(drain(&mut db, "slow"), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(drain(&mut db, "open"), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(drain(&mut db, "retry"), ["2", "3", "4", "5", "6"]);
    db.check(&[
        ("select array_agg(ev_data order by ev_id) from pgq.get_batch_events(pgq_coop.next_batch('q', 'team', 'two'))", "{1,2,3,4,5,6}"),
        ("select pgq_coop.next_batch('q', 'team', 'one')", "~"),
        ("select pgq_coop.finish_batch(sub_batch) from pgq.subscription where sub_batch is not null", "1"),
        // It goes on as any queue.
        ("select pgq.register_consumer('q', 'new'), pgq.create_queue('next')", "1|1"),
        ("select pgq.insert_event('q', 'number', '7') > 4", "t"),
    ]);
    tick(&mut db, "q");
    for consumer in ["fast", "slow", "open", "retry", "new"] {
        assert_eq!(drain(&mut db, consumer), ["7"], "{consumer}");
    }
    assert_eq!(db.answer(&format!("select nextval('pgq.batch_id_seq') > {ids}")), "t");
    db.check(&[
        ("select pgq_coop.finish_batch(pgq_coop.next_batch('q', 'team', 'one'))", "1"),
        ("select pgq.maint_rotate_tables_step1('q')", "0"),
        ("select queue_switch_step2 is null from pgq.queue where queue_name = 'q'", "t"),
        ("select pgq.maint_rotate_tables_step2()", "0"),
    ]);
}

/// A server with higher transaction ids needs nothing: everything of the dump is in its past.
#[test]
fn an_older_server_needs_no_repair() {
    let (young, older) = (Server::start().unwrap(), Server::start().unwrap());
    let roles = older.new_database().engine(Engine::Portable).create().unwrap();
    Session::new(&roles)
        .run("do $$ begin for i in 1 .. 5000 loop perform txid_current(); commit; end loop; end $$");
    let database = young.new_database().engine(Engine::Portable).create().unwrap();
    fill(&mut Session::new(&database));
    let Some(restored) = move_to(&database, &older) else {
        println!("skipped: pg_dump or psql is missing");
        return;
    };
    let mut db = Session::new(&restored);
    db.run("select pgq.insert_event('q', 'number', '4')");
    tick(&mut db, "q");
    assert_eq!(drain(&mut db, "fast"), ["2", "3", "4"]);
    assert_eq!(drain(&mut db, "slow"), ["1", "2", "3", "4"]);
    assert!(db.answer("select pgq.repair_restored('q')").starts_with("55000 queue"));
}

/// The repair of several queues in one transaction, which has an id before: its own copies come after the new tick.
#[test]
fn repairs_in_a_transaction_with_an_id() {
    let (old, mut db) = older_database();
    db.run("select pgq.create_queue('second'), pgq.register_consumer('second', 'c'), pgq.insert_event('second', 'a', 'b')");
    let younger = Server::start().unwrap();
    let roles = younger.new_database().engine(Engine::Portable).create().unwrap();
    let Some(restored) = move_to(&old, &younger) else {
        println!("skipped: pg_dump or psql is missing");
        return;
    };
    let mut db = Session::new(&restored);
    let mut other = Session::new(&roles);
    db.run("begin; select txid_current()");
    other.run("select txid_current()");
    db.check(&[
        ("select queue_name, pgq.repair_restored(queue_name) from pgq.queue order by 1", "q|12 second|1"),
        ("commit", ""),
    ]);
    tick(&mut db, "q");
    assert_eq!(drain(&mut db, "slow"), ["1", "2", "3"]);
    db.run("select pgq.force_tick('second')");
    db.check(&[
        ("select pgq.ticker('second') is not null", "t"),
        ("select ev_data from pgq.get_batch_events(pgq.next_batch('second', 'c'))", "b"),
    ]);
}

/// Sequences that were left behind do not hand out ids again.
#[test]
fn raises_sequences() {
    let mut bed = Bed::new();
    bed.db.run("select pgq.insert_event('q', 'number', '1')");
    bed.tick();
    bed.db.check(&[
        ("select count(*) from pgq.next_batch('q', 'c')", "1"),
        (
            "select setval(s, 1, false) from unnest('{pgq.queue_queue_id_seq,pgq.consumer_co_id_seq,pgq.subscription_sub_id_seq,\
             pgq.batch_id_seq,pgq.event_1_id_seq,pgq.event_1_tick_seq}'::regclass[]) s",
            "1 1 1 1 1 1",
        ),
        ("select pgq._raise_sequences(q) from pgq.queue q", ""),
        (
            "select nextval('pgq.queue_queue_id_seq'), nextval('pgq.consumer_co_id_seq'), nextval('pgq.subscription_sub_id_seq'), \
             nextval('pgq.batch_id_seq'), nextval('pgq.event_1_id_seq'), nextval('pgq.event_1_tick_seq')",
            "2|2|2|2|2|3",
        ),
        ("select pgq._raise_sequences(q) from pgq.queue q", ""),
        ("select nextval('pgq.queue_queue_id_seq')", "3"),
    ]);
}
