use std::fmt::Write;

use pgq_testkit::postgres::{Client, NoTls, SimpleQueryMessage};
use pgq_testkit::{Database, Engine, Server};

use crate::bed::portable;

/// What a trigger in C was seen to write, or its error.
struct Sample {
    name: String,
    encoding: String,
    /// The table and what is in it, the trigger, and settings.
    before: Vec<String>,
    statement: String,
    event: Option<Fields>,
    error: Option<String>,
}

type Fields = [Option<String>; 6];

impl Sample {
    fn all(db: &mut Client) -> Vec<Self> {
        let lines: Vec<_> = include_str!("../data/trigger-samples.jsonl").lines().collect();
        let read = "select s->>'sample', s->>'server_encoding', s->>'statement', s->>'error', (s->>'event')::boolean, \
             array[s->>'ddl'] || array(select json_array_elements_text(s->'pre')) || array[s->>'trigger_sql'] \
             || array(select json_array_elements_text(s->'settings')), \
             array[s->>'ev_type', s->>'ev_data', s->>'ev_extra1', s->>'ev_extra2', s->>'ev_extra3', s->>'ev_extra4'] \
             from (select line::json from unnest($1::text[]) line) t (s)";
        let rows = db.query(read, &[&lines]).unwrap();
        rows.iter()
            .map(|row| Self {
                name: row.get(0),
                encoding: row.get(1),
                statement: row.get(2),
                error: row.get(3),
                event: row.get::<_, bool>(4).then(|| row.get::<_, Vec<_>>(6).try_into().unwrap()),
                before: row.get(5),
            })
            .collect()
    }

    /// The tables are in schema `s`, but for the one in another encoding.
    fn prepare(&self, db: &mut Client) {
        let schema = if self.encoding == "UTF8" { "s" } else { "public" };
        db.batch_execute(&format!("create schema s; set search_path = {schema}, public")).unwrap();
        for statement in &self.before {
            db.batch_execute(statement)
                .unwrap_or_else(|error| panic!("{}: {statement}: {error:?}", self.name));
        }
    }
}

fn connect(database: &Database) -> Client {
    Client::connect(database.conninfo(), NoTls).unwrap()
}

/// The events of queue 1 since it was asked last.
fn events(db: &mut Client) -> Vec<Fields> {
    let taken = "with taken as (delete from pgq.event_1 returning *) \
         select ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 from taken order by ev_id";
    let rows = db.simple_query(taken).unwrap();
    let rows = rows
        .iter()
        .filter_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None });
    rows.map(|row| std::array::from_fn(|field| row.get(field).map(str::to_owned))).collect()
}

/// The data of these events.
fn data(db: &mut Client) -> Vec<String> {
    events(db).into_iter().map(|[_, data, ..]| data.unwrap()).collect()
}

fn message(result: Result<(), pgq_testkit::postgres::Error>) -> Option<String> {
    result.err().map(|error| error.as_db_error().unwrap().message().to_owned())
}

#[test]
fn the_samples_are_written_alike() {
    let database = portable();
    let latin = Server::shared()
        .unwrap()
        .new_database()
        .engine(Engine::Portable)
        .encoding("LATIN1")
        .create()
        .unwrap();
    let samples = Sample::all(&mut connect(&database));
    assert_eq!(samples.len(), 128);
    for database in [&database, &latin] {
        connect(database).batch_execute("select pgq.create_queue('tq')").unwrap();
    }
    for sample in samples {
        let mut db = connect(if sample.encoding == "UTF8" { &database } else { &latin });
        if sample.before[0].contains("hstore") && db.batch_execute("create extension hstore").is_err() {
            println!("skipped: {}: the server has no hstore", sample.name);
            continue;
        }
        db.batch_execute("begin").unwrap();
        sample.prepare(&mut db);
        db.batch_execute("savepoint before").unwrap();
        let error = message(db.batch_execute(&sample.statement));
        // The codes of errors are others here.
        let expected = sample.error.as_ref().map(|error| error.split_once(' ').unwrap().1.to_owned());
        assert_eq!(error, expected, "{}", sample.name);
        if error.is_some() {
            db.batch_execute("rollback to before").unwrap();
        }

        let mut events = events(&mut db);
        for [_, _, extra1, _, extra3, _] in &mut events {
            // Such names differ from session to session.
            *extra1 = extra1
                .take()
                .map(|table| if table.starts_with("pg_temp_") { "pg_temp_4.t".to_owned() } else { table });
            *extra3 = extra3.take().map(|name| if name == database.name() { "trg".to_owned() } else { name });
        }
        assert_eq!(events.is_empty(), sample.event.is_none(), "{}", sample.name);
        assert!(sample.event.iter().all(|event| events.contains(event)), "{}: {events:?}", sample.name);
    }
}

/// What is kept of a table from row to row is thrown away whenever the table changes, whoever changes it.
#[test]
fn a_table_may_change_at_any_time() {
    let database = portable();
    let (mut db, mut other) = (connect(&database), connect(&database));
    db.batch_execute(
        "select pgq.create_queue('q'); create table t (id int primary key, a text, b text); \
         create trigger log after insert or update or delete on t for each row execute function pgq.logutriga('q')",
    )
    .unwrap();
    let written = |db: &mut Client, statement: &str| {
        db.batch_execute(statement).unwrap();
        events(db)
            .into_iter()
            .map(|[kind, data, ..]| format!("{} {}", kind.unwrap(), data.unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(written(&mut db, "insert into t values (1, 'a', 'b')"), ["I:id id=1&a=a&b=b"]);
    other.batch_execute("alter table t rename a to x").unwrap();
    assert_eq!(written(&mut db, "update t set b = 'c'"), ["U:id id=1&x=a&b=c"]);
    other.batch_execute("alter table t drop x, add y int default 5").unwrap();
    assert_eq!(written(&mut db, "update t set b = 'd'"), ["U:id id=1&b=d&y=5"]);
    other.batch_execute("alter table t drop constraint t_pkey, add primary key (y)").unwrap();
    assert_eq!(written(&mut db, "delete from t"), ["D:y id=1&b=d&y=5"]);

    // In one transaction, also where it is undone, and within one statement of the client.
    let undone = "begin; insert into t values (1, 'a', 2); savepoint s; alter table t rename b to bb; insert into t values (1, 'a', 3); \
         rollback to s; insert into t values (1, 'a', 4); commit";
    assert_eq!(written(&mut db, undone), ["I:y id=1&b=a&y=2", "I:y id=1&b=a&y=4"]);
    let within = "do $$ begin insert into t values (1, 'a', 5); alter table t add z int; insert into t values (1, 'a', 6, 7); end $$";
    assert_eq!(written(&mut db, within), ["I:y id=1&b=a&y=5", "I:y id=1&b=a&y=6&z=7"]);

    // Other arguments, and another trigger of the same function.
    other
        .batch_execute(
            "drop trigger log on t; \
             create trigger log after insert or update or delete on t for each row execute function pgq.logutriga('q', 'ignore=b,z')",
        )
        .unwrap();
    assert_eq!(written(&mut db, "insert into t values (1, 'a', 8)"), ["I:y id=1&y=8"]);
    other
        .batch_execute("create trigger more after insert on t for each row execute function pgq.logutriga('q', 'ignore=y', 'pkey=id')")
        .unwrap();
    assert_eq!(written(&mut db, "insert into t values (1, 'a', 9)"), ["I:y id=1&y=9", "I:id id=1&b=a&z"]);

    // A snapshot from before a change does not tell what the rows have now.
    db.batch_execute("begin isolation level repeatable read; select").unwrap();
    db.simple_query("select 1 from pg_class limit 1").unwrap();
    other
        .batch_execute(
            "drop trigger more on t; alter table t drop b, add w int default 3; alter table t rename y to yy",
        )
        .unwrap();
    assert_eq!(written(&mut db, "insert into t values (1, 10, 1)"), ["I:y id=1&yy=10&w=3"]);
    db.batch_execute("rollback").unwrap();
    assert_eq!(written(&mut db, "insert into t values (1, 10, 1)"), ["I:y id=1&yy=10&w=3"]);
}

/// Each byte of the database's encoding, in a value and in the name of a column.
#[test]
fn every_byte_is_encoded() {
    for (encoding, first) in [("UTF8", 1), ("LATIN1", 1), ("SQL_ASCII", 1), ("EUC_JP", 1)] {
        let database = Server::shared()
            .unwrap()
            .new_database()
            .engine(Engine::Portable)
            .encoding(encoding)
            .create()
            .unwrap();
        let mut db = connect(&database);
        db.batch_execute(
            "select pgq.create_queue('q'); create table t (id int, v text, w text); set client_encoding = sql_ascii; \
             create trigger log after insert on t for each row execute function pgq.logutriga('q'); \
             create table bytes as select ''::bytea as b",
        )
        .unwrap();
        let bytes: Vec<u8> = match encoding {
            "UTF8" => {
                (first..0x2_0000).step_by(7).filter_map(char::from_u32).collect::<String>().into_bytes()
            }
            "EUC_JP" => (1..=0x7f).chain((0xa1..=0xfe).flat_map(|byte| [0xb0, byte])).collect(),
            _ => (1..=0xff).collect(),
        };
        let mut hex = String::new();
        for byte in &bytes {
            write!(hex, "{byte:02x}").unwrap();
        }
        let value = format!("convert_from('\\x{hex}', getdatabaseencoding())");
        // Alone, beside what marks values, and so long that it goes by pieces.
        for (v, w) in [
            (value.clone(), "'x'"),
            (format!("translate({value}, e'\\x01\\x02', '')"), "null"),
            (format!("repeat({value}, {})", 1_100_000 / bytes.len() + 1), "''"),
        ] {
            db.batch_execute(&format!("insert into t values (1, {v}, {w})")).unwrap();
            let row = db.query_one("select convert_to(v, getdatabaseencoding()), w from t", &[]).unwrap();
            let (v, w): (Vec<u8>, Option<String>) = (row.get(0), row.get(1));
            let w = w.map_or(String::new(), |w| format!("={w}"));
            assert_eq!(data(&mut db), [format!("id=1&v={}&w{w}", encoded(&v))], "{encoding}");
            db.batch_execute("truncate t").unwrap();
        }
    }
}

fn encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' => text.push(byte.into()),
            b' ' => text.push('+'),
            _ => write!(text, "%{byte:02x}").unwrap(),
        }
    }
    text
}

#[test]
fn wide_rows() {
    let database = portable();
    let mut db = connect(&database);
    db.batch_execute("select pgq.create_queue('q')").unwrap();
    for width in [2, 16, 17, 64, 65, 256, 257, 1600] {
        let columns: Vec<_> = (1..=width).map(|number| format!("c{number} boolean")).collect();
        db.batch_execute(&format!(
            "create table t ({}); create trigger log after insert on t for each row execute function pgq.logutriga('q'); \
             insert into t (c1, c{width}) values (true, false)",
            columns.join(", ")
        ))
        .unwrap_or_else(|error| panic!("{width}: {error:?}"));
        let mut expected: Vec<_> = (1..=width).map(|number| format!("c{number}")).collect();
        *expected.last_mut().unwrap() += "=f";
        expected[0] = "c1=t".to_owned();
        assert_eq!(data(&mut db), [expected.join("&")], "{width}");
        db.batch_execute("drop table t").unwrap();
    }
}

/// As in the extension: whoever changes the table needs the right to insert events, and no other.
#[test]
fn who_changes_a_table_inserts_events() {
    let database = portable();
    let mut db = connect(&database);
    db.batch_execute(
        "create role trigger_user; select pgq.create_queue('q'); create table t (id int primary key, a text); grant all on t to public; \
         create trigger log after insert or update on t for each row \
         execute function pgq.logutriga('q', 'ignore=a', 'ev_extra3=a', 'when=id<>7', 'backup'); \
         create trigger json after insert on t for each row execute function pgq.jsontriga('q'); \
         create trigger sql after insert or update on t for each row execute function pgq.sqltriga('q'); set role trigger_user",
    )
    .unwrap();
    let refused = message(db.batch_execute("insert into t values (1, 'a')"));
    assert_eq!(refused.as_deref(), Some("permission denied for function insert_event"));
    db.batch_execute(
        "reset role; grant execute on function pgq.insert_event(text, text, text, text, text, text, text) to trigger_user; \
         set role trigger_user; insert into t values (1, 'a'); update t set id = id, a = 'b'; reset role",
    )
    .unwrap();
    assert_eq!(
        data(&mut db),
        ["{\"id\":1,\"a\":\"a\"}", "id=1", "(id,a) values ('1','a')", "a='b' where id='1'"]
    );
    db.batch_execute("drop owned by trigger_user; drop role trigger_user").unwrap();
}

/// Through a view, or on behalf of a function, rows come to tables whose schema is closed to whoever sends them.
#[test]
fn a_table_out_of_reach() {
    let database = portable();
    let mut db = connect(&database);
    db.batch_execute(
        "select pgq.create_queue('q'); create role stranger; create schema hidden; \
         create type hidden.colour as enum ('red'); create table hidden.t (id int primary key, c hidden.colour, p point); \
         create view v as select * from hidden.t; grant all on v to stranger; \
         grant execute on all functions in schema pgq to stranger; \
         create trigger log after insert or update or delete on hidden.t for each row \
         execute function pgq.logutriga('q', 'ignore=p', 'ev_extra3=c', 'ev_extra4=c is not null'); \
         create trigger sql after insert or update or delete on hidden.t for each row execute function pgq.sqltriga('q'); \
         set role stranger; insert into v values (1, 'red', '(1,2)'); update v set p = '(1,3)'; delete from v; reset role",
    )
    .unwrap();
    let expected = [
        "id=1&c=red",
        "(id,c,p) values ('1','red','(1,2)')",
        "p='(1,3)' where id='1'",
        "id=1&c=red",
        "id='1'",
    ];
    assert_eq!(data(&mut db), expected);
    db.batch_execute("drop owned by stranger; drop role stranger").unwrap();
}

/// Fired at the end of the transaction, and in plans that are made anew each time.
#[test]
fn deferred_and_planned_anew() {
    let database = portable();
    let mut db = connect(&database);
    db.batch_execute(
        "select pgq.create_queue('q'); set plan_cache_mode = force_custom_plan; create table t (id int, a text); \
         create constraint trigger log after insert or update on t deferrable initially deferred for each row \
         execute function pgq.logutriga('q', 'pkey=id', 'ev_extra3=a'); \
         begin; insert into t values (1, 'a'), (2, 'b'); update t set a = 'c' where id = 2; commit",
    )
    .unwrap();
    assert_eq!(data(&mut db), ["id=1&a=a", "id=2&a=b", "id=2&a=c"]);
}

/// An expression that the server does not understand is asked about again each time, and works as soon as it can.
#[test]
fn an_expression_may_be_repaired() {
    let database = portable();
    let mut db = connect(&database);
    db.batch_execute(
        "select pgq.create_queue('q'); create table t (id int); \
         create trigger log after insert on t for each row execute function pgq.logutriga('q', 'ev_data=later(id)')",
    )
    .unwrap();
    for _ in 0..2 {
        let refused = message(db.batch_execute("insert into t values (1)"));
        assert_eq!(refused.as_deref(), Some("function later(integer) does not exist"));
    }
    db.batch_execute(
        "create function later(int) returns int language sql return $1 + 1; insert into t values (1)",
    )
    .unwrap();
    assert_eq!(data(&mut db), ["2"]);
}
