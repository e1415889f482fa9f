//! Prints the script that installs, or upgrades, the portable engine: `print_sql [--only pgq,pgq_coop,pgq_ext,pgq_dead] [--without-roles]`.
//!
//! ```text
//! cargo run -p pgq-schema --example print_sql | psql -1 -v ON_ERROR_STOP=1 -d shop
//! ```

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use pgq_schema::{Schema, Setup};

fn main() -> io::Result<ExitCode> {
    match setup(env::args().skip(1)) {
        Ok(setup) => {
            io::stdout().write_all(setup.sql().as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(problem) => {
            eprintln!(
                "print_sql: {problem}\nusage: print_sql [--only pgq,pgq_coop,pgq_ext,pgq_dead] [--without-roles]"
            );
            Ok(ExitCode::from(2))
        }
    }
}

fn setup(mut arguments: impl Iterator<Item = String>) -> Result<Setup, String> {
    let mut setup = Setup::new();
    while let Some(argument) = arguments.next() {
        setup = match argument.split_once('=').unwrap_or((&argument, "")) {
            ("--only", "") => {
                setup.only(schemas(&arguments.next().ok_or("--only takes the names of schemas")?)?)
            }
            ("--only", names) => setup.only(schemas(names)?),
            ("--without-roles", "") => setup.without_roles(),
            _ => return Err(format!("there is no option {argument:?}")),
        };
    }
    Ok(setup)
}

fn schemas(names: &str) -> Result<Vec<Schema>, String> {
    let schema = |name| Schema::from_name(name).ok_or_else(|| format!("there is no schema {name:?}"));
    names.split(',').map(str::trim).map(schema).collect()
}
