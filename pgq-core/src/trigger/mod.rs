use std::collections::{BTreeMap, BTreeSet};

mod expression;
mod operation;
mod sql;
mod table;

pub use expression::Expression;
pub use operation::Operation;
pub use table::Table;

/// Describes a trigger that writes an event for every change of a table.
///
/// Inert: [`attach_sql`](Self::attach_sql) and [`detach_sql`](Self::detach_sql) give the statements. What PgQ would refuse only
/// when the first row is changed is refused there. Whoever changes the table needs the role `pgq_writer`, or the change fails; it fails
/// as well while the queue does not exist or accepts no events.
///
/// An option given twice holds as given last.
///
/// # Example
///
/// ```
/// use pgq_core::{Expression, Trigger};
///
/// # fn main() -> pgq_core::Result<()> {
/// let trigger = Trigger::logutriga("orders").ignore(["last_seen"]).backup().when(Expression::sql("status <> 'draft'"));
/// assert_eq!(
///     trigger.attach_sql("public.orders")?,
///     r#"CREATE OR REPLACE TRIGGER "orders_pgq" AFTER INSERT OR UPDATE OR DELETE ON "public"."orders" FOR EACH ROW
///     EXECUTE FUNCTION pgq.logutriga('orders', 'backup', 'ignore=last_seen', 'when=status <> ''draft''');
/// DROP TRIGGER IF EXISTS "orders_pgq_truncate" ON "public"."orders";
/// "#
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Trigger {
    function: Function,
    queue: String,
    name: Option<String>,
    timing: Option<Timing>,
    operations: BTreeSet<Operation>,
    truncate: bool,
    skip: bool,
    backup: bool,
    deny: bool,
    ignore: Vec<String>,
    primary_key: Option<Vec<String>>,
    expressions: BTreeMap<&'static str, Expression>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Logutriga,
    Jsontriga,
    Sqltriga,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timing {
    Before,
    After,
}

impl Trigger {
    /// Starts a trigger that writes rows urlencoded: `ev_type` is `I:id`, `ev_data` is `id=1&name=pen`.
    pub fn logutriga(queue: impl Into<String>) -> Self {
        Self::new(Function::Logutriga, queue.into())
    }

    /// Starts a trigger that writes rows as JSON: `ev_type` is `{"op":"INSERT",...}`, `ev_data` is `{"id":1,"name":"pen"}`.
    pub fn jsontriga(queue: impl Into<String>) -> Self {
        Self::new(Function::Jsontriga, queue.into())
    }

    /// Starts a trigger that writes pieces of SQL: `ev_type` is `I`, `ev_data` is `(id,name) values ('1','pen')`.
    pub fn sqltriga(queue: impl Into<String>) -> Self {
        Self::new(Function::Sqltriga, queue.into())
    }

    fn new(function: Function, queue: String) -> Self {
        Self {
            function,
            queue,
            name: None,
            timing: None,
            operations: BTreeSet::from([Operation::Insert, Operation::Update, Operation::Delete]),
            truncate: false,
            skip: false,
            backup: false,
            deny: false,
            ignore: Vec::new(),
            primary_key: None,
            expressions: BTreeMap::new(),
        }
    }

    /// Names the trigger; without this it is called `<queue>_pgq`.
    ///
    /// Up to 54 bytes, because the trigger for TRUNCATE is called `<name>_truncate` and names end at 63. Two triggers of one table
    /// need two names, or attaching one replaces the other. PostgreSQL fires the triggers of a table in the order of their names.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Fires before the row changes: the event is written even if another trigger then cancels the change, and generated columns
    /// are still NULL.
    ///
    /// A BEFORE trigger can run before the transaction has an id: begin it with `SELECT txid_current()`, or a rotation that comes
    /// between loses the event. AFTER triggers need that in repeatable read and serializable only.
    pub fn before(mut self) -> Self {
        self.timing = Some(Timing::Before);
        self
    }

    /// Fires after the row changed. The default, unless the trigger [skips](Self::skip) the change.
    pub fn after(mut self) -> Self {
        self.timing = Some(Timing::After);
        self
    }

    /// Chooses what the trigger fires on; without this, on all three.
    pub fn on(mut self, operations: impl IntoIterator<Item = Operation>) -> Self {
        self.operations = operations.into_iter().collect();
        self
    }

    /// Adds a second trigger that writes an event when the table is truncated. Of the options, [`deny`](Self::deny) alone goes
    /// with it: the others are about rows.
    pub fn truncate(mut self) -> Self {
        self.truncate = true;
        self
    }

    /// Writes the event *instead of* the change: the row stays as it is, even where no event is written. Makes it a
    /// [`before`](Self::before) trigger. A TRUNCATE is not held up.
    /// As for [`before`](Self::before), begin the transaction with `SELECT txid_current()`.
    pub fn skip(mut self) -> Self {
        self.skip = true;
        self
    }

    /// Refuses every change of the table, with an error of the server, and writes nothing.
    pub fn deny(mut self) -> Self {
        self.deny = true;
        self
    }

    /// Adds the row as it was before an UPDATE, in `ev_extra2`.
    pub fn backup(mut self) -> Self {
        self.backup = true;
        self
    }

    /// Leaves columns out of the events. An UPDATE that changes nothing else writes no event.
    pub fn ignore<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.ignore = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Tells the key columns, where the table has no primary key, or another than the events should name.
    ///
    /// Spell them as the table does: PgQ takes an unknown column without a word, and then does not notice an UPDATE that changes
    /// the key.
    pub fn primary_key<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.primary_key = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Writes an event only for rows where the condition is true. It must not be NULL, or the change fails: wrap what may be in
    /// `coalesce(..., false)`.
    pub fn when(self, condition: Expression) -> Self {
        self.expression("when", condition)
    }

    /// Replaces `ev_type`. [`Change`](crate::change) cannot read such an event.
    pub fn event_type(self, value: Expression) -> Self {
        self.expression("ev_type", value)
    }

    /// Replaces `ev_data`, the row. [`Change`](crate::change) cannot read such an event.
    pub fn data(self, value: Expression) -> Self {
        self.expression("ev_data", value)
    }

    /// Replaces `ev_extra1`, the name of the table.
    pub fn extra1(self, value: Expression) -> Self {
        self.expression("ev_extra1", value)
    }

    /// Fills `ev_extra2`, also where [`backup`](Self::backup) would.
    pub fn extra2(self, value: Expression) -> Self {
        self.expression("ev_extra2", value)
    }

    /// Fills `ev_extra3`.
    pub fn extra3(self, value: Expression) -> Self {
        self.expression("ev_extra3", value)
    }

    /// Fills `ev_extra4`.
    pub fn extra4(self, value: Expression) -> Self {
        self.expression("ev_extra4", value)
    }

    fn expression(mut self, option: &'static str, value: Expression) -> Self {
        self.expressions.insert(option, value);
        self
    }
}
