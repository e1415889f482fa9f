//! Workers of `pgq-async`: as in [`kills`](crate::kills), and in time that passes only when they wait.

use std::time::Duration;

use crate::explore::Explorer;
use crate::programs::workers::{
    Each, Elsewhere, Kind, Members, MembersElsewhere, MembersKeepingIds, Sliced, Two, TwoThatShare,
    UndoBatch, Workers,
};

#[track_caller]
fn explore<K: Kind>() {
    let mut explorer = Explorer::new();
    explorer.each_point::<Workers<K>>();
    explorer.each_poll::<Workers<K>>();
    explorer.seeds::<Workers<K>>(Duration::from_secs(1));
}

#[test]
fn in_the_transaction() {
    explore::<Each>();
}

#[test]
fn in_the_transaction_without_savepoints() {
    explore::<UndoBatch>();
}

#[test]
fn outside_of_the_transaction() {
    explore::<Elsewhere>();
}

#[test]
fn in_slices() {
    explore::<Sliced>();
}

#[test]
fn one_that_works_and_one_that_stands_by() {
    explore::<Two>();
}

#[test]
fn two_that_share_a_name() {
    explore::<TwoThatShare>();
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
fn two_members_outside_of_the_transaction() {
    explore::<MembersElsewhere>();
}
