use std::path::PathBuf;

use pgq_testkit::postgres::config::Host;
use pgq_testkit::postgres::{Client, Config, NoTls};
use pgq_testkit::{PgBouncer, Pooling, Process, Server, available, until};

use crate::process::runs;

fn folder(conninfo: &str) -> PathBuf {
    let config: Config = conninfo.parse().unwrap();
    let [Host::Unix(folder)] = config.get_hosts() else { panic!("{config:?}") };
    folder.clone()
}

fn pid(client: &mut Client) -> i32 {
    client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0)
}

#[test]
fn gives_sessions_out_by_transaction() {
    let server = Server::shared().unwrap();
    let database = server.empty_database().unwrap();
    let Some(bouncer) = available(PgBouncer::before(server)).unwrap() else { return };
    let conninfo = bouncer.conninfo(&database);
    let mut clients = [0, 1, 2].map(|_| Client::connect(&conninfo, NoTls).unwrap());
    let pids: Vec<_> = clients
        .iter_mut()
        .map(|client| {
            let mut transaction = client.transaction().unwrap();
            let row = transaction.query_typed("SELECT pg_backend_pid()", &[]).unwrap();
            let pid: i32 = row[0].get(0);
            transaction.commit().unwrap();
            pid
        })
        .collect();
    assert!(pids.windows(2).all(|pair| pair[0] == pair[1]), "{pids:?}");
    assert!(folder(&conninfo).exists());
    drop(bouncer);
    assert!(!folder(&conninfo).exists());
    until("its sessions have ended", || database.backends().unwrap().is_empty());
}

#[test]
fn gives_sessions_out_by_client() {
    let server = Server::shared().unwrap();
    let database = server.empty_database().unwrap();
    let Some(bouncer) = available(PgBouncer::before_with(server, Pooling::Session, 5)).unwrap() else {
        return;
    };
    let mut clients = [0, 1, 2].map(|_| Client::connect(&bouncer.conninfo(&database), NoTls).unwrap());
    let mut pids: Vec<_> = clients.iter_mut().map(pid).collect();
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 3);
}

#[test]
fn is_gone_after_sigkill() {
    let mut child = Process::rerun("pgbouncer::child_has_a_pooler", &[]).unwrap();
    let line = child.next_line().unwrap();
    let Some((pid, conninfo)) = line.split_once(' ') else { return };
    let (pid, folder) = (pid.parse().unwrap(), folder(conninfo));
    assert!(runs(pid) && folder.exists());
    child.kill().unwrap();
    until("it is gone", || !runs(pid) && !folder.exists());
}

#[test]
fn child_has_a_pooler() {
    if Process::is_rerun() {
        let server = Server::start().unwrap();
        let database = server.empty_database().unwrap();
        let Some(bouncer) = available(PgBouncer::before(&server)).unwrap() else { return Process::tell("") };
        Process::tell(&format!("{} {}", bouncer.pid(), bouncer.conninfo(&database)));
        crate::rerun::wait_for_parent();
    }
}
