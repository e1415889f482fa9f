//! The PostgreSQL protocol, version 3, as far as the drivers speak it.

mod backend;
mod binary;
mod message;
mod reading;
mod recognise;

pub(crate) use backend::{Backend, Pumped};
