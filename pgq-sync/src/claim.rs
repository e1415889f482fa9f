use std::thread;

use pgq_core::Result;
use pgq_core::batch::Reader;
use pgq_core::consumer::IfClaimed;
use postgres::GenericClient;

use crate::ClientExt;

/// Asks again and again: a statement that waits would hold back the vacuum of the whole database.
pub(crate) fn claim(client: &mut impl GenericClient, reader: &Reader, if_claimed: IfClaimed) -> Result<()> {
    while !client.call(reader.claim())? {
        thread::sleep(reader.claimed(if_claimed)?);
    }
    Ok(())
}
