use pgq_core::{Installation, Result};

use crate::{Found, Inventory, Plan, Schema, Setup, Step, Survey, portable, settings};

impl Setup {
    /// The step before the question for the [`Inventory`], in the same transaction: it makes the answer independent of the session.
    pub fn pin(&self) -> Step {
        settings::pin()
    }

    /// Plans the upgrade of what is there and is of an earlier release, and the repair of what is of this one and differs from what it
    /// should be. What is not there is left out; an extension is left to `ALTER EXTENSION`.
    ///
    /// # Errors
    /// Those of [`Installation`]: nothing is there, or something newer, of another engine or of unknown origin, or the user lacks a right.
    pub fn upgrade(&self, survey: &Survey, inventory: &Inventory) -> Result<Plan> {
        let mut plan = Plan::new();
        let mut grants = false;
        for schema in self.schemas() {
            let found = self.found(schema, survey)?;
            let decision = match &found {
                Found::Portable { release } if self.is_current(schema, *release, inventory)? => "kept",
                Found::Portable { release } => {
                    portable::upgrade(self, schema, *release, survey, &mut plan)?;
                    grants = true;
                    if *release < schema.release() { "to be upgraded" } else { "to be repaired" }
                }
                Found::Extension { .. } | Found::Unknown => "kept",
                Found::Nothing | Found::Empty => "left out",
            };
            plan.decide(schema, found, decision);
        }
        let nothing = |schema| matches!(survey.found(schema), Found::Nothing | Found::Empty);
        if self.schemas().all(nothing) {
            return Err(Installation::NothingThere { schemas: self.names() }.into());
        }
        self.finish(plan, grants, survey)
    }

    fn is_current(&self, schema: Schema, release: i32, inventory: &Inventory) -> Result<bool> {
        self.refuse_newer(schema, release)?;
        Ok(release == schema.release() && inventory.differences(schema, self.roles).is_empty())
    }

    pub(crate) fn refuse_newer(&self, schema: Schema, found: i32) -> Result<()> {
        let known = schema.release();
        if found > known {
            return Err(Installation::NewerRelease { schema: schema.name(), found, known }.into());
        }
        Ok(())
    }
}
