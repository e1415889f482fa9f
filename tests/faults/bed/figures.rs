use std::fmt::Display;
use std::time::Duration;

use super::{Run, Truth};

/// What a scenario found, printed as one line.
pub(crate) struct Figures {
    run: Run,
    figures: Vec<String>,
}

impl Figures {
    pub(crate) fn of(run: &Run) -> Self {
        Self { run: run.clone(), figures: Vec::new() }
    }

    pub(crate) fn add(mut self, name: &str, figure: impl Display) -> Self {
        self.figures.push(format!("{name} {figure}"));
        self
    }

    pub(crate) fn truth(self, name: &str, truth: &Truth) -> Self {
        self.add(name, truth)
    }

    pub(crate) fn print(self) {
        println!("faults: {} | {}", self.run, self.figures.join(", "));
    }
}

/// Times of the same kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spread(Vec<Duration>);

impl Spread {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time);
        self.0.sort();
    }

    pub(crate) fn min(&self) -> Duration {
        self.0.first().copied().unwrap_or_default()
    }

    pub(crate) fn max(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }

    /// The one that half of them do not exceed.
    pub(crate) fn median(&self) -> Duration {
        self.0.get(self.0.len().saturating_sub(1) / 2).copied().unwrap_or_default()
    }
}

impl Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.2?} max {:.2?} of {}", self.median(), self.max(), self.0.len())
    }
}
