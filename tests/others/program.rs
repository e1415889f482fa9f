use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A program of somebody else that runs beside the test, and does not outlive it.
pub(crate) struct Program {
    name: String,
    child: Child,
}

impl Program {
    /// Starts a script of the folder `programs`.
    pub(crate) fn python(script: &str, arguments: &[&str]) -> Self {
        let mut command = python();
        command.arg(folder().join("programs").join(script)).args(arguments);
        Self::start(script, &mut command)
    }

    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        Self { name: name.to_owned(), child }
    }

    /// Waits for a line of its output.
    pub(crate) fn wait_for_line(&mut self, line: &str) {
        let output = self.child.stdout.take().expect("asked for a line only once");
        let found = BufReader::new(output).lines().map_while(Result::ok).any(|found| found == line);
        assert!(found, "{} did not say {line:?}", self.name);
    }

    /// Waits until it ends well, and tells what it wrote.
    pub(crate) fn finish(mut self) -> String {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{} does not end", self.name);
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(status.success(), "{}: {status}", self.name);
        self.child.stdout.take().map(|output| std::io::read_to_string(output).unwrap()).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the module can be imported; says why not.
pub(crate) fn has_python_module(module: &str) -> bool {
    match python().args(["-c", &format!("import psycopg2, {module}")]).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => true,
        Ok(_) => skip(&format!("{PYTHON} has no modules psycopg2 and {module}")),
        Err(error) => skip(&format!("{PYTHON} does not run: {error}")),
    }
}

/// Whether the program can be found; says why not.
pub(crate) fn has_program(program: &str) -> bool {
    let found = env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()));
    found || skip(&format!("{program} is not installed"))
}

fn skip(reason: &str) -> bool {
    println!("skipped: {reason}");
    false
}

/// Python of the system, for which the packages are; `scripts/setup-extras` puts what has none into `target/others`.
fn python() -> Command {
    let mut command = Command::new(PYTHON);
    command.env("PYTHONPATH", Path::new(env!("CARGO_MANIFEST_DIR")).join("target/others"));
    command
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/others"))
}

const PYTHON: &str = "/usr/bin/python3";
