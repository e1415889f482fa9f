use pgq_core::Result;
use pgq_schema::{Difference, Engine, Inventory, Plan, Schema, Setup, Step, Survey};
use tokio_postgres::GenericClient;

use crate::ClientExt;

/// Installs PgQ's schemas `pgq`, `pgq_coop` and `pgq_ext` into a database, and `pgq_dead` on request; upgrades, checks and removes them.
///
/// Installs these three and the roles, and for `pgq` the extension where the server offers it and the user may create it, else the portable
/// engine; unless it is told otherwise. What is there is kept.
///
/// Everything happens in one transaction, or in a savepoint of yours, under an advisory lock that is held to its end: of several
/// applications that install at once, one does it and the others find it done.
///
/// A future of it that is dropped leaves nothing behind: its transaction is rolled back.
///
/// ```no_run
/// use pgq_async::Installer;
///
/// # async fn example(mut db: tokio_postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
/// println!("{}", Installer::new().plan(&db).await?);
/// Installer::new().install(&mut db).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "an installer does nothing until one of its methods is called with a connection"]
pub struct Installer {
    setup: Setup,
}

impl Installer {
    /// Makes one that installs the usual.
    pub fn new() -> Self {
        Self::default()
    }

    /// Insists on an engine; where the other one is there, everything but [`sql`](Self::sql) and [`uninstall`](Self::uninstall) fails.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.setup = self.setup.engine(engine);
        self
    }

    /// Is about these schemas and no others. `pgq_coop` and `pgq_dead` need `pgq`; `pgq_ext` needs nothing. `pgq_dead` is only installed
    /// by this: `only(Schema::ALL)` is everything.
    pub fn only(mut self, schemas: impl IntoIterator<Item = Schema>) -> Self {
        self.setup = self.setup.only(schemas);
        self
    }

    /// Leaves out the roles `pgq_reader`, `pgq_writer` and `pgq_admin`, which belong to the whole cluster and take the right to create
    /// roles. Only the owner of the schemas, and superusers, can work with PgQ then.
    pub fn without_roles(mut self) -> Self {
        self.setup = self.setup.without_roles();
        self
    }

    /// Lets [`uninstall`](Self::uninstall) destroy queues with their events, recorded positions, dead letters, and what in other schemas depends on
    /// PgQ, such as triggers.
    pub fn with_data(mut self) -> Self {
        self.setup = self.setup.with_data();
        self
    }

    /// Tells what [`install`](Self::install) would do. Changes nothing. One round trip.
    ///
    /// # Errors
    /// Those of [`install`](Self::install) that can be foreseen.
    pub async fn plan(&self, client: &impl GenericClient) -> Result<Plan> {
        self.setup.install(&client.call(Survey::ask()).await?)
    }

    /// Installs what is not there, and tells what it found and did. What is there is kept as it is, of whichever release, so an
    /// application may call it at every start: one round trip then, and no lock. Else one for each step, about fifty.
    ///
    /// In a transaction of yours that keeps its snapshot, it cannot see what others install meanwhile: it does that again, or fails.
    ///
    /// # Errors
    /// Those of [`Installation`](pgq_core::Installation): another engine than the one that was asked for, something of unknown origin, a
    /// right that is missing, a step that failed. Nothing is changed then.
    pub async fn install(&self, client: &mut impl GenericClient) -> Result<Plan> {
        let before = client.call(Survey::ask()).await?;
        let plan = self.setup.install(&before)?;
        if plan.is_empty() {
            return Ok(plan);
        }
        let transaction = begin(client, &before, &self.setup.lock()).await?;
        let plan = self.setup.install(&transaction.call(Survey::ask()).await?)?;
        run(&transaction, &plan).await?;
        transaction.commit().await?;
        Ok(plan)
    }

    /// Brings what is there of an earlier release to the one of this library, and repairs what [`check`](Self::check) finds in functions
    /// and grants. Queues, events and positions stay; producers and consumers may go on meanwhile, and wait for it at times.
    ///
    /// What is not there is left out, and an extension is left to `ALTER EXTENSION pgq UPDATE`. About fifty round trips.
    ///
    /// # Errors
    /// Those of [`Installation`](pgq_core::Installation): nothing is there, or something newer, of another engine or of unknown origin; a
    /// right that is missing; a step that failed. Nothing is changed then.
    pub async fn upgrade(&self, client: &mut impl GenericClient) -> Result<Plan> {
        let before = client.call(Survey::ask()).await?;
        let transaction = begin(client, &before, &self.setup.lock()).await?;
        let survey = transaction.call(Survey::ask()).await?;
        step(&transaction, &self.setup.pin()).await?;
        let plan = self.setup.upgrade(&survey, &transaction.call(Inventory::ask()).await?)?;
        if plan.is_empty() {
            transaction.rollback().await?;
            return Ok(plan);
        }
        run(&transaction, &plan).await?;
        transaction.commit().await?;
        Ok(plan)
    }

    /// Compares what is there with what this library would install: functions, their bodies and attributes, tables, constraints, indexes,
    /// sequences, owners and grants. Empty where nothing differs. An extension is not looked into. Changes nothing; five round trips.
    ///
    /// # Errors
    /// Those of [`Installation`](pgq_core::Installation): something newer, of another engine or of unknown origin.
    pub async fn check(&self, client: &mut impl GenericClient) -> Result<Vec<Difference>> {
        let transaction = client.transaction().await?;
        let survey = transaction.call(Survey::ask()).await?;
        step(&transaction, &self.setup.pin()).await?;
        let inventory = transaction.call(Inventory::ask()).await?;
        transaction.rollback().await?;
        self.setup.check(&survey, &inventory)
    }

    /// Drops the schemas that are there, the extension too, in reverse order. Refuses while there are queues, recorded positions, or
    /// triggers and views of other schemas that depend on them, unless [`with_data`](Self::with_data) is set. The roles stay.
    ///
    /// A schema that somebody else made for this user goes too. Who may not create schemas cannot install again then.
    ///
    /// Waits for everybody who works with PgQ's tables, and makes new ones wait. About eight round trips.
    ///
    /// # Errors
    /// Those of [`Installation`](pgq_core::Installation): in use, of unknown origin, a right that is missing, a step that failed. Nothing
    /// is changed then.
    pub async fn uninstall(&self, client: &mut impl GenericClient) -> Result<Plan> {
        let before = client.call(Survey::ask()).await?;
        let plan = self.setup.uninstall(&before)?;
        if plan.is_empty() {
            return Ok(plan);
        }
        let transaction = begin(client, &before, &self.setup.lock_tables()).await?;
        let mut survey = transaction.call(Survey::ask()).await?;
        if let Some(contents) = self.setup.contents(&survey) {
            survey.add(transaction.call(contents).await?);
        }
        let plan = self.setup.uninstall(&survey)?;
        run(&transaction, &plan).await?;
        transaction.commit().await?;
        Ok(plan)
    }

    /// All of it as one script of the portable engine, for migration tools; see [`Setup::sql`].
    pub fn sql(&self) -> String {
        self.setup.sql()
    }
}

impl From<Setup> for Installer {
    fn from(setup: Setup) -> Self {
        Self { setup }
    }
}

async fn begin<'c>(
    client: &'c mut impl GenericClient,
    before: &Survey,
    lock: &Step,
) -> Result<tokio_postgres::Transaction<'c>> {
    // In a transaction of the caller it is too late to change that.
    let read_committed =
        before.keeps_snapshot() && !client.call(Survey::ask()).await?.is_of_same_transaction(before);
    let transaction = client.transaction().await?;
    if read_committed {
        transaction.batch_execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
    }
    step(&transaction, lock).await?;
    Ok(transaction)
}

async fn run(client: &impl GenericClient, plan: &Plan) -> Result<()> {
    for next in plan.steps() {
        step(client, next).await?;
    }
    Ok(())
}

async fn step(client: &impl GenericClient, step: &Step) -> Result<()> {
    client.batch_execute(step.sql()).await.map_err(|error| step.error(error))
}
