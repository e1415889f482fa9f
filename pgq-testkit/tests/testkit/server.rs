use std::thread;

use pgq_testkit::postgres::{Client, NoTls};
use pgq_testkit::{Error, Process, Server, Shutdown};

use crate::footprint::Footprint;
use crate::rerun::{rerun, rerun_with, wait_for_parent};

#[test]
fn is_gone_after_drop() {
    let server = Server::start().unwrap();
    let footprint = Footprint::of(&server);
    assert!(footprint.is_there());
    drop(server);
    assert!(footprint.is_gone());
}

#[test]
fn is_gone_after_a_kill() {
    let server = Server::start().unwrap();
    let footprint = Footprint::of(&server);
    server.kill().unwrap();
    server.kill().unwrap();
    drop(server);
    assert!(footprint.is_gone());
}

#[test]
fn is_gone_after_a_panic() {
    let result = thread::spawn(|| {
        let server = Server::start().unwrap();
        std::panic::panic_any(Footprint::of(&server));
    });
    let footprint = result.join().unwrap_err();
    assert!(footprint.downcast_ref::<Footprint>().unwrap().is_gone());
}

#[test]
fn is_gone_after_a_failed_start() {
    let error = Server::builder().setting("shared_buffers", "nonsense").start().unwrap_err();
    let Error::Start { log, .. } = error else { panic!("{error:?}") };
    assert!(log.contains("shared_buffers"), "{log}");
}

#[test]
fn is_gone_after_sigkill() {
    let mut child = rerun("server::child_holds_a_server");
    let footprint = Footprint::read(&child.next_line().unwrap());
    assert!(footprint.is_there());
    child.kill().unwrap();
    footprint.wait_until_gone();
}

#[test]
fn is_gone_after_sigkill_once_killed_and_started_again() {
    let mut child = rerun("server::child_holds_a_server_started_again");
    let footprint = Footprint::read(&child.next_line().unwrap());
    assert!(footprint.is_there());
    child.kill().unwrap();
    footprint.wait_until_gone();
}

#[test]
fn shared_one_is_gone_after_the_process() {
    let mut child = rerun("server::child_shares_a_server");
    let footprint = Footprint::read(&child.next_line().unwrap());
    assert!(child.wait().unwrap().success());
    footprint.wait_until_gone();
}

#[test]
fn child_holds_a_server() {
    if Process::is_rerun() {
        let server = Server::start().unwrap();
        Process::tell(&Footprint::of(&server).text());
        wait_for_parent();
    }
}

#[test]
fn child_holds_a_server_started_again() {
    if Process::is_rerun() {
        let server = Server::start().unwrap();
        server.kill().unwrap();
        server.start_again().unwrap();
        Process::tell(&Footprint::of(&server).text());
        wait_for_parent();
    }
}

#[test]
fn child_shares_a_server() {
    if Process::is_rerun() {
        let started: Vec<_> = thread::scope(|scope| {
            let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| Server::shared().unwrap())).collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        assert!(started.iter().all(|server| std::ptr::eq(*server, started[0])));
        Process::tell(&Footprint::of(started[0]).text());
    }
}

#[test]
fn commits_survive_a_kill() {
    let server = Server::start().unwrap();
    let database = server.database().unwrap();
    let mut client = Client::connect(database.conninfo(), NoTls).unwrap();
    let created = client.query_one("SELECT pgq.create_queue('orders')", &[]).unwrap();
    assert_eq!(created.get::<_, i32>(0), 1);
    server.kill().unwrap();
    assert!(client.simple_query("SELECT 1").is_err());
    assert!(Client::connect(database.conninfo(), NoTls).is_err());
    server.start_again().unwrap();
    server.start_again().unwrap();
    let mut client = Client::connect(database.conninfo(), NoTls).unwrap();
    let queues = client.query("SELECT queue_name FROM pgq.get_queue_info()", &[]).unwrap();
    assert_eq!(queues.len(), 1);
}

#[test]
fn kill_spares_no_busy_session() {
    let server = Server::start().unwrap();
    let mut watcher = Client::connect(server.conninfo(), NoTls).unwrap();
    let conninfo = server.conninfo().to_owned();
    let busy = thread::spawn(move || {
        let mut client = Client::connect(&conninfo, NoTls).unwrap();
        client.batch_execute("DO $$ BEGIN LOOP END LOOP; END $$").unwrap_err();
    });
    let is_busy = "SELECT FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'";
    while watcher.query(is_busy, &[]).unwrap().is_empty() {
        thread::yield_now();
    }
    server.kill().unwrap();
    busy.join().unwrap();
    server.start_again().unwrap();
}

#[test]
fn restarts_at_the_same_address() {
    let server = Server::builder().tcp().start().unwrap();
    let database = server.empty_database().unwrap();
    let address = server.tcp_addr().unwrap();
    let pids = [Shutdown::Fast, Shutdown::Immediate].map(|how| {
        let mut before = Client::connect(database.conninfo(), NoTls).unwrap();
        before.batch_execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 1").unwrap();
        server.restart(how).unwrap();
        assert!(before.simple_query("SELECT 1").is_err());
        let mut after = Client::connect(database.conninfo(), NoTls).unwrap();
        after.simple_query("SELECT * FROM kept").unwrap();
        Footprint::of(&server).pid
    });
    assert_ne!(pids[0], pids[1]);
    assert_eq!(server.tcp_addr(), Some(address));
}

#[test]
fn listens_on_tcp_only_when_asked() {
    let count = "SELECT current_setting('listen_addresses')";
    let with = Server::builder().tcp().start().unwrap();
    let address = with.tcp_addr().unwrap();
    assert!(address.ip().is_loopback());
    let url = format!("postgresql://postgres@{address}/postgres");
    let mut client = Client::connect(&url, NoTls).unwrap();
    assert_eq!(client.query_one(count, &[]).unwrap().get::<_, &str>(0), "127.0.0.1");

    let without = Server::start().unwrap();
    assert_eq!(without.tcp_addr(), None);
    let mut client = Client::connect(without.conninfo(), NoTls).unwrap();
    assert_eq!(client.query_one(count, &[]).unwrap().get::<_, &str>(0), "");
}

#[test]
fn takes_settings() {
    let server = Server::builder()
        .setting("application_name", "it's \\ \"odd\"")
        .setting("work_mem", "77kB")
        .start()
        .unwrap();
    let mut client = Client::connect(server.conninfo(), NoTls).unwrap();
    let row = client.query_one(
        "SELECT current_setting('work_mem'), reset_val FROM pg_settings WHERE name = 'application_name'",
        &[],
    );
    let row = row.unwrap();
    assert_eq!(row.get::<_, &str>(0), "77kB");
    assert_eq!(row.get::<_, &str>(1), "it's \\ \"odd\"");
}

#[test]
fn tells_a_wrong_binary_folder() {
    let mut child = rerun_with("server::child_reports_an_error", &[("PGQ_TEST_PG_BIN", "/nonsense")]);
    let line = child.next_line().unwrap();
    child.wait().unwrap();
    assert!(line.contains("PGQ_TEST_PG_BIN is /nonsense, which has no initdb"), "{line}");
}

#[test]
fn child_reports_an_error() {
    if Process::is_rerun() {
        Process::tell(&Server::start().unwrap_err().to_string());
    }
}

#[test]
fn ignores_the_callers_pg_settings() {
    let elsewhere = [("PGDATESTYLE", "nonsense"), ("PGCLIENTENCODING", "nonsense"), ("PGDATA", "/nonsense")];
    let mut child = rerun_with("server::child_shares_a_server", &elsewhere);
    Footprint::read(&child.next_line().unwrap());
    assert!(child.wait().unwrap().success());
}
