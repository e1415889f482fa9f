use std::fmt;

/// What goes wrong at a point. Each statement has two: when it has come, and when its answer is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection breaks: before the effect, or after it and before the answer.
    Cut,
    /// The statement, or the next one if this one is done, fails with this SQLSTATE.
    Fail(&'static str),
    /// All sessions die, and what was not committed is gone.
    Restart,
    /// Another process of the same name takes the batch that is open, and finishes it.
    Rival,
    /// The same, but it dies before it has finished.
    DyingRival,
    /// The clock goes ahead, or back, by so many seconds.
    Jump(i64),
    /// No ticks for a while.
    NoTicks,
}

impl Fault {
    pub(crate) const ALL: [Self; 14] = [
        Self::Cut,
        Self::Fail("40001"),
        Self::Fail("57014"),
        Self::Fail("57P01"),
        Self::Fail("53300"),
        Self::Fail("25006"),
        Self::Fail("XX000"),
        Self::Fail("55P03"),
        Self::Restart,
        Self::Rival,
        Self::DyingRival,
        Self::Jump(120),
        Self::Jump(-120),
        Self::NoTicks,
    ];

    /// Some faults at points up to `last`, for a seed.
    pub(crate) fn some(random: &mut fastrand::Rng, last: u64) -> Vec<(u64, Self)> {
        let count = random.usize(1..8);
        let mut fault = || (random.u64(1..=last.max(1)), Self::ALL[random.usize(..Self::ALL.len())]);
        let mut faults: Vec<_> = (0..count).map(|_| fault()).collect();
        faults.sort_by_key(|(point, _)| *point);
        faults
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
