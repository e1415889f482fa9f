//! What is of this driver's workers alone: futures that are dropped, tasks, handlers that are cut off.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::future::pending;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use pgq_async::pgq_core::worker::{Notice, Outcome, RetryPolicy, Undo, WorkerOptions, WorkerState};
use pgq_async::pgq_core::{Error, Event};
use pgq_async::pgq_schema::Schema;
use pgq_async::tokio_postgres::{Client, Config, NoTls, Transaction};
use pgq_async::{Consumer, Installer, Queue, SubConsumer, Worker, WorkerBuilder};
use pgq_testkit::{Database, Server};
use tokio::sync::Semaphore;

const SHORT: Duration = Duration::from_millis(20);
const END_WORKERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
     WHERE datname = current_database() AND application_name = 'pgq worker'";

/// A database with a queue, a consumer, and a table to write to.
struct Bed {
    database: Database,
    client: Client,
}

#[derive(serde::Deserialize)]
struct Order {
    #[expect(dead_code, reason = "it is enough that it is there")]
    id: i64,
}

type Notices = Arc<Mutex<Vec<Notice>>>;

impl Bed {
    async fn new() -> Self {
        Self::on(Server::shared().unwrap()).await
    }

    async fn on(server: &Server) -> Self {
        let database = server.database().unwrap();
        let mut client = connect(&database).await;
        Installer::new().only(Schema::ALL).install(&mut client).await.unwrap();
        Queue::new("q").create(&client).await.unwrap();
        Consumer::new("q", "c").register(&client).await.unwrap();
        client.batch_execute("CREATE TABLE sink (n bigserial, value text)").await.unwrap();
        Self { database, client }
    }

    fn config(&self) -> Config {
        self.database.conninfo().parse().unwrap()
    }

    fn worker(&self) -> WorkerBuilder {
        Worker::builder(self.config(), Consumer::new("q", "c")).options(options())
    }

    async fn insert(&self, events: &[(&str, &str)]) {
        for (event_type, data) in events {
            Queue::new("q").insert_event(&self.client, event_type, data).await.unwrap();
        }
        self.tick().await;
    }

    async fn tick(&self) {
        let sql = "SELECT pgq.force_tick('q'); SELECT pgq.ticker('q'); NOTIFY pgq_tick, 'q'";
        self.client.batch_execute(sql).await.unwrap();
    }

    /// What is in the sink, in the order of writing.
    async fn sink(&self) -> Vec<String> {
        let rows = self.client.query("SELECT value FROM sink ORDER BY n", &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    async fn count(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }
}

fn options() -> WorkerOptions {
    WorkerOptions::new().poll(Duration::from_millis(50))
}

async fn connect(database: &Database) -> Client {
    let (client, connection) = tokio_postgres::connect(database.conninfo(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let limit = Duration::from_secs(30);
    assert!(tokio::time::timeout(limit, waiting).await.is_ok(), "waited {limit:?} in vain until {what}");
}

fn store<'t>(
    event: Event,
    transaction: &'t mut Transaction<'_>,
) -> BoxFuture<'t, Result<(), tokio_postgres::Error>> {
    async move {
        transaction.execute("INSERT INTO sink (value) VALUES ($1)", &[&event.data]).await?;
        Ok(())
    }
    .boxed()
}

fn listener() -> (Notices, impl Fn(&Notice) + Send + Sync + 'static) {
    let notices = Notices::default();
    let heard = notices.clone();
    (notices, move |notice: &Notice| heard.lock().unwrap().push(notice.clone()))
}

#[tokio::test]
async fn writes_with_the_batch() {
    let bed = Bed::new().await;
    let worker = bed.worker().on("a", store).spawn().unwrap();
    bed.insert(&[("a", "1"), ("a", "2")]).await;
    until("two rows are there", async || bed.sink().await == ["1", "2"]).await;
    bed.insert(&[("a", "3")]).await;
    until("three rows are there", async || bed.sink().await == ["1", "2", "3"]).await;
    let stats = worker.stop().await.unwrap();
    assert_eq!((stats.events.done, stats.batches, stats.state), (3, 2, WorkerState::Stopped));
}

#[tokio::test]
async fn failures_undo_their_own_writes() {
    let bed = Bed::new().await;
    let (notices, hear) = listener();
    let worker = bed
        .worker()
        .on_notice(hear)
        .on("a", store)
        .on("fails", |event: Event, transaction| {
            async move {
                store(event, transaction).await?;
                Err::<(), Box<dyn std::error::Error + Send + Sync>>("no".into())
            }
            .boxed()
        })
        .on("panics", |_: Event, _| {
            async {
                if true {
                    panic!("no such customer")
                }
            }
            .boxed()
        })
        .on("swallows", |_: Event, transaction| {
            async { drop(transaction.batch_execute("SELECT 1/0").await) }.boxed()
        })
        .on("dies", |_: Event, _| async { Outcome::Dead("not wanted".into()) }.boxed())
        .spawn()
        .unwrap();
    let events = ["fails", "a", "panics", "swallows", "dies", "unknown", "a"];
    let events: Vec<_> = events.iter().map(|event_type| (*event_type, *event_type)).collect();
    bed.insert(&events).await;
    until("the batch is finished", async || worker.stats().batches == 1).await;
    let stats = worker.stop().await.unwrap();
    assert_eq!((stats.events.done, stats.events.retried, stats.events.dead, stats.panics), (2, 3, 2, 1));
    assert_eq!(bed.sink().await, ["a", "a"]);
    assert_eq!(bed.count("SELECT count(*) FROM pgq.retry_queue").await, 3);
    assert_eq!(bed.count("SELECT count(*) FROM pgq_dead.letter").await, 2);
    let told: Vec<_> = notices.lock().unwrap().iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|notice| notice.contains("panic: no such customer")), "{told:?}");
    assert!(told.iter().any(|notice| notice.contains("asked for: not wanted")), "{told:?}");
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_cut_off() {
    let bed = Bed::new().await;
    let options = options().handler_limit(Duration::from_millis(100));
    let worker = bed
        .worker()
        .options(options)
        .on("a", store)
        .on("slow", |event: Event, transaction| {
            async move {
                store(event, transaction).await?;
                transaction.batch_execute("SELECT pg_sleep(600)").await
            }
            .boxed()
        })
        .spawn()
        .unwrap();
    bed.insert(&[("a", "1"), ("slow", "2"), ("a", "3")]).await;
    until("the batch is finished", async || worker.stats().batches == 1).await;
    assert_eq!(bed.sink().await, ["1", "3"]);
    let stats = worker.stop().await.unwrap();
    assert_eq!((stats.events.retried, stats.connections, stats.rolled_back), (1, 1, 0));
}

#[tokio::test]
async fn what_a_handler_leaves_running_is_cut_off() {
    let bed = Bed::new().await;
    let worker = bed
        .worker()
        .on("leaves", |_: Event, transaction| {
            let sleeps = transaction.batch_execute("SELECT pg_sleep(3600)");
            async move { tokio::time::timeout(SHORT, sleeps).await.map(drop) }.boxed()
        })
        .otherwise(store)
        .spawn()
        .unwrap();
    bed.insert(&[("a", "1"), ("leaves", "2"), ("a", "3")]).await;
    until("the batch is finished", async || worker.stats().batches == 1).await;
    assert_eq!(bed.sink().await, ["1", "3"]);
    let stats = worker.stop().await.unwrap();
    assert_eq!((stats.events.retried, stats.connections), (1, 1));
}

#[tokio::test]
async fn a_dropped_run_leaves_the_batch_and_nothing_else() {
    let bed = Bed::new().await;
    bed.insert(&[("a", "1"), ("hangs", "2")]).await;
    let hangs = || bed.worker().on("a", store).on("hangs", |_: Event, _| pending::<()>().boxed());
    let written = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'";
    let run = hangs().run();
    tokio::select! {
        ended = run => panic!("{ended:?}"),
        () = until("the handler hangs", async || bed.count(written).await == 1) => {}
    }
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pgq worker'";
    until("its session is gone", async || bed.count(sessions).await == 0).await;
    assert!(bed.sink().await.is_empty());
    let worker = bed.worker().otherwise(store).spawn().unwrap();
    until("both rows are there", async || bed.sink().await == ["1", "2"]).await;
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn stops_within_its_grace() {
    let bed = Bed::new().await;
    bed.insert(&[("hangs", "1")]).await;
    let worker = bed
        .worker()
        .options(options().grace(Duration::from_millis(50)))
        .on("hangs", |_: Event, transaction| {
            async { transaction.batch_execute("SELECT pg_sleep(600)").await }.boxed()
        })
        .spawn()
        .unwrap();
    until("the batch is in hand", async || worker.stats().batch.is_some()).await;
    let stats = worker.stop().await.unwrap();
    assert_eq!((stats.batches, stats.state), (0, WorkerState::Stopped));
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(600)%' AND state = 'active' \
         AND pid <> pg_backend_pid()";
    until("its statement is cancelled", async || bed.count(asleep).await == 0).await;
}

#[tokio::test]
async fn whole_batches_count_their_failures() {
    let bed = Bed::new().await;
    let (fails, tries) = (Arc::new(Mutex::new(0)), RetryPolicy::new().attempts(2));
    let options = options().retries(tries.pauses(Duration::from_millis(10), Duration::from_millis(10)));
    let counted = fails.clone();
    let worker = bed
        .worker()
        .options(options)
        .on_batch(move |batch| {
            let counted = counted.clone();
            async move {
                while let Some(event) = batch.next_event().await? {
                    store(event.clone(), batch.transaction()).await?;
                    if event.ev_is("bad") {
                        *counted.lock().unwrap() += 1;
                        return Err(Box::<dyn std::error::Error + Send + Sync>::from("bad"));
                    }
                }
                Ok(())
            }
            .boxed()
        })
        .spawn()
        .unwrap();
    bed.insert(&[("a", "1"), ("bad", "2")]).await;
    until("the batch is given up", async || worker.stats().events.dead == 2).await;
    bed.insert(&[("a", "3")]).await;
    until("the next batch is done", async || bed.sink().await == ["3"]).await;
    assert_eq!(*fails.lock().unwrap(), 2);
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_deferred_constraint_fails_its_event_alone() {
    let bed = Bed::new().await;
    let unique = "ALTER TABLE sink ADD UNIQUE (value) DEFERRABLE INITIALLY DEFERRED";
    bed.client.batch_execute(unique).await.unwrap();
    let sliced = options().slice(NonZeroU32::new(2).unwrap());
    for way in [options(), options().undo(Undo::Batch), sliced.clone(), sliced.undo(Undo::Batch)] {
        let worker = bed.worker().options(way).otherwise(store).spawn().unwrap();
        bed.insert(&[("a", "1"), ("a", "1"), ("a", "2")]).await;
        until("the batch is finished", async || worker.stats().batches == 1).await;
        assert_eq!(bed.sink().await, ["1", "2"]);
        assert_eq!(worker.stop().await.unwrap().events.retried, 1);
        bed.client.batch_execute("DELETE FROM sink").await.unwrap();
    }
}

#[tokio::test]
async fn slices_are_done_once() {
    let bed = Bed::new().await;
    let events: Vec<_> = (1..=7).map(|n| n.to_string()).collect();
    let events: Vec<_> = events.iter().map(|n| ("a", n.as_str())).collect();
    bed.insert(&events).await;
    let (slice, seen) = (NonZeroU32::new(2).unwrap(), Arc::new(Mutex::new(Vec::new())));
    let sliced = |stops_at: &'static str| {
        let seen = seen.clone();
        bed.worker().options(options().slice(slice)).otherwise(move |event: Event, transaction| {
            seen.lock().unwrap().push(event.data.clone().unwrap());
            if event.data.as_deref() == Some(stops_at) {
                return pending().boxed();
            }
            store(event, transaction)
        })
    };
    tokio::select! {
        ended = sliced("6").run() => panic!("{ended:?}"),
        () = until("the sixth is there", async || seen.lock().unwrap().len() == 6) => {}
    }
    assert_eq!(bed.sink().await, ["1", "2", "3", "4"]);
    seen.lock().unwrap().clear();
    let worker = sliced("").spawn().unwrap();
    until("the batch is finished", async || worker.stats().batches == 1).await;
    assert_eq!(*seen.lock().unwrap(), ["5", "6", "7"]);
    assert_eq!(bed.sink().await, ["1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(worker.stop().await.unwrap().events.done, 3);
}

#[tokio::test]
async fn outside_handlers_run_side_by_side_but_for_one_key() {
    let bed = Bed::new().await;
    let options = options().retries(RetryPolicy::new().pauses(SHORT, SHORT).jitter(0.0));
    let (order, gate) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
    let (ordered, passed) = (order.clone(), gate.clone());
    let worker = bed
        .worker()
        .options(options)
        .outside()
        .concurrency(3)
        .key(|event| event.event_type.clone())
        .otherwise(move |event: Event| {
            let (ordered, passed) = (ordered.clone(), passed.clone());
            async move {
                let (key, data) = (event.event_type.unwrap(), event.data.unwrap());
                let tries = {
                    let mut order = ordered.lock().unwrap();
                    order.push(format!("{key}{data}"));
                    order.iter().filter(|done| **done == format!("{key}{data}")).count()
                };
                if key == "waits" {
                    passed.acquire().await.unwrap().forget();
                }
                if data == "fails" && tries < 3 { Err("not yet") } else { Ok(()) }
            }
        })
        .spawn()
        .unwrap();
    bed.insert(&[("waits", "1"), ("a", "fails"), ("a", "2"), ("b", "1"), ("waits", "2"), ("b", "2")]).await;
    until("the others are done", async || order.lock().unwrap().len() == 7).await;
    let done = order.lock().unwrap().clone();
    let of = |key: &str| done.iter().filter(|done| done.starts_with(key)).cloned().collect::<Vec<_>>();
    assert_eq!(of("a"), ["afails", "afails", "afails", "a2"]);
    assert_eq!(of("b"), ["b1", "b2"]);
    assert_eq!(of("waits"), ["waits1"]);
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pgq worker' AND state <> 'idle'";
    assert_eq!(bed.count(busy).await, 0);
    gate.add_permits(2);
    until("the batch is finished", async || worker.stats().batches == 1).await;
    assert_eq!(worker.stop().await.unwrap().events.done, 6);
}

#[tokio::test]
async fn outside_failures_are_retried_or_dead() {
    let bed = Bed::new().await;
    let worker = bed
        .worker()
        .options(options().handler_limit(Duration::from_millis(100)))
        .outside()
        .concurrency(2)
        .on("hangs", |_: Event| pending::<()>())
        .on("panics", |_: Event| async {
            if true {
                panic!("no such customer")
            }
        })
        .on("order", |_: Order| async {})
        .spawn()
        .unwrap();
    bed.insert(&[("hangs", "1"), ("panics", "2"), ("order", r#"{"id":3}"#), ("order", "{"), ("new", "5")])
        .await;
    until("the batch is finished", async || worker.stats().batches == 1).await;
    let stats = worker.stop().await.unwrap();
    assert_eq!((stats.events.done, stats.events.retried, stats.events.dead, stats.panics), (1, 2, 2, 1));
    assert_eq!(bed.count("SELECT count(*) FROM pgq.retry_queue").await, 2);
}

#[tokio::test]
async fn windows_are_handled_whole() {
    let bed = Bed::new().await;
    let many = "SELECT pgq.insert_event('q', 'a', n::text) FROM generate_series(1, 25000) n";
    bed.client.batch_execute(many).await.unwrap();
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let counted = sizes.clone();
    let worker = bed
        .worker()
        .outside()
        .on_batch(move |events: Vec<Event>| {
            counted.lock().unwrap().push(events.len());
            async { Ok::<_, Error>(()) }
        })
        .spawn()
        .unwrap();
    bed.tick().await;
    until("the batch is finished", async || worker.stats().batches == 1).await;
    assert_eq!(*sizes.lock().unwrap(), [10_000, 10_000, 5_000]);
    assert_eq!(worker.stop().await.unwrap().events.done, 25_000);
}

#[tokio::test]
async fn a_member_beats_and_loses_its_batch_at_once() {
    let bed = Bed::new().await;
    let member = |name| SubConsumer::new("q", "group", name).dead_interval(Duration::from_millis(600));
    member("one").register(&bed.client).await.unwrap();
    let (notices, hear) = listener();
    let worker = Worker::builder(bed.config(), member("one"))
        .options(options())
        .on_notice(hear)
        .otherwise(|event: Event, transaction| {
            async move {
                store(event, transaction).await?;
                transaction.batch_execute("SELECT pg_sleep(600)").await
            }
            .boxed()
        })
        .spawn()
        .unwrap();
    bed.insert(&[("a", "1")]).await;
    until("the batch is in hand", async || worker.stats().batch.is_some()).await;
    let batch = worker.stats().batch.unwrap();
    // Longer than the dead interval, so that only beats keep the batch.
    let active = "SELECT extract(epoch FROM clock_timestamp() - sub_active) < 0.4 AND clock_timestamp() > \
         (SELECT min(sub_active) + '1 s' FROM pgq.subscription) FROM pgq.subscription s \
         JOIN pgq.consumer c ON c.co_id = s.sub_consumer WHERE co_name = 'group.one'";
    until("it has beaten for a second", async || bed.client.query_one(active, &[]).await.unwrap().get(0))
        .await;
    assert_eq!(worker.stats().batch, Some(batch));
    let finish = "SELECT pgq_coop.finish_batch($1)";
    bed.client.query_one(finish, &[&batch.0]).await.unwrap();
    until("it knows", async || worker.stats().lost == 1).await;
    let told = notices.lock().unwrap().clone();
    assert!(told.contains(&Notice::Lost { batch }), "{told:?}");
    let stats = worker.stop().await.unwrap();
    assert_eq!((stats.connections, stats.batches), (1, 0));
    assert!(bed.sink().await.is_empty());
}

#[tokio::test]
async fn what_befits_no_worker_is_refused() {
    let bed = Bed::new().await;
    let slice = options().slice(NonZeroU32::new(2).unwrap());
    let outside = bed.worker().options(slice).outside().otherwise(|_: Event| async {});
    let misplaced = bed.worker().otherwise(store).outside().otherwise(|_: Event| async {});
    for refused in [outside.run().await, bed.worker().run().await, misplaced.run().await] {
        assert!(matches!(refused, Err(Error::InvalidValue { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn survives_the_end_of_its_session() {
    let bed = Bed::new().await;
    let worker = bed.worker().otherwise(store).spawn().unwrap();
    until("it works", async || worker.stats().state == WorkerState::Working).await;
    bed.client.batch_execute(END_WORKERS).await.unwrap();
    bed.insert(&[("a", "1")]).await;
    until("the row is there", async || bed.sink().await == ["1"]).await;
    assert_eq!(worker.stop().await.unwrap().connections, 2);
}

#[tokio::test]
async fn finishes_over_another_connection_what_was_done_outside() {
    let bed = Bed::new().await;
    let (config, calls) = (bed.config(), Arc::new(Mutex::new(0)));
    let called = calls.clone();
    let handler = move |_: Event| {
        let config = config.clone();
        *called.lock().unwrap() += 1;
        async move {
            let (client, connection) = config.connect(NoTls).await?;
            let ended = client.batch_execute(END_WORKERS);
            tokio::select! {
                ended = ended => ended,
                lost = connection => lost,
            }
        }
    };
    let worker = bed.worker().outside().otherwise(handler).spawn().unwrap();
    bed.insert(&[("a", "1"), ("a", "2")]).await;
    until("the batch is finished", async || worker.stats().batches == 1).await;
    let stats = worker.stop().await.unwrap();
    assert_eq!((stats.events.done, *calls.lock().unwrap()), (2, 2));
}

/// The server has no time to say good-bye, so that nothing but the end of the connection ends the statement.
#[tokio::test]
async fn survives_the_end_of_its_server_in_a_statement() {
    let server = Server::start().unwrap();
    let mut bed = Bed::on(&server).await;
    let first = Arc::new(Mutex::new(true));
    let worker = bed
        .worker()
        .otherwise(move |event: Event, transaction| {
            let sleeps = std::mem::take(&mut *first.lock().unwrap());
            async move {
                if sleeps {
                    transaction.batch_execute("SELECT pg_sleep(600)").await?;
                }
                store(event, transaction).await
            }
            .boxed()
        })
        .spawn()
        .unwrap();
    bed.insert(&[("a", "1")]).await;
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND application_name = 'pgq worker' AND query LIKE '%pg_sleep%' AND state = 'active'";
    until("the handler sleeps", async || bed.count(asleep).await == 1).await;
    server.kill().unwrap();
    server.start_again().unwrap();
    bed.client = connect(&bed.database).await;
    until("the row is there", async || bed.sink().await == ["1"]).await;
    assert!(worker.stop().await.unwrap().connections >= 2);
}

#[tokio::test]
async fn stands_by() {
    let bed = Bed::new().await;
    let (first, second) = (bed.worker().otherwise(store).spawn().unwrap(), bed.worker().otherwise(store));
    until("the first works", async || first.stats().state == WorkerState::Working).await;
    let second = second.spawn().unwrap();
    until("the second stands by", async || second.stats().state == WorkerState::StandingBy).await;
    first.stop().await.unwrap();
    bed.insert(&[("a", "1")]).await;
    until("the second takes over", async || bed.sink().await == ["1"]).await;
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_panic_of_its_own_is_told() {
    let bed = Bed::new().await;
    let worker = bed.worker().on_notice(|_| panic!("out of order")).otherwise(store).spawn().unwrap();
    let error = worker.wait().await.unwrap_err();
    assert!(matches!(&error, Error::WorkerEnded { problem } if problem == "out of order"), "{error:?}");
}

trait TypeOf {
    fn ev_is(&self, event_type: &str) -> bool;
}

impl TypeOf for Event {
    fn ev_is(&self, event_type: &str) -> bool {
        self.event_type.as_deref() == Some(event_type)
    }
}

/// At each point the future is dropped; then another worker finds all that there is to do, and nothing twice.
#[cfg(feature = "fault-points")]
#[tokio::test]
async fn dropped_anywhere_it_loses_nothing() {
    use pgq_async::pgq_core::fault_point::{Action, Hook, Point};

    let ways = [options(), options().undo(Undo::Batch), options().slice(NonZeroU32::new(5).unwrap())];
    for (point, way) in Point::ALL.into_iter().flat_map(|point| ways.each_ref().map(|way| (point, way))) {
        let bed = Bed::new().await;
        let numbers: Vec<_> = (1..=9).map(|n| n.to_string()).collect();
        let mut events: Vec<_> = numbers.iter().map(|n| ("a", n.as_str())).collect();
        events.extend([("later", "10"), ("never", "11")]);
        bed.insert(&events).await;
        let handlers = |builder: WorkerBuilder| {
            builder
                .on("a", store)
                .on("later", |_: Event, _| async { Outcome::Retry(Duration::from_secs(3600)) }.boxed())
        };
        let reached = Arc::new(Semaphore::new(0));
        let tell = reached.clone();
        let hook = Hook::new(move |at| {
            if at != point {
                return Action::Go;
            }
            tell.add_permits(1);
            Action::DropFuture
        });
        let consumer = Consumer::new("q", "c").with_fault_points(hook);
        let worker = handlers(Worker::builder(bed.config(), consumer)).options(way.clone());
        tokio::select! {
            ended = worker.run() => panic!("{point}: {ended:?}"),
            () = until("the point is reached", async || reached.available_permits() > 0) => {}
        }
        let worker = handlers(bed.worker()).options(way.clone()).spawn().unwrap();
        until("it works", async || worker.stats().state == WorkerState::Working).await;
        let left = "SELECT count(*) FROM pgq.subscription WHERE sub_batch IS NOT NULL OR sub_last_tick < \
             (SELECT max(tick_id) FROM pgq.tick)";
        until("all is finished", async || bed.count(left).await == 0).await;
        worker.stop().await.unwrap();
        assert_eq!(bed.sink().await, numbers, "{point} {way:?}");
        assert_eq!(bed.count("SELECT count(*) FROM pgq.retry_queue").await, 1, "{point}");
        assert_eq!(bed.count("SELECT count(*) FROM pgq_dead.letter").await, 1, "{point}");
    }
}

#[cfg(feature = "signals")]
#[tokio::test]
async fn signals_stop_it() {
    let bed = Bed::new().await;
    let grace = options().grace(Duration::from_secs(3600));
    let worker =
        bed.worker().options(grace).otherwise(|_: Event, _| pending::<()>().boxed()).spawn().unwrap();
    worker.stopper().stop_on_signals().unwrap();
    bed.insert(&[("a", "1")]).await;
    until("the batch is in hand", async || worker.stats().batch.is_some()).await;
    for state in [WorkerState::Stopping, WorkerState::Stopped] {
        let pid = std::process::id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        until("the signal is there", async || worker.stats().state == state).await;
    }
    assert_eq!(worker.wait().await.unwrap().batches, 0);
}
