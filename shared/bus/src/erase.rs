//! Erasing single entries of the log: what was deleted for everybody is to be nowhere.

use natter_ids::{Partition, Seq};

use crate::{Bus, LookupError};

/// An entry was not erased.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EraseError {
    /// The stream was made by a release that let nobody delete entries, and no server changes
    /// that later.
    #[error("the stream takes no deletion of single entries")]
    Denied,
    /// The log could not be reached.
    #[error(transparent)]
    Log(#[from] LookupError),
}

impl Bus {
    /// Erases the entry at a number of a partition, so that nothing of it stays on the server's
    /// disk. Its number is never given again. Doing it again changes nothing.
    ///
    /// Whoever reads the log in order must be past it: the owner of the number has to see to that.
    ///
    /// # Errors
    /// [`EraseError`].
    pub async fn erase(&self, partition: Partition, seq: Seq) -> Result<(), EraseError> {
        let stream = self.stream(partition).await.map_err(LookupError)?;
        // The client's own form of it: the old bytes are overwritten.
        let Err(error) = stream.delete_message(seq).await else { return Ok(()) };
        if self.record_at(partition, seq).await?.is_none() {
            return Ok(());
        }
        let info = stream.get_info().await.map_err(|error| LookupError(error.to_string()))?;
        if info.config.deny_delete {
            return Err(EraseError::Denied);
        }
        Err(LookupError(error.to_string()).into())
    }
}
