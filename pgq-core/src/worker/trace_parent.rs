use std::fmt;
use std::str::FromStr;

use super::Extra;
use crate::Event;

/// A W3C `traceparent`: which trace and span an event belongs to.
///
/// A producer puts its text into an extra field of the event; a worker that is told which one
/// ([`WorkerOptions::trace_parent`](super::WorkerOptions::trace_parent)) has it in the span of the event, and hands it to
/// who wants to link the span.
///
/// ```
/// use pgq_core::worker::TraceParent;
///
/// let parent: TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
/// assert_eq!(parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// assert_eq!(parent.to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: String,
    parent_id: String,
    flags: u8,
}

/// A text is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent: version, trace id, parent id and flags in lower-case hex, joined by '-'")]
pub struct NotATraceParent;

impl TraceParent {
    /// That of an event, if the field holds one.
    pub fn of(event: &Event, extra: Extra) -> Option<Self> {
        let text = match extra {
            Extra::One => &event.extra1,
            Extra::Two => &event.extra2,
            Extra::Three => &event.extra3,
            Extra::Four => &event.extra4,
        };
        text.as_deref()?.parse().ok()
    }

    /// The id of the trace, 32 hex digits.
    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }

    /// The id of the span that the event was inserted in, 16 hex digits.
    pub fn parent_id(&self) -> &str {
        &self.parent_id
    }

    /// Whether the producer recorded its part of the trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

impl FromStr for TraceParent {
    type Err = NotATraceParent;

    fn from_str(text: &str) -> Result<Self, NotATraceParent> {
        let mut parts = text.split('-');
        let mut part = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits && part.bytes().all(is_hex));
            part.ok_or(NotATraceParent)
        };
        let (version, trace_id, parent_id, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let all_zero = |id: &str| id.bytes().all(|digit| digit == b'0');
        // A later version may have more parts; ff is none.
        if version == "ff"
            || all_zero(trace_id)
            || all_zero(parent_id)
            || version == "00" && parts.next().is_some()
        {
            return Err(NotATraceParent);
        }
        let flags = u8::from_str_radix(flags, 16).map_err(|_| NotATraceParent)?;
        Ok(Self { trace_id: trace_id.to_owned(), parent_id: parent_id.to_owned(), flags })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.parent_id, self.flags)
    }
}

fn is_hex(digit: u8) -> bool {
    matches!(digit, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_none() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(good.parse::<TraceParent>().is_ok_and(|parent| parent.is_sampled()));
        assert!(format!("cc{}-what-comes", &good[2..]).parse::<TraceParent>().is_ok());
        for bad in [
            "",
            "00",
            &good[..54],
            &format!("{good}-more"),
            &good.to_uppercase(),
            &good.replace("00f067aa0ba902b7", "0000000000000000"),
            &format!("ff{}", &good[2..]),
        ] {
            assert_eq!(bad.parse::<TraceParent>(), Err(NotATraceParent), "{bad}");
        }
    }
}
