use serde::de::DeserializeOwned;

use crate::{Change, Event, Result};

/// What a handler may take: an [`Event`], a [`Change`] that a trigger wrote, or any type that serde reads from the event's JSON.
/// [`Urlencoded`] reads the other format, and a [`Delivery`] of one of these comes with the event itself.
///
/// ```
/// # use pgq_core::worker::{Delivery, FromEvent, Urlencoded};
/// # use pgq_core::{Change, Event};
/// #[derive(serde::Deserialize)]
/// struct Order {
///     id: i64,
/// }
/// fn takes<T: FromEvent>(_: impl Fn(T)) {}
/// takes(|event: Event| println!("{}", event.id));
/// takes(|change: Change| println!("{:?}", change.op));
/// takes(|order: Order| println!("{}", order.id));
/// takes(|Urlencoded(order): Urlencoded<Order>| println!("{}", order.id));
/// takes(|order: Delivery<Order>| println!("{} {}", order.event.time, order.payload.id));
/// ```
pub trait FromEvent: Sized {
    /// Makes it of an event.
    ///
    /// # Errors
    /// Those of [`Event::json`], [`Event::change`] and [`Event::urlencoded`].
    fn from_event(event: Event) -> Result<Self>;
}

/// A payload that is urlencoded, as [`NewEvent::urlencoded`](crate::NewEvent::urlencoded) makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Urlencoded<T>(pub T);

/// An event together with what was made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery<T> {
    /// The event.
    pub event: Event,
    /// Its payload.
    pub payload: T,
}

impl FromEvent for Event {
    fn from_event(event: Event) -> Result<Self> {
        Ok(event)
    }
}

impl FromEvent for Change {
    fn from_event(event: Event) -> Result<Self> {
        event.change()
    }
}

impl<T: DeserializeOwned> FromEvent for Urlencoded<T> {
    fn from_event(event: Event) -> Result<Self> {
        event.urlencoded().map(Self)
    }
}

impl<T: FromEvent> FromEvent for Delivery<T> {
    fn from_event(event: Event) -> Result<Self> {
        let payload = T::from_event(event.clone())?;
        Ok(Self { event, payload })
    }
}

impl<T: DeserializeOwned> FromEvent for T {
    fn from_event(event: Event) -> Result<Self> {
        event.json()
    }
}
