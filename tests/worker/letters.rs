use pgq_async::futures::FutureExt;
use pgq_core::worker::{FailureKind, Outcome};
use pgq_core::{Error, Event};
use pgq_sync::DeadLetters;

use crate::bed::{Bed, until_finished};

cases!(tell_the_kind, quote_no_rows, are_discarded);

fn tell_the_kind(mut bed: Bed) -> crate::Result {
    let worker = bed
        .job()
        .on("error", |_: Event, _| async { Err("no".into()) }.boxed())
        .on("panic", |_: Event, _| async { panic!("no") }.boxed())
        .on("decode", |_: u32, _| async { Ok(Outcome::Done) }.boxed())
        .on("asked", |_: Event, _| async { Ok(Outcome::Dead("a reason".to_owned())) }.boxed())
        .start();
    bed.produce(["error", "panic", "decode", "asked", "unknown"].map(|event_type| (event_type, "x")));
    until_finished(&worker, 1);
    let kinds: Vec<_> = bed.letters().iter().map(|letter| letter.kind()).collect();
    let expected = [
        FailureKind::Error,
        FailureKind::Panic,
        FailureKind::Decode,
        FailureKind::Asked,
        FailureKind::UnknownType,
    ];
    assert_eq!(kinds, expected.map(Some));
    worker.stop()?;
    Ok(())
}

/// Errors of the server, by themselves and as one of this library's, with a DETAIL and without.
fn quote_no_rows(mut bed: Bed) -> crate::Result {
    bed.execute("CREATE TABLE account (code text PRIMARY KEY); INSERT INTO account VALUES ('secret')");
    let insert = "INSERT INTO account VALUES ('secret')";
    let worker = bed
        .job()
        .on("detail", move |_: Event, tx| {
            async move { Ok(tx.run(insert).await.map(|()| Outcome::Done)?) }.boxed()
        })
        .on("wrapped", move |_: Event, tx| {
            async move { Ok(tx.run(insert).await.map(|()| Outcome::Done).map_err(Error::from)?) }.boxed()
        })
        .on("plain", |_: Event, tx| {
            async move { Ok(tx.run("SELECT 1/0").await.map(|()| Outcome::Done)?) }.boxed()
        })
        .start();
    bed.produce(["detail", "wrapped", "plain"].map(|event_type| (event_type, "x")));
    until_finished(&worker, 1);
    let letters = bed.letters();
    let texts: Vec<_> = letters.iter().map(|letter| letter.error.as_deref().unwrap()).collect();
    assert!(texts[2].contains("division by zero (SQLSTATE 22012)"), "{texts:?}");
    for text in &texts[..2] {
        assert!(text.contains("account_pkey") && text.contains("23505"), "{texts:?}");
        assert!(!text.contains("secret"), "{texts:?}");
    }
    worker.stop()?;
    Ok(())
}

fn are_discarded(mut bed: Bed) -> crate::Result {
    let worker = bed.job().decide(|_| Ok(Outcome::Dead("not wanted".to_owned()))).start();
    bed.numbers(1..=3);
    until_finished(&worker, 1);
    let letters = bed.letters();
    let (of, ids) = (DeadLetters::of("q"), [letters[0].id, letters[2].id]);
    assert_eq!(of.discard(&mut bed.db, &ids)?, 2);
    assert_eq!(of.discard(&mut bed.db, &ids)?, 0);
    assert_eq!(bed.letters(), [letters[1].clone()]);
    assert!(bed.retried().is_empty());
    worker.stop()?;
    Ok(())
}
