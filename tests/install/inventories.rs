use std::{env, fs};

use pgq_schema::{Inventory, Schema, Setup};
use pgq_sync::ClientExt;

use crate::bed::{Bed, portable};
use crate::driver::{Driver, Sync};

/// What `check` expects is committed beside the SQL files. After a change of those, run this with `PGQ_WRITE_INVENTORY=1`.
#[test]
fn the_committed_inventories_are_those_of_a_new_installation() -> crate::Result {
    let mut bed = Bed::<Sync>::new()?;
    bed.driver.install(&portable().only(Schema::ALL))?;
    bed.execute(Setup::new().pin().sql());
    let inventory = bed.db.call(Inventory::ask())?;
    for schema in Schema::ALL {
        let path = format!("{}/pgq-schema/sql/{schema}/inventory.txt", env!("CARGO_MANIFEST_DIR"));
        if env::var_os("PGQ_WRITE_INVENTORY").is_some() {
            fs::write(&path, inventory.text(schema))?;
        }
        let committed = fs::read_to_string(&path)?;
        assert!(
            inventory.text(schema) == committed,
            "{path} is not that of a new installation: PGQ_WRITE_INVENTORY=1 rewrites it"
        );
    }
    Ok(())
}
