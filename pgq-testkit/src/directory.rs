use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Makes one where its name leaves room for a socket's, and where the account we run servers under may enter.
pub(crate) fn make() -> io::Result<TempDir> {
    let parent = env::var_os("PGQ_TEST_DIR").map_or_else(env::temp_dir, PathBuf::from);
    if parent.to_str().is_some_and(|path| path.len() <= LONGEST_PARENT) {
        let directory = make_in(&parent)?;
        let ours = fs::metadata(directory.path())?.uid() != 0;
        if ours || parent.ancestors().all(is_open) {
            return Ok(directory);
        }
    }
    make_in(Path::new("/tmp"))
}

pub(crate) fn make_in(parent: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("pgq-").rand_bytes(8).tempdir_in(parent)
}

fn is_open(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o001 != 0)
}

const LONGEST_PARENT: usize = 70;
