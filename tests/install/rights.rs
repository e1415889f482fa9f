use pgq_core::Installation;
use pgq_schema::{Engine, Schema, Setup};
use pgq_testkit::postgres::{Client, NoTls};
use pgq_testkit::{Database, Server};

use crate::bed::{assert_works, portable};
use crate::driver::Driver;

cases!(
    an_owner_who_may_create_roles,
    an_owner_who_may_not_create_roles,
    roles_that_are_there,
    a_user_without_create,
    schemas_made_by_somebody_else,
    somebody_else,
    objects_stay_with_their_owner,
    pgq_coop_belongs_to_the_owner_of_pgq,
);

/// A server that nobody has installed anything on, and a database of role `app`.
struct Place {
    database: Database,
    db: Client,
    server: Server,
}

impl Place {
    fn new(options: &str) -> crate::Result<Self> {
        let server = Server::start()?;
        let database = server.empty_database()?;
        let mut db = Client::connect(database.conninfo(), NoTls)?;
        db.batch_execute(&format!("CREATE ROLE app LOGIN {options}; CREATE ROLE other LOGIN"))?;
        db.batch_execute(&format!("ALTER DATABASE {} OWNER TO app", database.name()))?;
        Ok(Self { database, db, server })
    }

    fn driver<D: Driver>(&self, user: &str) -> D {
        D::connect(&self.database.conninfo_as(user))
    }

    fn connect(&self, user: &str) -> Client {
        Client::connect(&self.database.conninfo_as(user), NoTls).unwrap()
    }

    fn execute(&mut self, sql: &str) {
        self.db.batch_execute(sql).unwrap();
    }
}

fn an_owner_who_may_create_roles<D: Driver>() -> crate::Result {
    let place = Place::new("CREATEROLE")?;
    let mut app: D = place.driver("app");
    let plan = app.install(&Setup::new())?;
    assert!(plan.to_string().contains("pgq: found nothing; new: the portable engine"), "{plan}");
    assert_eq!(app.check(&Setup::new())?, []);
    assert_works(&mut place.connect("app"));
    let mut db = place.connect("app");
    db.batch_execute("SELECT pgq.create_queue('q'); GRANT pgq_writer TO other")?;
    place.connect("other").batch_execute("SELECT pgq.insert_event('q', 't', 'd')")?;
    place.connect("other").batch_execute("SELECT pgq.create_queue('r')").unwrap_err();

    let mut second = place.server.empty_database()?;
    place.connect("postgres").batch_execute(&format!("ALTER DATABASE {} OWNER TO other", second.name()))?;
    let conninfo = second.conninfo_as("other");
    D::connect(&conninfo).install(&Setup::new())?;
    assert_works(&mut Client::connect(&conninfo, NoTls)?);
    second = place.server.empty_database()?;
    place.connect("postgres").batch_execute(&format!("ALTER DATABASE {} OWNER TO app", second.name()))?;
    D::connect(&second.conninfo_as("app")).install(&Setup::new())?;
    Ok(())
}

fn an_owner_who_may_not_create_roles<D: Driver>() -> crate::Result {
    let place = Place::new("")?;
    let mut app: D = place.driver("app");
    let parts = [
        "\"app\"",
        "CREATEROLE",
        "pgq_reader, pgq_writer, pgq_admin",
        "create the roles first",
        "without_roles",
    ];
    assert_refused!(app.plan(&Setup::new()), Installation::MissingRight { .. }, parts);
    assert_refused!(app.install(&Setup::new()), Installation::MissingRight { .. }, parts);

    let setup = Setup::new().without_roles();
    app.install(&setup)?;
    assert!(app.install(&setup)?.is_empty());
    assert_eq!(app.check(&setup)?, []);
    assert_works(&mut place.connect("app"));
    // Not everybody gets what the roles would have.
    place.connect("other").batch_execute("SELECT pgq.create_queue('r')").unwrap_err();
    assert_refused!(app.install(&Setup::new()), Installation::MissingRight { .. }, parts);
    Ok(())
}

fn roles_that_are_there<D: Driver>() -> crate::Result {
    let mut place = Place::new("")?;
    place.execute("CREATE ROLE pgq_reader; CREATE ROLE pgq_writer; CREATE ROLE pgq_admin");
    let mut app: D = place.driver("app");
    let parts = ["the admin option on role pgq_reader", "GRANT pgq_reader TO pgq_admin", "without_roles"];
    assert_refused!(app.install(&Setup::new()), Installation::MissingRight { .. }, parts);
    place.execute("GRANT pgq_reader, pgq_writer TO pgq_admin");
    app.install(&Setup::new())?;
    assert_eq!(app.check(&Setup::new())?, []);
    assert_works(&mut place.connect("app"));
    Ok(())
}

fn a_user_without_create<D: Driver>() -> crate::Result {
    let mut place = Place::new("CREATEROLE")?;
    let mut other: D = place.driver("other");
    let setup = Setup::new().without_roles();
    let parts = [
        "\"other\"",
        "CREATE on database",
        "GRANT CREATE ON DATABASE",
        "create pgq, pgq_coop, pgq_ext",
        "`CREATE SCHEMA pgq AUTHORIZATION \"other\"; CREATE SCHEMA pgq_coop AUTHORIZATION \"other\"; \
         CREATE SCHEMA pgq_ext AUTHORIZATION \"other\"`",
    ];
    assert_refused!(other.install(&setup), Installation::MissingRight { .. }, parts);
    if place.server.has_extension()? {
        let extension = Setup::new().engine(Engine::Extension);
        let parts = ["create the extension pgq", "it takes a superuser", "CREATE EXTENSION pgq", "portable"];
        assert_refused!(other.install(&extension), Installation::MissingRight { .. }, parts);
    }
    place.execute(&format!("GRANT CREATE ON DATABASE {} TO other", place.database.name()));
    other.install(&setup)?;
    assert_works(&mut place.connect("other"));
    Ok(())
}

fn schemas_made_by_somebody_else<D: Driver>() -> crate::Result {
    let mut place = Place::new("")?;
    place.execute(
        "CREATE SCHEMA pgq AUTHORIZATION other; CREATE SCHEMA pgq_coop AUTHORIZATION other; \
         CREATE SCHEMA pgq_ext AUTHORIZATION app",
    );
    let mut other: D = place.driver("other");
    let setup = Setup::new().without_roles();
    let parts = ["\"other\"", "the rights of role \"app\"", "schema pgq_ext"];
    assert_refused!(other.install(&setup), Installation::MissingRight { .. }, parts);
    let setup = setup.only([Schema::Pgq, Schema::PgqCoop]);
    other.install(&setup)?;
    assert_eq!(other.check(&setup)?, []);
    assert_works(&mut place.connect("other"));
    other.uninstall(&setup)?;
    // The schemas are gone, and whoever made them has to make them again.
    let parts = ["create pgq, pgq_coop:", "`CREATE SCHEMA pgq AUTHORIZATION"];
    assert_refused!(other.install(&setup), Installation::MissingRight { .. }, parts);
    Ok(())
}

fn somebody_else<D: Driver>() -> crate::Result {
    let place = Place::new("CREATEROLE")?;
    place.driver::<D>("app").install(&Setup::new().only([Schema::Pgq]))?;
    place.connect("app").batch_execute("DROP FUNCTION pgq.force_tick(text)")?;
    let mut other: D = place.driver("other");
    let parts = ["\"other\"", "the rights of role \"app\"", "the owner of schema pgq"];
    assert!(other.install(&Setup::new().only([Schema::Pgq]))?.is_empty());
    assert_eq!(other.check(&Setup::new().only([Schema::Pgq]))?.len(), 2);
    assert_refused!(other.upgrade(&Setup::new()), Installation::MissingRight { .. }, parts);
    assert_refused!(other.uninstall(&Setup::new()), Installation::MissingRight { .. }, parts);
    assert_refused!(other.install(&Setup::new()), Installation::MissingRight { .. }, parts);
    Ok(())
}

/// A superuser who repairs what belongs to `app` must not leave functions that run with a superuser's rights.
fn objects_stay_with_their_owner<D: Driver>() -> crate::Result {
    let place = Place::new("CREATEROLE")?;
    place.driver::<D>("app").install(&Setup::new().only([Schema::Pgq]))?;
    place.connect("app").batch_execute("DROP FUNCTION pgq.finish_batch(bigint)")?;
    let mut postgres: D = place.driver("postgres");
    assert_eq!(postgres.check(&Setup::new().only([Schema::Pgq]))?.len(), 2);
    postgres.upgrade(&Setup::new())?;
    let plan = postgres.install(&Setup::new())?;
    assert!(format!("{plan:#}").contains("session: act as role app"), "{plan:#}");
    assert_eq!(postgres.check(&Setup::new())?, []);
    let owners = "SELECT array_agg(DISTINCT nspname || ' ' || proowner::regrole ORDER BY nspname || ' ' || proowner::regrole) \
         FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname ~ '^pgq'";
    let owners: Vec<String> = place.connect("app").query_one(owners, &[])?.get(0);
    assert_eq!(owners, ["pgq app", "pgq_coop app", "pgq_ext postgres"]);
    postgres.execute("DO $$ BEGIN ASSERT current_user = 'postgres', current_user; END $$")?;
    Ok(())
}

fn pgq_coop_belongs_to_the_owner_of_pgq<D: Driver>() -> crate::Result {
    let mut place = Place::new("CREATEROLE")?;
    needs_extension!(place.server);
    place.execute("CREATE EXTENSION pgq");
    let mut app: D = place.driver("app");
    let parts = [
        "user \"app\" cannot install schema pgq_coop",
        "schema pgq is there, and there is nothing to do for it",
        "the rights of role \"postgres\", the owner of schema pgq",
        "somebody who has them",
        "`only([Schema::Pgq, Schema::PgqExt])`",
    ];
    assert_refused!(app.install(&Setup::new()), Installation::MissingRight { .. }, parts);
    app.install(&Setup::new().only([Schema::Pgq, Schema::PgqExt]))?;
    place.driver::<D>("postgres").install(&Setup::new())?;
    assert_eq!(app.check(&Setup::new())?, []);
    assert_refused!(app.check(&portable()), Installation::OtherEngine { .. }, ["the extension"]);
    Ok(())
}
