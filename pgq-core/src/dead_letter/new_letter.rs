use std::borrow::Cow;
use std::fmt::Write as _;

use crate::EventId;

/// An event of an open batch that is to become a dead letter, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct NewLetter<'a> {
    pub(super) event: EventId,
    pub(super) reason: Cow<'a, str>,
    pub(super) error: Option<Cow<'a, str>>,
    pub(super) attempts: Option<u32>,
}

impl<'a> NewLetter<'a> {
    /// The most characters of an error that are kept.
    pub const MAX_ERROR: usize = 8_000;
    /// The most characters of a reason that are kept.
    pub const MAX_REASON: usize = 200;

    /// Names the event, and the kind of trouble in a word or two, such as `error`, `panic` or `timeout`.
    pub fn new(event: EventId, reason: impl Into<Cow<'a, str>>) -> Self {
        let reason = cut(reason.into(), Self::MAX_REASON);
        Self { event, reason, error: None, attempts: None }
    }

    /// Sets what went wrong, at length.
    pub fn error(mut self, error: impl Into<Cow<'a, str>>) -> Self {
        self.error = Some(cut(error.into(), Self::MAX_ERROR));
        self
    }

    /// Sets how many attempts there were, at least 1. As many as deliveries, unless set: `ev_retry + 1`.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts.max(1));
        self
    }

    fn size(&self) -> usize {
        self.reason.len() + self.error.as_deref().map_or(0, str::len)
    }
}

/// Takes as many letters as one statement should add: up to 5,000, and no further ones after 1 MiB of texts. None where there are no more.
pub(crate) fn chunk<'l, 'a: 'l>(letters: &mut impl Iterator<Item = &'l NewLetter<'a>>) -> Vec<NewLetter<'l>> {
    const LETTERS: usize = 5_000;
    const BYTES: usize = 1 << 20;

    let (mut chunk, mut bytes) = (Vec::new(), 0);
    while chunk.len() < LETTERS && bytes < BYTES {
        let Some(letter) = letters.next() else { break };
        bytes += letter.size();
        chunk.push(NewLetter {
            event: letter.event,
            reason: Cow::Borrowed(&letter.reason),
            error: letter.error.as_deref().map(Cow::Borrowed),
            attempts: letter.attempts,
        });
    }
    chunk
}

/// The text in ASCII, as `unistr` reads it. A text that the database cannot store must not keep a letter from being written: its batch
/// could never be finished.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            // No text of PostgreSQL has it.
            '\0' => escaped.push_str("\\+00FFFD"),
            ascii if ascii.is_ascii() => escaped.push(ascii),
            other => {
                // Writing into a String does not fail.
                let _ = write!(escaped, "\\+{:06X}", u32::from(other));
            }
        }
    }
    escaped
}

fn cut(text: Cow<'_, str>, characters: usize) -> Cow<'_, str> {
    let Some((end, _)) = text.char_indices().nth(characters) else { return text };
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(..end).unwrap_or(text)),
        Cow::Owned(mut text) => {
            text.truncate(end);
            text.shrink_to_fit();
            Cow::Owned(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_ascii() {
        assert_eq!(escaped("a\\b\nõ\u{1F4A9}\0"), "a\\\\b\n\\+0000F5\\+01F4A9\\+00FFFD");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = "õ".repeat(NewLetter::MAX_ERROR + 1);
        let letter = NewLetter::new(EventId(1), long.as_str()).error(long.clone()).attempts(0);
        assert_eq!(letter.reason.chars().count(), NewLetter::MAX_REASON);
        assert_eq!(letter.error.unwrap().chars().count(), NewLetter::MAX_ERROR);
        assert_eq!(letter.attempts, Some(1));
        let fits = "õ".repeat(NewLetter::MAX_REASON);
        assert_eq!(NewLetter::new(EventId(1), fits.as_str()).reason, fits);
    }

    #[test]
    fn chunks_are_bounded_by_count_and_by_bytes() {
        let sizes = |count: i64, error: &str| {
            let letters: Vec<_> = (0..count).map(|id| NewLetter::new(EventId(id), "").error(error)).collect();
            let mut rest = letters.iter();
            let chunks = std::iter::from_fn(|| Some(chunk(&mut rest)).filter(|chunk| !chunk.is_empty()));
            chunks.map(|chunk| chunk.len()).collect::<Vec<_>>()
        };
        assert_eq!(sizes(0, ""), [0; 0]);
        assert_eq!(sizes(5_001, ""), [5_000, 1]);
        assert_eq!(sizes(300, &"x".repeat(8_000)), [132, 132, 36]);
    }
}
