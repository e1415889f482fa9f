use super::Notice;

/// Counts what a notice tells, by the facade of the crate `metrics`. The labels are `queue` and `consumer`.
///
/// | name | kind | unit |
/// |---|---|---|
/// | `pgq_worker_batches_total` | counter | batches finished, those without events aside |
/// | `pgq_worker_events_total` | counter | events of finished batches; label `outcome`: `done`, `retried` or `dead` |
/// | `pgq_worker_failures_total` | counter | failed deliveries; label `kind` |
/// | `pgq_worker_batches_lost_total` | counter | batches taken away |
/// | `pgq_worker_batches_rolled_back_total` | counter | batches to be handled again |
/// | `pgq_worker_connections_total` | counter | connections made |
/// | `pgq_worker_batch_seconds` | histogram | how long a batch was in hand |
/// | `pgq_worker_lag_seconds` | histogram | how long a batch's last tick had waited when it was finished |
pub(super) fn count(queue: &str, consumer: &str, notice: &Notice) {
    let labels = [("queue", queue.to_owned()), ("consumer", consumer.to_owned())];
    let add = |name: &'static str| metrics::counter!(name, &labels).increment(1);
    match notice {
        Notice::Connected => add("pgq_worker_connections_total"),
        Notice::Lost { .. } => add("pgq_worker_batches_lost_total"),
        Notice::RolledBack { .. } => add("pgq_worker_batches_rolled_back_total"),
        Notice::Finished { events, took, lag, .. } => {
            add("pgq_worker_batches_total");
            for (outcome, count) in
                [("done", events.done), ("retried", events.retried), ("dead", events.dead)]
            {
                let [queue, consumer] = labels.clone();
                let labels = [queue, consumer, ("outcome", outcome.to_owned())];
                metrics::counter!("pgq_worker_events_total", &labels).increment(count);
            }
            metrics::histogram!("pgq_worker_batch_seconds", &labels).record(took.as_secs_f64());
            metrics::histogram!("pgq_worker_lag_seconds", &labels).record(lag.as_secs_f64());
        }
        Notice::Retried { kind, .. } | Notice::Dead { kind, .. } => {
            let [queue, consumer] = labels;
            let labels = [queue, consumer, ("kind", kind.to_string())];
            metrics::counter!("pgq_worker_failures_total", &labels).increment(1);
        }
        _ => {}
    }
}
