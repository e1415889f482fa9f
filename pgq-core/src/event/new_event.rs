use std::borrow::Cow;

use serde::Serialize;
use tokio_postgres::types::ToSql;

use crate::{Error, Event, Param, Result};

/// The size over which an event is refused unless it says otherwise: 64 MiB in type, data and extras.
pub const MAX_SIZE: usize = 64 << 20;

/// An event to be inserted: type, data and four extra fields, each text or NULL.
///
/// ```
/// use pgq_core::NewEvent;
///
/// #[derive(serde::Serialize)]
/// struct Paid { order: i64, cents: i64 }
///
/// let event = NewEvent::json("order.paid", &Paid { order: 7, cents: 1990 })?.extra1("shop-3");
/// assert_eq!(event.size(), "order.paid".len() + r#"{"order":7,"cents":1990}"#.len() + "shop-3".len());
/// # Ok::<(), pgq_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an event is not inserted until it is handed to a queue"]
pub struct NewEvent<'a> {
    fields: [Option<Cow<'a, str>>; NewEvent::FIELDS],
    max_size: Option<usize>,
}

impl<'a> NewEvent<'a> {
    /// Type, data and four extras.
    pub(super) const FIELDS: usize = 6;

    /// An event of type and data. [`NewEvent::default()`] has NULL in all fields.
    pub fn new(event_type: impl Into<Cow<'a, str>>, data: impl Into<Cow<'a, str>>) -> Self {
        Self::default().event_type(event_type).data(data)
    }

    /// An event whose data is `payload` as JSON; [`Event::json`] reads it back.
    ///
    /// # Errors
    /// [`Error::Serialize`], as for a map with keys that are not strings.
    pub fn json<T: Serialize + ?Sized>(event_type: impl Into<Cow<'a, str>>, payload: &T) -> Result<Self> {
        let data = serde_json::to_string(payload)
            .map_err(|error| Error::Serialize { format: "JSON", source: error.into() })?;
        Ok(Self::new(event_type, data))
    }

    /// An event whose data is `payload` urlencoded, like a query string; [`Event::urlencoded`] reads it back.
    ///
    /// A field that is `None` is left out. The format has no NULL and no nesting.
    ///
    /// # Errors
    /// [`Error::Serialize`] for a nested payload.
    pub fn urlencoded<T: Serialize + ?Sized>(
        event_type: impl Into<Cow<'a, str>>,
        payload: &T,
    ) -> Result<Self> {
        let data = serde_urlencoded::to_string(payload)
            .map_err(|error| Error::Serialize { format: "urlencoded text", source: error.into() })?;
        Ok(Self::new(event_type, data))
    }

    /// Sets `ev_type`.
    pub fn event_type(self, value: impl Into<Cow<'a, str>>) -> Self {
        self.with(0, value.into())
    }

    /// Sets `ev_data`.
    pub fn data(self, value: impl Into<Cow<'a, str>>) -> Self {
        self.with(1, value.into())
    }

    /// Sets `ev_extra1`.
    pub fn extra1(self, value: impl Into<Cow<'a, str>>) -> Self {
        self.with(2, value.into())
    }

    /// Sets `ev_extra2`.
    pub fn extra2(self, value: impl Into<Cow<'a, str>>) -> Self {
        self.with(3, value.into())
    }

    /// Sets `ev_extra3`.
    pub fn extra3(self, value: impl Into<Cow<'a, str>>) -> Self {
        self.with(4, value.into())
    }

    /// Sets `ev_extra4`.
    pub fn extra4(self, value: impl Into<Cow<'a, str>>) -> Self {
        self.with(5, value.into())
    }

    /// Allows this event another size than [`MAX_SIZE`], in bytes. PostgreSQL itself stops at about 1 GB.
    pub fn max_size(mut self, bytes: usize) -> Self {
        self.max_size = Some(bytes);
        self
    }

    /// Bytes in type, data and extras.
    pub fn size(&self) -> usize {
        self.fields.iter().flatten().map(|field| field.len()).sum()
    }

    /// Type (0), data (1), or extra 1 to 4 (2 to 5); `None` for NULL.
    pub(super) fn field(&self, index: usize) -> Option<&str> {
        self.fields.get(index)?.as_deref()
    }

    pub(super) fn fields(&self) -> [Param<'_>; NewEvent::FIELDS] {
        self.fields.each_ref().map(|field| field.as_deref().into())
    }

    pub(super) fn columns(&self) -> [&(dyn ToSql + Sync); NewEvent::FIELDS] {
        self.fields.each_ref().map(|field| field as &(dyn ToSql + Sync))
    }

    pub(super) fn check_size(&self) -> Option<Error> {
        check_size(self.size(), self.max_size.unwrap_or(MAX_SIZE))
    }

    fn with(mut self, index: usize, value: Cow<'a, str>) -> Self {
        if let Some(field) = self.fields.get_mut(index) {
            *field = Some(value);
        }
        self
    }
}

/// The same type, data and extras again, as for a copy to another queue.
impl<'a> From<&'a Event> for NewEvent<'a> {
    fn from(event: &'a Event) -> Self {
        let fields =
            [&event.event_type, &event.data, &event.extra1, &event.extra2, &event.extra3, &event.extra4];
        Self { fields: fields.map(|field| field.as_deref().map(Cow::Borrowed)), max_size: None }
    }
}

pub(super) fn check_size(size: usize, limit: usize) -> Option<Error> {
    (size > limit).then_some(Error::EventTooLarge { size, limit })
}

/// Cuts events into chunks that a statement takes at once: at most 1,000 events, or about 1 MiB.
pub fn chunks<'a, I: IntoIterator<Item = NewEvent<'a>>>(events: I) -> Chunks<I::IntoIter> {
    Chunks { events: events.into_iter() }
}

/// Iterates over the [`chunks`] of events.
#[derive(Clone, Debug)]
pub struct Chunks<I> {
    events: I,
}

impl<'a, I: Iterator<Item = NewEvent<'a>>> Iterator for Chunks<I> {
    type Item = Vec<NewEvent<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        const EVENTS: usize = 1000;
        const BYTES: usize = 1 << 20;

        let (mut chunk, mut bytes) = (Vec::new(), 0);
        while chunk.len() < EVENTS && bytes < BYTES {
            let Some(event) = self.events.next() else { break };
            bytes += event.size();
            chunk.push(event);
        }
        (!chunk.is_empty()).then_some(chunk)
    }
}
