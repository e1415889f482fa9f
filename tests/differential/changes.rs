use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::values::{NAMES, SETTINGS, TYPES, Type};

/// A table, a trigger on it, and what is done to the table.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) table: Table,
    pub(crate) function: &'static str,
    pub(crate) timing: &'static str,
    pub(crate) arguments: Vec<String>,
    pub(crate) settings: Vec<&'static str>,
    pub(crate) statements: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Table {
    name: &'static str,
    kind: Kind,
    columns: Vec<Column>,
    key: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain,
    Temporary,
    Partition,
}

#[derive(Clone, Debug)]
struct Column {
    name: String,
    kind: Type,
}

impl Table {
    fn column(&self, index: &Index) -> &Column {
        index.get(&self.columns)
    }

    /// The definition, and the table that the trigger is put on.
    pub(crate) fn sql(&self) -> String {
        let columns: Vec<_> = self
            .columns
            .iter()
            .map(|column| format!("{} {}", quoted(&column.name), column.kind.name))
            .collect();
        let key: Vec<_> = self.key.iter().map(|&at| quoted(&self.columns[at].name)).collect();
        let key = if key.is_empty() { String::new() } else { format!(", primary key ({})", key.join(", ")) };
        let (name, columns) = (self.name(), columns.join(", "));
        match self.kind {
            Kind::Plain => format!("create table {name} ({columns}{key})"),
            Kind::Temporary => format!("create temporary table {name} ({columns}{key})"),
            Kind::Partition => format!(
                "create table {name} ({columns}, part integer default 1) partition by list (part); \
                 create table part (gone integer, part integer, {columns}); alter table part drop gone; \
                 alter table {name} attach partition part default"
            ),
        }
    }

    pub(crate) fn name(&self) -> String {
        quoted(self.name)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.settings.iter().map(ToString::to_string).chain(self.statements.iter().cloned());
        let trigger = format!("{} {}({:?})", self.timing, self.function, self.arguments);
        writeln!(f, "{};\n{trigger}", self.table.sql())?;
        lines.into_iter().try_for_each(|line| writeln!(f, "{line};"))
    }
}

pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Such as the server takes whatever `standard_conforming_strings` is.
pub(crate) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

pub(crate) fn cases() -> impl Strategy<Value = Case> {
    tables().prop_flat_map(|table| {
        let function = select(vec!["logutriga", "logutriga", "jsontriga", "sqltriga"]);
        let timing = prop_oneof![4 => Just("after"), 1 => Just("before")];
        let arguments = vec(arguments(table.clone()), 0..3);
        let settings = prop_oneof![3 => Just(Vec::new()), 2 => vec(select(SETTINGS), 1..3)];
        let statements = vec(statements(table.clone()), 1..8);
        (function, timing, arguments, settings, statements).prop_map(
            move |(function, timing, arguments, settings, statements)| Case {
                table: table.clone(),
                function,
                timing,
                arguments,
                settings,
                statements,
            },
        )
    })
}

fn tables() -> impl Strategy<Value = Table> {
    let name = select(vec!["t", "t", "T.b l", "t\"x", "ж"]);
    let kind = prop_oneof![6 => Just(Kind::Plain), 1 => Just(Kind::Temporary), 1 => Just(Kind::Partition)];
    let width = prop_oneof![8 => 1..9_usize, 2 => 14..20_usize, 1 => 60..70_usize];
    (name, kind, width).prop_flat_map(|(name, kind, width)| {
        let columns = vec(
            (
                prop_oneof![1 => Just(0..2), 2 => Just(0..NAMES.len())].prop_flat_map(select_name),
                select(TYPES),
            ),
            width,
        );
        (columns, vec(any::<Index>(), 0..3), any::<bool>()).prop_map(move |(columns, key, first)| {
            let mut table = Table { name, kind, columns: Vec::new(), key: Vec::new() };
            for (number, (name, kind)) in columns.into_iter().enumerate() {
                let taken = table.columns.iter().any(|column| column.name == name);
                let name = if taken { format!("c{number}") } else { name };
                table.columns.push(Column { name, kind });
            }
            // The first column, mostly, so that there is one that is not in the key.
            let key = if first {
                vec![0]
            } else {
                key.iter().map(|at| at.index(table.columns.len())).collect::<Vec<_>>()
            };
            for at in key {
                if !table.key.contains(&at)
                    && has_btree(table.columns[at].kind)
                    && !matches!(kind, Kind::Partition)
                {
                    table.key.push(at);
                }
            }
            table
        })
    })
}

fn select_name(range: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    range.prop_map(|at| NAMES[at].to_owned())
}

fn has_btree(kind: Type) -> bool {
    !["json", "xml", "point", "box", "point_and_json", "text collate blind"].contains(&kind.name)
}

fn arguments(table: Table) -> impl Strategy<Value = String> {
    let list = vec((any::<Index>(), select(vec!["", " ", "\t", "x"])), 0..4).prop_map({
        let table = table.clone();
        move |items| {
            let items: Vec<_> =
                items.iter().map(|(at, blank)| format!("{blank}{}", table.column(at).name)).collect();
            items.join(",")
        }
    });
    let field = select(vec!["ev_type", "ev_data", "ev_extra1", "ev_extra2", "ev_extra3", "ev_extra4"]);
    prop_oneof![
        3 => list.clone().prop_map(|list| format!("ignore={list}")),
        3 => list.prop_map(|list| format!("pkey={list}")),
        2 => Just("backup".to_owned()),
        1 => Just("SKIP".to_owned()),
        1 => select(vec!["deny", "bogus", "skip", "when=1", "when=null::boolean", "ev_extra9=1"]).prop_map(str::to_owned),
        3 => (field, expressions(table.clone())).prop_map(|(field, expression)| format!("{field}={expression}")),
        2 => (any::<Index>(), select(vec!["is null", "is not null"])).prop_map(move |(at, test)| {
            format!("when={} {test}", word(table.column(&at)))
        }),
    ]
}

/// A column as an expression can name it, or a string where it cannot.
fn word(column: &Column) -> String {
    let starts = column.name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let plain = starts && column.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    if plain { column.name.clone() } else { "'none'".to_owned() }
}

fn expressions(table: Table) -> impl Strategy<Value = String> {
    const SHAPES: &[&str] = &[
        "{}",
        "({})::text",
        "concat('a', {}, $${}$$)",
        "/* {} /* ' */ */ {} -- {}",
        "concat({},'{}',E'\\'{}')",
        "case when {} is null then 1 end",
        "$q$ {} $$ $q$",
        "(select {} from pg_class limit 1)",
        "null",
        "current_setting('timezone')",
        "concat({},{})",
        "1.5",
    ];
    (select(SHAPES), any::<Index>())
        .prop_map(move |(shape, at)| shape.replace("{}", &word(table.column(&at))))
}

fn statements(table: Table) -> impl Strategy<Value = String> {
    let name = table.name();
    let rows = vec(vec((any::<Index>(), 0..4_u8), table.columns.len()), 1..3);
    let changes = vec((any::<Index>(), any::<Index>(), 0..4_u8), 1..4);
    let insert = rows.prop_map({
        let table = table.clone();
        move |rows| {
            let rows = rows.iter().map(|row| {
                let values =
                    row.iter().zip(&table.columns).map(|((value, null), column)| cell(column, value, *null));
                format!("({})", values.collect::<Vec<_>>().join(", "))
            });
            let columns: Vec<_> = table.columns.iter().map(|column| quoted(&column.name)).collect();
            let rows: Vec<_> = rows.collect();
            format!("insert into {} ({}) values {}", table.name(), columns.join(", "), rows.join(", "))
        }
    });
    let update = changes.prop_map({
        let table = table.clone();
        move |changes| {
            let mut set: Vec<(String, String)> = Vec::new();
            for (at, value, null) in &changes {
                let column = table.column(at);
                if set.iter().all(|(name, _)| *name != quoted(&column.name)) {
                    set.push((quoted(&column.name), cell(column, value, *null)));
                }
            }
            let set: Vec<_> = set.into_iter().map(|(name, value)| format!("{name} = {value}")).collect();
            format!("update {} set {}", table.name(), set.join(", "))
        }
    });
    let altered = (any::<Index>(), 0..4_u8, select(TYPES)).prop_map({
        let table = table.clone();
        move |(at, what, kind)| {
            let column = quoted(&table.column(&at).name);
            let name = table.name();
            match what {
                0 => format!("alter table {name} rename {column} to renamed"),
                1 => format!("alter table {name} drop {column} cascade"),
                2 => format!("alter table {name} add added {}", kind.name),
                _ => format!("alter table {name} alter {column} type text"),
            }
        }
    });
    let (same, column) = (table.clone(), table.name());
    prop_oneof![
        8 => insert,
        8 => update,
        2 => any::<Index>().prop_map(move |at| {
            let column = quoted(&same.column(&at).name);
            format!("update {} set {column} = {column}", same.name())
        }),
        2 => Just(format!("delete from {name}")),
        1 => Just(format!("truncate {column}")),
        2 => altered,
    ]
}

fn cell(column: &Column, value: &Index, null: u8) -> String {
    if null == 0 { "null".to_owned() } else { literal(value.get::<&str>(column.kind.values)) }
}
