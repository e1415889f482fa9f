use std::error::Error as StdError;

use pgq_core::chrono::Utc;
use pgq_core::{Error, EventId, NewEvent, event};

use crate::bed::Bed;
use crate::driver::{Batch, Client, Consumer, Driver, Session, Transaction};

cases!(of_a_row_stay_out_of_errors, of_an_event_stay_out_of_errors, stay_out_of_calls);

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
