use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

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

#[derive(Clone, Copy, Debug)]
struct Type {
    name: &'static str,
    values: &'static [&'static str],
}

/// `a` and `b` are in most tables, others may be there twice and are then left out.
const NAMES: &[&str] = &[
    "a",
    "b",
    "my id",
    "UPPER",
    "select",
    "a&b=c%",
    "пр",
    "d.o-t",
    "x.y",
    "a,b",
    "q\"q",
    "it's",
    "%1$s",
    "back\\slash",
    "b ",
    "id",
    "my",
    "Mixed",
    "e",
    "$1",
    "_pgq_ev_type",
    "_pgq_ev_data",
    "_pgq_ev_extra1",
    "_pgq_ev_extra2",
    "_pgq_ev_extra4",
    "_pgq_ev_id",
    "tab\tkey",
    "one of those names that are as long as the server lets them be",
];

const TEXTS: &[&str] = &[
    "",
    "x",
    "it's",
    " a  b ",
    "AZaz09_.-~",
    "+ % & = %20 %2b",
    "l1\nl2\tx\r\n",
    "é ß ж 日本 🦀",
    "!\"#$'()*+,-./:;<=>?@[\\]^_`{|}~",
    "\u{1}",
    "\u{2}",
    "\u{3}t",
    "\u{1}\u{1f}\u{7f}\u{85}",
    "null",
    "NULL",
    "\\000\\303\\\\",
    "\\u0001 \\n",
    "{\"a\": [1, null]}",
    "t",
    "(1,\"a b\")",
];

const TYPES: &[Type] = &[
    Type { name: "integer", values: &["1", "-2", "2147483647"] },
    Type { name: "bigint", values: &["1", "-9223372036854775808"] },
    Type { name: "smallint", values: &["1", "2"] },
    Type { name: "text", values: TEXTS },
    Type { name: "varchar", values: TEXTS },
    Type { name: "text collate blind", values: &["a", "A", "b"] },
    Type { name: "char(9)", values: &["", "a", "a b", "it's", "é"] },
    Type { name: "bpchar", values: &["a", "a ", "b"] },
    Type { name: "name", values: &["a", "\"b\""] },
    Type { name: "\"char\"", values: &["a", " "] },
    Type { name: "boolean", values: &["t", "f"] },
    Type { name: "numeric", values: &["1.0", "1.00", "12345678901234567890.1200", "NaN"] },
    Type { name: "real", values: &["0.1", "0", "-0", "NaN", "Infinity"] },
    Type { name: "float8", values: &["0.1", "0.1000000000000001", "0", "-0", "1e300"] },
    Type { name: "bytea", values: &["\\x", "\\x00ff2041", "\\x5c"] },
    Type { name: "date", values: &["2009-09-19", "infinity", "0044-03-15 BC", "12009-01-01"] },
    Type {
        name: "timestamp",
        values: &["2009-09-19 11:59:48.599", "-infinity", "0044-03-15 10:00 BC", "12009-01-01"],
    },
    Type {
        name: "timestamptz",
        values: &["2009-09-19 11:59:48.599+02", "infinity", "1850-01-01 12:00+00", "0044-03-15 10:00 BC"],
    },
    Type { name: "time", values: &["11:59:48.5", "24:00"] },
    Type { name: "timetz", values: &["11:59:48+03", "10:59:48+02"] },
    Type { name: "interval", values: &["1 mon", "30 days", "1 year 2 mons 3 days 04:05:06.7", "-1 day"] },
    Type { name: "json", values: &["{\"b\": 1,  \"a\":[1, null]}", "{\"b\":1}", "null", "\"\\u00e9\""] },
    Type { name: "jsonb", values: &["{\"b\": 1,  \"a\":[1, null]}", "1.0", "1.00", "\"t\""] },
    Type { name: "uuid", values: &["6f1d2a9e-0000-4000-8000-000000000001"] },
    Type { name: "inet", values: &["10.0.0.1", "10.0.0.1/8"] },
    Type { name: "cidr", values: &["10.0.0.0/8"] },
    Type { name: "macaddr", values: &["08:00:2b:01:02:03"] },
    Type { name: "money", values: &["12.34", "-1"] },
    Type { name: "bit(4)", values: &["1010", "0000"] },
    Type { name: "point", values: &["(1,2)", "(0,2)", "(-0,2)"] },
    Type { name: "box", values: &["(1,1),(0,0)", "(2,0.5),(0,0)"] },
    Type { name: "tsvector", values: &["b a", "a b", "'it''s':1A"] },
    Type { name: "xml", values: &["<a/>", "<a></a>", "<a>&amp;</a>"] },
    Type { name: "oid", values: &["42"] },
    Type { name: "regclass", values: &["pg_class"] },
    Type { name: "int4range", values: &["[1,5)", "empty"] },
    Type { name: "numrange", values: &["[1.0,2]", "[1.00,2]"] },
    Type { name: "int4multirange", values: &["{[1,3),[5,6)}", "{}"] },
    Type { name: "integer[]", values: &["{1,2,NULL}", "{}", "{{1,2},{3,4}}", "[0:1]={1,2}"] },
    Type { name: "text[]", values: &["{\"a b\",\"q\\\"q\",\"\",NULL,\"NULL\",\"c,d\"}", "{}"] },
    Type { name: "numeric[]", values: &["{1.0}", "{1.00}"] },
    Type { name: "boolean[]", values: &["{t,f,NULL}"] },
    Type { name: "colour", values: &["red", "light blue"] },
    Type { name: "pair", values: &["(1,\"a b\")", "(,)", "(1.0,x)", "(1.00,x)"] },
    Type { name: "pair[]", values: &["{\"(1,a)\",NULL}"] },
    Type { name: "point_and_json", values: &["(\"(1,2)\",{})", "(\"(1,2)\",\"{ }\")"] },
    Type { name: "short", values: &["1.0", "1.00"] },
    Type { name: "truth", values: &["t", "f"] },
    Type { name: "whole", values: &["1", "2"] },
    Type { name: "list", values: &["{1.0}", "{1.00}"] },
    Type { name: "moment", values: &["2009-09-19 11:59:48+02"] },
];

/// What the types of [`TYPES`] need.
pub(crate) const TYPES_SQL: &str = "create collation blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
     create type colour as enum ('red', 'light blue'); create type pair as (n numeric, t text); \
     create type point_and_json as (p point, j json); create domain short as numeric; create domain truth as boolean; \
     create domain whole as integer not null; create domain list as numeric[]; create domain moment as timestamptz;";

const SETTINGS: &[&str] = &[
    "set datestyle = 'German, DMY'",
    "set datestyle = 'SQL'",
    "set timezone = 'Asia/Kolkata'",
    "set timezone = 'Europe/Amsterdam'",
    "set intervalstyle = 'iso_8601'",
    "set bytea_output = 'escape'",
    "set extra_float_digits = 0",
    "set extra_float_digits = -5",
    "set standard_conforming_strings = off",
    "set quote_all_identifiers = on",
    "set session_replication_role = 'local'",
    "set plpgsql.extra_errors = 'all'",
    "set plpgsql.extra_warnings = 'all'",
    "set xmloption = 'document'",
];

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
