use super::{Function, Table, Timing, Trigger};
use crate::{Error, Result, quote};

impl Trigger {
    /// Gives the statements that attach the trigger to a table, or replace it by what is described now.
    ///
    /// Run them as one script (`batch_execute`): in one round trip, and all or none. They take PostgreSQL 14 and a `SHARE ROW
    /// EXCLUSIVE` lock on the table, so changes of it wait until the transaction ends; removing an earlier trigger for TRUNCATE
    /// takes an `ACCESS EXCLUSIVE` one. Sessions use the new options at once. `ENABLE ALWAYS` must be set again.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] for options that do not fit together, a column name that PgQ's lists cannot hold (empty, with a
    /// comma, or with blanks around it), an empty key, a blank expression, or a name that is too long.
    pub fn attach_sql(&self, table: impl Into<Table>) -> Result<String> {
        let table = table.into();
        let (name, truncate_name) = self.names()?;
        let timing = self.checked_timing()?;
        let operations: Vec<_> = self.operations.iter().map(|operation| operation.keyword()).collect();
        if operations.is_empty() {
            return Err(invalid(
                "the operations of a trigger",
                "[]".into(),
                "it would never fire: drop it with `detach`",
            ));
        }
        let create = |name: &str, events: &str, level: &str, arguments: Vec<String>| {
            format!(
                "CREATE OR REPLACE TRIGGER {name} {timing} {events} ON {table} FOR EACH {level}\n    \
                 EXECUTE FUNCTION pgq.{}({});\n",
                self.function.name(),
                arguments.join(", ")
            )
        };
        let mut script = create(&name, &operations.join(" OR "), "ROW", self.row_arguments()?);
        if self.truncate {
            script.push_str(&create(&truncate_name, "TRUNCATE", "STATEMENT", self.truncate_arguments()));
        } else {
            script.push_str(&drop_sql(&truncate_name, &table));
        }
        Ok(script)
    }

    /// Gives the statements that remove the trigger from a table. Nothing happens where it, or the table, does not exist.
    ///
    /// Run them as one script, like those of [`attach_sql`](Self::attach_sql). They take an `ACCESS EXCLUSIVE` lock on the table.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] for a name that is too long.
    pub fn detach_sql(&self, table: impl Into<Table>) -> Result<String> {
        let table = table.into();
        let (name, truncate_name) = self.names()?;
        Ok(drop_sql(&name, &table) + &drop_sql(&truncate_name, &table))
    }

    fn names(&self) -> Result<(String, String)> {
        let name = self.name.clone().unwrap_or_else(|| format!("{}_pgq", self.queue));
        let reason = if name.is_empty() {
            "a trigger has a name"
        } else if name.len() > MAX_NAME {
            "it is longer than 54 bytes: give a shorter one with `Trigger::name`"
        } else if name.ends_with(TRUNCATE_SUFFIX) {
            "the trigger for TRUNCATE of another one could be called so"
        } else {
            return Ok((quote::ident(&name), quote::ident(&format!("{name}{TRUNCATE_SUFFIX}"))));
        };
        Err(invalid("the name of a trigger", format!("{name:?}"), reason))
    }

    fn checked_timing(&self) -> Result<&'static str> {
        match (self.timing, self.skip) {
            (Some(Timing::After), true) => Err(invalid(
                "the timing of a trigger",
                "AFTER".into(),
                "it skips the change, which must not have happened by then: leave out `after` or `skip`",
            )),
            (Some(Timing::Before), _) | (None, true) => Ok("BEFORE"),
            (Some(Timing::After) | None, false) => Ok("AFTER"),
        }
    }

    fn row_arguments(&self) -> Result<Vec<String>> {
        let mut arguments = self.truncate_arguments();
        if self.skip {
            arguments.push(quote::literal("SKIP"));
        }
        if self.backup {
            arguments.push(quote::literal("backup"));
        }
        if !self.ignore.is_empty() {
            arguments.push(column_list("ignore", "an ignored column", &self.ignore)?);
        }
        if let Some(columns) = &self.primary_key {
            if columns.is_empty() {
                return Err(invalid(
                    "the key of a trigger",
                    "[]".into(),
                    "every UPDATE and DELETE would fail without one",
                ));
            }
            arguments.push(column_list("pkey", "a key column", columns)?);
        }
        for (option, expression) in &self.expressions {
            if expression.as_str().trim().is_empty() {
                return Err(invalid(
                    "an expression of a trigger",
                    format!("{option}={expression}"),
                    "it is blank: for an empty field write `null`",
                ));
            }
            arguments.push(quote::literal(&format!("{option}={expression}")));
        }
        Ok(arguments)
    }

    fn truncate_arguments(&self) -> Vec<String> {
        let mut arguments = vec![quote::literal(&self.queue)];
        if self.deny {
            arguments.push(quote::literal("deny"));
        }
        arguments
    }
}

impl Function {
    fn name(self) -> &'static str {
        match self {
            Self::Logutriga => "logutriga",
            Self::Jsontriga => "jsontriga",
            Self::Sqltriga => "sqltriga",
        }
    }
}

fn column_list(option: &str, name: &'static str, columns: &[String]) -> Result<String> {
    for column in columns {
        let reason = if column.is_empty() {
            "a column has a name"
        } else if column.contains(',') {
            "PgQ's lists of columns are separated by commas"
        } else if column.starts_with(BLANKS) || column.ends_with(BLANKS) {
            "PgQ drops the blanks around a column"
        } else {
            continue;
        };
        return Err(invalid(name, format!("{column:?}"), reason));
    }
    Ok(quote::literal(&format!("{option}={}", columns.join(","))))
}

fn drop_sql(name: &str, table: &Table) -> String {
    format!("DROP TRIGGER IF EXISTS {name} ON {table};\n")
}

fn invalid(name: &'static str, value: String, reason: &'static str) -> Error {
    Error::InvalidValue { name, value, reason }
}

const TRUNCATE_SUFFIX: &str = "_truncate";

/// What PostgreSQL keeps of a name, less the suffix.
const MAX_NAME: usize = 63 - TRUNCATE_SUFFIX.len();

/// What C's `isspace` knows.
const BLANKS: [char; 6] = [' ', '\t', '\n', '\x0b', '\x0c', '\r'];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Expression, Operation};

    fn arguments(trigger: &Trigger) -> String {
        let sql = trigger.attach_sql("t").unwrap();
        let (_, rest) = sql.split_once("triga(").unwrap();
        rest.split_once(");\n").unwrap().0.to_owned()
    }

    fn refused(trigger: &Trigger) -> String {
        trigger.attach_sql("t").unwrap_err().to_string()
    }

    #[test]
    fn every_option_is_an_argument() {
        let sql = |code| Expression::sql(code);
        let trigger = Trigger::sqltriga("q");
        assert_eq!(arguments(&trigger), "'q'");
        let trigger = trigger.skip().deny().backup().ignore(["a", "b c"]).primary_key(["k", "l"]);
        let trigger = trigger.when(sql("x")).event_type(sql("t")).data(sql("d"));
        let trigger = trigger.extra1(sql("1")).extra2(sql("2")).extra3(sql("3")).extra4(sql("4"));
        assert_eq!(
            arguments(&trigger),
            "'q', 'deny', 'SKIP', 'backup', 'ignore=a,b c', 'pkey=k,l', 'ev_data=d', 'ev_extra1=1', 'ev_extra2=2', \
             'ev_extra3=3', 'ev_extra4=4', 'ev_type=t', 'when=x'"
        );
    }

    #[test]
    fn arguments_and_names_are_quoted() {
        let trigger = Trigger::jsontriga(r#"it's "a\b""#).when(Expression::sql(r"txt = '\'"));
        assert_eq!(
            trigger.attach_sql("a.b\".c").unwrap(),
            "CREATE OR REPLACE TRIGGER \"it's \"\"a\\b\"\"_pgq\" AFTER INSERT OR UPDATE OR DELETE ON \"a\".\"b\"\".c\" \
             FOR EACH ROW\n    EXECUTE FUNCTION pgq.jsontriga(E'it''s \"a\\\\b\"', E'when=txt = ''\\\\''');\n\
             DROP TRIGGER IF EXISTS \"it's \"\"a\\b\"\"_pgq_truncate\" ON \"a\".\"b\"\".c\";\n"
        );
    }

    #[test]
    fn last_option_holds() {
        let trigger = Trigger::logutriga("q").ignore(["a"]).extra3(Expression::sql("1")).primary_key(["a"]);
        let trigger = trigger.ignore(["b"]).extra3(Expression::sql("2")).primary_key(["b"]);
        assert_eq!(arguments(&trigger), "'q', 'ignore=b', 'pkey=b', 'ev_extra3=2'");
        assert_eq!(arguments(&Trigger::logutriga("q").ignore(["a"]).ignore([""; 0])), "'q'");
    }

    #[test]
    fn truncate_takes_queue_and_deny_alone() {
        let trigger =
            Trigger::logutriga("q").backup().ignore(["a"]).when(Expression::sql("true")).deny().truncate();
        let sql = trigger
            .name("n")
            .on([Operation::Delete, Operation::Insert, Operation::Insert])
            .attach_sql("t")
            .unwrap();
        assert_eq!(
            sql,
            "CREATE OR REPLACE TRIGGER \"n\" AFTER INSERT OR DELETE ON \"t\" FOR EACH ROW\n    \
             EXECUTE FUNCTION pgq.logutriga('q', 'deny', 'backup', 'ignore=a', 'when=true');\n\
             CREATE OR REPLACE TRIGGER \"n_truncate\" AFTER TRUNCATE ON \"t\" FOR EACH STATEMENT\n    \
             EXECUTE FUNCTION pgq.logutriga('q', 'deny');\n"
        );
    }

    #[test]
    fn detach_drops_both() {
        assert_eq!(
            Trigger::logutriga("q").detach_sql("s.t").unwrap(),
            "DROP TRIGGER IF EXISTS \"q_pgq\" ON \"s\".\"t\";\nDROP TRIGGER IF EXISTS \"q_pgq_truncate\" ON \"s\".\"t\";\n"
        );
    }

    #[test]
    fn skip_needs_before() {
        let timing = |trigger: Trigger| trigger.attach_sql("t").map(|sql| sql.contains("\" BEFORE INSERT"));
        let trigger = Trigger::logutriga("q");
        assert!(!timing(trigger.clone()).unwrap());
        assert!(!timing(trigger.clone().before().after()).unwrap());
        assert!(timing(trigger.clone().before()).unwrap());
        assert!(timing(trigger.clone().skip()).unwrap());
        assert!(timing(trigger.clone().after().before().skip()).unwrap());
        assert_eq!(refused(&trigger.clone().after().skip()), refused(&trigger.clone().skip().after()));
        assert!(
            refused(&trigger.skip().after()).starts_with("the timing of a trigger cannot be AFTER: it skips")
        );
    }

    #[test]
    fn columns_that_a_list_cannot_hold_are_refused() {
        for column in ["", "a,b", ",", " a", "a ", "\ta", "a\n", " "] {
            let problem = refused(&Trigger::logutriga("q").ignore(["x", column]));
            assert!(problem.starts_with(&format!("an ignored column cannot be {column:?}: ")), "{problem}");
            let problem = refused(&Trigger::logutriga("q").primary_key([column, "x"]));
            assert!(problem.starts_with(&format!("a key column cannot be {column:?}: ")), "{problem}");
        }
        assert_eq!(
            arguments(&Trigger::logutriga("q").ignore(["a  b", "é'", "\u{a0}"])),
            "'q', 'ignore=a  b,é'',\u{a0}'"
        );
        assert!(
            refused(&Trigger::logutriga("q").primary_key([""; 0]))
                .starts_with("the key of a trigger cannot be []")
        );
    }

    #[test]
    fn what_would_never_work_is_refused() {
        let problem = refused(&Trigger::logutriga("q").when(Expression::sql(" \n")));
        assert!(
            problem.starts_with("an expression of a trigger cannot be when= \n: it is blank"),
            "{problem}"
        );
        assert!(
            refused(&Trigger::logutriga("q").on([])).starts_with("the operations of a trigger cannot be []")
        );
    }

    #[test]
    fn names_fit_with_their_suffix() {
        let longest = "é".repeat(MAX_NAME / 2);
        let sql = Trigger::logutriga("q").name(&longest).truncate().attach_sql("t").unwrap();
        assert_eq!(sql.lines().nth(2).unwrap().split('"').nth(1).unwrap().len(), 63);
        for name in [longest + "x", "q".repeat(55), String::new(), "orders_truncate".into()] {
            let trigger = Trigger::logutriga("q").name(&name);
            assert!(refused(&trigger).starts_with(&format!("the name of a trigger cannot be {name:?}: ")));
            assert_eq!(refused(&trigger), trigger.detach_sql("t").unwrap_err().to_string());
        }
        assert!(
            refused(&Trigger::logutriga("q".repeat(51))).contains("give a shorter one with `Trigger::name`")
        );
        assert!(Trigger::logutriga("q".repeat(50)).attach_sql("t").is_ok());
    }
}
