//! The portable engine of PgQ: the schemas `pgq`, `pgq_coop`, `pgq_ext` and, on request, `pgq_dead` for any PostgreSQL from 14 on,
//! without C and without a superuser, and the plans that install, upgrade, check and remove them.
//!
//! There is no I/O here: a [`Setup`] says what is wanted, a [`Survey`] what is there, and together they make a [`Plan`], which is SQL.
//! The `Installer` of `pgq-sync` and `pgq-async` asks the questions and runs the steps.
//!
//! For a migration tool, [`Setup::sql`] is all of it as one script:
//!
//! ```
//! use pgq_schema::{Schema, Setup};
//!
//! let script = Setup::new().only([Schema::Pgq]).sql();
//! assert!(script.contains("create schema if not exists pgq;"));
//! ```
//!
//! `cargo run -p pgq-schema --example print_sql` prints it.

mod check;
mod engine;
mod files;
mod found;
mod install;
mod inventory;
mod plan;
mod portable;
mod rights;
mod schema;
mod script;
mod session;
mod setup;
mod step;
mod survey;
mod uninstall;
mod upgrade;

pub use check::Difference;
pub use engine::Engine;
pub use found::Found;
pub use inventory::Inventory;
pub use plan::Plan;
pub use schema::Schema;
pub use setup::Setup;
pub use step::Step;
pub use survey::{Facts, Survey};
