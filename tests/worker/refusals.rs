use std::num::NonZeroU32;
use std::time::Duration;

use pgq_async::futures::FutureExt;
use pgq_core::batch::Reader;
use pgq_core::worker::{Outcome, RetryPolicy, WorkerOptions};
use pgq_core::{Error, Event};

use crate::bed::Bed;
use crate::driver::{Job, Outside, Worker};

cases!(options, handlers, concurrency_and_keys, slices);

/// A worker that is to start nowhere: whoever connects gets no error of this kind.
fn job(bed: &Bed) -> Job {
    bed.job_at("host=/nowhere dbname=none", Reader::consumer("q", "c"))
}

fn outside(bed: &Bed) -> Outside {
    job(bed).outside()
}

#[track_caller]
fn refused(started: Result<Worker, Error>, says: &str) {
    let error = started.map(drop).unwrap_err();
    assert!(matches!(&error, Error::InvalidValue { .. }), "{error:?}");
    assert!(error.to_string().contains(says), "{error}");
}

fn options(bed: Bed) -> crate::Result {
    let (new, zero) = (WorkerOptions::new, Duration::ZERO);
    for (options, says) in [
        (new().retries(RetryPolicy::new().attempts(0)), "RetryPolicy::attempts cannot be 0"),
        (new().retries(RetryPolicy::new().jitter(1.5)), "RetryPolicy::jitter cannot be 1.5"),
        (new().poll(zero), "WorkerOptions::poll cannot be zero"),
        (new().handler_limit(zero), "WorkerOptions::handler_limit cannot be zero"),
    ] {
        refused(job(&bed).options(options.clone()).sinks().try_start(), says);
        refused(job(&bed).options(options).outside().decide(|_| Ok(Outcome::Done)).try_start(), says);
    }
    Ok(())
}

fn handlers(bed: Bed) -> crate::Result {
    refused(job(&bed).try_start(), "the handler of a worker cannot be missing");
    refused(outside(&bed).try_start(), "the handler of a worker cannot be missing");
    let both = job(&bed).sinks().on_batch(|_| async { Ok(()) }.boxed());
    refused(both.try_start(), "both for events and for batches");
    let both = outside(&bed).decide(|_| Ok(Outcome::Done)).on_batch(|_| Ok(()));
    refused(both.try_start(), "both for events and for batches");
    let early = job(&bed).sinks().outside().decide(|_| Ok(Outcome::Done));
    refused(early.try_start(), "before `outside`");
    let twice = job(&bed)
        .on("a", |_: Event, _| async { Ok(Outcome::Done) }.boxed())
        .on("a", |_: u32, _| async { Ok(Outcome::Done) }.boxed());
    refused(twice.try_start(), "set twice for events of type \"a\"");
    let done = || |_: Event| async { Ok(Outcome::Done) }.boxed();
    refused(outside(&bed).on("a", done()).on("a", done()).try_start(), "set twice for events of type \"a\"");
    refused(job(&bed).sinks().sinks().try_start(), "set twice for events of other types");
    let twice = outside(&bed).on_batch(|_| Ok(())).on_batch(|_| Ok(()));
    refused(twice.try_start(), "set twice for batches");
    let twice = job(&bed).on_batch(|_| async { Ok(()) }.boxed()).on_batch(|_| async { Ok(()) }.boxed());
    refused(twice.try_start(), "set twice for batches");
    Ok(())
}

fn concurrency_and_keys(bed: Bed) -> crate::Result {
    let each = |outside: Outside| outside.decide(|_| Ok(Outcome::Done)).try_start();
    let whole = |outside: Outside| outside.on_batch(|_| Ok(())).try_start();
    refused(each(outside(&bed).concurrency(0)), "concurrency cannot be 0");
    refused(each(outside(&bed).key(|_| ())), "key cannot be set without `concurrency`");
    refused(whole(outside(&bed).key(|_| ())), "key cannot be set with `on_batch`");
    refused(whole(outside(&bed).concurrency(2)), "concurrency cannot be set with `on_batch`");
    let started = each(outside(&bed).concurrency(1).key(|_| ()))?;
    started.stop()?;
    Ok(())
}

fn slices(bed: Bed) -> crate::Result {
    let sliced = || WorkerOptions::new().slice(NonZeroU32::MIN);
    let member = bed.job_at("host=/nowhere dbname=none", Reader::subconsumer("q", "c", "s"));
    refused(member.options(sliced()).sinks().try_start(), "WorkerOptions::slice cannot be 1");
    let whole = job(&bed).options(sliced()).on_batch(|_| async { Ok(()) }.boxed());
    refused(whole.try_start(), "for whole batches");
    let elsewhere = job(&bed).options(sliced()).outside().decide(|_| Ok(Outcome::Done));
    refused(elsewhere.try_start(), "outside of the transaction");
    Ok(())
}
