use pgq_core::quote;

use crate::{Step, Survey};

/// What the session is set to while a plan runs, so that names and defaults are read, and shown, as they were written.
pub(crate) const PINNED: &[(&str, &str)] = &[
    ("search_path", "pg_catalog, pg_temp"),
    ("intervalstyle", "postgres"),
    ("quote_all_identifiers", "off"),
];

/// Pins the settings until the end of the transaction.
pub(crate) fn pin() -> Step {
    let set = |&(name, value): &(&str, &str)| set_local(name, value);
    Step::new("session: pin the settings", PINNED.iter().map(set).collect::<String>())
}

/// Sets them back, for what the caller does in the same transaction.
pub(crate) fn restore(survey: &Survey) -> Step {
    let set = |&(name, _): &(&str, &str)| set_local(name, survey.text(name));
    Step::new("session: set them back", PINNED.iter().map(set).collect::<String>())
}

/// Does what follows as another role.
pub(crate) fn act_as(role: &str) -> Step {
    Step::new(format!("session: act as role {role}"), set_local("role", role))
}

/// Ends that.
pub(crate) fn act_as_before(survey: &Survey) -> Step {
    Step::new("session: act as before", set_local("role", survey.text("role")))
}

fn set_local(name: &str, value: &str) -> String {
    format!("select pg_catalog.set_config({}, {}, true);\n", quote::literal(name), quote::literal(value))
}
