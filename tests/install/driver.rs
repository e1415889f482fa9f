use std::sync::LazyLock;

use pgq_async::tokio_postgres;
use pgq_core::Result;
use pgq_schema::{Difference, Plan, Setup};
use pgq_sync::postgres;
use tokio::runtime::Runtime;

/// The `Installer` of one of the two crates, on a connection of its own.
pub(crate) trait Driver: Sized + Send {
    fn connect(conninfo: &str) -> Self;
    fn plan(&mut self, setup: &Setup) -> Result<Plan>;
    fn install(&mut self, setup: &Setup) -> Result<Plan>;
    fn upgrade(&mut self, setup: &Setup) -> Result<Plan>;
    fn check(&mut self, setup: &Setup) -> Result<Vec<Difference>>;
    fn uninstall(&mut self, setup: &Setup) -> Result<Plan>;
    /// Checks in a transaction after this statement, and rolls it back.
    fn check_after(&mut self, before: &str, setup: &Setup) -> Result<Vec<Difference>>;
    /// Installs in a transaction after this statement, and commits after that one.
    fn install_between(&mut self, before: &str, setup: &Setup, after: &str) -> Result<Plan>;
    fn execute(&mut self, sql: &str) -> Result<(), tokio_postgres::Error>;
}

pub(crate) struct Sync(postgres::Client);

impl Driver for Sync {
    fn connect(conninfo: &str) -> Self {
        Self(postgres::Client::connect(conninfo, postgres::NoTls).unwrap())
    }

    fn plan(&mut self, setup: &Setup) -> Result<Plan> {
        pgq_sync::Installer::from(setup.clone()).plan(&mut self.0)
    }

    fn install(&mut self, setup: &Setup) -> Result<Plan> {
        pgq_sync::Installer::from(setup.clone()).install(&mut self.0)
    }

    fn upgrade(&mut self, setup: &Setup) -> Result<Plan> {
        pgq_sync::Installer::from(setup.clone()).upgrade(&mut self.0)
    }

    fn check(&mut self, setup: &Setup) -> Result<Vec<Difference>> {
        pgq_sync::Installer::from(setup.clone()).check(&mut self.0)
    }

    fn uninstall(&mut self, setup: &Setup) -> Result<Plan> {
        pgq_sync::Installer::from(setup.clone()).uninstall(&mut self.0)
    }

    fn check_after(&mut self, before: &str, setup: &Setup) -> Result<Vec<Difference>> {
        let mut transaction = self.0.transaction()?;
        transaction.batch_execute(before)?;
        pgq_sync::Installer::from(setup.clone()).check(&mut transaction)
    }

    fn install_between(&mut self, before: &str, setup: &Setup, after: &str) -> Result<Plan> {
        let mut transaction = self.0.transaction()?;
        transaction.batch_execute(before)?;
        let plan = pgq_sync::Installer::from(setup.clone()).install(&mut transaction)?;
        transaction.batch_execute(after)?;
        transaction.commit()?;
        Ok(plan)
    }

    fn execute(&mut self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.0.batch_execute(sql)
    }
}

pub(crate) struct Async(tokio_postgres::Client);

impl Driver for Async {
    fn connect(conninfo: &str) -> Self {
        Self(RUNTIME.block_on(async {
            let (client, connection) =
                tokio_postgres::connect(conninfo, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        }))
    }

    fn plan(&mut self, setup: &Setup) -> Result<Plan> {
        RUNTIME.block_on(pgq_async::Installer::from(setup.clone()).plan(&self.0))
    }

    fn install(&mut self, setup: &Setup) -> Result<Plan> {
        RUNTIME.block_on(pgq_async::Installer::from(setup.clone()).install(&mut self.0))
    }

    fn upgrade(&mut self, setup: &Setup) -> Result<Plan> {
        RUNTIME.block_on(pgq_async::Installer::from(setup.clone()).upgrade(&mut self.0))
    }

    fn check(&mut self, setup: &Setup) -> Result<Vec<Difference>> {
        RUNTIME.block_on(pgq_async::Installer::from(setup.clone()).check(&mut self.0))
    }

    fn uninstall(&mut self, setup: &Setup) -> Result<Plan> {
        RUNTIME.block_on(pgq_async::Installer::from(setup.clone()).uninstall(&mut self.0))
    }

    fn check_after(&mut self, before: &str, setup: &Setup) -> Result<Vec<Difference>> {
        RUNTIME.block_on(async {
            let mut transaction = self.0.transaction().await?;
            transaction.batch_execute(before).await?;
            pgq_async::Installer::from(setup.clone()).check(&mut transaction).await
        })
    }

    fn install_between(&mut self, before: &str, setup: &Setup, after: &str) -> Result<Plan> {
        RUNTIME.block_on(async {
            let mut transaction = self.0.transaction().await?;
            transaction.batch_execute(before).await?;
            let plan = pgq_async::Installer::from(setup.clone()).install(&mut transaction).await?;
            transaction.batch_execute(after).await?;
            transaction.commit().await?;
            Ok(plan)
        })
    }

    fn execute(&mut self, sql: &str) -> Result<(), tokio_postgres::Error> {
        RUNTIME.block_on(self.0.batch_execute(sql))
    }
}

/// The runtime that drives the connections of `pgq-async`.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});
