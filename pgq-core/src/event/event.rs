use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use crate::answer::Columns;
use crate::error::payload_error;
use crate::{Change, Error, EventId, Result, TxId};

/// An event of a batch, as `pgq.get_batch_events` and the batch cursor show it.
///
/// The fields are what the producer gave; PgQ looks at none of them. A SQL NULL is `None`, and differs from the empty text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// `ev_id`. Events of a batch come in its order, which is that of insertion and not of commit.
    pub id: EventId,
    /// `ev_time`: when the producer's transaction began. A retried event keeps it.
    pub time: DateTime<Utc>,
    /// `ev_txid`: the transaction that inserted the event, or moved it back from the retry queue.
    pub txid: TxId,
    /// `ev_retry`: how many times the event was sent through the retry queue; 0 for the first delivery.
    pub retry: u32,
    /// `ev_type`
    pub event_type: Option<String>,
    /// `ev_data`
    pub data: Option<String>,
    /// `ev_extra1`; the trigger functions put the table there.
    pub extra1: Option<String>,
    /// `ev_extra2`; the trigger functions put the old row there if they were asked for it.
    pub extra2: Option<String>,
    /// `ev_extra3`
    pub extra3: Option<String>,
    /// `ev_extra4`
    pub extra4: Option<String>,
}

impl Event {
    /// Deserializes the data, which is JSON.
    ///
    /// # Errors
    /// [`Error::Deserialize`], also where the data is NULL.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.required_data()?)
            .map_err(|error| payload_error("JSON", &error).of_event(self.id))
    }

    /// Deserializes the data, which is urlencoded as [`NewEvent::urlencoded`](crate::NewEvent::urlencoded) makes it. For rows that
    /// a trigger wrote use [`change`](Self::change): they know NULL.
    ///
    /// # Errors
    /// [`Error::Deserialize`], also where the data is NULL.
    pub fn urlencoded<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_urlencoded::from_str(self.required_data()?)
            .map_err(|error| payload_error("urlencoded data", &error).of_event(self.id))
    }

    /// Decodes the row change that `logutriga`, `jsontriga` or `sqltriga` wrote.
    ///
    /// # Errors
    /// [`Error::NotAChange`] for an event of another kind, [`Error::Malformed`] for text that is none of theirs.
    pub fn change(&self) -> Result<Change> {
        let [event_type, data, extra1, extra2] =
            [&self.event_type, &self.data, &self.extra1, &self.extra2].map(Option::as_deref);
        Change::decode(event_type, data, extra1, extra2).map_err(|error| error.of_event(self.id))
    }

    fn required_data(&self) -> Result<&str> {
        let null = || Error::of_event(serde::de::Error::custom("its data is NULL"), self.id);
        self.data.as_deref().ok_or_else(null)
    }

    /// Bytes in type, data and extras.
    pub fn size(&self) -> usize {
        let fields = [&self.event_type, &self.data, &self.extra1, &self.extra2, &self.extra3, &self.extra4];
        fields.into_iter().flatten().map(String::len).sum()
    }
}

/// Decodes a row of `ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4`.
///
/// # Errors
/// [`Error::EventTimestamp`] if `ev_time` is infinite or beyond what `chrono` holds.
impl TryFrom<&Row> for Event {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self> {
        let mut columns = Columns::of(row, "pgq.get_batch_events");
        let id = columns.next().map(EventId)?;
        Ok(Self {
            id,
            time: columns.event_time(id, "ev_time")?,
            txid: columns.next().map(TxId)?,
            retry: columns.next::<Option<i32>>()?.map_or(0, i32::unsigned_abs),
            event_type: columns.next()?,
            data: columns.next()?,
            extra1: columns.next()?,
            extra2: columns.next()?,
            extra3: columns.next()?,
            extra4: columns.next()?,
        })
    }
}
