use crate::DatabaseError;

/// Why PgQ's schemas cannot be installed, upgraded, checked or removed, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Installation {
    /// The schema is there, of another engine than the one that was asked for.
    #[error(
        "schema {schema} is that of {found}, and {wanted} was asked for: keep what is there, or drain the queues, uninstall it and \
         install the other one"
    )]
    OtherEngine {
        /// The schema.
        schema: &'static str,
        /// The engine that is there.
        found: String,
        /// The engine that was asked for.
        wanted: &'static str,
    },

    /// The schema is there, made neither by an extension nor by the portable engine.
    #[error(
        "schema {schema} was made by neither an extension nor the portable engine (by an SQL-only script of PgQ?): keep it and leave \
         {schema} out, or drain its queues, drop it and install again"
    )]
    UnknownOrigin {
        /// The schema.
        schema: &'static str,
    },

    /// The schema is that of a later release than this library has.
    #[error(
        "schema {schema} is of release {found}, and this library knows up to {known}: use a newer library"
    )]
    NewerRelease {
        /// The schema.
        schema: &'static str,
        /// The release that is there.
        found: i32,
        /// The release that this library has.
        known: i32,
    },

    /// None of the schemas is there.
    #[error("there is none of the schemas {schemas} in this database: install them first")]
    NothingThere {
        /// The schemas that were looked for.
        schemas: String,
    },

    /// The schema needs another one, which is not there and not to be installed.
    #[error("schema {schema} needs schema {needs}: install both")]
    Needs {
        /// The schema that was asked for.
        schema: &'static str,
        /// The one that it needs.
        needs: &'static str,
    },

    /// The server has no files of the extension, or the schema that it wants to make is there.
    #[error("the extension pgq cannot be created: {problem}")]
    NoExtension {
        /// Why not, and what to do.
        problem: &'static str,
    },

    /// The database user lacks a right.
    #[error("user {user:?} cannot {action}: it takes {missing}; {remedy}")]
    MissingRight {
        /// The user.
        user: String,
        /// What the user cannot do.
        action: String,
        /// The right.
        missing: String,
        /// What to do.
        remedy: String,
    },

    /// The schema is in use, so it is not dropped.
    #[error(
        "schema {schema} is in use by {users}: remove that first, or uninstall `with_data`, which drops it as well"
    )]
    InUse {
        /// The schema.
        schema: &'static str,
        /// By what.
        users: String,
    },

    /// A step failed, and with it the whole.
    #[error("step {title:?} failed, and nothing was changed")]
    Step {
        /// The title of the step.
        title: String,
        /// What the driver or the server said.
        source: DatabaseError,
    },
}
