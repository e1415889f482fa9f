use std::time::{Duration, Instant};

use pgq_testkit::postgres::error::SqlState;
use pgq_testkit::postgres::{Client, NoTls};
use pgq_testkit::{Process, Server, Shutdown, fastrand, until};

use crate::footprint::Footprint;

fn server_with_client() -> (Server, Client) {
    let server = Server::start().unwrap();
    let client = Client::connect(server.conninfo(), NoTls).unwrap();
    (server, client)
}

#[test]
fn launches_without_waiting() {
    let (server, _client) = server_with_client();
    server.kill().unwrap();
    assert!(server.wait_until_accepting().is_err());
    server.launch().unwrap();
    server.launch().unwrap();
    let took = server.wait_until_accepting().unwrap();
    println!("accepting after {took:?}");
    Client::connect(server.conninfo(), NoTls).unwrap();
}

#[test]
fn stands_still_while_paused() {
    let (server, mut client) = server_with_client();
    let paused = server.pause().unwrap();
    let asking = std::thread::spawn(move || client.simple_query("SELECT 1").unwrap().len());
    std::thread::sleep(Duration::from_millis(200));
    assert!(!asking.is_finished());
    drop(paused);
    assert!(asking.join().unwrap() > 0);
}

#[test]
fn ends_also_while_paused() {
    let (server, mut client) = server_with_client();
    let paused = server.pause().unwrap();
    server.kill().unwrap();
    assert!(client.simple_query("SELECT 1").is_err());
    server.start_again().unwrap();
    drop(paused);
    let mut client = Client::connect(server.conninfo(), NoTls).unwrap();
    let paused = server.pause().unwrap();
    server.restart(Shutdown::Immediate).unwrap();
    assert!(client.simple_query("SELECT 1").is_err());
    let mut client = Client::connect(server.conninfo(), NoTls).unwrap();
    drop(paused);
    client.simple_query("SELECT 1").unwrap();

    let footprint = Footprint::of(&server);
    std::mem::forget(server.pause().unwrap());
    let start = Instant::now();
    drop(server);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert!(footprint.is_gone());
}

#[test]
fn is_gone_after_sigkill_while_paused() {
    let mut child = Process::rerun("outage::child_pauses_a_server", &[]).unwrap();
    let footprint = Footprint::read(&child.next_line().unwrap());
    assert!(footprint.is_there());
    child.kill().unwrap();
    footprint.wait_until_gone();
}

#[test]
fn child_pauses_a_server() {
    if Process::is_rerun() {
        let (server, _client) = server_with_client();
        let _paused = server.pause().unwrap();
        Process::tell(&Footprint::of(&server).text());
        crate::rerun::wait_for_parent();
    }
}

#[test]
fn kills_the_backends_of_a_name() {
    let (server, mut client) = server_with_client();
    let named = format!("{} application_name=consumer", server.conninfo());
    let mut consumers = [0, 1].map(|_| Client::connect(&named, NoTls).unwrap());
    consumers[0].batch_execute("BEGIN").unwrap();
    let backends = server.backends_of("consumer").unwrap();
    assert_eq!(backends.len(), 2);
    assert_eq!(server.backends().unwrap().len(), 3);
    let open: Vec<_> = backends.iter().filter(|backend| backend.state == "idle in transaction").collect();
    assert_eq!((open.len(), open[0].query.as_str(), open[0].database.as_str()), (1, "BEGIN", "postgres"));
    assert!(server.kill_backend(open[0].pid).unwrap());
    let error = consumers[0].simple_query("SELECT 1").unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::ADMIN_SHUTDOWN));
    until("it has ended", || server.backends_of("consumer").unwrap().len() == 1);
    assert_eq!(server.kill_backends_of("consumer").unwrap(), 1);
    assert!(consumers[1].simple_query("SELECT 1").is_err());
    client.simple_query("SELECT 1").unwrap();
    assert!(!server.kill_backend(1).unwrap());
}

#[test]
fn kills_any_backend() {
    let server = Server::shared().unwrap();
    let (one, other) = (server.empty_database().unwrap(), server.empty_database().unwrap());
    let mut spared = Client::connect(other.conninfo(), NoTls).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    assert_eq!(one.kill_random_backend(&mut random).unwrap(), None);
    let mut clients = [0, 1, 2].map(|_| Client::connect(one.conninfo(), NoTls).unwrap());
    let killed = one.kill_random_backend(&mut random).unwrap().unwrap();
    assert_eq!(killed.database, one.name());
    until("it has ended", || !one.backends().unwrap().contains(&killed));
    assert_eq!(clients.iter_mut().filter_map(|client| client.simple_query("SELECT 1").ok()).count(), 2);
    assert_eq!(one.kill_backends().unwrap(), 2);
    until("all have ended", || one.backends().unwrap().is_empty());
    spared.simple_query("SELECT 1").unwrap();

    let (server, mut client) = server_with_client();
    assert!(server.kill_random_backend(&mut random).unwrap().is_some());
    assert!(client.simple_query("SELECT 1").is_err());
}

#[test]
fn recovers_from_the_crash_of_a_backend() {
    let (server, mut client) = server_with_client();
    let mut other = Client::connect(server.conninfo(), NoTls).unwrap();
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    assert!(server.crash_backend(pid).unwrap());
    assert!(client.simple_query("SELECT 1").is_err());
    until("all have ended", || other.simple_query("SELECT 1").is_err());
    server.wait_until_accepting().unwrap();
    assert!(!server.crash_backend(pid).unwrap());
    assert!(!server.crash_backend(1).unwrap());
}

#[test]
fn occupies_connections() {
    let server = Server::builder().setting("max_connections", "10").start().unwrap();
    Client::connect(server.conninfo(), NoTls).unwrap().batch_execute("CREATE ROLE app LOGIN").unwrap();
    let connect = |user: &str| {
        Client::connect(&server.conninfo().replace("user=postgres", &format!("user={user}")), NoTls)
    };
    until("the server has noticed", || server.backends().unwrap().is_empty());
    let occupied = server.occupy_connections(7).unwrap();
    assert_eq!(occupied.count(), 7);
    assert_eq!(connect("app").err().unwrap().code(), Some(&SqlState::TOO_MANY_CONNECTIONS));
    let all = server.occupy_all_connections().unwrap();
    assert!(all.count() <= 3, "{all:?}");
    assert_eq!(connect("postgres").err().unwrap().code(), Some(&SqlState::TOO_MANY_CONNECTIONS));
    assert!(server.occupy_connections(1).is_err());
    drop((occupied, all));
    until("there is room", || connect("app").is_ok());
}

#[tokio::test]
async fn occupies_connections_in_a_runtime() {
    let server = Server::start().unwrap();
    assert_eq!(server.occupy_connections(3).unwrap().count(), 3);
}
