use pgq_testkit::postgres::{Client, NoTls};
use pgq_testkit::{Error, Process, Server, Shutdown};

use crate::rerun::{rerun_with, wait_for_parent};

#[test]
fn is_used_and_left_clean() {
    let server = Server::start().unwrap();
    let mut client = Client::connect(server.conninfo(), NoTls).unwrap();
    let mut ours = || {
        let rows = client.query("SELECT datname FROM pg_database WHERE datname LIKE 'pgq_test_%'", &[]);
        rows.unwrap().len()
    };
    let mut killed =
        rerun_with("existing::child_holds_a_database", &[("PGQ_TEST_DATABASE", server.conninfo())]);
    assert_eq!(killed.next_line().unwrap(), server.version().to_string());
    assert_eq!(ours(), 2);

    let mut beside =
        rerun_with("existing::child_holds_a_database", &[("PGQ_TEST_DATABASE", server.conninfo())]);
    beside.next_line().unwrap();
    assert_eq!(ours(), 4);

    killed.kill().unwrap();
    assert!(beside.wait().unwrap().success());
    assert_eq!(ours(), 3);

    server.restart(Shutdown::Fast).unwrap();
    let mut client = Client::connect(server.conninfo(), NoTls).unwrap();
    let mut last =
        rerun_with("existing::child_holds_a_database", &[("PGQ_TEST_DATABASE", server.conninfo())]);
    last.next_line().unwrap();
    let rows = client.query("SELECT datname FROM pg_database WHERE datname LIKE 'pgq_test_%'", &[]).unwrap();
    assert_eq!(rows.len(), 2);
    assert!(last.wait().unwrap().success());
}

#[test]
fn child_holds_a_database() {
    if Process::is_rerun() {
        let server = Server::shared().unwrap();
        let _database = server.database().unwrap();
        assert!(matches!(server.kill(), Err(Error::NotOwned)));
        assert!(matches!(server.start_again(), Err(Error::NotOwned)));
        assert!(matches!(server.restart(Shutdown::Fast), Err(Error::NotOwned)));
        assert_eq!(server.tcp_addr(), None);
        Process::tell(&server.version().to_string());
        wait_for_parent();
    }
}

#[test]
fn tells_what_is_wrong_with_it() {
    for (conninfo, message) in [
        ("nonsense", "PGQ_TEST_DATABASE is not a connection string"),
        ("host=/nonsense user=me", "could not use the server of PGQ_TEST_DATABASE"),
    ] {
        let mut child = rerun_with("existing::child_reports_an_error", &[("PGQ_TEST_DATABASE", conninfo)]);
        let line = child.next_line().unwrap();
        assert!(line.starts_with(message), "{line}");
        child.wait().unwrap();
    }
}

#[test]
fn child_reports_an_error() {
    if Process::is_rerun() {
        Process::tell(&Server::shared().unwrap_err().to_string());
    }
}
