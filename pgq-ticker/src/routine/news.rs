/// Ticks that those who listen were not told of yet.
#[derive(Clone, Debug, Default)]
pub(super) struct News {
    untold: Option<Ticked>,
    told_by: ToldBy,
}

/// What has a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ticked {
    Queue(String),
    SomeQueues,
}

/// Who notifies the listeners: the first notification on a connection finds that out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ToldBy {
    #[default]
    Ticker,
    Engine,
}

impl News {
    pub(super) fn tell(&mut self, ticked: Ticked) {
        if self.told_by == ToldBy::Ticker {
            self.untold = Some(ticked);
        }
    }

    pub(super) fn are_told_by_the_engine(&mut self) {
        self.told_by = ToldBy::Engine;
    }

    /// What to tell now. To be told before the next tick is made, so there is never more than one.
    pub(super) fn take(&mut self) -> Option<Ticked> {
        self.untold.take()
    }
}

impl Ticked {
    pub(super) fn queue(&self) -> Option<&str> {
        match self {
            Self::Queue(queue) => Some(queue),
            Self::SomeQueues => None,
        }
    }
}
