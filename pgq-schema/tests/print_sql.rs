//! Runs the example as a program of its own.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::env;
use std::process::{Command, Output};

use pgq_schema::{Schema, Setup};

/// The built example lies in `examples`, next to the folder `deps` of this test.
fn print_sql(arguments: &[&str]) -> Output {
    let program = env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join("print_sql");
    Command::new(program).args(arguments).output().unwrap()
}

#[test]
fn prints_the_script() {
    let asked = [
        (&[][..], Setup::new()),
        (&["--without-roles"], Setup::new().without_roles()),
        (&["--only", "pgq_ext,pgq"], Setup::new().only([Schema::Pgq, Schema::PgqExt])),
        (&["--only=pgq_coop"], Setup::new().only([Schema::PgqCoop])),
    ];
    for (arguments, setup) in asked {
        let output = print_sql(arguments);
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), setup.sql(), "{arguments:?}");
    }
}

#[test]
fn says_what_is_wrong_with_an_option() {
    let wrong = [
        (&["--only", "pgq,pgqueue"][..], "there is no schema \"pgqueue\""),
        (&["--only"], "--only takes"),
        (&["--all"], "there is no option \"--all\""),
        (&["--without-roles=yes"], "there is no option \"--without-roles=yes\""),
    ];
    for (arguments, problem) in wrong {
        let output = print_sql(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(problem) && said.contains("usage: print_sql"), "{said}");
    }
}
