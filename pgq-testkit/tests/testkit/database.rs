use std::error::Error as _;
use std::time::Instant;

use pgq_testkit::postgres::{Client, NoTls};
use pgq_testkit::{Error, Server};

#[test]
fn two_are_isolated() {
    let server = Server::shared().unwrap();
    let (one, other) = (server.database().unwrap(), server.database().unwrap());
    assert_ne!(one.name(), other.name());
    let mut client = Client::connect(one.conninfo(), NoTls).unwrap();
    client.execute("SELECT pgq.create_queue('orders')", &[]).unwrap();
    let mut client = Client::connect(other.conninfo(), NoTls).unwrap();
    assert!(client.query("SELECT FROM pgq.queue", &[]).unwrap().is_empty());
}

#[test]
fn is_gone_after_drop_with_somebody_in_it() {
    let server = Server::shared().unwrap();
    let database = server.database().unwrap();
    let name = database.name().to_owned();
    let mut inside = Client::connect(database.conninfo(), NoTls).unwrap();
    let mut client = Client::connect(server.conninfo(), NoTls).unwrap();
    let exists = "SELECT FROM pg_database WHERE datname = $1";
    assert_eq!(client.query(exists, &[&name]).unwrap().len(), 1);
    drop(database);
    assert!(client.query(exists, &[&name]).unwrap().is_empty());
    assert!(inside.simple_query("SELECT 1").is_err());
}

#[test]
fn many_at_once() {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let start = Instant::now();
                let database = Server::shared().unwrap().database().unwrap();
                let made = start.elapsed();
                let mut client = Client::connect(database.conninfo(), NoTls).unwrap();
                client.query_one("SELECT pgq.create_queue('orders')", &[]).unwrap();
                drop(client);
                let start = Instant::now();
                drop(database);
                println!("eight at once: made in {made:?}, dropped in {:?}", start.elapsed());
            });
        }
    });
}

#[test]
fn empty_one_has_no_pgq() {
    let database = Server::shared().unwrap().empty_database().unwrap();
    let mut client = Client::connect(database.conninfo(), NoTls).unwrap();
    assert!(client.query("SELECT FROM pg_namespace WHERE nspname = 'pgq'", &[]).unwrap().is_empty());
}

#[test]
fn other_encodings() {
    let server = Server::shared().unwrap();
    for encoding in ["LATIN1", "SQL_ASCII"] {
        for database in [
            server.new_database().encoding(encoding).create().unwrap(),
            server.new_database().empty().encoding(encoding).create().unwrap(),
        ] {
            let mut client = Client::connect(database.conninfo(), NoTls).unwrap();
            let row = client.query_one("SELECT current_setting('server_encoding')", &[]).unwrap();
            assert_eq!(row.get::<_, &str>(0), encoding);
        }
    }
    let error = server.new_database().encoding("it's none").create().unwrap_err();
    assert!(matches!(error, Error::Database { .. }));
    assert!(error.source().unwrap().source().unwrap().to_string().contains("it's none"));
}

#[test]
fn another_role_may_log_in() {
    let server = Server::start().unwrap();
    let database = server.database().unwrap();
    let mut client = Client::connect(database.conninfo(), NoTls).unwrap();
    client.batch_execute(r#"CREATE ROLE "it's me" LOGIN"#).unwrap();
    let mut client = Client::connect(&database.conninfo_as("it's me"), NoTls).unwrap();
    let row = client.query_one("SELECT current_user::text, current_database()::text", &[]).unwrap();
    assert_eq!(row.get::<_, &str>(0), "it's me");
    assert_eq!(row.get::<_, &str>(1), database.name());
}

#[test]
fn outlives_its_server() {
    let server = Server::start().unwrap();
    let database = server.empty_database().unwrap();
    drop(server);
    drop(database);
}

#[tokio::test]
async fn inside_a_runtime() {
    let server = Server::start().unwrap();
    for database in [
        server.database().unwrap(),
        server.empty_database().unwrap(),
        Server::shared().unwrap().database().unwrap(),
        Server::shared().unwrap().new_database().encoding("LATIN1").create().unwrap(),
    ] {
        let (client, connection) = tokio_postgres::connect(database.conninfo(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client.simple_query("SELECT 1").await.unwrap();
    }
    server.kill().unwrap();
    server.start_again().unwrap();
}
