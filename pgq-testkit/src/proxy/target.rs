use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use postgres::Config;
use postgres::config::Host;

use crate::conninfo;

/// Where a server listens.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Target {
    pub(crate) fn of(config: &Config) -> Option<Self> {
        let (host, port) = conninfo::address(config)?;
        Some(match host {
            Host::Tcp(name) => Self::Tcp(name.clone(), port),
            Host::Unix(folder) => Self::Unix(folder.join(format!(".s.PGSQL.{port}"))),
        })
    }

    pub(crate) fn connect(&self) -> io::Result<Upstream> {
        match self {
            Self::Tcp(name, port) => {
                let stream = TcpStream::connect((name.as_str(), *port))?;
                stream.set_nodelay(true)?;
                Ok(Upstream::Tcp(stream))
            }
            Self::Unix(path) => UnixStream::connect(path).map(Upstream::Unix),
        }
    }
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) enum Upstream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Upstream {
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).read(buffer),
            Self::Unix(stream) => (&*stream).read(buffer),
        }
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).write(bytes),
            Self::Unix(stream) => (&*stream).write(bytes),
        }
    }

    pub(crate) fn shutdown(&self) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}
