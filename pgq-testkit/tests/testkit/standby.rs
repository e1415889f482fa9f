use pgq_testkit::postgres::error::SqlState;
use pgq_testkit::postgres::{Client, NoTls};
use pgq_testkit::{Error, Proxy, Server, Standby};

use crate::footprint::Footprint;

fn count(client: &mut Client) -> i64 {
    client.query_one("SELECT count(*) FROM t", &[]).unwrap().get(0)
}

#[test]
fn follows_and_takes_over() {
    let primary = Server::builder().tcp().start().unwrap();
    let database = primary.database().unwrap();
    let standby = Standby::of(&primary).unwrap();
    let either = standby.failover_conninfo(&database);
    assert!(either.contains("host=127.0.0.1,127.0.0.1"), "{either}");
    let proxy = Proxy::before(&primary).unwrap();

    let mut client = Client::connect(&either, NoTls).unwrap();
    client.batch_execute("CREATE TABLE t AS SELECT 1 AS id").unwrap();
    standby.wait_until_caught_up().unwrap();
    let mut reader = Client::connect(&standby.server().conninfo_of(&database), NoTls).unwrap();
    assert_eq!(count(&mut reader), 1);
    let refused = reader.batch_execute("INSERT INTO t VALUES (2)").unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));

    standby.pause_replay().unwrap();
    client.batch_execute("INSERT INTO t VALUES (2)").unwrap();
    assert_eq!(count(&mut reader), 1);
    standby.resume_replay().unwrap();
    standby.wait_until_caught_up().unwrap();
    assert_eq!(count(&mut reader), 2);

    primary.kill().unwrap();
    assert!(client.simple_query("SELECT 1").is_err());
    assert!(Client::connect(&either, NoTls).is_err());
    let promoted = standby.promote().unwrap();
    let mut client = Client::connect(&either, NoTls).unwrap();
    client.batch_execute("INSERT INTO t VALUES (3)").unwrap();
    assert_eq!(count(&mut client), 3);
    assert!(Client::connect(&proxy.conninfo(&database), NoTls).is_err());
    proxy.lead_to(&promoted).unwrap();
    assert_eq!(count(&mut Client::connect(&proxy.conninfo(&database), NoTls).unwrap()), 3);
    let second = Standby::of(&promoted).unwrap();
    second.wait_until_caught_up().unwrap();
    promoted.database().unwrap();
}

#[test]
fn loses_what_it_was_cut_off_from() {
    let primary = Server::start().unwrap();
    let database = primary.empty_database().unwrap();
    let mut client = Client::connect(database.conninfo(), NoTls).unwrap();
    client.batch_execute("CREATE TABLE t AS SELECT 1 AS id").unwrap();
    let standby = Standby::of(&primary).unwrap();
    standby.wait_until_caught_up().unwrap();
    standby.cut_off().unwrap();
    client.batch_execute("INSERT INTO t VALUES (2)").unwrap();
    let either = standby.failover_conninfo(&database);
    assert_eq!(count(&mut Client::connect(&either, NoTls).unwrap()), 2);
    primary.kill().unwrap();
    let promoted = standby.promote().unwrap();
    assert_eq!(count(&mut Client::connect(&either, NoTls).unwrap()), 1);
    let footprint = Footprint::of(&promoted);
    drop(promoted);
    assert!(footprint.is_gone());
}

#[test]
fn copies_only_what_runs() {
    let primary = Server::start().unwrap();
    primary.kill().unwrap();
    let error = Standby::of(&primary).unwrap_err();
    assert!(matches!(error, Error::Program { program: "pg_basebackup", .. }), "{error:?}");
}
