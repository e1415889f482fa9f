//! The routine with a made-up clock and scripted replies.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod bench;
mod link;
mod looks;
mod notifications;
mod requests;
mod work;
