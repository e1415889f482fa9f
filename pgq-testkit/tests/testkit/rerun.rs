use std::io;

use pgq_testkit::Process;

/// Runs one test of this binary in a process of its own, without the server that others may have given us.
pub(crate) fn rerun(test: &str) -> Process {
    rerun_with(test, &[])
}

pub(crate) fn rerun_with(test: &str, variables: &[(&str, &str)]) -> Process {
    let variables = [&[("PGQ_TEST_DATABASE", "")], variables].concat();
    Process::rerun(test, &variables).unwrap()
}

/// Stays until it is killed, or the process that runs the tests is gone.
pub(crate) fn wait_for_parent() {
    io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
}
