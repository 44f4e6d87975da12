//! How far the archive has come, told by its writers and watched by whoever waits.

use futures_util::StreamExt;
use natter_ids::{Partition, Position, Seq};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Bus, subjects};

pub(crate) struct ArchivedWatch(watch::Sender<Position>);

impl ArchivedWatch {
    pub(crate) fn new(partitions: u16) -> Self {
        Self(watch::Sender::new(Position::start(partitions)))
    }

    /// Up to which number a partition is archived at least.
    pub(crate) fn reached(&self, partition: Partition) -> Seq {
        self.0.borrow().get(partition)
    }
}

impl Bus {
    /// Tells every process that a partition is archived up to a number.
    ///
    /// # Errors
    /// A sentence, when the connection is closed.
    pub async fn announce_archived(&self, partition: Partition, seq: Seq) -> Result<(), String> {
        self.note_archived(partition, seq);
        self.publish_json(subjects::ARCHIVED.to_owned(), &(partition, seq)).await
    }

    /// What this process knows of the archive: at least this much is archived.
    pub fn watch_archived(&self) -> watch::Receiver<Position> {
        self.shared.archived.0.subscribe()
    }

    /// Notes what this process has read from the archive itself.
    pub fn note_archived(&self, partition: Partition, seq: Seq) {
        self.shared.archived.0.send_if_modified(|position| {
            let moved = seq > position.get(partition);
            position.advance(partition, seq);
            moved
        });
    }

    /// Follows the announcements of all archivers until cancelled.
    pub async fn follow_archived(&self, cancel: CancellationToken) {
        let Ok(mut announcements) = self.shared.client.subscribe(subjects::ARCHIVED).await else { return };
        while let Some(Some(message)) = cancel.run_until_cancelled(announcements.next()).await {
            if let Ok((partition, seq)) = serde_json::from_slice::<(Partition, Seq)>(&message.payload) {
                self.note_archived(partition, seq);
            }
        }
    }
}
