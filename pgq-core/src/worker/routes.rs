use std::collections::BTreeMap;

use super::{Failure, Verdict, savepoint};
use crate::Event;

/// Which handler takes which events.
#[derive(Debug)]
pub struct Routes<H> {
    by_type: BTreeMap<String, H>,
    otherwise: Option<H>,
    twice: Option<String>,
}

impl<H> Default for Routes<H> {
    fn default() -> Self {
        Self { by_type: BTreeMap::new(), otherwise: None, twice: None }
    }
}

impl<H> Routes<H> {
    /// Sets the handler for events of that type.
    pub fn on(&mut self, event_type: impl Into<String>, handler: H) {
        let event_type = event_type.into();
        if self.by_type.contains_key(&event_type) {
            self.set_twice(format!("events of type {event_type:?}"));
        }
        self.by_type.insert(event_type, handler);
    }

    /// Sets the handler for all other events.
    pub fn otherwise(&mut self, handler: H) {
        if self.otherwise.replace(handler).is_some() {
            self.set_twice("events of other types");
        }
    }

    /// Takes down that a handler for this was set in place of another one.
    pub fn set_twice(&mut self, what: impl Into<String>) {
        self.twice = Some(what.into());
    }

    /// What has two handlers, if something has.
    pub fn twice(&self) -> Option<&str> {
        self.twice.as_deref()
    }

    /// Whether there is no handler at all.
    pub fn is_empty(&self) -> bool {
        self.by_type.is_empty() && self.otherwise.is_none()
    }

    /// The handler for the event.
    ///
    /// # Errors
    /// That there is none.
    pub fn find(&self, event: &Event) -> Result<&H, Failure> {
        let event_type = event.event_type.as_deref();
        let found =
            event_type.and_then(|event_type| self.by_type.get(event_type)).or(self.otherwise.as_ref());
        found.ok_or_else(|| Failure::unknown_type(event_type))
    }

    /// Like [`find`](Self::find), for a handler that changes as it works.
    ///
    /// # Errors
    /// That there is none.
    pub fn find_mut(&mut self, event: &Event) -> Result<&mut H, Failure> {
        let event_type = event.event_type.as_deref();
        let found = event_type.and_then(|event_type| self.by_type.get_mut(event_type));
        found.or(self.otherwise.as_mut()).ok_or_else(|| Failure::unknown_type(event_type))
    }
}

impl Verdict {
    /// The statement that undoes what the event wrote, where the batch goes on without it. One that was cancelled is to be sent again as
    /// [`savepoint::UNDO`].
    pub fn undo(&self) -> Option<&'static str> {
        match self {
            Self::Retry(_, Some(failure)) | Self::Dead(failure) if failure.is_timeout() => {
                Some(savepoint::UNDO_LATE)
            }
            Self::Retry(..) | Self::Dead(_) => Some(savepoint::UNDO),
            _ => None,
        }
    }
}
