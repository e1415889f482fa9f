use std::error::Error as StdError;

use pgq_core::chrono::Utc;
use pgq_core::{Error, Event, EventId, NewEvent, Trigger, event};
use serde::Deserialize;

use crate::bed::{Bed, tick};
use crate::driver::{Batch, Client, Consumer, Driver, Session, Transaction};

cases!(
    of_a_row_stay_out_of_errors,
    of_an_event_stay_out_of_errors,
    of_a_payload_stay_out_of_errors,
    of_a_change_stay_out_of_errors,
    stay_out_of_calls,
);

const SECRET: &str = "hunter2";

/// Neither the text nor the debug text of the error, or of any of its causes, may quote the secret.
fn hides(error: &(dyn StdError + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        let said = format!("{error} {error:?} {error:#?}");
        assert!(!said.contains(SECRET), "{said}");
        next = error.source();
    }
}

fn of_a_row_stay_out_of_errors<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute(&format!(
        "CREATE TABLE account (password text UNIQUE, age int CHECK (age > 0)); INSERT INTO account VALUES ('{SECRET}', 1)"
    ))?;
    bed.produce([1]);
    let consumer = bed.consumer();
    let write = |batch: &mut D::Batch<'_>| -> pgq_core::Result<()> {
        batch.transaction().batch_execute(&format!("INSERT INTO account SELECT '{SECRET}', 2"))?;
        Ok(())
    };
    let mut batch = consumer.next_batch(&mut bed.db)?.unwrap();
    let error = write(&mut batch).err().unwrap();
    drop(batch);
    hides(&error);
    assert_eq!(error.sqlstate().unwrap().code(), "23505");
    assert!(error.source().unwrap().to_string().contains("account_password_key"));
    // Whoever wants the detail can have it.
    let detail = error.database().unwrap().driver().as_db_error().unwrap().detail().unwrap();
    assert!(detail.contains(SECRET));

    let check = format!("INSERT INTO account VALUES ('{SECRET}x', 0)");
    hides(&Error::from(bed.db.batch_execute(&check).err().unwrap()));
    Ok(())
}

fn of_an_event_stay_out_of_errors<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let new = NewEvent::new("t", SECRET).extra1(SECRET);
    let again = || event::retry_raw("q", "c", Utc::now(), Some(EventId(7)), Utc::now(), None, &new);
    bed.db.call(again())?;
    hides(&bed.db.call(again()).err().unwrap());
    hides(&bed.db.insert("none", &new).err().unwrap());
    let with_nul = format!("{SECRET}\0");
    hides(&bed.db.insert_event("q", "t", &with_nul).err().unwrap());
    hides(&bed.db.insert_events("q", [NewEvent::new("t", with_nul.as_str())]).err().unwrap());
    let copied = bed.db.transaction()?.copy_events("q", [NewEvent::new("t", with_nul.as_str())]);
    hides(&copied.err().unwrap());
    bed.db.batch_execute("ALTER TABLE pgq.event_1_0 ADD CHECK (ev_data NOT LIKE 'hunter%')")?;
    hides(&bed.db.insert("q", &new).err().unwrap());
    hides(&bed.db.transaction()?.copy_events("q", [new.clone()]).err().unwrap());
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    #[serde(rename = "pin")]
    _pin: u32,
    #[serde(rename = "mode", default)]
    _mode: Mode,
    #[serde(rename = "on", default)]
    _on: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Fast,
}

/// Events with these data.
fn with_data<D: Driver>(bed: &mut Bed<D>, data: &[&str]) -> Vec<Event> {
    bed.db.insert_events("q", data.iter().map(|data| NewEvent::new("t", *data))).unwrap();
    tick::<D>(&mut bed.db);
    let consumer = bed.consumer();
    consumer
        .next_batch(&mut bed.db)
        .unwrap()
        .unwrap()
        .events(usize::MAX)
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

fn hides_and_names(error: &Error, event: &Event) {
    hides(error);
    let text = error.to_string();
    assert!(text.starts_with(&format!("event {}: ", event.id)), "{text}");
    // A secret may be a number as well.
    let said = format!("{error:?}");
    assert!(!said.contains("31337") && !said.contains("3.1337"), "{said}");
}

fn of_a_payload_stay_out_of_errors<D: Driver>() -> crate::Result {
    let mut bed = Bed::<D>::new()?;
    let json = [
        r#"{"pin": "hunter2"}"#,
        r#"{"pin": 31337133713371337}"#,
        r#"{"pin": -31337}"#,
        r#"{"pin": 3.1337}"#,
        r#"{"pin": ["hunter2"]}"#,
        r#"{"pin": 1, "mode": "hunter2"}"#,
        r#"{"pin": 1, "mode": {"hunter2": 31337}}"#,
        r#"{"pin": 1, "on": "hunter2"}"#,
        r#"{"pin": 1, "hunter2": 1}"#,
        r#"{"pin": 1} hunter2"#,
        r#"{"pin": hunter2}"#,
        r#"{"pin": "hunter2"#,
        r#""hunter2""#,
        "hunter2",
        "31337",
        r#"{"hunter2": 31337}"#,
    ];
    for event in with_data(&mut bed, &json) {
        let error = event.json::<Payload>().err().unwrap();
        assert!(matches!(&error, Error::Deserialize { event: Some(id), .. } if *id == event.id), "{error:?}");
        hides_and_names(&error, &event);
    }
    let mut bed = Bed::<D>::new()?;
    let urlencoded = [
        "pin=hunter2",
        "pin=31337133713371337",
        "pin=-31337",
        "pin=1&mode=hunter2",
        "pin=1&on=hunter2",
        "pin=1&hunter2=1",
        "hunter2=31337",
        "hunter2",
        "pin=%68unter2",
    ];
    for event in with_data(&mut bed, &urlencoded) {
        let error = event.urlencoded::<Payload>().err().unwrap();
        assert!(matches!(&error, Error::Deserialize { event: Some(id), .. } if *id == event.id), "{error:?}");
        hides_and_names(&error, &event);
    }
    // What is missing has no value.
    let mut bed = Bed::<D>::new()?;
    let missing = with_data(&mut bed, &["{}", "on=true"]);
    let (json, urlencoded) = (missing[0].json::<Payload>(), missing[1].urlencoded::<Payload>());
    for (event, error) in missing.iter().zip([json.err().unwrap(), urlencoded.err().unwrap()]) {
        hides_and_names(&error, event);
        assert!(error.to_string().contains("`pin`"), "{error}");
    }
    Ok(())
}

fn of_a_change_stay_out_of_errors<D: Driver>() -> crate::Result {
    #[derive(Deserialize)]
    struct Account {
        #[serde(rename = "password")]
        _password: u32,
    }

    let mut bed = Bed::<D>::new()?;
    bed.db.batch_execute("CREATE TABLE account (id int PRIMARY KEY, password text)")?;
    bed.db.attach(&Trigger::jsontriga("q"), "account")?;
    bed.db.batch_execute(&format!("INSERT INTO account VALUES (1, '{SECRET}')"))?;
    tick::<D>(&mut bed.db);
    let consumer = bed.consumer();
    let event = consumer.next_batch(&mut bed.db)?.unwrap().next_event()?.unwrap();
    let error = event.change()?.row.deserialize::<Account>().err().unwrap();
    hides(&error);
    assert!(error.to_string().contains("password"), "{error}");

    let mut cut = event.clone();
    cut.data = event.data.as_ref().map(|data| data[..data.len() - 3].to_owned());
    hides_and_names(&cut.change().err().unwrap(), &event);
    Ok(())
}

fn stay_out_of_calls<D: Driver>() -> crate::Result {
    let new = [NewEvent::new("t", SECRET)];
    for said in [
        format!("{:#?}", event::insert("q", "t", SECRET)),
        format!("{:?}", event::insert_extras("q", &new[0])),
        format!("{:?}", event::insert_many("q", &new)),
    ] {
        assert!(!said.contains(SECRET), "{said}");
    }
    Ok(())
}
