use std::sync::Barrier;
use std::thread;

use pgq_core::Installation;
use pgq_schema::Setup;
use pgq_testkit::postgres::{Client, NoTls};
use pgq_testkit::{Database, Server};

use crate::bed::{Bed, portable, until};
use crate::driver::Driver;

cases!(
    one_of_many_installs,
    sessions_that_keep_their_snapshot_see_the_others,
    one_of_many_upgrades,
    queues_are_created_during_an_upgrade,
    an_upgrade_waits_for_a_creation,
    an_uninstallation_waits_for_others,
    databases_share_the_roles,
);

/// Runs on as many connections at once, and tells how many did something.
fn at_once<D: Driver>(
    databases: &[&Database],
    run: fn(&mut D, &Setup) -> pgq_core::Result<pgq_schema::Plan>,
) -> usize {
    let barrier = Barrier::new(databases.len());
    let one = |database: &Database| {
        let mut driver = D::connect(database.conninfo());
        barrier.wait();
        !run(&mut driver, &portable()).unwrap().is_empty()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = databases.iter().map(|database| scope.spawn(|| one(database))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|&did| did).count()
    })
}

fn one_of_many_installs<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    assert_eq!(at_once::<D>(&[&bed.database; 8], D::install), 1);
    assert_eq!(bed.differences(), [""; 0]);
    Ok(())
}

fn sessions_that_keep_their_snapshot_see_the_others<D: Driver>() -> crate::Result {
    for level in ["repeatable read", "serializable"] {
        let mut bed = Bed::<D>::new()?;
        let name = bed.database.name();
        bed.db
            .batch_execute(&format!("ALTER DATABASE {name} SET default_transaction_isolation = '{level}'"))?;
        assert_eq!(at_once::<D>(&[&bed.database; 8], D::install), 1, "{level}");
        assert_eq!(bed.differences(), [""; 0]);
    }
    Ok(())
}

fn one_of_many_upgrades<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::installed()?;
    bed.execute(crate::upgrades::MAKE_OLDER);
    assert_eq!(at_once::<D>(&[&bed.database; 8], D::upgrade), 1);
    assert_eq!(bed.differences(), [""; 0]);
    Ok(())
}

/// The creation of a queue writes a function of PgQ, which an upgrade replaces.
fn queues_are_created_during_an_upgrade<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::installed()?;
    let conninfo = bed.database.conninfo().to_owned();
    let create = move |thread: usize| {
        let mut driver = D::connect(&conninfo);
        for n in 0..5 {
            driver.execute(&format!("SELECT pgq.create_queue('{thread} {n}')")).unwrap();
            driver.execute(&format!("SELECT pgq.insert_event('{thread} {n}', 't', 'd')")).unwrap();
        }
    };
    thread::scope(|scope| {
        let creators: Vec<_> = (0..4)
            .map(|thread| {
                scope.spawn({
                    let create = &create;
                    move || create(thread)
                })
            })
            .collect();
        while !creators.iter().all(|creator| creator.is_finished()) {
            bed.execute(crate::upgrades::MAKE_OLDER);
            assert!(!bed.driver.upgrade(&portable()).unwrap().is_empty());
        }
    });
    assert_eq!(bed.value::<i64>("SELECT count(*) FROM pgq.queue"), 20);
    assert_eq!(bed.value::<i64>("SELECT count(pgq.insert_event(queue_name, 't', 'd')) FROM pgq.queue"), 20);
    Ok(())
}

/// The comment on `pgq.event_template` takes the lock that the creation of a queue takes, before the function is replaced.
fn an_upgrade_waits_for_a_creation<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::installed()?;
    bed.execute(crate::upgrades::MAKE_OLDER);
    while_a_queue_is_created(&mut bed, |driver| driver.upgrade(&portable()))?;
    assert_eq!(bed.differences(), [""; 0]);
    bed.execute("SELECT pgq.insert_event('q', 't', 'd')");
    Ok(())
}

/// What is in an open transaction counts.
fn an_uninstallation_waits_for_others<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::installed()?;
    let uninstalled = while_a_queue_is_created(&mut bed, |driver| driver.uninstall(&portable()));
    assert_refused!(uninstalled, Installation::InUse { .. }, ["1 queue(s)"]);
    assert_eq!(bed.differences(), [""; 0]);
    Ok(())
}

/// Runs while a transaction has created a queue, and waits for it to wait for that.
fn while_a_queue_is_created<D: Driver>(
    bed: &mut Bed<D>,
    run: fn(&mut D) -> pgq_core::Result<pgq_schema::Plan>,
) -> pgq_core::Result<pgq_schema::Plan> {
    let mut other = Client::connect(bed.database.conninfo(), NoTls).unwrap();
    let mut transaction = other.transaction().unwrap();
    transaction.execute("SELECT pgq.create_queue('q')", &[]).unwrap();
    let waiting = "SELECT count(*) > 0 FROM pg_stat_activity \
         WHERE wait_event_type = 'Lock' AND datname = current_database()";
    thread::scope(|scope| {
        let runs = scope.spawn(|| run(&mut bed.driver));
        until("it waits", || bed.db.query_one(waiting, &[]).unwrap().get(0));
        transaction.commit().unwrap();
        runs.join().unwrap()
    })
}

/// Roles belong to the cluster, and the lock to a database.
fn databases_share_the_roles<D: Driver>() -> crate::Result {
    let server = Server::start()?;
    let databases: Vec<_> = (0..8).map(|_| server.empty_database()).collect::<Result<_, _>>()?;
    assert_eq!(at_once::<D>(&databases.iter().collect::<Vec<_>>(), D::install), 8);
    for database in &databases {
        assert_eq!(D::connect(database.conninfo()).check(&portable())?, []);
    }
    Ok(())
}
