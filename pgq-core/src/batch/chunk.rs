/// How much of a batch is asked for at once: a number of events, and a budget in bytes.
///
/// A cursor counts events, not bytes. So the first chunk of a batch is small, and each further one at most 32 times as large as
/// the one before it and as many events as the budget holds of the size seen last: one when they are giants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSize {
    /// The most events in a chunk; at least 1. 1,000 unless set.
    pub events: u32,
    /// The bytes that a chunk should stay under. 8 MiB unless set.
    pub bytes: usize,
}

impl ChunkSize {
    const FIRST: u32 = 4;
    const GROWTH: u32 = 32;

    pub(crate) fn first(self) -> u32 {
        self.events.clamp(1, Self::FIRST)
    }

    /// The size of the chunk after one of `limit` events, in which `events` of `bytes` came.
    pub(crate) fn after(self, limit: u32, events: usize, bytes: usize) -> u32 {
        let mean = (bytes / events.max(1)).max(1);
        let affordable = u32::try_from(self.bytes / mean).unwrap_or(u32::MAX);
        limit.saturating_mul(Self::GROWTH).min(self.events).min(affordable).max(1)
    }
}

impl Default for ChunkSize {
    fn default() -> Self {
        Self { events: 1000, bytes: 8 << 20 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_limit() {
        let size = ChunkSize::default();
        assert_eq!(size.first(), 4);
        assert_eq!(size.after(4, 4, 400), 128);
        assert_eq!(size.after(128, 128, 12_800), 1000);
        assert_eq!(size.after(1000, 1000, 100_000), 1000);
    }

    #[test]
    fn giants_come_alone() {
        let size = ChunkSize::default();
        assert_eq!(size.after(4, 4, 4 * (50 << 20)), 1);
        assert_eq!(size.after(1, 1, 2 << 20), 4);
        assert_eq!(size.after(1, 1, 100), 32);
    }

    #[test]
    fn is_never_zero() {
        let size = ChunkSize { events: 0, bytes: 0 };
        assert_eq!(size.first(), 1);
        assert_eq!(size.after(1, 0, 0), 1);
    }
}
