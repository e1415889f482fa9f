use std::cell::RefCell;

use pgq_testkit::postgres::{Client, NoTls, SimpleQueryMessage};
use pgq_testkit::{Engine, Server};
use proptest::prelude::*;

use crate::changes::{Case, cases, literal};
use crate::runner::explore;
use crate::values::TYPES_SQL;

/// The trigger functions of the portable engine and what they need.
const PORTABLE: &[&str] = &[
    include_str!("../../pgq-schema/sql/pgq/trigger_values.sql"),
    include_str!("../../pgq-schema/sql/pgq/trigger_expressions.sql"),
    include_str!("../../pgq-schema/sql/pgq/trigger_table.sql"),
    include_str!("../../pgq-schema/sql/pgq/trigger_setup.sql"),
    include_str!("../../pgq-schema/sql/pgq/trigger_changes.sql"),
    include_str!("../../pgq-schema/sql/pgq/logutriga.sql"),
    include_str!("../../pgq-schema/sql/pgq/jsontriga.sql"),
    include_str!("../../pgq-schema/sql/pgq/sqltriga.sql"),
];

/// Tables, triggers and changes of any kind: the functions in C and ours write the same events, or fail alike.
#[test]
fn the_triggers_write_alike() -> crate::Result {
    let server = Server::shared()?;
    if !server.has_extension()? {
        println!("skipped: the server has no pgq extension");
        return Ok(());
    }
    let database = server.new_database().engine(Engine::Extension).create()?;
    let mut db = Client::connect(database.conninfo(), NoTls)?;
    db.batch_execute(
        "create schema portable; select pgq.create_queue('q'); create schema s; set search_path = s, public",
    )?;
    db.batch_execute(&portable())?;
    db.batch_execute(TYPES_SQL)?;
    let db = RefCell::new(db);
    explore(&cases(), |case| {
        let mut db = db.borrow_mut();
        let [theirs, ours] = ["pgq", "portable"].map(|schema| run(&mut db, schema, &case));
        prop_assert_eq!(ours, theirs, "ours left, theirs right:\n{}", case);
        Ok(())
    });
    Ok(())
}

/// Our functions in another schema. The extension's `pgq.insert_event` stores their events.
fn portable() -> String {
    let sql = PORTABLE.concat().replace("pgq._", "portable._").replace("pgq.%I", "portable.%I");
    ["logutriga", "jsontriga", "sqltriga"]
        .iter()
        .fold(sql, |sql, name| sql.replace(&format!("pgq.{name}"), &format!("portable.{name}")))
}

/// What each statement did, and the events.
fn run(db: &mut Client, schema: &str, case: &Case) -> Vec<String> {
    db.batch_execute("begin").unwrap();
    let mut told: Vec<_> = prepare(db, schema, case).into_iter().collect();
    for statement in case.settings.iter().copied().chain(case.statements.iter().map(String::as_str)) {
        told.extend(attempt(db, statement));
    }
    db.batch_execute("reset all; set search_path = s, public").unwrap();
    let events = "select json_build_array(ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) from pgq.event_1 order by ev_id";
    for message in db.simple_query(events).unwrap() {
        if let SimpleQueryMessage::Row(row) = message {
            told.push(row.get(0).unwrap().to_owned());
        }
    }
    db.batch_execute("rollback").unwrap();
    told
}

/// Makes the table and its triggers, or tells why the server does not.
fn prepare(db: &mut Client, schema: &str, case: &Case) -> Option<String> {
    let arguments: String =
        case.arguments.iter().map(|argument| format!(", {}", literal(argument))).collect();
    let (timing, name, function) = (case.timing, case.table.name(), case.function);
    attempt(
        db,
        &format!(
            "{}; create trigger rows {timing} insert or update or delete on {name} for each row \
             execute function {schema}.{function}('q'{arguments}); \
             create trigger truncation {timing} truncate on {name} for each statement \
             execute function {schema}.{function}('q'{arguments})",
            case.table.sql()
        ),
    )
}

/// Runs a statement, which may fail.
fn attempt(db: &mut Client, statement: &str) -> Option<String> {
    db.batch_execute("savepoint attempt").unwrap();
    let Err(error) = db.batch_execute(statement) else {
        db.batch_execute("release attempt").unwrap();
        return None;
    };
    db.batch_execute("rollback to attempt").unwrap();
    let error = error.as_db_error().unwrap();
    // Errors of C have a code of their own.
    let code = error.code().code().replace("XX000", "P0001");
    Some(format!("{code} {}", error.message()))
}
