use pgq_core::Result;
use pgq_core::batch::Reader;
use pgq_core::consumer::IfClaimed;
use tokio_postgres::GenericClient;

use crate::ClientExt;

/// Asks again and again: a statement that waits would hold back the vacuum of the whole database.
pub(crate) async fn claim(client: &impl GenericClient, reader: &Reader, if_claimed: IfClaimed) -> Result<()> {
    while !client.call(reader.claim()).await? {
        tokio::time::sleep(reader.claimed(if_claimed)?).await;
    }
    Ok(())
}
