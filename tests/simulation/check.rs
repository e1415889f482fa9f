use std::collections::{BTreeMap, BTreeSet};

use crate::bed::Bed;
use crate::fault::Fault;
use crate::host::{Handled, Host};
use crate::model::Finished;
use crate::task::{Task, Verdict};

/// What a program promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// It writes into `sink`, in the batch's transaction.
    ExactlyOnce,
    /// The same, with a commit after some events of a batch, which are not handed out again.
    InSlices,
    /// It works outside of the database.
    AtLeastOnce,
}

impl Promise {
    /// Whether it can be kept when this goes wrong: another process of the name that knows of no slices does again what is committed.
    pub(crate) fn outlasts(self, fault: Fault) -> bool {
        (self, fault) != (Self::InSlices, Fault::Rival)
    }
}

/// What went wrong in a run; nothing if all is well.
pub(crate) fn wrongs(bed: &Bed, promise: Promise) -> Vec<String> {
    let server = bed.server();
    let host = &server.host;
    let mut wrongs = Vec::new();
    if bed.is_stuck() {
        wrongs.push("it did not come to an end".to_owned());
    } else {
        wrongs.extend(undone(host, promise));
    }
    wrongs.extend(made_up(host));
    wrongs.extend(unhandled(host));
    wrongs.extend(not_owned(host));
    wrongs.extend(gaps(host));
    if promise != Promise::InSlices {
        wrongs.extend(disorder(host));
    }
    wrongs
}

/// Each committed event is done: exactly once, or at least once.
fn undone(host: &Host, promise: Promise) -> Vec<String> {
    let mut wrongs = Vec::new();
    for (id, event) in host.database.committed("q") {
        let task = Task::of(event.data.as_deref().expect("data"));
        let rows = host.database.sink.iter().filter(|row| row.event == id).count();
        let letters = host.database.letters.iter().filter(|letter| letter.event == id).count();
        let is_last = |handled: &&Handled| {
            let retry = handled.retry.unsigned_abs();
            handled.event == id && !matches!(task.verdict(retry), Verdict::Retry(_))
        };
        let done = match promise {
            Promise::ExactlyOnce | Promise::InSlices => rows,
            Promise::AtLeastOnce => host.handled.iter().filter(is_last).count(),
        };
        let last = task.verdict(u32::MAX);
        let is_right = match (last, promise) {
            // A stream of events gives up nothing.
            (Verdict::GiveUp, _) if letters > 0 => letters == 1 && rows == 0,
            (_, Promise::ExactlyOnce | Promise::InSlices) => {
                letters == 0 && done == 1 && last == Verdict::Done
            }
            (_, Promise::AtLeastOnce) => letters == 0 && done >= 1,
        };
        if !is_right {
            wrongs.push(format!("event {id} was done {done} times and given up {letters} times"));
        }
    }
    wrongs
}

/// Nothing was handled that was never committed.
fn made_up(host: &Host) -> Vec<String> {
    let committed = host.database.committed("q");
    let sink = host.database.sink.iter().map(|row| row.event);
    let handled = host.handled.iter().map(|handled| handled.event);
    let strange: BTreeSet<_> = sink.chain(handled).filter(|id| !committed.contains_key(id)).collect();
    strange.into_iter().map(|id| format!("event {id} was handled and never committed")).collect()
}

/// What was finished was handled before, by the one who finished.
fn unhandled(host: &Host) -> Vec<String> {
    let handled: BTreeSet<_> = host
        .handled
        .iter()
        .map(|handled| (handled.by.as_str(), handled.batch, handled.event, handled.retry))
        .collect();
    let mut wrongs = Vec::new();
    for finished in &host.database.finished {
        for (event, retry) in &finished.events {
            if !handled.contains(&(finished.by.as_str(), finished.batch, *event, *retry)) {
                wrongs.push(format!(
                    "{} finished batch {} without its event {event}",
                    finished.by, finished.batch
                ));
            }
        }
    }
    wrongs
}

/// A batch is finished once, by somebody who was given it.
fn not_owned(host: &Host) -> Vec<String> {
    let mut wrongs = Vec::new();
    let mut seen = BTreeSet::new();
    for Finished { batch, by, .. } in &host.database.finished {
        if !host.database.handed.get(batch).is_some_and(|owners| owners.contains(by)) {
            wrongs.push(format!("{by} finished batch {batch}, which it was never given"));
        }
        if !seen.insert(*batch) {
            wrongs.push(format!("batch {batch} was finished twice"));
        }
    }
    wrongs
}

/// The finished batches of a consumer, or group, cover its ticks without gap or overlap.
fn gaps(host: &Host) -> Vec<String> {
    let mut ranges: BTreeMap<&str, Vec<(i64, i64)>> = BTreeMap::new();
    for Finished { key, ticks, .. } in &host.database.finished {
        let main = key.1.split('.').next().unwrap_or(&key.1);
        ranges.entry(main).or_default().push(*ticks);
    }
    let mut wrongs = Vec::new();
    for (consumer, mut ranges) in ranges {
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            if pair[0].1 != pair[1].0 {
                wrongs.push(format!("{consumer} finished ticks {:?} and then {:?}", pair[0], pair[1]));
            }
        }
    }
    wrongs
}

/// The events of a batch are handled in the order of their ids, from the first one on.
fn disorder(host: &Host) -> Vec<String> {
    let mut wrongs = Vec::new();
    for Finished { batch, events, .. } in &host.database.finished {
        let ids: Vec<_> = events.iter().map(|(id, _)| *id).collect();
        let mut by_worker: BTreeMap<&str, usize> = BTreeMap::new();
        for handled in host.handled.iter().filter(|handled| handled.batch == *batch) {
            let next = by_worker.entry(&handled.by).or_default();
            *next = match (ids.get(*next), ids.first()) {
                (Some(expected), _) if *expected == handled.event => *next + 1,
                // It was delivered again.
                (_, Some(first)) if *first == handled.event => 1,
                _ => {
                    wrongs.push(format!("batch {batch}: {} came out of order", handled.event));
                    *next + 1
                }
            };
        }
    }
    wrongs
}
