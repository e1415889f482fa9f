//! Loops with a mistake in them, which the checks must find.

use pgq_async::ClientExt;
use pgq_async::pgq_core::batch::{self, ChunkSize, Filter};
use pgq_async::pgq_core::{BatchId, Error, Event, Pace};
use pgq_async::tokio_postgres::types::{ToSql, Type};
use pgq_async::tokio_postgres::{Client, GenericClient};

use super::consuming::{Passes, SINK};
use crate::bed::Bed;
use crate::check::Promise;
use crate::task::Group;

async fn next(db: &Client) -> Result<Option<BatchId>, Error> {
    Ok(db.call(batch::next_custom("q", "c", Pace::default())).await?.map(|next| next.id))
}

async fn events(db: &impl GenericClient, id: BatchId) -> Result<Vec<Event>, Error> {
    db.call(batch::cursor(id, "naive", ChunkSize::default().events, &Filter::new())).await
}

async fn sink(db: &impl GenericClient, name: &str, event: &Event) -> Result<(), Error> {
    let row: [(&(dyn ToSql + Sync), Type); 2] = [(&event.id.0, Type::INT8), (&name, Type::TEXT)];
    Ok(db.execute_typed(SINK, &row).await.map(drop)?)
}

/// Does not look whether it was its batch that it finished.
pub(crate) struct IgnoresZero;

impl Passes for IgnoresZero {
    const GROUP: Group = Group::Consumer;
    const PROMISE: Promise = Promise::ExactlyOnce;

    async fn pass(db: &mut Client, bed: &Bed, name: &str) -> Result<bool, Error> {
        let Some(id) = next(db).await? else { return Ok(false) };
        let transaction = db.transaction().await?;
        for event in events(&transaction, id).await? {
            sink(&transaction, name, &event).await?;
            bed.handled(name, id, &event);
        }
        let _ = transaction.call(batch::finish(id)).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// Finishes first, and works then.
pub(crate) struct FinishesFirst;

impl Passes for FinishesFirst {
    const GROUP: Group = Group::Consumer;
    const PROMISE: Promise = Promise::AtLeastOnce;

    async fn pass(db: &mut Client, bed: &Bed, name: &str) -> Result<bool, Error> {
        let Some(id) = next(db).await? else { return Ok(false) };
        let transaction = db.transaction().await?;
        let events = events(&transaction, id).await?;
        let _ = transaction.call(batch::finish(id)).await?;
        transaction.commit().await?;
        for event in events {
            sink(db, name, &event).await?;
            bed.handled(name, id, &event);
        }
        Ok(true)
    }
}

/// Commits what it wrote before it finishes, in another transaction.
pub(crate) struct CommitsApart;

impl Passes for CommitsApart {
    const GROUP: Group = Group::Consumer;
    const PROMISE: Promise = Promise::ExactlyOnce;

    async fn pass(db: &mut Client, bed: &Bed, name: &str) -> Result<bool, Error> {
        let Some(id) = next(db).await? else { return Ok(false) };
        let transaction = db.transaction().await?;
        for event in events(&transaction, id).await? {
            sink(&transaction, name, &event).await?;
            bed.handled(name, id, &event);
        }
        transaction.commit().await?;
        match db.call(batch::finish(id)).await? {
            batch::Finish::Done => Ok(true),
            batch::Finish::NotOpen => Ok(false),
        }
    }
}
