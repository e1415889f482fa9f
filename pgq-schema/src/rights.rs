use pgq_core::{Installation, Result, quote};

use crate::{Found, Schema, Setup, Step, Survey, files};

const ROLES: [&str; 3] = ["pgq_reader", "pgq_writer", "pgq_admin"];

/// The step that makes the roles, if they are not all there; an error if the user may not.
pub(crate) fn roles(survey: &Survey) -> Result<Option<Step>> {
    let missing: Vec<_> = ROLES.into_iter().filter(|role| !survey.is(role, "role")).collect();
    if !missing.is_empty() && !survey.says("create roles") {
        return Err(lack(
            survey,
            format!("create the roles {}", missing.join(", ")),
            "CREATEROLE",
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
        return Err(lack(
            survey,
            format!("make pgq_admin a member of {role}"),
            format!("the admin option on role {role}"),
            remedy,
        ));
    }
    Ok((!missing.is_empty() || !loose.is_empty()).then(|| Step::new("roles", files::ROLES)))
}

/// An error if the user may not create schemas. Names all that are not there, so that they can be made at once.
pub(crate) fn create(setup: &Setup, survey: &Survey) -> Result<()> {
    if survey.says("create schemas") {
        return Ok(());
    }
    let (database, user) = (quote::ident(survey.text("database")), quote::ident(survey.user()));
    let missing: Vec<_> = setup.schemas().filter(|schema| survey.found(*schema) == Found::Nothing).collect();
    let create = |schema: &Schema| {
        let owner = schema.needs().and_then(|needed| survey.owner(needed)).unwrap_or_else(|| survey.user());
        format!("CREATE SCHEMA {schema} AUTHORIZATION {}", quote::ident(owner))
    };
    let names = missing.iter().copied().map(Schema::name).collect::<Vec<_>>().join(", ");
    let statements = missing.iter().map(create).collect::<Vec<_>>().join("; ");
    Err(lack(
        survey,
        format!("create {names}"),
        format!("CREATE on database {database}"),
        format!(
            "let its owner run `GRANT CREATE ON DATABASE {database} TO {user}`, or a superuser `{statements}`"
        ),
    ))
}

/// An error if the user may not act as the owner of a schema that is there, in order to do this with it.
pub(crate) fn own(survey: &Survey, schema: Schema, action: &str) -> Result<()> {
    if survey.is(schema.name(), "may own") {
        return Ok(());
    }
    let missing = format!("the rights of {}", owner(survey, schema));
    let remedy = "run it as that role, or as one of its members";
    Err(lack(survey, format!("{action} schema {schema}"), missing, remedy))
}

/// An error if the user may not install a schema beside the one that it needs, which is there.
pub(crate) fn install_beside(setup: &Setup, survey: &Survey, schema: Schema, needed: Schema) -> Result<()> {
    if survey.is(needed.name(), "may own") {
        return Ok(());
    }
    let others: Vec<_> =
        setup.schemas().filter(|other| *other != schema).map(|other| format!("Schema::{other:?}")).collect();
    let mut remedy = format!("let somebody who has them install {schema}");
    if !others.is_empty() {
        remedy += &format!(", or leave it out: `only([{}])`", others.join(", "));
    }
    Err(lack(
        survey,
        format!("install schema {schema} (schema {needed} is there, and there is nothing to do for it)"),
        format!("the rights of {}, on whose tables {schema} works", owner(survey, needed)),
        remedy,
    ))
}

fn owner(survey: &Survey, schema: Schema) -> String {
    let owner = quote::ident(survey.owner(schema).unwrap_or_default());
    format!("role {owner}, the owner of schema {schema}")
}

pub(crate) fn lack(
    survey: &Survey,
    action: impl Into<String>,
    missing: impl Into<String>,
    remedy: impl Into<String>,
) -> pgq_core::Error {
    let (user, action) = (survey.user().to_owned(), action.into());
    Installation::MissingRight { user, action, missing: missing.into(), remedy: remedy.into() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is to be pasted is SQL, not Rust.
    #[test]
    fn names_are_quoted_as_in_sql() {
        let mut survey = Survey::default();
        let fact =
            |about: &str, key: &str, value: &str| [about, key, value].map(|s| Some(s.to_owned())).into();
        survey.add(vec![
            fact("", "user", r#"\ "me""#),
            fact("", "database", "my\ndb"),
            fact("pgq", "owner", r#"O"wner"#),
        ]);
        let created = create(&Setup::new(), &survey).unwrap_err().to_string();
        for part in [
            "`GRANT CREATE ON DATABASE \"my\ndb\" TO \"\\ \"\"me\"\"\"`",
            r#"`CREATE SCHEMA pgq_coop AUTHORIZATION "O""wner"; CREATE SCHEMA pgq_ext AUTHORIZATION "\ ""me"""`"#,
        ] {
            assert!(created.contains(part), "{created} does not say {part}");
        }
        let owned = own(&survey, Schema::Pgq, "drop").unwrap_err().to_string();
        assert!(owned.contains(r#"the rights of role "O""wner", the owner of schema pgq"#), "{owned}");
    }
}
