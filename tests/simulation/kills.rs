use std::time::Duration;

use crate::explore::Explorer;
use crate::programs::consuming::{
    Loaded, LoadedMembers, Members, MembersKeepingIds, Program, Streaming, Transactional, Twice,
};

#[track_caller]
fn explore<P: Program>() {
    let mut explorer = Explorer::new();
    explorer.each_point::<P>();
    explorer.each_poll::<P>();
    explorer.seeds::<P>(Duration::from_secs(1));
}

#[test]
fn a_batch_in_a_transaction() {
    explore::<Transactional>();
}

#[test]
fn a_loaded_batch() {
    explore::<Loaded>();
}

#[test]
fn a_stream_of_events() {
    explore::<Streaming>();
}

#[test]
fn two_instances_of_a_consumer() {
    explore::<Twice>();
}

#[test]
fn two_members_of_a_group() {
    explore::<Members>();
}

#[test]
fn two_members_of_a_group_that_keeps_ids() {
    explore::<MembersKeepingIds>();
}

#[test]
fn two_members_with_loaded_batches() {
    explore::<LoadedMembers>();
}
