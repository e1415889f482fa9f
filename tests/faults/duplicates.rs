//! Two workers of one name, which is nobody's wish but happens.

use std::time::{Duration, Instant};

use pgq_core::QueueConfig;
use pgq_core::worker::{Claim, Notice, WorkerState};
use pgq_sync::Queue;
use pgq_testkit::{Server, until};

use crate::bed::child::{Child, LOST, Retries};
use crate::bed::{Bed, Figures, QUEUE, Role, Run, patient, value};

cases!(who_finishes_second_loses_its_work, who_stands_by_takes_over);

/// Two workers of a consumer and two of a subconsumer get the same batches at the same time.
fn who_finishes_second_loses_its_work(run: Run) -> crate::Result {
    const MOST_ASKS: f64 = 20.0;
    const PARTS: u64 = 15;
    let events = run.size(8_000, 100_000);
    let server = Server::builder().setting("track_functions", "all").start()?;
    let bed = Bed::on(run, server)?;
    // Few batches, so that it shows if somebody asks all the time.
    let config = QueueConfig::new().ticker_max_lag(Duration::from_millis(300)).ticker_max_count(100_000);
    Queue::new(QUEUE).set_config(&mut bed.connect(), &config)?;
    let roles = [Role::consumer_of("alone"), Role::member("group", "m", Duration::from_secs(60))];
    let mut workers = Vec::new();
    for role in &roles {
        bed.register(role)?;
        let share = || bed.job(role.clone()).options(|options| options.claim(Claim::Share)).start();
        workers.extend([share(), share()]);
    }
    let _tickers = bed.tickers(1);
    let start = Instant::now();
    let producers = bed.producers(4, events);
    let mut db = bed.connect();
    let mut written = || {
        value::<i64>(
            &mut db,
            "SELECT least((SELECT count(*) FROM sink_alone), (SELECT count(*) FROM sink_group))",
            &[],
        )
    };
    for part in 1..=PARTS {
        producers.allow(part * events / PARTS);
        let wanted = i64::try_from(part * events / PARTS)?;
        until("the part has arrived", || written() >= wanted);
    }
    let worked = start.elapsed();
    let asks = asks(&bed) / worked.as_secs_f64() / 4.0;
    producers.join();
    bed.wait_for_top(Duration::from_secs(60));

    let lost: Vec<_> = workers.iter().map(|worker| worker.stats().lost).collect();
    let told: usize =
        workers.iter().map(|w| w.heard.count(|notice| matches!(notice, Notice::Lost { .. }))).sum();
    let (alone, group) = (bed.truth("alone"), bed.truth("group"));
    Figures::of(&bed.run)
        .truth("consumer", &alone)
        .truth("subconsumer", &group)
        .add("batches lost by each of the four", format!("{lost:?}"))
        .add("asks for a batch per second and worker", format!("{asks:.1}"))
        .add("took", format!("{worked:.1?}"))
        .print();
    alone.assert_exactly_once();
    group.assert_exactly_once();
    assert!(lost[0] + lost[1] > 0 && lost[2] + lost[3] > 0, "{lost:?}");
    assert_eq!(told as u64, lost.iter().sum::<u64>());
    assert!(asks <= MOST_ASKS, "{asks}");
    for worker in workers {
        worker.stop()?;
    }
    Ok(())
}

/// How often somebody asked for a batch. Functions of that name call each other: the innermost is called most.
fn asks(bed: &Bed) -> f64 {
    let calls = "SELECT sum(calls)::float8 FROM (SELECT schemaname, max(calls) AS calls FROM pg_stat_user_functions \
         WHERE funcname LIKE 'next_batch%' GROUP BY schemaname) innermost";
    value(&mut bed.connect(), calls, &[])
}

/// A worker in another process is killed; one of the same name stands by for it here.
fn who_stands_by_takes_over(run: Run) -> crate::Result {
    const AT_MOST: Duration = Duration::from_secs(5);
    let bed = Bed::new(run)?;
    let role = Role::consumer_of("alone");
    bed.register(&role)?;
    let _tickers = bed.tickers(1);
    let events = bed.run.size(4_000, 50_000);
    let producers = bed.producers(4, events);
    producers.allow(events / 4);
    let go = std::env::temp_dir();
    let first = Child {
        driver: bed.run.driver,
        conninfo: bed.database.conninfo(),
        role: &role,
        point: None,
        go: &go,
        retries: Retries::None,
    };
    let mut first = first.start()?;
    let mut db = bed.connect();
    let mut written = || value::<i64>(&mut db, "SELECT count(*) FROM sink_alone", &[]);
    until("the first one works", || written() > 0);
    let second = bed.job(role).start();
    until("the second one stands by", || second.stats().state == WorkerState::StandingBy);
    producers.allow(events / 2);
    until("the first one goes on", || written() > i64::try_from(events / 4).unwrap());
    assert_eq!(second.stats().batches, 0);
    producers.allow(events);

    let killed = Instant::now();
    first.kill()?;
    let working = || second.heard.after(killed, |notice| matches!(notice, Notice::Working));
    until("the second one works", || working().is_some());
    let takeover = working().unwrap_or(killed) - killed;
    producers.join();
    bed.wait_for_top(Duration::from_secs(60));

    let truth = bed.truth("alone");
    let lost = second.stats().lost;
    Figures::of(&bed.run)
        .truth("consumer", &truth)
        .add("batches lost", lost)
        .add("takeover", format!("{takeover:.2?}"))
        .print();
    truth.assert_exactly_once();
    assert_eq!(lost, 0);
    assert!(takeover <= patient(AT_MOST), "{takeover:?}");
    while let Some(line) = first.next_line() {
        assert_ne!(line, LOST);
    }
    second.stop()?;
    Ok(())
}
