use std::mem;

use postgres::{Config, NoTls};

use crate::client;
use crate::error::Error;
use crate::sql;

/// Readies a running server for databases of our prefix: drops what test processes that are gone left
/// behind, and stays connected under the prefix's name to tell others that this one is not gone.
pub(crate) fn attach(conninfo: &str, prefix: &str) -> Result<Config, Error> {
    let config: Config = conninfo.parse().map_err(|source| Error::Conninfo { source })?;
    let mut present = config.clone();
    present.application_name(prefix);
    let attached = client::off_runtime(|| {
        let mut client = present.connect(NoTls)?;
        for row in client.query(LEFT_BEHIND, &[])? {
            let name: String = row.try_get("datname")?;
            // Another process may be dropping it as well.
            let _ = client.batch_execute(&sql::drop_database(&name));
        }
        // The connection is to last exactly as long as this process.
        mem::forget(client);
        Ok(())
    });
    match attached {
        Ok(()) => Ok(config),
        Err(source) => {
            Err(Error::Database { doing: "use the server of PGQ_TEST_DATABASE".to_owned(), source })
        }
    }
}

const LEFT_BEHIND: &str = "
    SELECT d.datname::text
    FROM pg_database AS d
    WHERE d.datname ~ '^pgq_test_[0-9]+_[0-9a-f]{8}_'
      AND pg_get_userbyid(d.datdba) = current_user
      AND NOT EXISTS (
          SELECT FROM pg_stat_activity AS a
          WHERE a.application_name ~ '^pgq_test_[0-9]+_[0-9a-f]{8}$'
            AND starts_with(d.datname::text, a.application_name || '_')
      )";
