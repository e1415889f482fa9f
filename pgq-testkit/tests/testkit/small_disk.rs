use std::fs;

use pgq_testkit::postgres::error::SqlState;
use pgq_testkit::postgres::{Client, NoTls};
use pgq_testkit::{Process, Server, SmallDisk, available, until};

use crate::footprint::Footprint;

fn is_mounted(path: &str) -> bool {
    fs::read_to_string("/proc/mounts").unwrap_or_default().contains(path)
}

#[test]
fn fills_a_tablespace() {
    let Some(disk) = available(SmallDisk::megabytes(4)).unwrap() else { return };
    let path = disk.path().to_string_lossy().into_owned();
    assert!(is_mounted(&path));
    let server = Server::start().unwrap();
    let tablespace = disk.tablespace(&server).unwrap();
    let mut client = Client::connect(server.conninfo(), NoTls).unwrap();
    client.batch_execute(&format!("CREATE TABLE t (data text) TABLESPACE {tablespace}")).unwrap();
    client.batch_execute("CREATE TABLE other (data text)").unwrap();
    let insert =
        |table: &str| format!("INSERT INTO {table} SELECT repeat('x', 1000) FROM generate_series(1, 100)");
    client.batch_execute(&insert("t")).unwrap();
    disk.fill().unwrap();
    let error = client.batch_execute(&insert("t")).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::DISK_FULL));
    client.batch_execute(&insert("other")).unwrap();
    disk.free().unwrap();
    disk.free().unwrap();
    client.batch_execute(&insert("t")).unwrap();
    drop(server);
    drop(disk);
    assert!(!is_mounted(&path) && !fs::exists(&path).unwrap());
}

#[test]
fn ends_a_server_whose_log_of_changes_is_full() {
    let Some(disk) = available(SmallDisk::megabytes(120)).unwrap() else { return };
    let server = Server::builder().disk(&disk).start().unwrap();
    let mut client = Client::connect(server.conninfo(), NoTls).unwrap();
    disk.fill().unwrap();
    client.batch_execute("CREATE TABLE t (data text)").unwrap_or_default();
    let grow = "INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 20000)";
    until("it has no room", || client.batch_execute(grow).is_err());
    disk.free().unwrap();
    server.kill().unwrap();
    server.start_again().unwrap();
    let footprint = Footprint::of(&server);
    assert!(footprint.directory.starts_with(disk.path()));
    drop(server);
    assert!(footprint.is_gone());
}

#[test]
fn is_gone_after_sigkill() {
    let mut child = Process::rerun("small_disk::child_has_a_disk", &[]).unwrap();
    let line = child.next_line().unwrap();
    let Some((disk, footprint)) = line.split_once(' ') else { return };
    assert!(is_mounted(disk));
    let footprint = Footprint::read(footprint);
    assert!(footprint.is_there());
    child.kill().unwrap();
    until("it is gone", || !is_mounted(disk) && !fs::exists(disk).unwrap());
    footprint.wait_until_gone();
}

#[test]
fn child_has_a_disk() {
    if Process::is_rerun() {
        let Some(disk) = available(SmallDisk::megabytes(120)).unwrap() else { return Process::tell("") };
        let server = Server::builder().disk(&disk).start().unwrap();
        Process::tell(&format!("{} {}", disk.path().display(), Footprint::of(&server).text()));
        crate::rerun::wait_for_parent();
    }
}
