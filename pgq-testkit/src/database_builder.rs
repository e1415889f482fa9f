use pgq_schema::Engine;

use crate::database::Database;
use crate::engine;
use crate::error::Error;
use crate::server::Server;

/// Says what a database for one test is to have in it; made by [`Server::new_database`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until create() is called"]
pub struct DatabaseBuilder<'s> {
    server: &'s Server,
    content: Content,
    encoding: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum Content {
    Usual,
    Engine(Engine),
    Nothing,
}

impl<'s> DatabaseBuilder<'s> {
    pub(crate) fn new(server: &'s Server) -> Self {
        Self { server, content: Content::Usual, encoding: None }
    }

    /// Installs this engine, whatever `PGQ_TEST_ENGINE` says.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.content = Content::Engine(engine);
        self
    }

    /// Installs nothing, for the tests of what happens then.
    pub fn empty(mut self) -> Self {
        self.content = Content::Nothing;
        self
    }

    /// Uses another encoding, such as `LATIN1` or `SQL_ASCII`, and the `C` locale.
    pub fn encoding(mut self, encoding: &str) -> Self {
        self.encoding = Some(encoding.to_owned());
        self
    }

    /// Makes the database.
    ///
    /// With PgQ in it, it is a copy of a template that the first call makes: about 20 ms and 8 MB each where files are made quickly;
    /// `PGQ_TEST_DIR=/dev/shm` sees to that. There is no template for another encoding, so the engine is installed each time.
    ///
    /// # Errors
    /// [`Error::NoExtension`], [`Error::WrongEngine`], and [`Error::Database`], also where the server does not know the encoding.
    pub fn create(self) -> Result<Database, Error> {
        let engine = match self.content {
            Content::Usual => Some(engine::usual()?),
            Content::Engine(engine) => Some(engine),
            Content::Nothing => None,
        };
        match (engine, self.encoding) {
            (Some(engine), None) => self.server.copy_template(engine),
            (None, None) => self.server.create("TEMPLATE template0"),
            (engine, Some(encoding)) => {
                let database = self.server.create_with_encoding(&encoding)?;
                if let Some(engine) = engine {
                    engine::install(engine, &database, self.server.version())?;
                }
                Ok(database)
            }
        }
    }
}
