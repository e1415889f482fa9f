use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

use pgq_async::futures::FutureExt;
use pgq_core::Event;
use pgq_core::batch::Reader;
use pgq_core::worker::{Notice, Outcome, Undo};

use crate::bed::{Bed, options, until_finished};
use crate::driver::{Job, Worker};

cases!(in_the_transaction, outside_of_it);

const CONNINFO: &str = "PGQ_WORKER_CONNINFO";

const EVENTS: u32 = 200_000;

/// Runs the worker on a batch of many events in a process of its own, where it must not add more than `limit` MB to the peak of the memory.
fn measured(
    mut bed: Bed,
    case: &str,
    limit: u64,
    start: impl FnOnce(Job, Arc<AtomicU32>) -> Worker,
) -> crate::Result {
    if let Ok(conninfo) = env::var(CONNINFO) {
        let (handled, before) = (Arc::default(), peak());
        let worker = start(bed.job_at(&conninfo, Reader::consumer("q", "c")), Arc::clone(&handled));
        until_finished(&worker, 1);
        let grown = peak() - before;
        println!("{case} took {grown} kB");
        assert!(grown < limit << 10, "{case} took {grown} kB");
        assert_eq!((worker.stop()?.events.done, handled.load(Ordering::SeqCst)), (EVENTS.into(), EVENTS));
        progress(&bed);
        return Ok(());
    }
    bed.execute(&format!(
        "INSERT INTO pgq.event_1_0 (ev_time, ev_type, ev_data) SELECT now(), 'number', n FROM generate_series(1, {EVENTS}) n"
    ));
    bed.tick();
    let output = Command::new(env::current_exe()?)
        .args(["--exact", "--nocapture", &format!("memory::{}::{case}", bed.module())])
        .env(CONNINFO, bed.database.conninfo())
        .output()?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    Ok(())
}

/// At most once a second, in growing numbers, of about as many as there are.
fn progress(bed: &Bed) {
    let (mut told, mut took) = (Vec::new(), 0);
    for notice in bed.notices.all() {
        match notice {
            Notice::Progress { events, of, .. } => {
                let about = u64::from(EVENTS)..=u64::from(EVENTS) * 11 / 10;
                assert!(about.contains(&of), "{of}");
                told.push(events);
            }
            Notice::Finished { took: time, .. } => took = time.as_secs() as usize,
            _ => {}
        }
    }
    assert!(told.is_sorted() && told.len() <= took && (took < 2 || !told.is_empty()), "{told:?} in {took} s");
}

/// The peak of this process' resident memory, in kB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn in_the_transaction(bed: Bed) -> crate::Result {
    measured(bed, "in_the_transaction", 40, |job, handled| {
        let options = options().undo(Undo::Batch);
        job.options(options)
            .otherwise(move |_: Event, _| {
                handled.fetch_add(1, Ordering::SeqCst);
                async { Ok(Outcome::Done) }.boxed()
            })
            .start()
    })
}

fn outside_of_it(bed: Bed) -> crate::Result {
    measured(bed, "outside_of_it", 40, |job, handled| {
        job.outside()
            .concurrency(2)
            .decide(move |_| {
                handled.fetch_add(1, Ordering::SeqCst);
                Ok(Outcome::Done)
            })
            .start()
    })
}
