//! Programs with a mistake must be caught.

use crate::explore::Explorer;
use crate::programs::naive::{CommitsApart, FinishesFirst, IgnoresZero};

#[test]
fn who_ignores_the_zero_is_caught() {
    println!("{}", Explorer::new().finds::<IgnoresZero>().expect("it makes duplicates"));
}

#[test]
fn who_finishes_first_is_caught() {
    println!("{}", Explorer::new().finds::<FinishesFirst>().expect("it loses events"));
}

#[test]
fn who_commits_apart_is_caught() {
    println!("{}", Explorer::new().finds::<CommitsApart>().expect("it makes duplicates"));
}
