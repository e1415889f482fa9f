use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::error::Error;

/// The account that a server runs under when we are root, which PostgreSQL refuses to run as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// Hands a directory that we just made to the account, when we are root; `None` when we are not.
    pub(crate) fn take_over(directory: &Path) -> Result<Option<Self>, Error> {
        let doing = || format!("hand {} to another account", directory.display());
        let owner = fs::metadata(directory).map_err(Error::io(doing()))?.uid();
        if owner != 0 {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let Some(account) = Self::in_passwd(&passwd) else {
            return Err(Error::NoAccount);
        };
        account.owns(directory)?;
        Ok(Some(account))
    }

    pub(crate) fn owns(self, path: &Path) -> Result<(), Error> {
        let doing = || format!("hand {} to another account", path.display());
        chown(path, Some(self.uid), Some(self.gid)).map_err(Error::io(doing()))
    }

    fn in_passwd(passwd: &str) -> Option<Self> {
        ["postgres", "_postgres", "nobody"].iter().find_map(|name| {
            let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            let uid = fields.next()?.parse().ok().filter(|&uid| uid != 0)?;
            Some(Self { uid, gid: fields.next()?.parse().ok()? })
        })
    }

    pub(crate) fn runs(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefers_postgres_to_nobody() {
        let passwd = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65533::/:/bin/false\n";
        assert_eq!(Account::in_passwd(passwd), Some(Account { uid: 65534, gid: 65533 }));
        let passwd = format!("{passwd}postgres:x:101:104::/var/lib/postgresql:/bin/sh\n");
        assert_eq!(Account::in_passwd(&passwd), Some(Account { uid: 101, gid: 104 }));
    }

    #[test]
    fn skips_lines_that_would_not_do() {
        assert_eq!(Account::in_passwd("postgres:x:0:0::/:/bin/sh\nnobody:*:-2:-2::/:/bin/false\n"), None);
        assert_eq!(Account::in_passwd("postgres\n"), None);
    }
}
