use std::env;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};

pub(crate) fn is_rerun() -> bool {
    env::var_os(RERUN).is_some()
}

/// Runs one test of this binary in a process of its own.
pub(crate) fn rerun(test: &str) -> Child {
    rerun_with(test, &[])
}

pub(crate) fn rerun_with(test: &str, variables: &[(&str, &str)]) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(RERUN, "1").env_remove("PGQ_TEST_DATABASE");
    command.envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// Stays until it is killed, or the process that runs the tests is gone.
pub(crate) fn wait_for_parent() {
    io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
}

pub(crate) fn announce(line: &str) {
    println!("\n{MARK}{line}");
}

pub(crate) fn announcement(child: &mut Child) -> String {
    let stdout = BufReader::new(child.stdout.as_mut().unwrap());
    let lines = stdout.lines().map(Result::unwrap);
    lines.filter_map(|line| line.strip_prefix(MARK).map(str::to_owned)).next().unwrap()
}

const RERUN: &str = "PGQ_TESTKIT_RERUN";
const MARK: &str = "announced: ";
