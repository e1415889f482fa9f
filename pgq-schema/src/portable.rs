use pgq_core::{Installation, Result, quote};

use crate::session::{act_as, act_as_before};
use crate::{Found, Plan, Schema, Setup, Step, Survey, files, rights, upgrade};

/// The steps of a new schema.
pub(crate) fn install(setup: &Setup, schema: Schema, survey: &Survey, plan: &mut Plan) -> Result<()> {
    let owner = future_owner(setup, schema, survey)?;
    match survey.found(schema) {
        Found::Nothing if owner == survey.user() => {
            rights::create(setup, survey)?;
            plan.push(Step::new(format!("{schema}: schema"), file(schema, files::SCHEMA)));
        }
        Found::Nothing => {
            rights::create(setup, survey)?;
            let sql = format!("create schema {schema} authorization {};\n", quote::ident(owner));
            plan.push(Step::new(format!("{schema}: schema of role {owner}"), sql));
        }
        _ => rights::own(survey, schema, "install into")?,
    }
    as_owner(owner, survey, plan, |plan| run_files(setup, schema, plan));
    Ok(())
}

/// The steps that bring a schema of an earlier release to this one, or repair it.
pub(crate) fn upgrade(
    setup: &Setup,
    schema: Schema,
    release: i32,
    survey: &Survey,
    plan: &mut Plan,
) -> Result<()> {
    rights::own(survey, schema, "upgrade")?;
    as_owner(survey.owner(schema).unwrap_or_default(), survey, plan, |plan| {
        for migration in upgrade::migrations_after(upgrade::MIGRATIONS, schema, release) {
            plan.push(Step::new(format!("{schema}: tables of release {}", migration.release), migration.sql));
        }
        if let Some(removed) = upgrade::drop_removed(upgrade::REMOVED, schema) {
            plan.push(Step::new(format!("{schema}: functions that are no more"), removed));
        }
        run_files(setup, schema, plan);
    });
    Ok(())
}

/// The step that gives the roles what they should have.
pub(crate) fn grant(schema: Schema, survey: &Survey, plan: &mut Plan) -> Result<()> {
    rights::own(survey, schema, "give the roles their rights in")?;
    let grants = Step::new(format!("{schema}: {}", files::GRANTS), file(schema, files::GRANTS));
    as_owner(survey.owner(schema).unwrap_or_default(), survey, plan, |plan| plan.push(grants));
    Ok(())
}

/// Objects of one schema belong to one role: security definer functions work with its rights.
fn as_owner(owner: &str, survey: &Survey, plan: &mut Plan, steps: impl FnOnce(&mut Plan)) {
    let other = owner != survey.user();
    if other {
        plan.push(act_as(owner));
    }
    steps(plan);
    if other {
        plan.push(act_as_before(survey));
    }
}

fn run_files(setup: &Setup, schema: Schema, plan: &mut Plan) {
    for file in schema.files() {
        if file.name != files::SCHEMA && (file.name != files::GRANTS || setup.roles) {
            plan.push(Step::new(format!("{schema}: {}", file.name), file.sql));
        }
    }
}

fn file(schema: Schema, name: &str) -> &'static str {
    schema.files().iter().find(|file| file.name == name).map_or("", |file| file.sql)
}

/// The owner of the schema that it needs, because it works on the tables there; else the user.
fn future_owner<'s>(setup: &Setup, schema: Schema, survey: &'s Survey) -> Result<&'s str> {
    let there = survey.owner(schema);
    let Some(needed) = schema.needs() else {
        return Ok(there.unwrap_or_else(|| survey.user()));
    };
    if !matches!(survey.found(needed), Found::Nothing | Found::Empty) {
        rights::install_beside(setup, survey, schema, needed)?;
    } else if !setup.schemas().any(|wanted| wanted == needed) {
        return Err(Installation::Needs { schema: schema.name(), needs: needed.name() }.into());
    }
    let owner = survey.owner(needed).unwrap_or_else(|| survey.user());
    match there {
        Some(other) if other != owner => {
            let owner = quote::ident(owner);
            Err(rights::lack(
                survey,
                format!("install into schema {schema}"),
                format!("that it belongs to role {owner}, like schema {needed}"),
                format!("drop the empty one, or run `ALTER SCHEMA {schema} OWNER TO {owner}`"),
            ))
        }
        _ => Ok(owner),
    }
}
