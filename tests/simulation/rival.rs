//! Another process that uses the consumer's name, or another member of its group.

use crate::host::Handled;
use crate::model::{Database, Member, Pace, Refusal, Request, Row, SessionId, Value};
use crate::task::{Group, Task, Verdict};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Finishes,
    Dies,
}

const NAME: &str = "rival";
/// Longer than any dead interval.
const SILENCE: i64 = 300_000_000;

/// Opens or takes over a batch, and works on it. Gives up where it would have to wait.
pub(crate) fn take(database: &mut Database, group: Group, ending: Ending) -> Vec<Handled> {
    if group != Group::Consumer {
        database.now += SILENCE;
    }
    let session = database.connect(NAME);
    let handled = work(database, session, group, ending).unwrap_or_default();
    database.disconnect(session);
    handled
}

fn work(
    database: &mut Database,
    session: SessionId,
    group: Group,
    ending: Ending,
) -> Result<Vec<Handled>, Refusal> {
    let mut run = |request: Request| database.execute(session, &request);
    let member = Member { queue: "q".to_owned(), main: "m".to_owned(), sub: NAME.to_owned() };
    let pace = Pace::default();
    let next = match group {
        Group::Consumer => Request::Next { key: ("q".to_owned(), "c".to_owned()), pace },
        Group::Members | Group::MembersKeepingIds => {
            Request::NextOfMember { member: member.clone(), pace, dead: Some(SILENCE / 2) }
        }
    };
    let Some(Value::Int8(batch)) = run(next)?.into_iter().flatten().next() else { return Ok(Vec::new()) };
    if ending == Ending::Dies {
        return Ok(Vec::new());
    }
    run(Request::Begin)?;
    let rows = run(Request::Cursor { batch, name: "rival".to_owned(), limit: 1000, after: None })?;
    let mut handled = Vec::new();
    let (mut retried, mut times) = (Vec::new(), Vec::new());
    for row in rows {
        let (event, retry, task) = read(row);
        handled.push(Handled { by: NAME.to_owned(), batch, event, retry });
        match task.verdict(retry.unsigned_abs()) {
            Verdict::Done => drop(run(Request::InsertSink { event, worker: NAME.to_owned() })?),
            Verdict::Retry(after) => {
                retried.push(event);
                times.push(i32::try_from(after.as_secs()).expect("seconds"));
            }
            Verdict::GiveUp => drop(run(Request::AddLetters {
                batch,
                events: vec![event],
                reasons: vec![Some(NAME.to_owned())],
                errors: vec![None],
                attempts: vec![1],
            })?),
        }
    }
    run(Request::RetrySet { batch, events: retried, seconds: times })?;
    let finish = match group {
        Group::Consumer => Request::Finish { batch },
        _ => Request::FinishFenced { member, batch },
    };
    let finished = run(finish)?;
    assert_eq!(finished, [[Value::Int4(1)]], "a rival finishes what it opened");
    run(Request::Commit)?;
    Ok(handled)
}

fn read(row: Row) -> (i64, i32, Task) {
    let mut row = row.into_iter();
    let mut next = || row.next().expect("a column");
    let (id, _, _) = (next().int8(), next(), next());
    let retry = next().maybe_int4().unwrap_or(0);
    let (_, data) = (next(), next().text());
    (id, retry, Task::of(&data))
}
