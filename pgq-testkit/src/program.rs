use std::process::{Command, Stdio};

use crate::error::Error;

/// Runs a program to its end; what it wrote is in the error where it fails.
pub(crate) fn run(mut command: Command, program: &'static str) -> Result<(), Error> {
    let output = command.stdin(Stdio::null()).output().map_err(Error::io(format!("run {program}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Program { program, output: tail(&output.stderr) })
}

/// The last lines.
pub(crate) fn tail(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let skipped = lines.len().saturating_sub(LINES);
    lines.into_iter().skip(skipped).collect::<Vec<_>>().join("\n")
}

const LINES: usize = 15;
