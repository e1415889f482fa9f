use std::cmp::Reverse;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;

/// The folder of a PostgreSQL server's programs.
#[derive(Debug)]
pub(crate) struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// Obeys `PGQ_TEST_PG_BIN`; else prefers the first folder whose server has pgq.
    pub(crate) fn find() -> Result<Self, Error> {
        if let Some(folder) = env::var_os("PGQ_TEST_PG_BIN") {
            return Self::named(PathBuf::from(folder));
        }
        let looked_in = candidates();
        let mut found = looked_in.iter().filter(|folder| missing(folder).is_none()).peekable();
        let first = found.peek().copied().cloned();
        match found.find(|folder| has_pgq(folder)).cloned().or(first) {
            Some(folder) => Ok(Self { folder }),
            None => Err(Error::NoBinaries { looked_in }),
        }
    }

    fn named(folder: PathBuf) -> Result<Self, Error> {
        match missing(&folder) {
            None => Ok(Self { folder }),
            Some(missing) => Err(Error::WrongBinaries { folder, missing }),
        }
    }

    /// A command of the folder that ignores the caller's `PG*` settings and speaks English.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.folder.join(program));
        for (name, _) in env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C");
        command
    }
}

fn missing(folder: &Path) -> Option<&'static str> {
    ["initdb", "postgres"].into_iter().find(|program| !folder.join(program).is_file())
}

fn candidates() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = env::var_os("PATH").iter().flat_map(env::split_paths).collect();
    let mut installed: Vec<PathBuf> = [
        ("/usr/lib/postgresql", ""),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
        ("/usr", "pgsql-"),
    ]
    .into_iter()
    .flat_map(|(parent, prefix)| versions(Path::new(parent), prefix))
    .collect();
    installed.sort_by_key(|folder| Reverse(version(folder)));
    folders.extend(installed.into_iter().map(|folder| folder.join("bin")));
    folders
}

fn versions(parent: &Path, prefix: &'static str) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(move |path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.strip_prefix(prefix)).is_some_and(|rest| rest.parse::<f32>().is_ok())
    })
}

fn version(folder: &Path) -> Option<u32> {
    let name = folder.file_name()?.to_str()?;
    name.trim_start_matches(|c: char| !c.is_ascii_digit()).split('.').next()?.parse().ok()
}

fn has_pgq(folder: &Path) -> bool {
    let Ok(output) = Command::new(folder.join("pg_config")).arg("--sharedir").output() else {
        return false;
    };
    let share = String::from_utf8_lossy(&output.stdout);
    Path::new(share.trim()).join("extension/pgq.control").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_of_a_folder() {
        assert_eq!(version(Path::new("/usr/lib/postgresql/15")), Some(15));
        assert_eq!(version(Path::new("/opt/homebrew/opt/postgresql@17")), Some(17));
        assert_eq!(version(Path::new("/usr/pgsql-9.6")), Some(9));
        assert_eq!(version(Path::new("/usr/games")), None);
    }

    #[test]
    fn only_numbered_folders() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["postgresql@9.6", "postgresql@17", "postgresql@latest", "postgis"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        assert_eq!(versions(parent.path(), "postgresql@").count(), 2);
        assert_eq!(versions(&parent.path().join("nowhere"), "").count(), 0);
    }
}
