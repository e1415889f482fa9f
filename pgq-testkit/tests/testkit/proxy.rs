use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use pgq_testkit::postgres::{Client, Error, NoTls};
use pgq_testkit::{Database, Mode, Proxy, Server, until};

struct Bed {
    proxy: Proxy,
    database: Database,
    direct: Client,
}

impl Bed {
    fn new() -> Self {
        let server = Server::shared().unwrap();
        let database = server.empty_database().unwrap();
        let mut direct = Client::connect(database.conninfo(), NoTls).unwrap();
        direct.batch_execute("CREATE TABLE t (id int)").unwrap();
        Self { proxy: Proxy::before(server).unwrap(), database, direct }
    }

    fn connect(&self) -> Result<Client, Error> {
        Client::connect(&self.proxy.conninfo(&self.database), NoTls)
    }

    fn rows(&mut self) -> i64 {
        self.direct.query_one("SELECT count(*) FROM t", &[]).unwrap().get(0)
    }
}

fn works(client: &mut Client) -> bool {
    client.query_one("SELECT repeat('x', 20000)", &[]).is_ok_and(|row| row.get::<_, &str>(0).len() == 20_000)
}

#[test]
fn passes_and_counts() {
    let bed = Bed::new();
    let mut clients = [bed.connect().unwrap(), bed.connect().unwrap()];
    assert!(clients.iter_mut().all(works));
    assert_eq!((bed.proxy.connections(), bed.proxy.accepted(), bed.proxy.hits()), (2, 2, 0));
    drop(clients);
    until("it has noticed", || bed.proxy.connections() == 0);
    assert!(works(&mut bed.connect().unwrap()));
    assert_eq!(bed.proxy.accepted(), 3);
    until("the server has noticed", || bed.database.backends().unwrap().len() == 1);
}

#[test]
fn passes_to_a_tcp_server() {
    let server = Server::builder().tcp().start().unwrap();
    let database = server.empty_database().unwrap();
    let proxy = Proxy::before(&server).unwrap();
    assert!(works(&mut Client::connect(&proxy.conninfo(&database), NoTls).unwrap()));
}

#[test]
fn a_black_hole_holds_everything_until_it_ends() {
    let mut bed = Bed::new();
    let mut client = bed.connect().unwrap();
    bed.proxy.switch(Mode::Blackhole);
    let conninfo = bed.proxy.conninfo(&bed.database);
    let inserting = std::thread::spawn(move || client.execute("INSERT INTO t VALUES (1)", &[]).unwrap());
    let connecting = std::thread::spawn(move || works(&mut Client::connect(&conninfo, NoTls).unwrap()));
    until("it holds both", || bed.proxy.accepted() == 2);
    std::thread::sleep(Duration::from_millis(100));
    assert!(!inserting.is_finished() && !connecting.is_finished());
    assert_eq!((bed.rows(), bed.proxy.connections()), (0, 2));
    bed.proxy.switch(Mode::Pass);
    assert!(connecting.join().unwrap());
    assert_eq!((inserting.join().unwrap(), bed.rows()), (1, 1));
}

#[test]
fn a_black_hole_hides_an_end() {
    let bed = Bed::new();
    let mut client = bed.connect().unwrap();
    assert!(works(&mut client));
    bed.proxy.switch_open(Mode::Blackhole);
    assert!(works(&mut bed.connect().unwrap()));
    // The driver waits for the other end to close.
    let leaving = std::thread::spawn(move || drop(client));
    std::thread::sleep(Duration::from_millis(100));
    assert!(!leaving.is_finished());
    until("the other has gone", || bed.database.backends().unwrap().len() == 2);
    drop(bed.proxy);
    until("both have gone", || bed.database.backends().unwrap().len() == 1);
    leaving.join().unwrap();
}

#[test]
fn refuses_new_ones_alone() {
    let bed = Bed::new();
    let mut client = bed.connect().unwrap();
    for _ in 0..20 {
        bed.proxy.switch(Mode::Refuse);
        let refused = TcpStream::connect(bed.proxy.address()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert!(works(&mut client));
        bed.proxy.switch(Mode::Pass);
        assert!(works(&mut bed.connect().unwrap()));
    }
}

#[test]
fn cuts_and_resets() {
    for (mode, expected) in [(Mode::Cut, None), (Mode::Reset, Some(ErrorKind::ConnectionReset))] {
        let bed = Bed::new();
        let mut open = TcpStream::connect(bed.proxy.address()).unwrap();
        let mut client = bed.connect().unwrap();
        bed.proxy.switch(mode);
        assert_eq!(open.read(&mut [0]).err().map(|error| error.kind()), expected);
        assert!(!works(&mut client) && client.is_closed());
        let mut new = TcpStream::connect(bed.proxy.address()).unwrap();
        assert_eq!(new.read(&mut [0]).err().map(|error| error.kind()), expected);
        assert!(bed.connect().is_err());
        assert_eq!((bed.proxy.connections(), bed.proxy.hits()), (0, 0));
        until("the server has noticed", || bed.database.backends().unwrap().len() == 1);
        bed.proxy.switch(Mode::Pass);
        assert!(works(&mut bed.connect().unwrap()));
    }
}

#[test]
fn cuts_after_so_many_bytes_to_the_client() {
    let bed = Bed::new();
    let mut client = bed.connect().unwrap();
    bed.proxy.switch_once(Mode::CutAfter(25_000));
    assert!(works(&mut client));
    assert!(!works(&mut client) && client.is_closed());
    assert_eq!(bed.proxy.hits(), 1);
    assert!(works(&mut bed.connect().unwrap()));

    bed.proxy.switch_new(Mode::CutAfter(3));
    assert!(bed.connect().is_err());
    let mut start = TcpStream::connect(bed.proxy.address()).unwrap();
    std::io::Write::write_all(&mut start, b"\0\0\0\x08\0\x03\0\0").unwrap();
    let mut answer = Vec::new();
    start.read_to_end(&mut answer).unwrap();
    assert_eq!((answer.len(), bed.proxy.hits()), (3, 3));
}

#[test]
fn truncates_the_first_long_answer() {
    let bed = Bed::new();
    let mut client = bed.connect().unwrap();
    bed.proxy.switch_once(Mode::Truncate(5_000));
    for _ in 0..100 {
        client.simple_query("SELECT repeat('x', 500)").unwrap();
    }
    assert_eq!(bed.proxy.hits(), 0);
    assert!(!works(&mut client) && client.is_closed());
    assert_eq!(bed.proxy.hits(), 1);
}

#[test]
fn delays_each_way() {
    let bed = Bed::new();
    let mut client = bed.connect().unwrap();
    bed.proxy.switch(Mode::Delay(Duration::from_millis(100)));
    let start = Instant::now();
    client.simple_query("SELECT 1").unwrap();
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    bed.proxy.switch(Mode::Delay(Duration::from_secs(3_000)));
    let waiting = std::thread::spawn(move || works(&mut client));
    bed.proxy.switch(Mode::Pass);
    assert!(waiting.join().unwrap());
}

#[test]
fn passes_one_byte_at_a_time() {
    let bed = Bed::new();
    bed.proxy.switch(Mode::OneByteAtATime);
    let mut client = bed.connect().unwrap();
    assert!(works(&mut client));
    let mut raw = TcpStream::connect(bed.proxy.address()).unwrap();
    std::io::Write::write_all(&mut raw, b"\0\0\0\x08\0\x03\0\0").unwrap();
    assert_eq!(raw.read(&mut [0; 100]).unwrap(), 1);
}

#[test]
fn drops_the_reply_to_what_has_taken_effect() {
    let mut bed = Bed::new();
    bed.proxy.switch(Mode::DropReplyTo("commit".to_owned()));
    for round in 1..=10 {
        let mut client = bed.connect().unwrap();
        let mut transaction = client.transaction().unwrap();
        transaction.execute("INSERT INTO t VALUES ($1)", &[&1]).unwrap();
        assert!(transaction.commit().unwrap_err().is_closed());
        assert!(client.is_closed());
        assert_eq!((bed.rows(), bed.proxy.hits()), (i64::try_from(round).unwrap(), round));
    }
}

#[test]
fn drops_the_reply_to_prepared_statements() {
    let mut bed = Bed::new();
    let mut client = bed.connect().unwrap();
    let insert = client.prepare("INSERT INTO t VALUES ($1)").unwrap();
    bed.proxy.switch_once(Mode::DropReplyTo("INSERT INTO t".to_owned()));
    assert!(works(&mut client));
    client.prepare("INSERT INTO t VALUES (2)").unwrap();
    assert!(client.execute(&insert, &[&1]).unwrap_err().is_closed());
    assert_eq!((bed.rows(), bed.proxy.hits()), (1, 1));
    let mut client = bed.connect().unwrap();
    client.execute("INSERT INTO t VALUES ($1)", &[&1]).unwrap();
    assert_eq!((bed.rows(), bed.proxy.hits()), (2, 1));
}

#[test]
fn cuts_before_what_takes_no_effect() {
    let mut bed = Bed::new();
    let mut client = bed.connect().unwrap();
    bed.proxy.switch_once(Mode::CutBefore("COMMIT".to_owned()));
    let mut transaction = client.transaction().unwrap();
    transaction.execute("INSERT INTO t VALUES ($1)", &[&1]).unwrap();
    assert!(transaction.commit().unwrap_err().is_closed());
    until("the server has noticed", || bed.database.backends().unwrap().len() == 1);
    assert_eq!((bed.rows(), bed.proxy.hits()), (0, 1));
}

#[test]
fn a_server_that_is_down_ends_the_connection() {
    let server = Server::start().unwrap();
    let database = server.empty_database().unwrap();
    let proxy = Proxy::before(&server).unwrap();
    let mut client = Client::connect(&proxy.conninfo(&database), NoTls).unwrap();
    server.kill().unwrap();
    assert!(!works(&mut client));
    assert!(Client::connect(&proxy.conninfo(&database), NoTls).is_err());
    server.start_again().unwrap();
    assert!(works(&mut Client::connect(&proxy.conninfo(&database), NoTls).unwrap()));
}

#[tokio::test]
async fn serves_an_async_client() {
    let bed = tokio::task::spawn_blocking(Bed::new).await.unwrap();
    let (client, connection) =
        tokio_postgres::connect(&bed.proxy.conninfo(&bed.database), NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    bed.proxy.switch_once(Mode::DropReplyTo("SELECT 2".to_owned()));
    client.query_typed("SELECT 1", &[]).await.unwrap();
    assert!(client.query_typed("SELECT 2", &[]).await.unwrap_err().is_closed());
    let _ = connection.await.unwrap();
    assert_eq!(bed.proxy.hits(), 1);
    tokio::task::spawn_blocking(|| drop(bed)).await.unwrap();
}
