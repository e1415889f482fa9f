//! What a dropped future does: only `pgq-async` has them.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use pgq_async::futures::{Stream, StreamExt};
use pgq_async::tokio_postgres::Client;
use pgq_async::{Batch, Consumer, Queue};
use pgq_core::batch::ChunkSize;
use pgq_core::{Error, NewEvent, QueueConfig};

use crate::bed::{Bed, number, tick};
use crate::driver::{Async, Session, block_on};

/// Polls a future so many times, if it takes as many, and drops it.
async fn cut<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let (mut future, mut polled) = (pin!(future), 0);
    let some = poll_fn(|context| {
        polled += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polled == polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    tokio::time::timeout(Duration::from_secs(20), some).await.expect("nothing wakes the future")
}

fn consumer() -> Consumer {
    Consumer::new("q", "c").chunk(ChunkSize { events: 5, ..ChunkSize::default() })
}

async fn all(db: &mut Client) -> Vec<u32> {
    let mut batch = consumer().next_batch(db).await.unwrap().unwrap();
    let mut numbers = Vec::new();
    while let Some(event) = batch.next_event().await.unwrap() {
        numbers.push(number(&event));
    }
    numbers
}

/// Reads on with futures that are cut, until the end of the batch or of what can be read of it; tells whether any was.
async fn read(batch: &mut Batch<'_>, polls: usize, mut was_cut: bool, numbers: &mut Vec<u32>) -> bool {
    loop {
        match cut(polls, batch.next_event()).await {
            Some(Ok(Some(event))) => numbers.push(number(&event)),
            Some(Ok(None)) => return was_cut,
            Some(Err(Error::ReadInterrupted { .. })) if was_cut => return true,
            Some(Err(error)) => panic!("{error:?}"),
            None => was_cut = true,
        }
    }
}

#[test]
fn of_next_batch() -> crate::Result {
    let mut bed = Bed::<Async>::new()?;
    tick::<Async>(&mut bed.db);
    bed.produce(1..=30);
    block_on(async {
        for polls in 1.. {
            let was_cut = cut(polls, consumer().next_batch(&mut bed.db)).await.is_none();
            assert!(all(&mut bed.db).await.into_iter().eq(1..=30), "{polls}");
            if !was_cut {
                break;
            }
        }
        Ok(())
    })
}

#[test]
fn of_next_event() -> crate::Result {
    let mut bed = Bed::<Async>::new()?;
    bed.produce(1..=30);
    block_on(async {
        for polls in 1.. {
            let mut batch = consumer().next_batch(&mut bed.db).await?.unwrap();
            let mut numbers = Vec::new();
            let was_cut = read(&mut batch, polls, false, &mut numbers).await;
            assert!(numbers.iter().copied().eq(1..=numbers.len() as u32), "{numbers:?}");
            if was_cut && numbers.len() < 30 {
                assert!(matches!(
                    batch.finish().await,
                    Err(Error::ReadInterrupted { .. } | Error::BatchUnread { .. })
                ));
            } else {
                assert_eq!(numbers.len(), 30);
                drop(batch);
            }
            assert!(all(&mut bed.db).await.into_iter().eq(1..=30));
            if !was_cut {
                break;
            }
        }
        Ok(())
    })
}

#[test]
fn of_events() -> crate::Result {
    let mut bed = Bed::<Async>::new()?;
    bed.produce(1..=30);
    block_on(async {
        for polls in 1.. {
            let mut batch = consumer().next_batch(&mut bed.db).await?.unwrap();
            let was_cut = keeps_on(polls, batch.events(), 30).await;
            drop(batch);
            // The stream itself is dropped as well, and the batch goes on.
            let mut batch = consumer().next_batch(&mut bed.db).await?.unwrap();
            let mut numbers = Vec::new();
            {
                let mut events = batch.events();
                while let Some(Some(event)) = cut(polls, events.next()).await {
                    numbers.push(number(&event?));
                }
            }
            read(&mut batch, polls, true, &mut numbers).await;
            assert!(numbers.iter().copied().eq(1..=numbers.len() as u32), "{numbers:?}");
            drop(batch);
            assert!(all(&mut bed.db).await.into_iter().eq(1..=30));
            if !was_cut {
                break;
            }
        }
        Ok(())
    })
}

/// Reads a stream by futures that are cut: it goes on where it was. Tells whether any was cut.
async fn keeps_on(
    polls: usize,
    events: impl Stream<Item = pgq_core::Result<pgq_core::Event>>,
    count: u32,
) -> bool {
    let (mut events, mut numbers, mut was_cut) = (pin!(events), Vec::new(), false);
    loop {
        match cut(polls, events.next()).await {
            Some(Some(event)) => numbers.push(number(&event.unwrap())),
            Some(None) => break,
            None => was_cut = true,
        }
    }
    assert!(numbers.into_iter().eq(1..=count), "{polls}");
    was_cut
}

#[test]
fn of_next_on_next_events() -> crate::Result {
    for polls in 1.. {
        let mut bed = Bed::<Async>::new()?;
        for first in [1, 21, 41] {
            bed.produce(first..first + 20);
            tick::<Async>(&mut bed.db);
        }
        let was_cut = block_on(keeps_on(polls, consumer().next_events(&mut bed.db), 60));
        assert!(bed.drain().is_empty());
        if !was_cut {
            break;
        }
    }
    Ok(())
}

/// The stream is dropped too: what it had finished is done, and the rest comes again.
#[test]
fn of_next_events() -> crate::Result {
    let mut bed = Bed::<Async>::new()?;
    for first in (0..400).step_by(20) {
        bed.produce(first..first + 20);
    }
    block_on(async {
        let mut next = 0;
        for polls in (1..).step_by(3) {
            let mut events = consumer().next_events(&mut bed.db);
            let over = cut(polls, async {
                while let Some(event) = events.next().await {
                    let number = number(&event?);
                    // A step back to the first event of a batch, or the next one; never a step over one.
                    assert!(
                        number == next || (number < next && number % 20 == 0),
                        "{number} instead of {next}"
                    );
                    next = number + 1;
                }
                pgq_core::Result::<()>::Ok(())
            });
            if over.await.transpose()?.is_some() {
                break;
            }
        }
        assert_eq!(next, 400);
        Ok(())
    })
}

/// Either all of it took effect, or nothing did and the batch comes again.
#[test]
fn of_finish() -> crate::Result {
    let mut bed = Bed::<Async>::new()?;
    let mut other = bed.connect();
    block_on(bed.db.batch_execute("CREATE TABLE sink (id bigint)"))?;
    let mut expected = 0;
    for polls in 1.. {
        bed.produce(1..=6);
        let was_cut = block_on(async {
            let mut batch = consumer().next_batch(&mut bed.db).await?.unwrap();
            while let Some(event) = batch.next_event().await? {
                batch.transaction().execute("INSERT INTO sink VALUES ($1)", &[&event.id.0]).await?;
                batch.retry(&event, Duration::from_secs(3_600));
            }
            let finished = cut(polls, batch.finish()).await;
            let was_cut = finished.is_none();
            finished.transpose()?;
            // The same connection, so a commit that was sent comes before this.
            match consumer().next_batch(&mut bed.db).await? {
                Some(mut again) => {
                    assert!(was_cut);
                    while again.next_event().await?.is_some() {}
                    again.finish().await?;
                }
                None => expected += 6,
            }
            crate::Result::<bool>::Ok(was_cut)
        })?;
        assert_eq!(other.value::<i64>("SELECT count(*) FROM sink"), expected, "{polls}");
        assert_eq!(other.value::<i64>("SELECT count(*) FROM pgq.retry_queue"), expected, "{polls}");
        if !was_cut {
            break;
        }
    }
    assert!(expected > 0);
    Ok(())
}

#[test]
fn of_finish_of_a_loaded_batch() -> crate::Result {
    let mut bed = Bed::<Async>::new()?;
    for polls in 1.. {
        bed.produce(1..=6);
        let was_cut = block_on(async {
            let loaded = consumer().next_batch(&mut bed.db).await?.unwrap().load().await?;
            let finished = cut(polls, loaded.finish(&mut bed.db)).await;
            let was_cut = finished.is_none();
            finished.transpose()?;
            let again = match consumer().next_batch(&mut bed.db).await? {
                Some(batch) => Some(batch.load().await?),
                None => None,
            };
            if let Some(again) = again {
                assert!(was_cut);
                again.finish(&mut bed.db).await?;
            }
            crate::Result::<bool>::Ok(was_cut)
        })?;
        assert!(bed.drain().is_empty());
        if !was_cut {
            break;
        }
    }
    Ok(())
}

#[test]
fn of_load() -> crate::Result {
    let mut bed = Bed::<Async>::new()?;
    bed.produce(1..=30);
    block_on(async {
        for polls in 1.. {
            let batch = consumer().next_batch(&mut bed.db).await?.unwrap();
            let was_cut = cut(polls, batch.load()).await.is_none();
            assert!(all(&mut bed.db).await.into_iter().eq(1..=30));
            if !was_cut {
                break;
            }
        }
        Ok(())
    })
}

/// A producer's transaction is all or nothing, however far it came.
#[test]
fn of_insert_events() -> crate::Result {
    let mut bed = Bed::<Async>::new()?;
    let queue = Queue::new("q");
    for polls in 1.. {
        let new = (1..=2_500).map(|number: u32| NewEvent::new("number", number.to_string()));
        let was_cut = block_on(cut(polls, queue.insert_events(&mut bed.db, new))).is_none();
        tick::<Async>(&mut bed.db);
        let numbers = bed.drain();
        assert!(numbers.iter().copied().eq(1..=2_500) || (was_cut && numbers.is_empty()), "{polls}");
        if !was_cut {
            break;
        }
    }
    Ok(())
}

#[test]
fn of_copy_events() -> crate::Result {
    let mut bed = Bed::<Async>::new()?;
    let queue = Queue::new("q");
    for polls in 1.. {
        let was_cut = block_on(async {
            let new = (1..=2_500).map(|number: u32| NewEvent::new("number", number.to_string()));
            let transaction = bed.db.transaction().await?;
            let copied = cut(polls, queue.copy_events(&transaction, new)).await;
            let was_cut = copied.is_none();
            if copied.transpose()?.is_some() {
                transaction.commit().await?;
            }
            crate::Result::<bool>::Ok(was_cut)
        })?;
        tick::<Async>(&mut bed.db);
        assert!(bed.drain().into_iter().eq(1..=if was_cut { 0 } else { 2_500 }), "{polls}");
        if !was_cut {
            break;
        }
    }
    Ok(())
}

#[test]
fn of_set_config() -> crate::Result {
    let mut bed = Bed::<Async>::new()?;
    let queue = Queue::new("q");
    for polls in 1.. {
        let count = 1_000 + polls as u32;
        let config =
            QueueConfig::new().ticker_max_count(count).rotation_period(Duration::from_secs(count.into()));
        let was_cut = block_on(cut(polls, queue.set_config(&bed.db, &config))).is_none();
        let info = Session::info(&mut bed.db, "q")?.unwrap();
        let both = (
            info.ticker_max_count == count as i32,
            info.rotation_period == Duration::from_secs(count.into()),
        );
        assert!(both == (true, true) || (was_cut && both == (false, false)), "{both:?}");
        if !was_cut {
            break;
        }
    }
    Ok(())
}

#[test]
fn a_chunk_on_its_way_gives_way_to_the_transaction() -> crate::Result {
    let mut bed = Bed::<Async>::new()?;
    block_on(bed.db.batch_execute("CREATE TABLE sink (id bigint)"))?;
    bed.produce(1..=30);
    block_on(async {
        let mut batch = consumer().next_batch(&mut bed.db).await?.unwrap();
        for expected in 1..=6 {
            assert_eq!(number(&batch.events().next().await.unwrap()?), expected);
        }
        // The next chunk was asked for by now. The events that are here still come.
        let mut expected = 7;
        batch.transaction().execute("INSERT INTO sink VALUES (1)", &[]).await?;
        while let Ok(event) = batch.next_event().await {
            assert_eq!(number(&event.unwrap()), expected);
            expected += 1;
            batch.transaction().execute("INSERT INTO sink VALUES (1)", &[]).await?;
        }
        for _ in 0..2 {
            assert_error!(batch.next_event().await, Error::ReadInterrupted { .. }, "", ["drop the batch"]);
        }
        assert_error!(batch.finish().await, Error::ReadInterrupted { .. }, "", ["it comes again"]);
        assert!(all(&mut bed.db).await.into_iter().eq(1..=30));
        assert_eq!(bed.db.query_one("SELECT count(*) FROM sink", &[]).await?.get::<_, i64>(0), 0);

        // Whoever is not interested in the rest can still finish.
        let mut batch = consumer().next_batch(&mut bed.db).await?.unwrap();
        batch.events().take(6).collect::<Vec<_>>().await;
        batch.finish_unread().await?;
        assert!(consumer().next_batch(&mut bed.db).await?.is_none());
        Ok(())
    })
}
