use std::borrow::Cow;
use std::fmt;

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::answer::Columns;
use crate::subject::Subject;
use crate::{BatchId, DatabaseError, Error, Param, Result, Role};

/// A request as a value: the SQL of one of PgQ's functions, its bound parameters, and the decoder of its answer.
///
/// The functions of [`queue`](crate::queue), [`event`](crate::event), [`consumer`](crate::consumer), [`batch`](crate::batch),
/// [`tick`](crate::tick) and [`maintenance`](crate::maintenance) build calls; `pgq-sync` and `pgq-async` run them with
/// `client.call(...)`, one round trip each. A call does nothing until it is run.
///
/// ```
/// let call = pgq_core::batch::next("orders", "billing");
/// assert_eq!(call.function(), "pgq.next_batch");
/// assert!(call.sql().contains("pgq.next_batch($1, $2)"));
/// ```
#[must_use = "a call does nothing until a client runs it"]
pub struct Call<'a, T> {
    function: &'static str,
    role: Role,
    subject: Subject<'a>,
    sql: Cow<'static, str>,
    unless_read_committed: Option<String>,
    params: Vec<Param<'a>>,
    refusal: Option<Error>,
    decode: Box<dyn FnOnce(Answer<'_>) -> Result<T> + Send + Sync + 'a>,
}

/// A parameter as the drivers' `query_typed` takes it.
type Bound<'p> = (&'p (dyn ToSql + Sync), Type);

/// The rows a call was answered with, and what they are about.
pub(crate) struct Answer<'a> {
    pub(crate) function: &'static str,
    pub(crate) subject: &'a Subject<'a>,
    pub(crate) rows: Vec<Row>,
}

impl<'a, T> Call<'a, T> {
    pub(crate) fn new(
        function: &'static str,
        role: Role,
        sql: impl Into<Cow<'static, str>>,
        decode: fn(Answer<'_>) -> Result<T>,
    ) -> Self
    where
        T: 'a,
    {
        let (subject, params) = (Subject::default(), Vec::new());
        let (sql, decode) = (sql.into(), Box::new(decode));
        Self { function, role, subject, sql, unless_read_committed: None, params, refusal: None, decode }
    }

    /// The same call with another answer: what `map` makes of this one's.
    pub fn map<U: 'a>(self, map: fn(T) -> U) -> Call<'a, U>
    where
        T: 'a,
    {
        let Self { function, role, subject, sql, unless_read_committed, params, refusal, decode } = self;
        let decode = Box::new(move |answer: Answer<'_>| decode(answer).map(map));
        Call { function, role, subject, sql, unless_read_committed, params, refusal, decode }
    }

    pub(crate) fn about(mut self, subject: Subject<'a>) -> Self {
        self.subject = subject;
        self
    }

    pub(crate) fn about_batch(mut self, batch: BatchId) -> Self {
        self.subject.batch = Some(batch);
        self
    }

    pub(crate) fn bind(mut self, param: impl Into<Param<'a>>) -> Self {
        self.params.push(param.into());
        self
    }

    pub(crate) fn refuse(mut self, refusal: Option<Error>) -> Self {
        self.refusal = refusal;
        self
    }

    /// Has another statement, with the same parameters, for transactions that keep their snapshot: one that costs more. The first one
    /// does nothing in them, and answers with no row.
    pub(crate) fn unless_read_committed(mut self, sql: String) -> Self {
        self.unless_read_committed = Some(sql);
        self
    }

    /// The SQL function (or statement) that the call wraps, such as `pgq.next_batch`.
    pub fn function(&self) -> &'static str {
        self.function
    }

    /// The role that the function is granted to.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The statement, with `$1`, `$2`, … for the parameters.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The statement and its parameters with their types, as `query_typed` takes them.
    ///
    /// # Errors
    /// A value that must not be sent, such as an event over the size limit.
    pub fn request(&mut self) -> Result<(&str, Vec<Bound<'_>>)> {
        match self.refusal.take() {
            Some(refusal) => {
                // Not even by a second request.
                self.params.clear();
                Err(refusal)
            }
            None => {
                Ok((&self.sql, self.params.iter().map(|param| (param.value(), param.sql_type())).collect()))
            }
        }
    }

    /// Whether the call did nothing and must be run once more, in the form for transactions that keep their snapshot, which it has now.
    pub fn runs_again(&mut self, rows: &Result<Vec<Row>, tokio_postgres::Error>) -> bool {
        match (rows, self.unless_read_committed.take()) {
            (Ok(rows), Some(sql)) if rows.is_empty() => {
                self.sql = sql.into();
                true
            }
            _ => false,
        }
    }

    /// Decodes what the driver answered: rows into `T`, an error into the condition of PgQ that it stands for.
    ///
    /// # Errors
    /// The recognised condition, or [`Error::Database`].
    pub fn answer(self, rows: Result<Vec<Row>, tokio_postgres::Error>) -> Result<T> {
        match rows {
            Ok(rows) => (self.decode)(Answer { function: self.function, subject: &self.subject, rows }),
            Err(error) => Err(self.error(error)),
        }
    }

    /// Turns a driver's error into the condition of PgQ that it stands for.
    pub fn error(&self, error: tokio_postgres::Error) -> Error {
        self.subject.error(self.function, self.role, DatabaseError::from(error))
    }
}

impl Call<'static, Vec<Vec<Option<String>>>> {
    /// A call for rows of texts, of any statement without parameters whose columns are all of type `text`. `function` names it in errors.
    pub fn texts(function: &'static str, sql: impl Into<Cow<'static, str>>) -> Self {
        Self::new(function, Role::Public, sql, |answer| {
            let decode = |row: &Row| {
                let mut columns = Columns::of(row, answer.function);
                (0..row.len()).map(|_| columns.next()).collect()
            };
            answer.rows.iter().map(decode).collect()
        })
    }
}

impl<T> fmt::Debug for Call<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("sql", &self.sql).field("params", &self.params).finish_non_exhaustive()
    }
}
