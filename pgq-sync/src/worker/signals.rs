use std::io;
use std::sync::Arc;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::watch::Watch;

pub(super) fn listen(watch: &Arc<Watch>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let handle = signals.handle();
    let watched = Arc::clone(watch);
    let run = move || {
        for _ in signals.forever() {
            if watched.is_stopping() {
                watched.stop_now();
            } else {
                watched.stop();
            }
        }
    };
    thread::Builder::new().name("pgq-signals".to_owned()).spawn(run)?;
    watch.at_end(Box::new(move || handle.close()));
    Ok(())
}
