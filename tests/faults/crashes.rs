//! Servers and sessions are killed while all are at work.

use std::time::{Duration, Instant};

use pgq_core::worker::{Notice, Undo};

use crate::bed::{Bed, Fault, Figures, Outages, Role, Run, Spread, Worker};

cases!(each_committed_event_takes_effect_once);

const MEMBERS: usize = 4;
const MOST_BEHIND: i64 = 20_000;
/// Shorter than what a server takes to come back would do: then members that only wait are taken for dead.
const DEAD: Duration = Duration::from_secs(2);

/// A consumer and a group of four members, which write in the transaction of the batch; eight producers; two tickers. Servers and
/// sessions are killed all the time, and now and then a member dies for good, another one comes, and its batch is taken over.
fn each_committed_event_takes_effect_once(run: Run) -> crate::Result {
    let events = run.size(20_000, 1_000_000);
    let (servers, sessions) = (run.size(4, 20), run.size(20, 200));
    let bed = Bed::new(run)?;
    let plain = Role::consumer_of("plain");
    bed.register(&plain)?;
    let mut members: Vec<_> =
        (0..MEMBERS).map(|number| member(&bed, number)).collect::<crate::Result<_>>()?;
    let plain = bed.job(plain).start();
    let _tickers = bed.tickers(2);
    let producers = bed.producers(8, events);
    let mut random = bed.run.random();
    let (mut recovery, mut lost, mut left, mut deaths) = (Spread::default(), 0, 0, 0);

    let start = Instant::now();
    Outages::spread(&bed.run, servers, sessions, events).happen(&bed, &producers, |fault, since| {
        if fault == Fault::Server {
            let finished = || plain.heard.after(since, |notice| matches!(notice, Notice::Finished { .. }));
            pgq_testkit::until("there is a batch again", || finished().is_some());
            recovery.add(finished().unwrap_or(since) - since);
        } else if random.u8(..4) == 0 {
            let at_work = members.iter().position(|member| member.stats().batch.is_some());
            let gone = members.swap_remove(at_work.unwrap_or_default());
            let heard = gone.heard.clone();
            lost += gone.stop_now()?.lost;
            left += u32::from(heard.unfinished().contains(&heard.delivery()));
            members.push(member(&bed, MEMBERS + deaths)?);
            deaths += 1;
        }
        // More would only wait for its turn at the end.
        pgq_testkit::until("the consumers are not far behind", || bed.behind() < MOST_BEHIND);
        Ok(())
    })?;
    let after_the_last = Instant::now();
    let produced = producers.join();
    let top = bed.wait_for_top(Duration::from_secs(60));
    let (worked, top) = (start.elapsed(), (after_the_last.elapsed(), top));

    let lost = lost + members.iter().chain([&plain]).map(|worker| worker.stats().lost).sum::<u64>();
    let (alone, group, inversions) = (bed.truth("plain"), bed.truth("group"), bed.inversions());
    Figures::of(&bed.run)
        .truth("consumer", &alone)
        .truth("group", &group)
        .add("killed servers", servers)
        .add("sessions", sessions)
        .add("members", format!("{deaths} ({left} with a batch)"))
        .add("batches lost", lost)
        .add("commits in doubt", format!("{} ({} done)", produced.in_doubt, produced.in_doubt_committed))
        .add("rolled back", produced.rolled_back)
        .add("inverted ticks", inversions)
        .add("first batch after a server", &recovery)
        .add("all at the top after", format!("{:.1?} ({:.1?} after the producers)", top.0, top.1))
        .add("took", format!("{worked:.1?}"))
        .print();
    alone.assert_exactly_once();
    group.assert_exactly_once();
    assert_eq!(alone.sent, i64::try_from(produced.committed)?);
    assert_eq!(inversions, 0);
    for worker in members.into_iter().chain([plain]) {
        worker.stop()?;
    }
    Ok(())
}

fn member(bed: &Bed, number: usize) -> crate::Result<Worker> {
    let role = Role::member("group", &format!("m{number}"), DEAD);
    bed.register(&role)?;
    // Two with a savepoint for each event, two without.
    let undo = if number % 2 == 0 { Undo::Event } else { Undo::Batch };
    Ok(bed.job(role).options(|options| options.undo(undo)).start())
}
