use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use pgq_async::futures::FutureExt;
use pgq_core::batch::Reader;
use pgq_core::worker::{Extra, Outcome};
use pgq_core::{Event, NewEvent};
use pgq_sync::{Consumer, Queue};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

use crate::bed::{Bed, options, until_finished};

cases!(around_handlers_in_the_transaction, around_handlers_outside);

const TARGET: &str = "handler";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Takes down the spans of workers, and what handlers say in which of them.
#[derive(Clone, Default)]
struct Spans(Arc<Inside>);

#[derive(Default)]
struct Inside {
    last: AtomicU64,
    spans: Mutex<BTreeMap<u64, Span>>,
    said: Mutex<Vec<(String, Option<u64>)>>,
}

#[derive(Clone)]
struct Span {
    text: String,
    parent: Option<u64>,
}

thread_local! {
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

fn current() -> Option<u64> {
    ENTERED.with_borrow(|entered| entered.last().copied())
}

impl Spans {
    fn installed() -> &'static Self {
        static SPANS: OnceLock<Spans> = OnceLock::new();
        SPANS.get_or_init(|| {
            let spans = Self::default();
            tracing::subscriber::set_global_default(spans.clone()).unwrap();
            spans
        })
    }

    /// In which spans, from the inner to the outer one, the handlers said this.
    fn around(&self, words: &str) -> Vec<Vec<String>> {
        let (said, spans) = (self.0.said.lock().unwrap(), self.0.spans.lock().unwrap());
        let chain = |mut at: Option<u64>| {
            let mut chain = Vec::new();
            while let Some(span) = at.and_then(|id| spans.get(&id)) {
                chain.push(span.text.clone());
                at = span.parent;
            }
            chain
        };
        said.iter().filter(|(said, _)| said == words).map(|(_, span)| chain(*span)).collect()
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET || metadata.is_span() && metadata.name().starts_with("pgq.")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let id = self.0.last.fetch_add(1, Ordering::SeqCst) + 1;
        let mut fields = Fields(attributes.metadata().name().to_owned());
        attributes.record(&mut fields);
        let parent = attributes.parent().map(Id::into_u64).or_else(current);
        self.0.spans.lock().unwrap().insert(id, Span { text: fields.0, parent });
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        self.0.said.lock().unwrap().push((fields.0, current()));
    }

    fn enter(&self, span: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(span.into_u64()));
    }

    fn exit(&self, span: &Id) {
        ENTERED.with_borrow_mut(|entered| {
            let at = entered.iter().rposition(|id| *id == span.into_u64());
            at.map(|at| entered.remove(at))
        });
    }
}

/// What the handler says, before and after it waits.
async fn say(driver: crate::driver::Driver, name: &str) {
    for part in 1..=2 {
        tracing::info!(target: TARGET, name, part);
        driver.pause().await;
    }
}

fn spans(mut bed: Bed, outside: bool) -> crate::Result {
    let (spans, name) = (Spans::installed(), format!("traced_{}_{outside}", bed.module()));
    let (said, driver) = (name.clone(), bed.driver);
    Consumer::new("q", &name).register(&mut bed.db)?;
    let links: Arc<Mutex<Vec<(bool, String)>>> = Arc::default();
    let linked = Arc::clone(&links);
    let job = bed.job_of(Reader::consumer("q", &name)).options(options().trace_parent(Extra::Two)).link_span(
        move |span, parent| {
            linked.lock().unwrap().push((span.metadata().unwrap().name() == "pgq.event", parent.to_string()));
        },
    );
    let worker = if outside {
        let handler = move |_: Event| {
            let said = said.clone();
            async move {
                say(driver, &said).await;
                Ok(Outcome::Done)
            }
            .boxed()
        };
        job.outside().otherwise(handler).start()
    } else {
        job.otherwise(move |_: Event, _| {
            let said = said.clone();
            async move {
                say(driver, &said).await;
                Ok(Outcome::Done)
            }
            .boxed()
        })
        .start()
    };
    let events = [
        NewEvent::new("a", "1").extra2(PARENT),
        NewEvent::new("b", "2").extra2("none"),
        NewEvent::new("c", "3").extra1(PARENT),
    ];
    Queue::new("q").insert_events(&mut bed.db, events)?;
    bed.tick();
    until_finished(&worker, 1);
    worker.stop()?;
    for part in 1..=2 {
        let around = spans.around(&format!(" name={name:?} part={part}"));
        assert_eq!(around.len(), 3);
        for (chain, event_type) in around.iter().zip(["a", "b", "c"]) {
            let [event, batch] = &chain[..] else { panic!("{chain:?}") };
            assert!(event.starts_with("pgq.event event="), "{event}");
            assert!(event.contains(&format!("type={event_type:?} attempt=1")), "{event}");
            let traced =
                event.contains(r#"trace_id="4bf92f3577b34da6a3ce929d0e0e4736" parent_id="00f067aa0ba902b7""#);
            assert_eq!(traced, event_type == "a", "{event}");
            assert!(
                batch.starts_with(&format!(r#"pgq.batch queue="q" consumer={name:?} batch="#)),
                "{batch}"
            );
        }
    }
    assert_eq!(*links.lock().unwrap(), [(true, PARENT.to_owned())]);
    Ok(())
}

fn around_handlers_in_the_transaction(bed: Bed) -> crate::Result {
    spans(bed, false)
}

fn around_handlers_outside(bed: Bed) -> crate::Result {
    spans(bed, true)
}
