use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::thread;

use pgq_sync::postgres::{Client, Config, Error, NoTls};
use tempfile::TempDir;

use crate::bed::Bed;
use crate::server::{Heard, LineId};

/// A unix socket for those who connect by a `Config`. Whoever comes in is on the bed of the moment.
pub(crate) struct Door {
    folder: TempDir,
    bed: Arc<Mutex<Option<Bed>>>,
}

impl Door {
    const PORT: u16 = 5432;

    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener =
            UnixListener::bind(folder.path().join(format!(".s.PGSQL.{}", Self::PORT))).expect("a socket");
        let bed: Arc<Mutex<Option<Bed>>> = Arc::default();
        let current = bed.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let bed = current.lock().unwrap_or_else(PoisonError::into_inner).clone();
                match bed {
                    Some(bed) => welcome(bed, stream),
                    None => return,
                }
            }
        });
        Self { folder, bed }
    }

    pub(crate) fn leads_to(&self, bed: &Bed) {
        *self.bed.lock().unwrap_or_else(PoisonError::into_inner) = Some(bed.clone());
    }

    pub(crate) fn config(&self, name: &str) -> Config {
        let mut config = Config::new();
        config
            .host_path(self.folder.path())
            .port(Self::PORT)
            .user("sim")
            .dbname("sim")
            .application_name(name);
        config
    }

    pub(crate) fn connect(&self, name: &str) -> Result<Client, Error> {
        self.config(name).connect(NoTls)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        *self.bed.lock().unwrap_or_else(PoisonError::into_inner) = None;
        // The listener looks when somebody comes.
        let _ = UnixStream::connect(self.folder.path().join(format!(".s.PGSQL.{}", Self::PORT)));
    }
}

fn welcome(bed: Bed, stream: UnixStream) {
    let id = bed.server().connect();
    let Ok(writer) = stream.try_clone() else { return };
    let of_writer = bed.clone();
    thread::spawn(move || write(&of_writer, id, writer));
    thread::spawn(move || read(&bed, id, stream));
}

fn read(bed: &Bed, id: LineId, mut stream: UnixStream) {
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        if !bed.server().receive(id, &buffer[..count]) {
            break;
        }
        bed.changed().notify_all();
    }
    bed.server().hang_up(id);
    bed.changed().notify_all();
}

fn write(bed: &Bed, id: LineId, mut stream: UnixStream) {
    loop {
        let mut server = bed.server();
        let bytes = match server.send(id, usize::MAX) {
            Heard::Bytes(bytes) => bytes,
            Heard::End => break,
            Heard::Nothing => {
                server.wake(id, Waker::from(Arc::new(Bell(bed.clone()))));
                drop(bed.changed().wait(server));
                continue;
            }
        };
        drop(server);
        if stream.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

struct Bell(Bed);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.changed().notify_all();
    }
}
