use pgq_core::{Installation, Result};

use crate::{Schema, Step, Survey, files};

const ROLES: [&str; 3] = ["pgq_reader", "pgq_writer", "pgq_admin"];

/// The step that makes the roles, if they are not all there; an error if the user may not.
pub(crate) fn roles(survey: &Survey) -> Result<Option<Step>> {
    let missing: Vec<_> = ROLES.into_iter().filter(|role| !survey.is(role, "role")).collect();
    if !missing.is_empty() && !survey.says("create roles") {
        let what = format!("CREATEROLE, to create {}", missing.join(", "));
        return Err(lack(
            survey,
            what,
            "let a user who has it create the roles first, or install without them (`without_roles`)",
        ));
    }
    let [reader, writer, _] = ROLES;
    let loose: Vec<_> = [reader, writer].into_iter().filter(|role| !survey.is(role, "member")).collect();
    let barred = |role: &&str| survey.is(role, "role") && !survey.is(role, "grantable");
    if let Some(role) = loose.iter().copied().find(barred) {
        let remedy = format!(
            "let its owner run `GRANT {role} TO pgq_admin`, or install without the roles (`without_roles`)"
        );
        return Err(lack(survey, format!("the admin option on role {role}"), remedy));
    }
    Ok((!missing.is_empty() || !loose.is_empty()).then(|| Step::new("roles", files::ROLES)))
}

/// An error if the user may not create a schema.
pub(crate) fn create(survey: &Survey, schema: Schema) -> Result<()> {
    if survey.says("create schemas") {
        return Ok(());
    }
    let (database, user) = (survey.text("database"), survey.user());
    let remedy = format!(
        "let its owner run `GRANT CREATE ON DATABASE {database:?} TO {user:?}`, or `CREATE SCHEMA {schema} AUTHORIZATION {user:?}`"
    );
    Err(lack(survey, format!("CREATE on database {database:?}"), remedy))
}

/// An error if the user may not act as the owner of a schema that is there.
pub(crate) fn own(survey: &Survey, schema: Schema) -> Result<()> {
    if survey.is(schema.name(), "may own") {
        return Ok(());
    }
    let owner = survey.owner(schema).unwrap_or_default();
    let what = format!("the rights of role {owner:?}, the owner of schema {schema}");
    Err(lack(survey, what, "run it as that role, or as one of its members"))
}

pub(crate) fn lack(
    survey: &Survey,
    missing: impl Into<String>,
    remedy: impl Into<String>,
) -> pgq_core::Error {
    let user = survey.user().to_owned();
    Installation::MissingRight { user, missing: missing.into(), remedy: remedy.into() }.into()
}
