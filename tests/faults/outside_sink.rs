//! Servers and sessions are killed while handlers write to somewhere that knows nothing of batches.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pgq_core::worker::Notice;

use crate::bed::{Bed, Fault, Figures, Heard, Job, Outages, Role, Run, Spread, Worker};

cases!(nothing_is_lost_and_only_open_batches_come_again);

/// A line for each call of a handler: the event, the worker, and the number of the delivery.
struct Lines {
    file: Arc<Mutex<File>>,
    path: std::path::PathBuf,
}

struct Line {
    event: (i32, i64),
    worker: String,
    delivery: usize,
}

fn nothing_is_lost_and_only_open_batches_come_again(run: Run) -> crate::Result {
    let events = run.size(12_000, 200_000);
    let (servers, sessions) = (run.size(3, 10), run.size(6, 40));
    let bed = Bed::new(run)?;
    let directory = tempfile::tempdir()?;
    let (alone, group) = (Lines::new(&directory, "alone")?, Lines::new(&directory, "group")?);
    let mut workers = vec![start(&bed, Role::consumer_of("alone"), &alone)?];
    for name in ["m1", "m2", "m3"] {
        workers.push(start(&bed, Role::member("group", name, Duration::from_secs(2)), &group)?);
    }
    let _tickers = bed.tickers(2);
    let producers = bed.producers(8, events);
    let mut recovery = Spread::default();

    Outages::spread(&bed.run, servers, sessions, events).happen(&bed, &producers, |fault, since| {
        if fault == Fault::Server {
            let (_, worker) = &workers[0];
            let finished = || worker.heard.after(since, |notice| matches!(notice, Notice::Finished { .. }));
            pgq_testkit::until("there is a batch again", || finished().is_some());
            recovery.add(finished().unwrap_or(since) - since);
        }
        Ok(())
    })?;
    let last = Instant::now();
    producers.join();
    bed.wait_for_top(Duration::from_secs(60));
    let top = last.elapsed();

    let heard: HashMap<_, _> =
        workers.iter().map(|(name, worker)| (name.clone(), worker.heard.clone())).collect();
    let mut figures = Figures::of(&bed.run);
    for (name, lines) in [("alone", &alone), ("group", &group)] {
        let lines = lines.read()?;
        load(&bed, name, &lines)?;
        let truth = bed.truth(name);
        let unexplained = unexplained(&lines, &heard);
        figures = figures.truth(name, &truth).add("of which not of an open batch", unexplained);
        truth.assert_at_least_once();
        assert_eq!(unexplained, 0, "{truth}");
    }
    // A server that is killed ends one delivery of each worker, a session one of one worker.
    let unfinished: usize = heard.values().map(|heard| heard.unfinished().len()).sum();
    assert!(unfinished <= servers * workers.len() + sessions, "{unfinished} deliveries did not end");
    figures
        .add("deliveries that did not end", unfinished)
        .add("killed servers", servers)
        .add("sessions", sessions)
        .add("first batch after a server", &recovery)
        .add("all at the top after", format!("{top:.1?}"))
        .print();
    for (_, worker) in workers {
        worker.stop()?;
    }
    Ok(())
}

fn start(bed: &Bed, role: Role, lines: &Lines) -> crate::Result<(String, Worker)> {
    bed.register(&role)?;
    let name = role.name().to_owned();
    Ok((name, lines.written_by(bed.job(role)).at_once(4).start()))
}

/// How many events came again though their delivery had ended well.
fn unexplained(lines: &[Line], heard: &HashMap<String, Heard>) -> usize {
    let unfinished: HashMap<_, _> =
        heard.iter().map(|(name, heard)| (name.as_str(), heard.unfinished())).collect();
    let mut seen: HashMap<(i32, i64), &Line> = HashMap::new();
    let mut unexplained = 0;
    for line in lines {
        if let Some(before) = seen.insert(line.event, line) {
            unexplained += usize::from(!unfinished[before.worker.as_str()].contains(&before.delivery));
        }
    }
    unexplained
}

fn load(bed: &Bed, name: &str, lines: &[Line]) -> crate::Result {
    let mut db = bed.connect();
    let mut copy = db.copy_in(&format!("COPY sink_{name} (producer, seq) FROM STDIN"))?;
    for line in lines {
        writeln!(copy, "{}\t{}", line.event.0, line.event.1)?;
    }
    copy.finish()?;
    Ok(())
}

impl Lines {
    fn new(directory: &tempfile::TempDir, name: &str) -> crate::Result<Self> {
        let path = directory.path().join(name);
        Ok(Self { file: Arc::new(Mutex::new(File::create(&path)?)), path })
    }

    fn written_by(&self, job: Job) -> Job {
        let (file, heard, name) = (self.file.clone(), job.heard.clone(), job.role.name().to_owned());
        job.outside(move |event, _| {
            let data = event.data.as_deref().ok_or("no data")?;
            let line = format!("{data}:{name}:{}\n", heard.delivery());
            Ok(file.lock().unwrap().write_all(line.as_bytes())?)
        })
    }

    fn read(&self) -> crate::Result<Vec<Line>> {
        let line = |line: &str| -> crate::Result<Line> {
            let fields: Vec<_> = line.split(':').collect();
            let event = (fields[0].parse()?, fields[1].parse()?);
            Ok(Line { event, worker: fields[2].to_owned(), delivery: fields[3].parse()? })
        };
        std::fs::read_to_string(&self.path)?.lines().map(line).collect()
    }
}
