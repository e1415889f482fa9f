use pgq_core::Result;

use crate::{Difference, Found, Inventory, Setup, Survey};

impl Setup {
    /// Compares what is there with what this library would install. An extension is not looked into.
    ///
    /// # Errors
    /// Those of [`Installation`](pgq_core::Installation): something newer, of another engine or of unknown origin.
    pub fn check(&self, survey: &Survey, inventory: &Inventory) -> Result<Vec<Difference>> {
        let mut differences = Vec::new();
        let mut ours = false;
        for schema in self.schemas() {
            match self.found(schema, survey)? {
                Found::Portable { release } => {
                    self.refuse_newer(schema, release)?;
                    differences.extend(inventory.differences(schema, self.roles));
                    ours = true;
                }
                Found::Nothing | Found::Empty => {
                    differences.push(Difference::missing(format!("schema {schema}")))
                }
                Found::Extension { .. } | Found::Unknown => {}
            }
        }
        if ours && self.roles {
            differences.extend(inventory.role_differences());
        }
        Ok(differences)
    }
}
