//! PgQ in memory: what the portable engine does, as far as producers, consumers and subconsumers can tell.
//!
//! Transactions are read committed. Rotation is left out: ticks and events stay for ever.

mod answer;
mod applied;
mod batch;
mod changes;
mod consumer;
mod coop;
mod database;
mod dead;
mod queue;
mod refusal;
mod request;
mod retry;
mod value;
mod view;

pub(crate) use changes::Finished;
pub(crate) use database::{Database, SessionId, Status};
pub(crate) use queue::Event;
pub(crate) use refusal::{Refusal, SqlError};
pub(crate) use request::{Member, Pace, Request};
pub(crate) use value::{Kind, Row, Value};
