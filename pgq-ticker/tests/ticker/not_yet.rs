//! What a ticker needs is not there at first.

use std::time::Duration;

use pgq_sync::Installer;
use pgq_testkit::{Engine, Server};

use crate::bed::{Bed, Options, Ticker, connect, until};

/// Of the engine that the tests are to use.
fn installer() -> Installer {
    Installer::new().engine(pgq_testkit::engine().unwrap().unwrap_or(Engine::Portable))
}

cases!(no_database, no_pgq, no_right, no_server, wrong_password);

fn no_database<T: Ticker>() {
    let server = Server::shared().unwrap();
    let name = format!("{}_later", server.database().unwrap().name());
    let conninfo = format!("{} dbname={name}", server.conninfo());
    let ticker: T = T::spawn(&conninfo, Options::ticks());
    until("it says so", || ticker.stats().trouble.is_some_and(|trouble| trouble.contains("3D000")));
    let mut admin = connect(server.conninfo());
    admin.batch_execute(&format!("CREATE DATABASE \"{name}\"")).unwrap();
    until("it says what else", || {
        ticker.stats().trouble.is_some_and(|trouble| trouble.contains("install PgQ"))
    });
    installer().install(&mut connect(&conninfo)).unwrap();
    let took = until("it leads", || ticker.leads() && ticker.stats().trouble.is_none());
    println!("noticed within {took:?}");
    drop(ticker);
    admin.batch_execute(&format!("DROP DATABASE \"{name}\" WITH (FORCE)")).unwrap();
}

fn no_pgq<T: Ticker>() {
    let mut bed = Bed::on(Server::shared().unwrap().empty_database().unwrap());
    let ticker: T = bed.spawn(Options::ticks());
    until("it says so", || ticker.stats().trouble.is_some_and(|trouble| trouble.contains("install PgQ")));
    installer().install(&mut bed.db).unwrap();
    bed.create("q");
    bed.always_due("q");
    let took = until("it leads", || ticker.leads());
    println!("noticed within {took:?}");
    bed.is_ticked("q");
    installer().with_data().uninstall(&mut bed.db).unwrap();
    until("it says so again", || {
        ticker.stats().trouble.is_some_and(|trouble| trouble.contains("install PgQ"))
    });
}

fn no_right<T: Ticker>() {
    let mut bed = Bed::new("q");
    bed.always_due("q");
    let role = format!("{}_login", bed.database.name());
    bed.execute(&format!("CREATE ROLE {role} LOGIN"));
    let ticker = T::spawn(&bed.database.conninfo_as(&role), Options::ticks());
    until("it says so", || ticker.stats().trouble.is_some_and(|trouble| trouble.contains("GRANT pgq_admin")));
    assert!(!ticker.leads());
    bed.execute(&format!("GRANT pgq_admin TO {role}"));
    until("it leads", || ticker.leads() && ticker.stats().trouble.is_none());
    bed.is_ticked("q");
    bed.execute(&format!("REVOKE pgq_admin FROM {role}"));
    until("it steps down", || {
        ticker.stats().trouble.is_some_and(|trouble| trouble.contains("GRANT pgq_admin"))
    });
    let another: T = bed.spawn(Options::ticks());
    until("another one leads", || another.leads());
    drop(ticker);
    bed.execute(&format!("DROP ROLE {role}"));
}

fn no_server<T: Ticker>() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ticker = T::spawn(&format!("host=127.0.0.1 port={port} user=postgres"), Options::ticks());
    until("it has tried thrice", || ticker.stats().failures >= 3);
    let stats = ticker.stop();
    assert!(stats.trouble.is_some_and(|trouble| trouble.contains("refused")));
    assert!(stats.failures < 10);
}

fn wrong_password<T: Ticker>() {
    let server = Server::start().unwrap();
    let mut bed = Bed::on(server.database().unwrap());
    bed.create("q");
    bed.execute("CREATE ROLE app LOGIN PASSWORD 'right'; GRANT pgq_admin TO app");
    let file: String = bed.rows("SHOW hba_file")[0].get(0);
    bed.execute(&format!(
        "COPY (VALUES ('local all app scram-sha-256'), ('local all all trust')) TO '{file}'"
    ));
    bed.execute("SELECT pg_reload_conf()");
    let conninfo = bed.database.conninfo_as("app");
    until("passwords are asked for", || {
        conninfo.parse::<pgq_sync::postgres::Config>().unwrap().connect(pgq_sync::postgres::NoTls).is_err()
    });
    let ticker = T::spawn(&format!("{conninfo} password=wrong"), Options::ticks());
    until("it says so", || ticker.stats().trouble.is_some_and(|trouble| trouble.contains("28P01")));
    until("it has tried again", || ticker.stats().failures >= 3);
    bed.execute("ALTER ROLE app PASSWORD 'wrong'");
    let took = until("it leads", || ticker.leads());
    assert!(took < Duration::from_secs(10), "{took:?}");
}
