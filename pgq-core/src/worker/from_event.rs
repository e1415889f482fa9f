use serde::de::DeserializeOwned;

use super::Failure;
use super::retry_policy::attempt;
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
/// takes(|order: Delivery<Order>| println!("{}: attempt {}", order.payload.id, order.attempt));
/// ```
pub trait FromEvent: Sized {
    /// Makes it of an event.
    ///
    /// # Errors
    /// Those of [`Event::json`], [`Event::change`] and [`Event::urlencoded`].
    fn from_event(event: Event) -> Result<Self>;

    /// Makes it of the delivery of an event that has this number, counted from 1. Like [`from_event`](Self::from_event), where the number
    /// does not matter.
    ///
    /// # Errors
    /// The same.
    fn from_attempt(event: Event, attempt: u32) -> Result<Self> {
        let _ = attempt;
        Self::from_event(event)
    }
}

/// A payload that is urlencoded, as [`NewEvent::urlencoded`](crate::NewEvent::urlencoded) makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Urlencoded<T>(pub T);

/// An event together with what was made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery<T> {
    /// The event.
    pub event: Event,
    /// Its payload.
    pub payload: T,
    /// The number of this attempt, counted from 1 as [`RetryPolicy::attempts`](field@super::RetryPolicy::attempts) counts: by `ev_retry`, and the
    /// times before that it was tried in its place. What the database made the worker repeat does not count.
    pub attempt: u32,
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
        let attempt = attempt(&event);
        Self::from_attempt(event, attempt)
    }

    fn from_attempt(event: Event, attempt: u32) -> Result<Self> {
        let payload = T::from_attempt(event.clone(), attempt)?;
        Ok(Self { event, payload, attempt })
    }
}

impl<T: DeserializeOwned> FromEvent for T {
    fn from_event(event: Event) -> Result<Self> {
        event.json()
    }
}

/// What a handler takes of an event that was tried so many times in this batch before.
///
/// # Errors
/// That its payload is not what the handler takes.
pub fn payload<T: FromEvent>(event: Event, tries: u32) -> Result<T, Failure> {
    let attempt = attempt(&event).saturating_add(tries);
    T::from_attempt(event, attempt).map_err(Failure::decode)
}
