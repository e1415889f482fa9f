//! Runs every example as a program of its own and compares what it prints with `tests/examples/<name>.txt`.
//!
//! `<name>_async` must print what `<name>` prints. `cargo test` builds the examples; `cargo test --test examples` does not, so it
//! takes a `cargo build --examples` before.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn every_example_prints_what_is_expected() {
    let sources = sources().unwrap();
    assert!(!sources.is_empty());
    let failures: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = sources.iter().map(|source| scope.spawn(|| check(source))).collect();
        runs.into_iter().filter_map(|run| run.join().unwrap().err()).collect()
    });
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn sources() -> Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(root().join("examples"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
    Ok(sources)
}

/// Says what is wrong with the example, if anything is. A text, because the error itself cannot leave the thread.
fn check(source: &Path) -> Result<(), String> {
    let name = source.file_stem().unwrap_or_default().to_string_lossy();
    let check = || -> Result {
        let output = run(&program(&name, source)?)?;
        let (printed, errors) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr));
        let expected = expected(&name)?;
        if !output.status.success() || printed != expected {
            let text = format!("{}\nprinted:\n{printed}\nexpected:\n{expected}\n{errors}", output.status);
            return Err(text.into());
        }
        Ok(())
    };
    check().map_err(|error| format!("example {name}: {error}"))
}

fn expected(name: &str) -> Result<String> {
    let path = root().join("tests/examples").join(name.strip_suffix("_async").unwrap_or(name));
    let path = path.with_extension("txt");
    Ok(fs::read_to_string(&path).map_err(|error| format!("no expectation in {}: {error}", path.display()))?)
}

/// The built example, which lies in `examples` next to the folder `deps` of this test.
fn program(name: &str, source: &Path) -> Result<PathBuf> {
    let this = env::current_exe()?;
    let profile = this.parent().and_then(Path::parent).ok_or("the test lies in no target folder")?;
    let program = profile.join("examples").join(name);
    let built = fs::metadata(&program).and_then(|file| file.modified());
    match built {
        Ok(built) if built >= fs::metadata(source)?.modified()? => Ok(program),
        Ok(_) => Err("it is older than its source: run `cargo build --examples`".into()),
        Err(error) => Err(format!("{}: {error}; run `cargo build --examples`", program.display()).into()),
    }
}

/// Runs a program that prints less than a pipe holds.
fn run(program: &Path) -> Result<Output> {
    let mut child = Command::new(program).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > LIMIT {
            child.kill()?;
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(child.wait_with_output()?)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
